// Package actors is drover's control plane: who lives, who restarts, who stops. Events do not pass
// through it; they go from a shard's read goroutine straight into the publisher's window.
//
//	root                 one per node; halts everything when Discord refuses the bot
//	├── publisher        owns the in-flight window: pauses it, has it replayed, drains it
//	├── health           the last word of every shard; answers status queries
//	└── pool-<p>         one per pool of this node; supervises its shards
//	    ├── shard-<i>    owns one session, one connection and its read goroutine
//	    └── …
//
// A shard is a thin shell around [gateway.Session], which decides, and a read goroutine (reader.go), which
// carries events. The shard executes the session's effects and has no opinion of its own.
//
// Pools come and go while the node lives. Each time with one is a tenure (tenure.go), the fence of all that its shards do:
// nothing is published, kept or identified unless it is valid, and it ends for good when the pool is handed over
// (leave.go) or dropped. What a shard may do while the fence is invalid stands in fence.go.
//
// A shard fails in one way only: it panics with an error (shard.fail). Its pool then decides by the error's class
// (restart.go): a recoverable one restarts the shard, which keeps its session and backs off; a fatal
// one of the shard stops it; a fatal one of the bot stops the node. What survives a restart stands
// in one struct, carried.
package actors
