package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// leaving is the hand-over of one pool while the node goes on:
//
//  1. Shards stop reading. What Discord sends from now on it replays to the next node.
//  2. What was taken is waited for until it is acknowledged.
//  3. The last checkpoints are written, and sessions close with 4000, which keeps them resumable.
//  4. The life-cycle events that say so are waited for.
//
// A drain of the whole node that comes meanwhile goes the same way, but waits no longer in the second step.
type leaving struct {
	acks time.Time // until then for the second step
	end  time.Time // until then for the fourth one
	err  error     // why the last checkpoints are not all written
}

// closingTime is how much of the time for a hand-over, up to a third, is left for all that follows the wait for
// acknowledgements.
const closingTime = 5 * time.Second

// lookAgain is how often a hand-over looks whether it may go on. Acknowledgements tell no actor: they are too many. Too
// low costs timers; too high adds to the time in which nobody reads.
const lookAgain = 5 * time.Millisecond

// revoke begins a hand-over. One that is asked for again is under way.
func (p *pool) revoke(ctx actor.Context, timeout time.Duration) {
	if p.kept.leaving != nil || p.kept.dropped {
		return
	}
	now := time.Now()
	p.kept.leaving = &leaving{acks: now.Add(timeout - min(timeout/3, closingTime)), end: now.Add(timeout)}
	p.Log.Info("pool is handed over", "pool_id", p.assign.Pool, "unacked", p.kept.open(), "timeout", timeout)
	p.quiesce(ctx)
	p.look(ctx)
}

// look takes the next step of a hand-over as soon as that is possible.
func (p *pool) look(ctx actor.Context) {
	l, now := p.kept.leaving, time.Now()
	switch {
	case l == nil || p.kept.dropped:
		return
	case !p.kept.draining:
		if len(p.loud) == 0 && p.kept.settled() || !now.Before(l.acks) {
			p.drain(ctx)
		}
	case p.closing && len(p.shards) == 0:
		if p.kept.settled() || !now.Before(l.end) {
			p.gone(ctx, messages.Revoked{Pool: p.assign.Pool, Unacked: p.kept.open(), Err: l.err})
			return
		}
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	self, root := p.self, p.root
	p.timer = time.AfterFunc(lookAgain, func() { root.Send(self, look{}) }) // once; what a stopped pool is told vanishes
}

// drop gives up everything at once: the sessions are another node's, and so is all that was not acknowledged. The root
// has ended the tenure.
func (p *pool) drop(ctx actor.Context) {
	if p.kept.dropped {
		return
	}
	p.kept.dropped, p.kept.quiet, p.closing = true, true, true
	p.Log.Warn("pool is another node's: dropped", "pool_id", p.assign.Pool, "unacked", p.kept.open())
	p.keeper.stop()
	for id := range p.shards {
		if p.kept.shards[id].halted != nil {
			delete(p.shards, id)
		}
	}
	p.toAll(ctx, messages.Drop{Pool: p.assign.Pool})
	p.drainedAll(ctx)
}

// gone ends the tenure and tells the root, which stops the pool.
func (p *pool) gone(ctx actor.Context, answer any) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.kept.abandon(p.Window)
	ctx.Send(p.parent, answer)
}

// open counts what the pool's shards have taken and is not acknowledged, with drover's own events.
func (k *pooled) open() int {
	n := int(k.tenure.open.Load())
	for _, c := range k.shards {
		n += c.marks.Load().open()
	}
	return n
}

// settled reports that nothing is open. It is asked often, also when much is.
func (k *pooled) settled() bool {
	if k.tenure.open.Load() > 0 {
		return false
	}
	for _, c := range k.shards {
		if c.marks.Load().unsettled() != nil {
			return false
		}
	}
	return true
}

// abandon ends the tenure. What is open then the next node publishes, whose RESUMEs name what is acknowledged.
func (k *pooled) abandon(w Window) {
	k.tenure.end()
	k.tenure.await()
	w.Abandon(k.tenure)
}
