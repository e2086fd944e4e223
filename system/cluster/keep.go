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

// keep holds the slot until the permit is done, and after a write until the spacing is over as well. Then the slot is given
// back, and the key to the next one of this process. When the process ends before, the TTL frees the slot, as after a
// crash.
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
	wait := s.rest(t)
	if wait <= 0 {
		s.giveBack(t, revision, time.Now())
		return
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if !s.stopped { // a thousand shards that start rest at a time: a timer is a tenth of a goroutine
		t.resting = time.AfterFunc(wait, func() { s.rested(t, revision) })
	}
}

// rested has the slot of a permit given back whose spacing is over. Few goroutines do that for all: a request has a deep
// stack. They end when there is nothing to do, or with Run.
func (s *slots) rested(t *Permit, revision uint64) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.stopped {
		return
	}
	s.over = append(s.over, over{t, revision, time.Now()})
	if s.givers == parallel {
		return
	}
	s.givers++
	s.keepers.Go(func() {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		for len(s.over) > 0 && !s.stopped {
			next := s.over[0]
			if s.over = s.over[1:]; len(s.over) == 0 {
				s.over = nil
			}
			s.p.mu.Unlock()
			s.giveBack(next.permit, next.revision, next.since)
			s.p.mu.Lock()
		}
		s.givers--
	})
}

// giveBack gives up the slot of a permit that is not needed any more since then.
func (s *slots) giveBack(t *Permit, revision uint64, since time.Time) {
	s.drop(t, revision, since.Add(s.SlotTTL))
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

// drop deletes the slot. It goes on until the store has answered, or until end, when the TTL has freed the slot.
func (s *slots) drop(t *Permit, revision uint64, end time.Time) {
	for revision != 0 && time.Now().Before(end) {
		next, err := s.remove(t, revision)
		switch {
		case err == nil:
			return
		case errors.Is(err, ErrChanged):
			revision = next
			continue
		}
		s.answered(err)
		if !pause(s.stop, storePause) {
			return
		}
	}
}

// remove tries once to delete the slot. After ErrChanged next is the revision to go on with.
func (s *slots) remove(t *Permit, revision uint64) (next uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err = s.Slots.Delete(ctx, t.slot, revision); errors.Is(err, ErrChanged) {
		next = s.find(ctx, t)
	}
	return next, err
}
