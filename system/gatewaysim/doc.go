// Package gatewaysim is a Discord gateway for tests, demonstrations and benchmarks.
//
// It serves the two REST routes and the WebSocket that a bot needs, keeps
// sessions with sequence numbers and a bounded replay buffer, enforces the
// limits that Discord enforces (identify buckets, daily budget, 120 messages a
// minute, 4096 bytes), makes seeded traffic, and injects faults while it runs,
// by Go methods or over HTTP.
//
// It shares no code with the client in system/gateway: two readings of the
// protocol disagree where one of them is wrong.
//
// A server runs over real sockets (Start, Serve) or in memory (StartPipe), and
// then also inside a testing/synctest bubble. It uses the time package only,
// never holds a lock while it reads or writes, and Close ends all its
// goroutines.
package gatewaysim
