package cluster

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// modelWatcher tells one node of changes, in their order, more or less late, and not of all of them.
type modelWatcher struct {
	store *modelStore
	more  chan struct{} // capacity 1: coming is not empty
	ended chan struct{} // closed when the watcher hears nothing more
	// Under the server's lock.
	coming []arrival
	dice   dice
	over   bool // ended is closed
}

type arrival struct {
	at time.Time
	Entry
}

// Watch implements Store.
func (s *modelStore) Watch(ctx context.Context, changed func(Entry)) error {
	c, b := s.client, s.bucket
	if !c.gate() {
		return errModel
	}
	w := &modelWatcher{store: s, more: make(chan struct{}, 1), ended: make(chan struct{})}
	f := c.fate(request{b.name, "watch", ""})
	time.Sleep(f.there)
	b.srv.mu.Lock()
	if b.srv.back != nil {
		b.srv.mu.Unlock()
		return errModel
	}
	w.dice = newDice(c.srv.seed, c.name, "watch", b.name, strconv.FormatUint(b.revision, 36))
	b.watchers = append(b.watchers, w)
	b.srv.mu.Unlock()
	defer func() {
		b.srv.mu.Lock()
		defer b.srv.mu.Unlock()
		b.watchers = slices.DeleteFunc(slices.Clone(b.watchers), func(other *modelWatcher) bool { return other == w })
	}()
	for {
		select {
		case <-w.more:
		case <-ctx.Done():
			return ctx.Err()
		case <-c.died:
			return errModel
		case <-w.ended:
			return errModel
		}
		b.srv.mu.Lock()
		coming := w.coming
		w.coming = nil
		b.srv.mu.Unlock()
		for _, a := range coming {
			time.Sleep(time.Until(a.at))
			if c.gate() && !c.isCut() && ctx.Err() == nil {
				changed(a.Entry)
			}
		}
	}
}

// tell is called under the server's lock.
func (w *modelWatcher) tell(e Entry) {
	c := w.store.client
	if w.dice.chance(c.noise.deaf) || c.srv.back != nil || c.isCut() {
		return
	}
	delay := w.dice.upTo(c.noise.quick)
	if w.dice.chance(c.noise.slow) {
		delay = w.dice.upTo(c.noise.slowest)
	}
	w.coming = append(w.coming, arrival{time.Now().Add(delay), e})
	select {
	case w.more <- struct{}{}:
	default:
	}
}
