// Package stream carries events to NATS JetStream, and back for those who watch.
//
//   - Embedded runs a NATS server inside this process.
//   - Broker is one connection to NATS and the two streams on it.
//   - Publisher is the bounded window of events that JetStream has not acknowledged yet.
//   - LogSink takes the Publisher's place where there is no NATS at all.
//
// What the package promises: an event that Publish took is stored once and in order, or it stays in
// the window. An error of any kind means "unknown", never "not stored": the publisher stops, and
// Replay sends everything unacknowledged again, in order, under the same ids, so that JetStream's
// duplicate window drops what it had.
//
// Where the promise ends: a pipelined publish that one server refuses and then takes the next one
// (a stream with discard "new" that frees space in between, a stream that somebody else makes again
// in that instant) is stored late. Replay sends one event at a time after such a refusal, so it
// never adds to that.
package stream
