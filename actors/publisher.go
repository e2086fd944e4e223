package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/telemetry"
)

// publisher owns the in-flight window: when acknowledgements become unknown it pauses the window and
// has everything unacknowledged replayed. Events themselves go from the read goroutines straight into
// the window and never through this mailbox.
type publisher struct {
	*Options
	kept *publishing

	ctx    context.Context // of this incarnation's replays
	cancel context.CancelFunc
	replay context.CancelFunc // of the replay in progress; nil: none
}

// publishing is what survives a restart of the publisher, which only a bug in it can cause.
type publishing struct {
	up       bool                 // NATS is connected
	outbox   chan *messages.Event // nil before the first start and after the stop
	waiting  []*messages.Event    // what the outbox before held when it was stopped
	draining bool                 // outbox is closed
	cancel   context.CancelFunc   // ends the outbox's goroutine early
	herald   chan struct{}        // closed when that has ended
	vital    vital                // of the publisher's actor
	broken   time.Time            // since when publishing is interrupted; zero: it is not
	why      error                // it is
}

// replayed ends a replay; err is the context's, or nil.
type replayed struct {
	number context.Context // of which replay
	err    error
}

// owing is what a shard that has stopped reading still owes: its own events, and guild.leave of guilds that are gone.
type owing struct{ events []*messages.Event }

// outboxSize bounds life-cycle events that wait for room in the window: some per shard of a large node.
const outboxSize = 4096

func newPublisher(o *Options, k *publishing) *publisher { return &publisher{Options: o, kept: k} }

// Receive implements actor.Actor.
func (p *publisher) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.start(ctx)
	case messages.BrokerUp:
		p.brokerUp(ctx)
	case messages.BrokerDown:
		p.brokerDown(m.Err)
	case messages.Trouble:
		p.trouble(ctx, m.Err)
	case replayed:
		p.replayed(m)
	case messages.LifeCycle:
		p.lifeCycle(m)
	case owing:
		p.queue(m.events...)
	case messages.Drain:
		p.drain()
	case sign:
		p.kept.vital.give()
	case *actor.Restarting:
		p.cancel()
	case *actor.Stopping:
		p.restored() // or an outage that outlasts the node would leave no trace
		p.stop()
	}
}

func (p *publisher) start(ctx actor.Context) {
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if p.kept.outbox == nil {
		p.open(ctx.Parent(), ctx.ActorSystem().Root)
	}
	if p.kept.up { // the incarnation before may have paused the window
		p.startReplay(ctx)
	}
}

// open starts the goroutine that takes life-cycle events into the window. It ends when drain closes the outbox;
// stop ends it early and waits for it.
func (p *publisher) open(parent *actor.PID, root *actor.RootContext) {
	kept, window := p.kept, p.Window
	outbox, herald := make(chan *messages.Event, max(outboxSize, len(kept.waiting))), make(chan struct{})
	for _, ev := range kept.waiting {
		outbox <- ev
	}
	run, cancel := context.WithCancel(context.Background())
	kept.outbox, kept.waiting, kept.draining, kept.cancel, kept.herald = outbox, nil, false, cancel, herald
	go func() {
		defer close(herald)
		for ev := range outbox {
			if hand(run, window, ev) != nil { // only when the window or the publisher ends
				kept.waiting = append(kept.waiting, ev)
				return
			}
		}
		if run.Err() == nil {
			root.Send(parent, messages.Flushed{})
		}
	}()
}

// hand gives an event to the window, unless its pool has gone: then nothing of it may be published.
func hand(ctx context.Context, w Window, ev *messages.Event) error {
	t, ok := ev.Fence.(*tenure)
	if !ok {
		return w.Publish(ctx, ev)
	}
	return t.during(ctx, func(ctx context.Context) error { return w.Publish(ctx, ev) })
}

// drain closes the outbox: shards are silent by now.
func (p *publisher) drain() {
	if !p.kept.draining {
		p.kept.draining = true
		close(p.kept.outbox)
	}
}

func (p *publisher) brokerUp(ctx actor.Context) {
	p.kept.up = true
	p.startReplay(ctx)
}

// brokerDown makes every pending acknowledgement unknown: nothing is sent until all of them were
// sent again, in order.
func (p *publisher) brokerDown(err error) {
	p.kept.up = false
	p.interrupted(err)
	p.Window.Pause()
	p.Meters.Error(telemetry.Node, telemetry.Node, telemetry.ErrNATS)
	p.Log.Warn("nats disconnected: publishing pauses", "err", err)
}

// interrupted remembers what is recorded as a span when publishing goes on.
func (p *publisher) interrupted(err error) {
	if p.kept.broken.IsZero() {
		p.kept.broken, p.kept.why = time.Now(), err
	}
}

func (p *publisher) trouble(ctx actor.Context, err error) {
	p.interrupted(err)
	p.Window.Pause()
	p.Meters.Error(telemetry.Node, telemetry.Node, telemetry.ErrPublish)
	p.Log.Warn("publish failed: everything unacknowledged is sent again in order", "err", err)
	if p.kept.up {
		p.startReplay(ctx)
	}
}

// startReplay begins anew: what an earlier replay had sent is unknown again. The goroutine ends with
// its context, which the next replay or stop cancels.
func (p *publisher) startReplay(ctx actor.Context) {
	if p.replay != nil {
		p.replay()
	}
	run, cancel := context.WithCancel(p.ctx)
	p.replay = cancel
	self, root, window := ctx.Self(), ctx.ActorSystem().Root, p.Window
	began := time.Now()
	go func() {
		err := window.Replay(run)
		root.Send(self, replayed{run, err})
		if err == nil {
			p.Log.Info("publishing", "took", time.Since(began))
		}
	}()
}

func (p *publisher) replayed(m replayed) {
	if m.err != nil && m.number.Err() == nil {
		p.Log.Warn("replay ended early", "err", m.err)
	}
	if m.err == nil {
		p.restored()
	}
}

// restored records the interruption that is over, if there was one.
func (p *publisher) restored() {
	if !p.kept.broken.IsZero() {
		p.Tracer.Interrupted(p.kept.broken, time.Now(), p.kept.why)
		p.kept.broken, p.kept.why = time.Time{}, nil
	}
}

// lifeCycle queues one of drover's own events.
func (p *publisher) lifeCycle(l messages.LifeCycle) { p.queue(l.Event()) }

// queue never blocks: the window may be full while shards come and go.
func (p *publisher) queue(events ...*messages.Event) {
	if p.kept.draining {
		return
	}
	for _, ev := range events {
		select {
		case p.kept.outbox <- ev:
		default:
			p.Meters.Error(telemetry.Node, telemetry.Node, telemetry.ErrPublish)
			p.Log.Error("life-cycle event dropped: too many wait for the broker", "shard_id", ev.ShardID)
			if ev.Receipt != nil {
				ev.Receipt.Acked(messages.Events, ev.Seq, 0) // or its session would never be kept
			}
		}
	}
}

func (p *publisher) stop() {
	p.cancel()
	p.kept.cancel()
	p.drain()
	<-p.kept.herald
	// Where the root restarts the next incarnation takes them: one may be a gap, and a checkpoint waits for its receipt.
	for ev := range p.kept.outbox {
		p.kept.waiting = append(p.kept.waiting, ev)
	}
	p.kept.outbox = nil
}
