package cluster

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Shared is what permits need to hold over all processes of a token. Stores and Process are needed.
type Shared struct {
	Slots Store // slot.<key>: who may identify under it now; entries live for SlotTTL after each write
	Fleet Store // budget: what is left of the day; entries live for ever
	// Process names this process; random per start.
	Process string
	// Home is as in NodeOptions; optional.
	Home string
	// SlotTTL frees the slot of a process that died. Too low: a slow process cannot write within it. Too high: a death
	// delays the others of its key for that long. It must be longer than Spacing and Margin together. 0: DefaultSlotTTL.
	SlotTTL time.Duration
	// Margin is how long a write may take that was begun in time. 0: DefaultMargin.
	Margin time.Duration
}

// DefaultSlotTTL leaves more than 20 s between a permit and the write, where milliseconds are usual.
const (
	DefaultSlotTTL = 30 * time.Second
	DefaultMargin  = time.Second
)

// Share makes the permits hold over all processes of the token. Call it before the first Acquire, and Run after it.
func (p *Permits) Share(o Shared) {
	if o.SlotTTL == 0 {
		o.SlotTTL = DefaultSlotTTL
	}
	if o.Margin == 0 {
		o.Margin = DefaultMargin
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared = &slots{
		Shared: o, p: p, stop: make(chan struct{}), owned: map[string]*Permit{}, looking: make(chan struct{}, 1),
		asking:  make(chan struct{}, parallel),
		account: &account{fleet: o.Fleet, process: o.Process, p: p, kick: make(chan struct{}, 1), changing: make(chan struct{}, 1)},
	}
	p.budget = budget{MaxConcurrency: p.budget.MaxConcurrency} // nobody gets a permit before the store was heard
	if p.limit.Total > 0 {
		p.shared.account.told(p.limit)
	}
}

// Run watches the store until ctx ends: who frees a slot, what others spend. What Discord told is written down here. End it
// after the last Done, so that what was not used is given back; slots that are still held then are freed by their TTL.
// Without Share it only waits.
func (p *Permits) Run(ctx context.Context) {
	p.mu.Lock()
	s := p.shared
	p.mu.Unlock()
	if s == nil {
		<-ctx.Done()
		return
	}
	var watching sync.WaitGroup // ends with ctx
	watching.Go(func() { watch(ctx, s.Slots, s.slotChanged) })
	watching.Go(func() { s.bury(ctx) })
	watching.Go(func() { watch(ctx, s.Fleet, s.account.changed) })
	s.account.follow(ctx, s.SlotTTL/2, s.answered)
	watching.Wait()
	p.mu.Lock()
	s.stopped = true
	close(s.stop)
	for _, t := range s.owned {
		if t.resting != nil {
			t.resting.Stop()
		}
	}
	p.mu.Unlock()
	s.keepers.Wait()
}

// watch begins anew whenever the store goes away.
func watch(ctx context.Context, store Store, changed func(Entry)) {
	for ctx.Err() == nil {
		_ = store.Watch(ctx, changed) // whether the store is away shows at the next request
		pause(ctx.Done(), storePause)
	}
}

// slotChanged wakes those who wait for a slot.
func (s *slots) slotChanged(e Entry) {
	if e.Revision != 0 {
		return
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.freed(e.Key)
}

// freed ends the rest of a key whose slot is free.
func (s *slots) freed(name string) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, slotPrefix))
	if k := s.p.keys[n]; err == nil && k != nil {
		k.busy = time.Time{}
	}
	s.p.grant()
}

// pause waits, and reports false if done was closed in the meantime.
func pause(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
