package actors

import (
	"context"
	"log/slog"

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
	Log     *slog.Logger

	// Refused is called once when Discord refuses the bot, or every shard of this node, for good. It must
	// not block.
	Refused func(error)
	// Drained is called once after messages.Drain, when every session is closed. It must not block.
	Drained func()
}

// Window is the publisher's bounded in-flight window.
type Window interface {
	// Publish hands an event over and waits while the window is full. It encodes the event before it
	// returns. The error is ctx's cause, or that the window is closed; the event was not taken then.
	Publish(ctx context.Context, ev *messages.Event) error
	// Pause stops sending until Replay: what is unacknowledged is unknown.
	Pause()
	// Replay sends everything unacknowledged again, in order, under the same ids, and then lets Publish
	// go on. It waits for NATS, and returns an error only when ctx ends.
	Replay(ctx context.Context) error
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
	Spent() // IDENTIFY is being written now
	// Done says that its outcome is known, or that it was not written: the next one may follow. Further
	// calls do nothing.
	Done()
}

// Spawn starts the root actor and with it the node's publisher and health. Send it messages.Assign for each
// pool, messages.Drain to end in order, and request messages.StatusQuery to look.
func Spawn(system *actor.ActorSystem, o Options) (*actor.PID, error) {
	kept := newKept()
	return system.Root.SpawnNamed(props(o.Log, func() actor.Actor { return newRoot(&o, kept) }), "root")
}
