package stream

import (
	"context"
	"slices"
)

// reserve promises a slot and room bytes to the caller, in the order of the calls. It returns ctx's
// cause or ErrClosed.
func (p *Publisher) reserve(ctx context.Context, room int) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	if len(p.waiters) == 0 && p.fits(room) {
		p.reserved++
		p.bytes += room
		p.mu.Unlock()
		return nil
	}
	w := &waiter{bytes: room, granted: make(chan struct{})}
	p.waiters = append(p.waiters, w)
	p.mu.Unlock()
	select {
	case <-w.granted:
	case <-ctx.Done():
		p.mu.Lock()
		i := slices.Index(p.waiters, w)
		if i >= 0 {
			p.waiters = slices.Delete(p.waiters, i, i+1)
			p.grant() // the next may need less
			p.mu.Unlock()
			return context.Cause(ctx)
		}
		p.mu.Unlock() // granted or closed in the same instant: then so be it
	}
	if w.closed {
		return ErrClosed
	}
	return nil
}

// grant lets those in who have room now. The caller holds mu.
func (p *Publisher) grant() {
	for len(p.waiters) > 0 && p.fits(p.waiters[0].bytes) {
		w := p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
		p.reserved++
		p.bytes += w.bytes
		close(w.granted)
	}
}

// fits reports whether there is a slot and room; one event always has room. The caller holds mu.
func (p *Publisher) fits(room int) bool {
	if p.ring.used()+p.reserved >= len(p.ring.slots) {
		return false
	}
	return p.bytes == 0 || p.bytes+room <= p.b.opts.WindowBytes
}
