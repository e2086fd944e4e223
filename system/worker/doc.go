// Package worker is the reference consumer of the streams: it reads guilds' and members' events from a durable
// consumer and keeps PostgreSQL's tables in step.
//
// What it promises: every event has its effect once, with its audit row in the same transaction, whatever is replayed,
// redelivered or killed. An event is acknowledged after its transaction, and not before. What can never be applied goes to the
// stream of dead letters, and is acknowledged then. Everything else is tried until it works.
//
// The effect does not depend on order: the tables remember the position of what set each fact. Within one worker a
// guild's events are applied in the stream's order all the same; after an error, and between two workers
// on one durable, a later event may come first.
package worker
