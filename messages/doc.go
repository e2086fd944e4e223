// Package messages is what drover's parts say to each other and to the world: the envelope that
// consumers of the streams read, and the plain values that actors send. It holds data only: no
// actors, no I/O.
//
// Between actors:
//
//	message        from → to                    meaning
//	Assign         system → root                this node serves the pool now
//	Revoke, Revoked   system → root → pool → root → system   hand one pool over; the others go on
//	Drop, Dropped  system → root → pool → shards, and back   the pool is another node's: forget it
//	PoolLeft       root → health                a pool's shards are gone from this node
//	ShardStarted   shard → health               a shard exists; Live reads its counters
//	ShardChanged   shard → health               a transition, with all that a page shows of it
//	ShardHalted    pool → health, root          the shard is refused for good and has stopped
//	BotRefused     pool → root                  Discord refuses the bot itself: stop everything
//	LifeCycle      shard → publisher            publish one of drover's own events
//	BrokerUp       system → publisher, health   NATS is connected (again)
//	BrokerDown     system → publisher, health   NATS is away: every pending ack is unknown now
//	Trouble        publisher's window → publisher   an ack failed: pause and replay
//	GatewayMoved   system → root → pools → shards   sessions begin at another URL
//	StreamLost     system → root → pools → shards   a stream was made again: declare the gap
//	Quiesce        system → root → pools → shards   read no more; connections stay
//	Quiesced       shards → pools → root        the sender takes no event any more
//	Drain          system → root → pools → shards   checkpoint, then close sessions so that they can be resumed
//	Drained        shards → pools → root        the sender serves nothing any more
//	Drain, Flushed root → publisher → root      after the last shard: its life-cycle events are in the window
//	StatusQuery    system → root → health       answer with NodeStatus
//	SampleQuery, HistoryQuery   the same way       answer with what is measured of all shards, with one shard's history
//
// Values are immutable once sent.
package messages
