package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// pool supervises the shards of one pool. It is the supervisor in the sense of the restart
// strategies: HandleFailure separates fatal from recoverable gateway errors.
type pool struct {
	*Options
	assign            messages.Assign
	health, publisher *actor.PID
	kept              *pooled

	root    *actor.RootContext
	self    *actor.PID
	parent  *actor.PID
	shards  map[int]*actor.PID
	ids     map[string]int // actor id → shard id
	loud    map[int]bool   // shards that were asked to quiesce and have not answered
	closing bool           // shards were told to drain, or to drop what they have
	keeper  *keeper        // nil: nobody keeps checkpoints, or the last ones are written
	timer   *time.Timer    // of the next look; nil: none is due
}

// pooled is what survives a restart of the pool.
type pooled struct {
	tenure          *tenure
	shards          map[int]*carried // by id
	poke            chan struct{}    // capacity 1: a shard's new session wants a checkpoint at once
	gateway         string           // where sessions begin, if that has changed since the assignment
	quiet, draining bool
	leaving         *leaving // nil: nobody has asked for it
	dropped         bool
	vital           vital // of the pool's actor
}

func newPooled(lease messages.Fence) *pooled {
	return &pooled{tenure: newTenure(lease), shards: map[int]*carried{}, poke: make(chan struct{}, 1)}
}

// wake asks the keeper to look. Any goroutine may call it.
func (k *pooled) wake() {
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// Messages within the pool.
type (
	checkpointed struct{ err error } // the keeper has ended; err is why it has not written everything
	look         struct{}            // the hand-over may go on
)

// Restarts of one shard: failures within failureWindow count together, and from loudFailures on each
// is logged at error. They never end a shard: one that dies silently is worse than one that retries.
const (
	failureWindow = 10 * time.Minute
	loudFailures  = 5
)

// Receive implements actor.Actor.
func (p *pool) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		p.start(ctx)
	case messages.GatewayMoved:
		p.kept.gateway = m.URL
		p.toAll(ctx, m)
	case messages.StreamLost:
		p.toAll(ctx, m)
	case messages.RestartShard:
		if pid := p.shards[m.ShardID]; pid != nil {
			ctx.Send(pid, m)
		}
	case messages.Quiesce:
		p.quiesce(ctx)
	case messages.Quiesced:
		p.shardQuiesced(ctx, m.ShardID)
	case messages.Revoke:
		p.revoke(ctx, m.Timeout)
	case look:
		p.look(ctx)
	case sign:
		p.sign(ctx, m)
	case messages.Drain:
		p.drain(ctx)
	case checkpointed:
		p.checkpointed(ctx, m.err)
	case messages.Drained:
		p.shardDrained(ctx, m.ShardID)
	case messages.Drop:
		p.drop(ctx)
	case *actor.Restarting, *actor.Stopping:
		p.keeper.stop()
	}
}

func (p *pool) start(ctx actor.Context) {
	p.root, p.self, p.parent = ctx.ActorSystem().Root, ctx.Self(), ctx.Parent()
	p.shards, p.ids, p.loud = map[int]*actor.PID{}, map[string]int{}, map[int]bool{}
	if p.kept.quiet { // what is quiet stays so
		p.quiescedAll(ctx)
		if p.kept.draining || p.kept.dropped {
			p.close(ctx)
		}
		p.look(ctx)
		return
	}
	var fresh []int
	for _, id := range p.assign.Shards {
		if p.kept.shards[id] == nil {
			p.kept.shards[id] = p.carry(id)
		}
		if c := p.kept.shards[id]; c.halted == nil && !c.memory.Resumes(p.session(id)) {
			fresh = append(fresh, id)
		}
	}
	p.Permits.Announce(fresh...)
	for _, id := range p.assign.Shards {
		c := p.kept.shards[id]
		// Before the shard can say anything of itself.
		ctx.Send(p.health, messages.ShardStarted{Pool: p.assign.Pool, ShardID: id, Live: c})
		if c.halted != nil {
			ctx.Send(p.health, messages.ShardHalted{Pool: p.assign.Pool, ShardID: id, Err: c.halted})
			continue
		}
		p.spawn(ctx, id)
	}
	if p.Sessions != nil {
		p.keeper = startKeeper(p.Options, p.assign, p.kept)
	}
}

