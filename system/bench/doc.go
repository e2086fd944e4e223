// Package bench measures what drover costs: throughput against the limits of NATS' own client and against a hand-written
// bot, latency, memory, and cost over sessions. Like a user it stands outside: everything that it measures is a process of
// its own.
//
// Run does the work and returns a Report. The processes are this program under hidden verbs: Raw and Bot are what is
// compared with, Part is how Run speaks with them and with a node that notes its acknowledgements. Nothing else
// uses this package.
package bench
