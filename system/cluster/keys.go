package cluster

import (
	"slices"
	"time"
)

// key is the state of one rate-limit key in this process.
type key struct {
	held    *Permit // nil: free
	freeAt  time.Time
	busy    time.Time // another process has the slot: not asked for again before, unless it is heard to be free
	waiting []*waiter // by rising shard id
}

type waiter struct {
	shardID int
	again   bool
	granted chan *Permit // capacity 1
}

func (p *Permits) keyOf(shardID int) *key {
	n := shardID % p.budget.MaxConcurrency
	k := p.keys[n]
	if k == nil {
		k = &key{}
		p.keys[n] = k
	}
	return k
}

func (p *Permits) join(w *waiter) {
	k := p.keyOf(w.shardID)
	at, _ := slices.BinarySearchFunc(k.waiting, w, func(a, b *waiter) int { return a.shardID - b.shardID })
	k.waiting = slices.Insert(k.waiting, at, w)
}

func (p *Permits) leave(w *waiter) {
	for _, k := range p.keys {
		k.waiting = slices.DeleteFunc(k.waiting, func(other *waiter) bool { return other == w })
	}
}

// rekey spreads the waiting shards over a new number of keys. Every new key waits for the last
// IDENTIFY under the old ones: which of them it shares a limit with is Discord's secret.
func (p *Permits) rekey() {
	var waiting []*waiter
	for _, k := range p.keys {
		waiting = append(waiting, k.waiting...)
		p.former = latest(p.former, k.freeAt)
		if k.held != nil {
			p.former = latest(p.former, time.Now().Add(p.spacing))
		}
	}
	p.keys = map[int]*key{}
	for _, w := range waiting {
		p.join(w)
	}
}

// grant gives every free key to its next shard and sets the timer for what becomes possible later.
func (p *Permits) grant() {
	if p.budget.Total == 0 {
		return // nobody knows what is allowed
	}
	now := time.Now()
	p.budget.roll(now)
	var next time.Time // zero: nothing to wait for but a Done
	later := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for n, k := range p.keys {
		if k.held != nil || len(k.waiting) == 0 {
			continue
		}
		if free := latest(latest(k.freeAt, p.former), k.busy); now.Before(free) {
			later(free)
			continue
		}
		i := slices.IndexFunc(k.waiting, func(w *waiter) bool {
			h := p.holds(w, now)
			if h.why != "" {
				p.warn(w, h, now)
				later(h.until)
			}
			return h.why == ""
		})
		if i < 0 {
			continue
		}
		if at := p.keptUntil(n, k.waiting[i].shardID, now); at.After(now) {
			later(at)
			continue
		}
		w := k.waiting[i]
		k.waiting = slices.Delete(k.waiting, i, i+1)
		k.held = &Permit{permits: p, key: k, shardID: w.shardID}
		if p.shared == nil { // else it is counted once the slot is had
			k.held.charge = p.budget.spend(w.shardID, w.again, now)
		}
		w.granted <- k.held
	}
	if p.wake != nil {
		p.wake.Stop()
		p.wake = nil
	}
	if !next.IsZero() {
		// The timer ends by firing, or is replaced here; it holds nothing else.
		p.wake = time.AfterFunc(next.Sub(now), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.grant()
		})
	}
}

// yield puts a waiter back whose turn led to nothing. Where another process has the slot, its key rests until the slot is
// heard to be free, or for as long as it is held at least; else for a moment.
func (p *Permits) yield(t *Permit, w *waiter, busy bool) {
	p.join(w)
	if t.key.held == t {
		t.key.held = nil
		if now := time.Now(); busy {
			t.key.busy = now.Add(p.spacing)
		} else {
			t.key.freeAt = now.Add(storePause)
		}
	}
	p.grant()
}

// freeAt is when a key's next IDENTIFY may follow; one whose outcome is open takes its whole spacing.
func (p *Permits) freeAt(k *key) time.Time {
	switch {
	case k.held == nil:
		return latest(k.freeAt, p.former)
	case k.held.written.IsZero():
		return time.Now().Add(p.spacing)
	default:
		return k.held.written.Add(p.spacing)
	}
}

// keptUntil is when the turn of announced shards below shardID ends, of those in key n.
func (p *Permits) keptUntil(n, shardID int, now time.Time) time.Time {
	var kept time.Time
	for id, until := range p.announced {
		if !until.After(now) {
			delete(p.announced, id)
		} else if id < shardID && id%p.budget.MaxConcurrency == n && until.After(kept) {
			kept = until
		}
	}
	return kept
}

// holds tells whether the budget holds w's IDENTIFY back.
func (p *Permits) holds(w *waiter, now time.Time) held {
	return p.budget.holds(w.shardID, w.again, p.reserve(p.budget.Total, p.budget.Shards), now)
}

// warn tells the log once for each reason and window.
func (p *Permits) warn(w *waiter, h held, now time.Time) {
	what := h.why + p.budget.End.UTC().Format(time.DateOnly)
	if p.warned == what {
		return
	}
	p.warned = what
	p.log.Error("identify budget holds shards back", "shard_id", w.shardID, "reason", h.why, "remaining", p.budget.remaining(),
		"reserve", p.reserve(p.budget.Total, p.budget.Shards), "repeated", p.budget.loops(now), "wait", h.until.Sub(now).Round(time.Second))
}
