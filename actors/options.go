package actors

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// Options are what the actors need of the world. All fields are required but the hooks.
type Options struct {
	Node string // name of this node, for people

	// Session is the template for every shard's session; ShardID, Shards and URL come with the pool.
	Session gateway.SessionOptions
	// Dial opens a connection to a complete gateway URL.
	Dial func(ctx context.Context, url string) (*gateway.Conn, error)

	Window  Window
	Permits Identifier
	Filter  *Filter
	Meters  *telemetry.Meters
	Tracer  *telemetry.Tracer // nil: no spans are made
	Log     *slog.Logger

	// Sessions keeps checkpoints; nil: sessions end with the process.
	Sessions Sessions
	// CheckpointInterval is how often a shard's checkpoint is written at the most; 0 is 1 s. Too low costs writes; too
	// high makes the next process replay more, all of which is recognised.
	CheckpointInterval time.Duration

	// SignEvery is how often each actor is asked for a sign of life at the most, while somebody asks for the node's status; 0 is
	// 5 s. Too low: a thousand shards are woken for nothing. Too high: a stuck one is noticed late.
	SignEvery time.Duration

	// Refused is called once when Discord refuses the bot, or every shard of this node, for good. It must
	// not block.
	Refused func(error)
	// Quiesced is called once after messages.Quiesce, when no shard takes an event any more. It must not block.
	Quiesced func()
	// Drained is called once after messages.Drain, when every session is closed. It must not block.
	Drained func()
}

// Window is the publisher's bounded in-flight window.
type Window interface {
	// Publish hands an event over and waits while the window is full. It encodes the event before it
	// returns. The error is ctx's cause, or that the window is closed; the event was not taken then.
	Publish(ctx context.Context, ev *messages.Event) error
	// Flush sends what was held back since more was to follow (messages.Event.More). It may be called at any time.
	Flush()
	// FlushSoon does it within about a millisecond, so that what other shards bring meanwhile goes out together with it.
	FlushSoon()
	// Pause stops sending until Replay: what is unacknowledged is unknown.
	Pause()
	// Replay sends everything unacknowledged again, in order, under the same ids, and then lets Publish
	// go on. It waits for NATS, and returns an error only when ctx ends.
	Replay(ctx context.Context) error
	// Adopt makes r the receipt of the dispatches of a session that an earlier process left in the spool, and says what
	// they are. r may be told before it returns.
	Adopt(session string, r messages.Receipt) [messages.Streams]messages.Spooled
	// Stored is for each stream a sequence number of the stream behind which everything stands that is not acknowledged
	// yet.
	Stored() [messages.Streams]uint64
	// Full reports that neither window nor spool has room: readers wait, and Discord's patience runs.
	Full() bool
	// Abandon forgets everything unacknowledged of a fence that is over, without telling receipts. Nothing of it is
	// published after it returns, and nothing of it is handed over any more.
	Abandon(f messages.Fence)
}

// Sessions keeps what the next process needs to RESUME.
type Sessions interface {
	// Save writes one shard's checkpoint. An error means "unknown": the shard's next one then carries its guild set.
	// It is called by one goroutine at a time for one shard, with a context that ends soon.
	Save(ctx context.Context, c messages.Checkpoint) error
}

// Identifier hands out IDENTIFY permits for all shards of the bot.
type Identifier interface {
	// Announce keeps places in rising order for shards that are about to connect.
	Announce(shardIDs ...int)
	// Acquire blocks until shardID may write IDENTIFY, or returns ctx's cause. again marks an IDENTIFY that
	// is not the shard's first.
	Acquire(ctx context.Context, shardID int, again bool) (Permit, error)
}

// Permit is the right to write one IDENTIFY.
type Permit interface {
	// Valid tells whether IDENTIFY may be written now. One that is not is given back by Done, and asked for again: this
	// process stood still, and another may identify by now.
	Valid() bool
	Spent() // IDENTIFY is being written now
	// Done says that its outcome is known, or that it was not written: the next one may follow. Further
	// calls do nothing.
	Done()
}

// Spawn starts the root actor and with it the node's publisher and health. Send it messages.Assign for each
// pool, messages.Quiesce and then messages.Drain to end in order, and request messages.StatusQuery to look, and
// messages.Revoke or messages.Drop to have a pool go while the others stay.
func Spawn(system *actor.ActorSystem, o Options) (*actor.PID, error) {
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = time.Second
	}
	if o.SignEvery <= 0 {
		o.SignEvery = 5 * time.Second
	}
	kept := newKept()
	return system.Root.SpawnNamed(props(o.Log, func() actor.Actor { return newRoot(&o, kept) }), "root")
}
