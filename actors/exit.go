package actors

import (
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// exit is the end of one pool while the node goes on: who asked for it, and what they will be told when the pool's actor
// has stopped, so that its name is free for the next tenure.
type exit struct {
	revokers, droppers []*actor.PID
	answer             any // the pool's: messages.Revoked or messages.Dropped; nil: not given yet
}

// Why a hand-over did not come to its end.
var (
	errDropped  = errors.New("actors: the pool was dropped while it was handed over: another node has it")
	errCutShort = errors.New("actors: the hand-over was cut short by a bug: see the log for its stack")
)

// exitOf remembers that somebody asks for the end of a pool that is served.
func (r *root) exitOf(pool int) *exit {
	e := r.kept.exits[pool]
	if e == nil {
		e = &exit{}
		r.kept.exits[pool] = e
	}
	return e
}

// revoke has the pool hand over. What is not served is handed over already.
func (r *root) revoke(ctx actor.Context, m messages.Revoke) {
	pid := r.pools[m.Pool]
	if pid == nil {
		tell(ctx, r.drainedOf(m.Pool), ctx.Sender())
		return
	}
	e := r.exitOf(m.Pool)
	e.revokers = append(e.revokers, ctx.Sender())
	ctx.Send(pid, m)
}

// drainedOf is the answer for a pool that is not served: it never was, or the node drains and the pool has.
func (r *root) drainedOf(pool int) messages.Revoked {
	if k := r.kept.pools[pool]; k != nil {
		return messages.Revoked{Pool: pool, Unacked: k.open()}
	}
	return messages.Revoked{Pool: pool}
}

// dropPool has the pool give up everything. From here on nothing of it is published or saved, whatever its actors are
// busy with.
func (r *root) dropPool(ctx actor.Context, m messages.Drop) {
	k, pid := r.kept.pools[m.Pool], r.pools[m.Pool]
	if pid == nil {
		if k != nil { // the node drains, and the pool has; what that left in the window is given up
			k.abandon(r.Window)
		}
		tell(ctx, messages.Dropped(m), ctx.Sender())
		return
	}
	k.tenure.end()
	e := r.exitOf(m.Pool)
	e.droppers = append(e.droppers, ctx.Sender())
	ctx.Send(pid, m)
}

// poolGone stops a pool that has nothing left.
func (r *root) poolGone(ctx actor.Context, answer any) {
	var pool int
	switch m := answer.(type) {
	case messages.Revoked:
		pool = m.Pool
	case messages.Dropped:
		pool = m.Pool
	}
	if pid, ok := r.pools[pool]; ok {
		r.exitOf(pool).answer = answer
		ctx.Stop(pid)
	}
}

// terminated forgets a pool whose end was asked for.
func (r *root) terminated(ctx actor.Context, who *actor.PID) {
	for pool, pid := range r.pools {
		if pid.Equal(who) && r.kept.exits[pool] != nil {
			r.forget(ctx, pool)
			r.flush(ctx)
		}
	}
}

// forget leaves nothing of a pool whose actor is no more, and tells those who asked.
func (r *root) forget(ctx actor.Context, pool int) {
	k, e := r.kept.pools[pool], r.kept.exits[pool]
	if e.answer == nil { // it never came that far
		e.answer = messages.Revoked{Pool: pool, Unacked: k.open(), Err: errCutShort}
		k.abandon(r.Window)
	}
	for _, id := range r.kept.assigned[pool].Shards {
		delete(r.kept.halted, id)
	}
	delete(r.kept.assigned, pool)
	delete(r.kept.pools, pool)
	delete(r.kept.exits, pool)
	delete(r.pools, pool)
	ctx.Send(r.health, messages.PoolLeft{Pool: pool, Note: e.note(pool)})
	r.poolQuiesced(pool)
	e.end(ctx, pool, e.answer)
}

// cutShort ends what a restart of the root has interrupted: it has stopped every pool.
func (r *root) cutShort(ctx actor.Context) {
	for pool := range r.kept.exits {
		r.forget(ctx, pool)
	}
}

// end answers those who asked. Who wanted it handed over learns that it was dropped instead.
func (e *exit) end(ctx actor.Context, pool int, answer any) {
	revoked, ok := answer.(messages.Revoked)
	if !ok {
		revoked = messages.Revoked{Pool: pool, Err: errDropped}
	}
	tell(ctx, revoked, e.revokers...)
	tell(ctx, messages.Dropped{Pool: pool}, e.droppers...)
}

func (e *exit) note(pool int) string {
	m, ok := e.answer.(messages.Revoked)
	switch {
	case !ok:
		return fmt.Sprintf("pool %d is another node's", pool)
	case m.Unacked > 0:
		return fmt.Sprintf("pool %d handed over with %d events unacknowledged", pool, m.Unacked)
	}
	return fmt.Sprintf("pool %d handed over", pool)
}

// tell sends to those who can be answered: not all who ask want to know.
func tell(ctx actor.Context, message any, to ...*actor.PID) {
	for _, pid := range to {
		if pid != nil {
			ctx.Send(pid, message)
		}
	}
}
