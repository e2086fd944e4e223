package messages

// Sabotage is a way to break a promise on purpose.
type Sabotage string

// The sabotages that builds with the tag sabotage know.
const (
	CheckpointReceived Sabotage = "checkpoint-received" // checkpoints follow what was read, not what is stored
	RandomIDs          Sabotage = "random-ids"          // a replayed event has another id than the first time
	RetryOutOfOrder    Sabotage = "retry-out-of-order"  // what is unacknowledged is sent again newest first
	AcksIgnored        Sabotage = "acks-ignored"        // an event counts as stored as soon as it was sent
	FenceIgnored       Sabotage = "fence-ignored"       // a lease that was had once is valid for ever
	PaceIgnored        Sabotage = "pace-ignored"        // everybody may IDENTIFY at once
)

// Sabotages lists them.
var Sabotages = []Sabotage{CheckpointReceived, RandomIDs, RetryOutOfOrder, AcksIgnored, FenceIgnored, PaceIgnored}
