package messages

import "time"

// Checkpoint is what outlives the process of a shard's session: enough for any process to RESUME it
// and to know which replayed events are stored already. It follows the acknowledgements and never
// what was merely received.
type Checkpoint struct {
	ShardID, Shards int

	// Epoch is that of the lease under which it was taken; 0: there is none. A checkpoint does not replace one of a higher epoch.
	Epoch uint64

	Session     string    // Discord's session id
	ResumeURL   string    // as READY gave it; may be empty
	GatewayURL  string    // where sessions begin, as GET /gateway/bot named it: a RESUME must not need that
	Fingerprint string    // of token, intents and slice; made by the session machine
	Contact     time.Time // last sign of life of the session
	Connection  uint64    // number of the shard's newest connection; ids of life-cycle events differ by it

	// Acked has for each stream the highest sequence number of the session up to which every event of
	// that stream is stored. A RESUME names the lower one.
	Acked [Streams]int64
	// Stored has for each stream a sequence number of the stream itself: every event of the session that
	// is not covered by Acked, and is stored all the same, stands behind it.
	Stored [Streams]uint64
	// Beyond has for each stream sequence numbers of the session above Acked that are known to be stored.
	// It is filled when a checkpoint is loaded, and not kept.
	Beyond [Streams][]int64

	// Written is when the store took it, by the clock of NATS. It is filled when a checkpoint is loaded, and not kept.
	Written time.Time

	// Guilds is the guild set as of Acked[Events]: what consumers were told that the bot is in. It is
	// kept apart and written only when it changed: nil leaves it as it is, and none is an empty slice.
	Guilds []uint64
}

// Seq is the sequence number that a RESUME of another process names: everything up to it is stored.
func (c Checkpoint) Seq() int64 {
	low := c.Acked[0]
	for _, seq := range c.Acked {
		low = min(low, seq)
	}
	return low
}

// Stranded is a session of which an earlier process left events in the spool.
type Stranded struct {
	Session string // Discord's whole id
	ShardID int
	Last    int64     // newest sequence number in the spool
	At      time.Time // when that was read
}

// Spooled says what of a session an earlier process had left in the spool, for one stream.
type Spooled struct {
	Last int64     // newest sequence number in it; 0: the spool has nothing of the session
	Left int       // how many of its events are not acknowledged yet
	At   time.Time // when the newest of them was read
}
