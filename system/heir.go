package system

import (
	"context"
	"time"
)

// heir is a pool that begins to be served here, and what others have left of it.
type heir struct {
	shards []int
	left   heritage
	among  int // shards that begin together with these
	err    error
	done   chan struct{} // closed when left or err is there
}

// inherit asks what others left of these shards, and says how many shards ask together: each answer may read the streams, so they are
// answered together.
func (p *placement) inherit(ctx context.Context, shards []int) (left heritage, among int, err error) {
	h := &heir{shards: shards, done: make(chan struct{})}
	select {
	case p.heirs <- h:
	case <-ctx.Done():
		return left, 0, context.Cause(ctx)
	}
	select {
	case <-h.done:
		return h.left, h.among, h.err
	case <-ctx.Done():
		return left, 0, context.Cause(ctx)
	}
}

// inheriting answers heirs until ctx ends.
func (p *placement) inheriting(ctx context.Context) {
	for {
		var all []*heir
		select {
		case h := <-p.heirs:
			all = append(all, h)
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			select {
			case h := <-p.heirs:
				all = append(all, h)
			case <-time.After(together):
				more = false
			case <-ctx.Done():
				return
			}
		}
		var shards []int
		for _, h := range all {
			shards = append(shards, h.shards...)
		}
		left, err := p.s.inherit(ctx, p.total, shards)
		if err == nil {
			left.findStranded(p.s.publisher.Leftovers(), shards)
		}
		for _, h := range all {
			h.left, h.among, h.err = left, len(shards), err
			close(h.done)
		}
	}
}

// together is for how long after a pool another one may come that is answered with it.
const together = 5 * time.Millisecond