// carry makes what a shard starts from.
func (p *pool) carry(id int) *carried {
	c := newCarried(p.kept.wake)
	if p.Sessions != nil {
		c.tracker.Keep()
	}
	if of, ok := p.assign.Sessions[id]; ok {
		c.restore(&of, p.Window)
	} else if lost, ok := p.assign.Lost[id]; ok {
		c.bereave(&lost)
	}
	return c
}

// session are the options of one shard's session.
func (p *pool) session(id int) gateway.SessionOptions {
	o := p.Session
	o.ShardID, o.Shards, o.URL, o.Spread = id, p.assign.Total, p.assign.GatewayURL, p.assign.Spread
	if p.kept.gateway != "" {
		o.URL = p.kept.gateway
	}
	return o
}

func (p *pool) spawn(ctx actor.Context, id int) {
	o := &shardOptions{
		Options: p.Options, Session: p.session(id), ID: id, Pool: p.assign.Pool,
		Health: p.health, Publisher: p.publisher, Tenure: p.kept.tenure, carried: p.kept.shards[id],
	}
	pid, err := ctx.SpawnNamed(props(p.Log, func() actor.Actor { return &shard{shardOptions: o} }), fmt.Sprintf("shard-%d", id))
	if err != nil {
		panic(fmt.Errorf("spawn shard %d: %w", id, err)) // a name given twice: a bug of Assign's sender
	}
	p.shards[id], p.ids[pid.Id] = pid, id
}

// HandleFailure implements actor.SupervisorStrategy. It runs on the pool's own goroutine.
func (p *pool) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID,
	stats *actor.RestartStatistics, reason, _ any) {
	id := p.ids[child.Id]
	verdict, err := decide(reason)
	if p.kept.quiet { // nothing begins anew; its session is kept in any case
		p.kept.shards[id].vital.give()
		sup.StopChildren(child)
		p.root.Send(p.self, messages.Drained{Pool: p.assign.Pool, ShardID: id})
		return
	}
	switch verdict {
	case stopBot:
		p.root.Send(p.parent, messages.BotRefused{Err: err})
		p.halt(sup, child, id, err)
	case stopShard:
		p.halt(sup, child, id, err)
	case bug:
		p.Meters.Error(id, p.assign.Pool, telemetry.ErrPanic)
		fallthrough
	case restart:
		p.restart(sup, child, id, stats, verdict, err)
	}
}

// halt reports before it stops, so that everybody knows the cause before the shard is gone.
func (p *pool) halt(sup actor.Supervisor, child *actor.PID, id int, err error) {
	p.Log.Error("shard refused for good", "shard_id", id, "pool_id", p.assign.Pool, "err", err)
	p.kept.shards[id].halted = err
	p.kept.shards[id].past.add(messages.Halted, "refused for good: "+err.Error(), "", true)
	halted := messages.ShardHalted{Pool: p.assign.Pool, ShardID: id, Err: err}
	p.root.Send(p.health, halted)
	p.root.Send(p.parent, halted)
	sup.StopChildren(child)
}

// restart begins the shard's next incarnation at once; the back-off happens inside it, so that its
// mailbox stays live.
func (p *pool) restart(sup actor.Supervisor, child *actor.PID, id int, stats *actor.RestartStatistics, v verdict, err error) {
	if stats.NumberOfFailures(failureWindow) == 0 {
		stats.Reset() // otherwise every failure of a lifetime would count together
	}
	stats.Fail()
	p.kept.shards[id].restarts++
	class := telemetry.ClassFailure
	if v == bug {
		class = telemetry.ClassPanic
		p.kept.shards[id].past.add(messages.Disconnected, "started again after a fault of drover's own; the log has it", "", true)
	}
	p.Meters.Restart(id, p.assign.Pool, class)
	log := p.Log.Warn
	if v == bug || stats.FailureCount() >= loudFailures {
		log = p.Log.Error
	}
	log("shard restarts", "shard_id", id, "pool_id", p.assign.Pool, "verdict", v.String(),
		"failures", stats.FailureCount(), "restarts", p.kept.shards[id].restarts, "err", err)
	sup.RestartChildren(child)
}

func (p *pool) toAll(ctx actor.Context, message any) {
	for _, pid := range p.shards {
		ctx.Send(pid, message)
	}
}
