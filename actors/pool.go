package actors

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/telemetry"
)

// pool supervises the shards of one pool. It is the supervisor in the sense of the restart
// strategies: HandleFailure separates fatal from recoverable gateway errors.
type pool struct {
	*Options
	assign            messages.Assign
	health, publisher *actor.PID
	kept              map[int]*carried // by shard id; survives a restart of the pool

	root     *actor.RootContext
	self     *actor.PID
	parent   *actor.PID
	shards   map[int]*actor.PID
	ids      map[string]int // actor id → shard id
	draining bool
}

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
	case messages.Drain:
		p.drain(ctx)
	case messages.Drained:
		p.shardDrained(ctx, m.ShardID)
	}
}

func (p *pool) start(ctx actor.Context) {
	p.root, p.self, p.parent = ctx.ActorSystem().Root, ctx.Self(), ctx.Parent()
	p.shards, p.ids = map[int]*actor.PID{}, map[string]int{}
	var fresh []int
	for _, id := range p.assign.Shards {
		if p.kept[id] == nil {
			p.kept[id] = newCarried()
		}
		if c := p.kept[id]; c.halted == nil && c.memory.Resume.SessionID == "" {
			fresh = append(fresh, id)
		}
	}
	p.Permits.Announce(fresh...)
	for _, id := range p.assign.Shards {
		c := p.kept[id]
		// Before the shard can say anything of itself.
		ctx.Send(p.health, messages.ShardStarted{Pool: p.assign.Pool, ShardID: id, Live: c})
		if c.halted != nil {
			ctx.Send(p.health, messages.ShardHalted{Pool: p.assign.Pool, ShardID: id, Err: c.halted})
			continue
		}
		p.spawn(ctx, id)
	}
}

func (p *pool) spawn(ctx actor.Context, id int) {
	c := p.kept[id]
	session := p.Session
	session.ShardID, session.Shards, session.URL = id, p.assign.Total, p.assign.GatewayURL
	o := &shardOptions{
		Options: p.Options, Session: session, ID: id, Pool: p.assign.Pool,
		Health: p.health, Publisher: p.publisher, carried: c,
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
	if p.draining { // nothing begins anew; its session is kept in any case
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
	p.kept[id].halted = err
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
	p.kept[id].restarts++
	log := p.Log.Warn
	if v == bug || stats.FailureCount() >= loudFailures {
		log = p.Log.Error
	}
	log("shard restarts", "shard_id", id, "pool_id", p.assign.Pool, "verdict", v.String(),
		"failures", stats.FailureCount(), "restarts", p.kept[id].restarts, "err", err)
	sup.RestartChildren(child)
}

func (p *pool) drain(ctx actor.Context) {
	if p.draining {
		return
	}
	p.draining = true
	for id, pid := range p.shards {
		if p.kept[id].halted != nil {
			delete(p.shards, id)
			continue
		}
		ctx.Send(pid, messages.Drain{})
	}
	p.drainedAll(ctx)
}

func (p *pool) shardDrained(ctx actor.Context, id int) {
	if pid, ok := p.shards[id]; ok {
		delete(p.shards, id)
		ctx.Stop(pid)
	}
	p.drainedAll(ctx)
}

func (p *pool) drainedAll(ctx actor.Context) {
	if p.draining && len(p.shards) == 0 {
		ctx.Send(ctx.Parent(), messages.Drained{Pool: p.assign.Pool})
	}
}
