// Package audit proves what drover promises (docs/guarantees.md) from the outside: it runs drover and
// NATS as processes of their own, plays Discord, breaks one of them in a planned way, and compares
// everything that was sent with everything that was stored. Only the recorder's connection to NATS is
// shared with drover's own code; nothing that drover says about itself counts as evidence.
package audit
