package messages

// Assign tells the root that this node serves a pool from now on.
type Assign struct {
	Pool       int
	Shards     []int  // ids of its shards, rising
	Total      int    // shards of the bot
	GatewayURL string // where sessions without a resume URL begin, as /gateway/bot names it
}

// Live reads a shard's counters at any moment, from any goroutine.
type Live interface {
	Received() int64 // newest sequence number read
	Acked() int64    // every sequence number up to this one is stored
	Guilds() int     // guilds that the bot is in, unavailable ones included
}

// ShardStarted tells health that a shard exists.
type ShardStarted struct {
	Pool    int
	ShardID int
	Live    Live
}

// ShardChanged is a shard's status after a transition. The counters of Live are not in it.
type ShardChanged struct {
	Status ShardStatus
	Note   string // for the history; empty: not worth a line
}

// ShardHalted tells that a shard is refused for good. The others go on.
type ShardHalted struct {
	Pool    int
	ShardID int
	Err     error
}

// BotRefused tells that Discord refuses the bot itself, so that every further IDENTIFY of any shard
// would only cost budget.
type BotRefused struct{ Err error }

// Drain asks for an orderly end: sessions stay resumable.
type Drain struct{}

// Drained answers Drain.
type Drained struct {
	Pool    int
	ShardID int // of a shard; unused in a pool's own answer
}

// Flushed answers Drain for the publisher: every life-cycle event is in the window.
type Flushed struct{}

// BrokerUp tells that NATS is connected, for the first time or again.
type BrokerUp struct{}

// BrokerDown tells that the connection to NATS is lost.
type BrokerDown struct{ Err error }

// Trouble tells that an acknowledgement failed, said no or did not come.
type Trouble struct{ Err error }

// StatusQuery asks for a NodeStatus.
type StatusQuery struct{}
