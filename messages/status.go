package messages

import "time"

// State is what a shard is doing, in the words of the contract.
type State string

// The states of a shard.
const (
	Connecting   State = "connecting"   // dialling, or waiting for HELLO
	Identifying  State = "identifying"  // waiting for a permit, or for READY
	Resuming     State = "resuming"     // RESUME sent, replay running
	Ready        State = "ready"        // serving
	Disconnected State = "disconnected" // between two connections
	Halted       State = "halted"       // refused for good
)

// AllStates lists the states in the order of a shard's life.
var AllStates = []State{Connecting, Identifying, Resuming, Ready, Disconnected, Halted}

// ShardStatus is what a shard last said of itself; an element of /api/v1/shards.
type ShardStatus struct {
	ID                 int       `json:"id"`
	Pool               int       `json:"pool"`
	Node               string    `json:"node"`
	State              State     `json:"state"`
	Session            string    `json:"session"` // first 8 characters
	SeqReceived        int64     `json:"seq_received"`
	SeqAcked           int64     `json:"seq_acked"`
	Guilds             int       `json:"guilds"`
	HeartbeatLatencyMS float64   `json:"heartbeat_latency_ms"` // last one; 0 before the first acknowledgement
	Restarts           int       `json:"restarts"`             // by the pool's supervisor; routine reconnects do not count
	Since              time.Time `json:"since"`                // in State
	LastError          string    `json:"last_error"`

	LastDispatch time.Time `json:"last_dispatch,omitzero"` // when the newest dispatch was read; zero before the first
	LastAck      time.Time `json:"last_ack,omitzero"`      // when the newest acknowledgement of an event came; zero before the first
	LastHeard    time.Time `json:"last_heard,omitzero"`    // when anything was read from the connection, also an earlier one; zero before the first

	// Not part of the API, but of metrics and health.
	Unsaved    time.Time `json:"-"` // since when a checkpoint is due that has not been written; zero: none is
	Unanswered time.Time `json:"-"` // since when the shard's actor owes a sign of life; zero: it does not
}

// Notice is one line of the node's recent history, for people.
type Notice struct {
	At      time.Time `json:"at"`
	ShardID int       `json:"shard_id"` // -1: the node itself
	Text    string    `json:"text"`
}

// NodeStatus is all that a node's pages and endpoints show.
type NodeStatus struct {
	Node          string
	Version       string
	PoolID        *int // the pinned pool, or nil
	Started       time.Time
	ShardsTotal   int
	ShardsReady   int
	GuildsTotal   int
	NATSConnected bool // true where nats.url is none
	Live          bool // actors answer and the publisher is not stuck
	IsReady       bool
	Reasons       []string // what is missing for readiness, in words
	Stuck         []string // why it is not Live, in words; they are among Reasons too
	Silent        []Silent // actors other than shards that owe a sign of life
	Shards        []ShardStatus
	Notices       []Notice // newest first, bounded
	Budget        Budget
	Leases        *Leases        // nil where there is no cluster
	ClockOffset   *time.Duration // NATS' clock minus this node's; nil: not measured yet
	Traffic       Traffic
}

// Silent is an actor that owes a sign of life.
type Silent struct {
	Actor string // like publisher, or pool 3
	Since time.Time
}

// ClusterStatus is a bot's nodes and all their shards, as one of the nodes knows them.
type ClusterStatus struct {
	Nodes  []MemberStatus // by name
	Shards []ShardStatus  // by id; those of nodes that have not answered are missing
	Total  int            // shards of the bot
	Free   []int          // pools that nobody serves
	Away   bool           // the store does not answer: what is known is old, and nobody can take anything over
	Budget Budget         // with what this node's shards wait for
}

// MemberStatus is one node of a bot.
type MemberStatus struct {
	Name     string
	Addr     string // of its HTTP; empty where that is of no use to others
	Version  string
	Self     bool // the node that tells
	Ready    bool // it may be given pools
	Draining bool
	Answered bool // it has told what its shards do
	Pools    int
	Seen     time.Duration // since its last sign of life
}

// Leases are this node's part in the cluster.
type Leases struct {
	Pools     int            // of the bot, whoever serves them
	Held      int            // pools that this node may serve now
	Remaining time.Duration  // until the first of them runs out unless it is renewed
	Epochs    map[int]uint64 // of those that are held, by pool
	Away      bool           // nobody can renew or take over: the store does not answer

	// Since the start of the process.
	Acquired, HandedOver, Lost, RanOut uint64
	Renewed, RenewUnknown, RenewLost   uint64
}

// Budget is Discord's daily allowance of IDENTIFYs, as far as this node knows it. All nodes share it, Waiting and what
// follows is this node's.
type Budget struct {
	Total, Remaining int
	ResetAt          time.Time
	MaxConcurrency   int
	Reserve          int           // of Remaining; only shards that have not identified today may use it
	Repeated         int           // IDENTIFYs of shards that had identified before, within 24 h; at half of Total they stop
	Waiting          int           // shards that wait for a permit
	Held             int           // of them: those that the budget holds back
	ETA              time.Duration // until the last of them has identified, at best
	Reason           string        // what holds shards back, in words; empty: nothing does
}

// Traffic counts events since the node started.
type Traffic struct {
	Received, Routed uint64
	Failures         uint64
	Unacked          int // those in the spool included
	Spooled          int // on disk, waiting for the broker
	SpoolBytes       int64
	SpoolSince       time.Time         // when the oldest event in the spool was read; zero: it is empty
	SpoolFull        bool              // it takes nothing more
	SpoolLimit       int64             // its bound in bytes; 0: there is no spool
	Windows          []Window          // of each stream
	P50, P99         time.Duration     // frame read → acknowledged, over the last minute
	ByType           map[string]uint64 // received, by event type
}

// Window is how full the publisher's window of one stream is.
type Window struct {
	Stream  string
	Limit   int // events that it takes; each of them is a credit
	Used    int // credits that are spent: sent, or about to be, and not acknowledged
	Bytes   int // of these events
	Waiting int // shards that wait for room
}
