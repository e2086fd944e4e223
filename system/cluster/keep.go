package cluster

import (
	"context"
	"errors"
	"time"
)

// start makes a permit the owner of the slot that was claimed for it, and begins to keep the slot.
func (s *slots) start(t *Permit, revision uint64) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	t.ended = make(chan struct{})
	s.owned[t.slot] = t
	if !s.stopped {
		s.keepers.Go(func() { s.keep(t, revision) }) // ends after Done, or with Run
	}
}

// keep holds the slot until the permit is done, and after a write until the spacing is over as well. Then it gives the
// slot back, and the key to the next one of this process. When the process ends before, the TTL frees the slot, as after
// a crash.
func (s *slots) keep(t *Permit, revision uint64) {
	renew := time.NewTicker(s.SlotTTL / 4)
	defer renew.Stop()
	for open := true; open; {
		select {
		case <-t.ended:
			open = false
		case <-s.stop:
			return
		case <-renew.C:
			revision = s.renew(t, revision)
		}
	}
	if wait := s.rest(t); wait > 0 && !pause(s.stop, wait) {
		return
	}
	s.drop(t, revision)
	s.p.mu.Lock()
	delete(s.owned, t.slot)
	t.free()
	var unused charge
	if t.written.IsZero() {
		unused = t.charge
	}
	s.p.mu.Unlock()
	s.account.refund(unused)
}

// rest is for how long the slot of a permit that is done must be kept.
func (s *slots) rest(t *Permit) time.Duration {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if t.written.IsZero() {
		return 0
	}
	return time.Until(t.freeAt)
}

// renew keeps the slot of a permit that is spent. One that is not may not be used for longer anyway.
func (s *slots) renew(t *Permit, revision uint64) uint64 {
	s.p.mu.Lock()
	spent := !t.written.IsZero()
	s.p.mu.Unlock()
	if !spent || revision == 0 {
		return revision
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	next, err := s.Slots.Update(ctx, t.slot, s.value(t), revision)
	switch {
	case err == nil:
		return next
	case errors.Is(err, ErrChanged):
		return s.find(ctx, t)
	default:
		return revision
	}
}

// find looks for the slot after its revision was another than we know: a write of ours whose answer was lost may have
// changed it. It returns 0 if the slot is lost, or if that cannot be told: then its TTL frees it.
func (s *slots) find(ctx context.Context, t *Permit) uint64 {
	entry, err := s.Slots.Get(ctx, t.slot)
	if h := s.holder(entry); err != nil || h.Process != s.Process || h.Attempt != t.attempt {
		return 0
	}
	return entry.Revision
}

// drop deletes the slot. It goes on until the store has answered, or until the TTL has freed the slot.
func (s *slots) drop(t *Permit, revision uint64) {
	for end := time.Now().Add(s.SlotTTL); revision != 0 && time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		err := s.Slots.Delete(ctx, t.slot, revision)
		changed := errors.Is(err, ErrChanged)
		if changed {
			revision = s.find(ctx, t)
		}
		cancel()
		if err == nil {
			return
		}
		if changed {
			continue
		}
		s.answered(err)
		if !pause(s.stop, storePause) {
			return
		}
	}
}
