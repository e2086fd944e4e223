package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// root owns everything of one node: its publisher, its health and a supervisor for each pool that
// the node holds.
type root struct {
	*Options
	kept *kept

	health, publisher *actor.PID
	pools             map[int]*actor.PID
}

// kept is what survives a restart of the root, which only a bug in it can cause.
type kept struct {
	assigned   map[int]messages.Assign
	shards     map[int]map[int]*carried // pool → shard
	halted     map[int]bool             // shards refused for good
	refused    bool                     // Refused was called
	draining   bool
	known      map[int]*known // health's
	publishing publishing     // the publisher's
}

func newKept() *kept {
	return &kept{
		assigned: map[int]messages.Assign{}, shards: map[int]map[int]*carried{}, halted: map[int]bool{}, known: map[int]*known{},
	}
}

func newRoot(o *Options, k *kept) *root {
	return &root{Options: o, kept: k, pools: map[int]*actor.PID{}}
}

// Receive implements actor.Actor.
func (r *root) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case messages.Assign:
		r.assign(ctx, m)
	case messages.BrokerUp, messages.BrokerDown:
		ctx.Send(r.publisher, m)
		ctx.Send(r.health, m)
	case messages.Trouble:
		ctx.Send(r.publisher, m)
	case messages.StatusQuery:
		ctx.Forward(r.health)
	case messages.ShardHalted:
		r.shardHalted(m)
	case messages.BotRefused:
		r.botRefused(ctx, m.Err)
	case messages.Drain:
		r.drain(ctx)
	case messages.Drained:
		r.poolDrained(ctx, m.Pool)
	case messages.Flushed:
		r.flushed()
	}
}

func (r *root) start(ctx actor.Context) {
	r.health = r.spawn(ctx, "health", func() actor.Actor { return newHealth(r.Options, r.kept.known) })
	r.publisher = r.spawn(ctx, "publisher", func() actor.Actor { return newPublisher(r.Options, &r.kept.publishing) })
	if r.kept.draining { // what is closed stays closed
		r.flush(ctx)
		return
	}
	for _, a := range r.kept.assigned {
		r.pool(ctx, a)
	}
}

func (r *root) spawn(ctx actor.Context, name string, produce func() actor.Actor) *actor.PID {
	pid, err := ctx.SpawnNamed(props(r.Log, produce), name)
	if err != nil {
		panic(fmt.Errorf("spawn %s: %w", name, err)) // a name given twice: a bug
	}
	return pid
}

func (r *root) assign(ctx actor.Context, a messages.Assign) {
	if _, ok := r.kept.assigned[a.Pool]; ok || r.kept.draining {
		return
	}
	r.kept.assigned[a.Pool] = a
	r.pool(ctx, a)
}

func (r *root) pool(ctx actor.Context, a messages.Assign) {
	shards := r.kept.shards[a.Pool]
	if shards == nil {
		shards = map[int]*carried{}
		r.kept.shards[a.Pool] = shards
	}
	r.pools[a.Pool] = r.spawn(ctx, fmt.Sprintf("pool-%d", a.Pool), func() actor.Actor {
		return &pool{Options: r.Options, assign: a, health: r.health, publisher: r.publisher, kept: shards}
	})
}

// shardHalted ends the node when no shard of it may go on.
func (r *root) shardHalted(m messages.ShardHalted) {
	r.kept.halted[m.ShardID] = true
	total := 0
	for _, a := range r.kept.assigned {
		total += len(a.Shards)
	}
	if len(r.kept.halted) == total {
		r.refuse(fmt.Errorf("every shard of this node is refused: %w", m.Err))
	}
}

// botRefused stops every shard at once: each further IDENTIFY would only cost budget.
func (r *root) botRefused(ctx actor.Context, err error) {
	r.drain(ctx)
	r.refuse(err)
}

func (r *root) refuse(err error) {
	if r.kept.refused {
		return
	}
	r.kept.refused = true
	if r.Refused != nil {
		r.Refused(err)
	}
}

func (r *root) drain(ctx actor.Context) {
	if r.kept.draining {
		return
	}
	r.kept.draining = true
	for _, pid := range r.pools {
		ctx.Send(pid, messages.Drain{})
	}
	r.flush(ctx)
}

func (r *root) poolDrained(ctx actor.Context, pool int) {
	if pid, ok := r.pools[pool]; ok {
		delete(r.pools, pool)
		ctx.Stop(pid)
	}
	r.flush(ctx)
}

// flush has the publisher take the last life-cycle events into the window, once no shard is left.
func (r *root) flush(ctx actor.Context) {
	if r.kept.draining && len(r.pools) == 0 {
		ctx.Send(r.publisher, messages.Drain{})
	}
}

func (r *root) flushed() {
	if drained := r.Drained; drained != nil {
		r.Drained = nil
		drained()
	}
}
