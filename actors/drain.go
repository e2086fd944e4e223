package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
)

// How the shards of a pool end in order: alone (leave.go) or with the node.

// quiesce has every shard stop reading.
func (p *pool) quiesce(ctx actor.Context) {
	if !p.kept.quiet {
		p.kept.quiet = true
		for id, pid := range p.shards {
			if p.kept.shards[id].halted != nil {
				delete(p.shards, id)
				continue
			}
			p.loud[id] = true
			ctx.Send(pid, messages.Quiesce{})
		}
	}
	p.quiescedAll(ctx)
}

func (p *pool) shardQuiesced(ctx actor.Context, id int) {
	delete(p.loud, id)
	p.quiescedAll(ctx)
}

func (p *pool) quiescedAll(ctx actor.Context) {
	if p.kept.quiet && len(p.loud) == 0 {
		ctx.Send(p.parent, messages.Quiesced{Pool: p.assign.Pool})
	}
}

// drain writes the last checkpoints and then closes the sessions: what a checkpoint says of acknowledgements is as new
// then as it can be.
func (p *pool) drain(ctx actor.Context) {
	if p.kept.draining || p.kept.dropped {
		return
	}
	p.kept.draining = true
	p.quiesce(ctx) // where nobody has asked for it
	if p.keeper == nil {
		p.close(ctx)
		return
	}
	self, root := p.self, p.root
	p.keeper.finish(func(err error) { root.Send(self, checkpointed{err}) })
}

func (p *pool) checkpointed(ctx actor.Context, err error) {
	if p.kept.leaving != nil && err != nil {
		p.kept.leaving.err = fmt.Errorf("actors: last checkpoints of pool %d: %w", p.assign.Pool, err)
	}
	p.close(ctx)
}

func (p *pool) close(ctx actor.Context) {
	if p.closing {
		return // dropped while the last checkpoints were written
	}
	p.closing = true
	p.toAll(ctx, messages.Drain{})
	p.drainedAll(ctx)
}

func (p *pool) shardDrained(ctx actor.Context, id int) {
	if pid, ok := p.shards[id]; ok {
		delete(p.shards, id)
		ctx.Stop(pid)
	}
	p.shardQuiesced(ctx, id)
	p.drainedAll(ctx)
}

func (p *pool) drainedAll(ctx actor.Context) {
	switch {
	case !p.closing || len(p.shards) > 0:
	case p.kept.dropped:
		p.gone(ctx, messages.Dropped{Pool: p.assign.Pool})
	case p.kept.leaving != nil:
		p.look(ctx)
	default:
		ctx.Send(p.parent, messages.Drained{Pool: p.assign.Pool})
	}
}
