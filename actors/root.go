package actors

import (
	"fmt"
	"slices"
	"time"

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
	loud              map[int]bool // pools that were asked to quiesce and have not answered
	asked             time.Time    // when the actors were last asked for a sign of life
}

// kept is what survives a restart of the root, which only a bug in it can cause.
type kept struct {
	assigned   map[int]messages.Assign
	pools      map[int]*pooled
	exits      map[int]*exit
	halted     map[int]bool // shards refused for good
	refused    bool         // Refused was called
	quiet      bool
	draining   bool
	known      map[int]*known // health's
	publishing publishing     // the publisher's
}

func newKept() *kept {
	return &kept{
		assigned: map[int]messages.Assign{}, pools: map[int]*pooled{}, exits: map[int]*exit{}, halted: map[int]bool{},
		known: map[int]*known{},
	}
}

func newRoot(o *Options, k *kept) *root {
	return &root{Options: o, kept: k, pools: map[int]*actor.PID{}, loud: map[int]bool{}}
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
	case messages.LifeCycle:
		r.lifeCycle(ctx, m)
	case messages.StatusQuery:
		r.askHealth(ctx)
	case messages.SampleQuery, messages.HistoryQuery:
		ctx.Forward(r.health)
	case messages.ShardHalted:
		r.shardHalted(m)
	case messages.BotRefused:
		r.botRefused(ctx, m.Err)
	case messages.GatewayMoved:
		r.gatewayMoved(ctx, m)
	case messages.StreamLost:
		r.streamLost(ctx, m)
	case messages.RestartShard:
		r.toPools(ctx, m)
	case messages.Revoke:
		r.revoke(ctx, m)
	case messages.Drop:
		r.dropPool(ctx, m)
	case messages.Revoked, messages.Dropped:
		r.poolGone(ctx, m)
	case *actor.Terminated:
		r.terminated(ctx, m.Who)
	case messages.Quiesce:
		r.quiesce(ctx)
	case messages.Quiesced:
		r.poolQuiesced(m.Pool)
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
	r.cutShort(ctx)
	if r.kept.quiet || r.kept.draining { // what is closed stays closed
		if r.kept.quiet {
			r.quiescedAll()
		}
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
	if _, ok := r.kept.assigned[a.Pool]; ok || r.kept.quiet || r.kept.draining {
		return
	}
	r.kept.assigned[a.Pool] = a
	r.pool(ctx, a)
}

func (r *root) pool(ctx actor.Context, a messages.Assign) {
	kept := r.kept.pools[a.Pool]
	if kept == nil {
		kept = newPooled(a.Fence)
		r.kept.pools[a.Pool] = kept
	}
	kept.vital.give()
	r.pools[a.Pool] = r.spawn(ctx, poolName(a.Pool), func() actor.Actor {
		return &pool{Options: r.Options, assign: a, health: r.health, publisher: r.publisher, kept: kept}
	})
}

func poolName(pool int) string { return fmt.Sprintf("pool-%d", pool) }

// shardHalted ends the node when no shard of it may go on.
func (r *root) shardHalted(m messages.ShardHalted) {
	if _, ok := r.kept.assigned[m.Pool]; !ok {
		return // it has left
	}
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

// lifeCycle fences what the system says of a shard with the tenure of its pool.
func (r *root) lifeCycle(ctx actor.Context, m messages.LifeCycle) {
	for pool, a := range r.kept.assigned {
		if m.Fence == nil && slices.Contains(a.Shards, m.ShardID) {
			t := r.kept.pools[pool].tenure
			m.Fence, m.Receipt = t, t.watch(m.Receipt)
		}
	}
	ctx.Send(r.publisher, m)
}

func (r *root) streamLost(ctx actor.Context, m messages.StreamLost) {
	for id, pid := range r.pools {
		if m.Pools == nil || slices.Contains(m.Pools, id) {
			ctx.Send(pid, m)
		}
	}
}

func (r *root) toPools(ctx actor.Context, message any) {
	for _, pid := range r.pools {
		ctx.Send(pid, message)
	}
}

// gatewayMoved also reaches the pools that a restart makes.
func (r *root) gatewayMoved(ctx actor.Context, m messages.GatewayMoved) {
	for pool, a := range r.kept.assigned {
		a.GatewayURL = m.URL
		r.kept.assigned[pool] = a
	}
	r.toPools(ctx, m)
}

func (r *root) quiesce(ctx actor.Context) {
	r.kept.quiet = true
	for pool := range r.pools {
		r.loud[pool] = true
	}
	r.toPools(ctx, messages.Quiesce{})
	r.quiescedAll()
}

func (r *root) poolQuiesced(pool int) {
	delete(r.loud, pool)
	if r.kept.quiet { // else a pool that drains by itself: nobody has asked
		r.quiescedAll()
	}
}

func (r *root) quiescedAll() {
	if quiesced := r.Quiesced; quiesced != nil && len(r.loud) == 0 {
		r.Quiesced = nil
		quiesced()
	}
}

func (r *root) drain(ctx actor.Context) {
	if r.kept.draining {
		return
	}
	r.kept.draining = true
	r.toPools(ctx, messages.Drain{})
	r.flush(ctx)
}

func (r *root) poolDrained(ctx actor.Context, pool int) {
	r.poolQuiesced(pool)
	if pid, ok := r.pools[pool]; ok {
		delete(r.pools, pool)
		ctx.Stop(pid)
	}
	if e := r.kept.exits[pool]; e != nil { // it was asked for too late to make a difference
		e.end(ctx, pool, r.drainedOf(pool))
		delete(r.kept.exits, pool)
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
