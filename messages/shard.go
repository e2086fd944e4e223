package messages

import "time"

// LostSession is what is known of a session that has no checkpoint for the shard, since the bot was sharded
// differently.
type LostSession struct {
	Name   string   // stands for Discord's session id where that is not known; ids of events are derived from it
	Gap    GapData  // to be declared once the next session begins, which is when To is known
	Guilds []uint64 // what consumers were told that the bot is in on this shard; nil: not known
}

// RestartShard asks a shard to close its connection and to RESUME on a new one.
type RestartShard struct{ ShardID int }

// GatewayMoved tells that sessions begin elsewhere from now on.
type GatewayMoved struct{ URL string }

// Live reads a shard's counters at any moment, from any goroutine.
type Live interface {
	Received() int64 // newest sequence number read
	Acked() int64    // every sequence number up to this one is stored
	Guilds() int     // guilds that the bot is in, unavailable ones included
	// LastDispatch is when the newest dispatch was read; zero before the first. A quiet guild is no fault.
	LastDispatch() time.Time
	// LastHeard is when anything was read from the connection, also an earlier one; zero before the first.
	LastHeard() time.Time
	// Unanswered is since when the shard's actor owes a sign of life; zero: it does not.
	Unanswered() time.Time
	// Unsaved is since when a checkpoint is due that has not been written; zero: none is.
	Unsaved() time.Time
	History() *ShardHistory // what the shard remembers of itself
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

// Quiesce asks to stop reading, as the first half of an orderly end: no event is taken any more, while connections
// and heartbeats go on, so that what was taken can be acknowledged and checkpointed before they are closed.
type Quiesce struct{}

// Quiesced answers Quiesce.
type Quiesced struct {
	Pool    int
	ShardID int // of a shard; unused in a pool's own answer
}

// StreamLost tells that streams had to be made again, so that acknowledged events may have died with them.
type StreamLost struct {
	Streams []Stream
	From    time.Time // events that were stored before it had aged out anyway; zero: not known
	Pools   []int     // that have to know; nil: all of this node
}

// Drain asks for an orderly end: sessions stay resumable. A last checkpoint of each comes first.
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
