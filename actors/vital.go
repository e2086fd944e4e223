package actors

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// vital tells whether an actor still works off its mailbox: it is asked for a sign of life by a message like any other, and gives
// it when that one's turn comes. It survives the actor's restarts. Any goroutine may use it.
type vital struct {
	owed atomic.Int64 // Unix ns of when the sign was asked for that has not come; 0: none is owed
}

// sign asks an actor for a sign of life, and those below it.
type sign struct{ at time.Time }

// ask asks pid, whose vital it is. One that has not answered yet is not asked again.
func (v *vital) ask(ctx actor.Context, pid *actor.PID, m sign) {
	if v.owed.CompareAndSwap(0, m.at.UnixNano()) {
		ctx.Send(pid, m)
	}
}

// give gives the sign, or forgets that one is owed: by an actor that is no more.
func (v *vital) give() { v.owed.Store(0) }

// since is when the sign was asked for that is owed; zero: none is.
func (v *vital) since() time.Time { return instant(v.owed.Load()) }

// askHealth answers a status query: what health knows, and which of the others have not given a sign of life.
func (r *root) askHealth(ctx actor.Context) {
	now := time.Now()
	if now.Sub(r.asked) >= r.SignEvery && !r.kept.quiet && !r.kept.draining {
		r.asked = now
		m := sign{now}
		r.kept.publishing.vital.ask(ctx, r.publisher, m)
		for id, pid := range r.pools {
			r.kept.pools[id].vital.ask(ctx, pid, m)
		}
	}
	q := query{}
	add := func(name string, v *vital) {
		if since := v.since(); !since.IsZero() {
			q.silent = append(q.silent, messages.Silent{Actor: name, Since: since})
		}
	}
	add("the publisher", &r.kept.publishing.vital)
	for id := range r.pools {
		add(poolName(id), &r.kept.pools[id].vital)
	}
	ctx.RequestWithCustomSender(r.health, q, ctx.Sender())
}

// query is a messages.StatusQuery on its way from the root to health.
type query struct{ silent []messages.Silent }

// sign gives the pool's own, and asks its shards.
func (p *pool) sign(ctx actor.Context, m sign) {
	p.kept.vital.give()
	if p.kept.quiet || p.closing {
		return // they come to their end
	}
	for id, pid := range p.shards {
		if c := p.kept.shards[id]; c.halted == nil {
			c.vital.ask(ctx, pid, m)
		}
	}
}
