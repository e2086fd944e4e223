// Package cluster holds what the shards of one bot must agree on, wherever they run: who may send
// IDENTIFY, how many of them a day has left, and where each session stands, so that any process can RESUME it.
package cluster

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"drover/messages"
)

// Spacing between the writes of two IDENTIFYs of one rate-limit key. Discord asks for 5 s (Gateway, "Rate
// Limiting"); a quarter second more covers the network's jitter.
const Spacing = 5250 * time.Millisecond

// settled is the spacing after an outcome. The server counts from when an IDENTIFY reached it, and that was
// before it answered: so much after the answer is safe however slow the way there was.
const settled = 5 * time.Second

// orderGrace is how long a key waits for a lower shard that was announced and has not asked yet.
// Discord asks for rising shard ids; it enforces only the spacing, so a shard that is slow to connect
// must not hold up the others for long.
const orderGrace = 2 * time.Second

// Limit is Discord's session_start_limit at one instant.
type Limit struct {
	Total, Remaining int
	ResetAfter       time.Duration // until Remaining is Total again
	MaxConcurrency   int           // keys: shard ids with one remainder share a key
	Shards           int           // of the bot, for the reserve
}

// Permits hands out the right to send IDENTIFY: one at a time per key (shard id modulo max_concurrency), in rising
// order of shard ids, 5.25 s apart, within the daily budget. RESUME needs none. Under a Limit whose Total is 0, not known
// yet, everybody waits for Update.
//
// All methods may be called from any goroutine.
type Permits struct {
	log *slog.Logger

	mu        sync.Mutex
	limit     Limit
	remaining int
	resetAt   time.Time
	keys      map[int]*key
	announced map[int]time.Time // shard → until when its turn is kept
	wake      *time.Timer       // runs grant again; nil when nothing waits
	warned    bool              // the reserve was reached in this window
	former    time.Time         // until when an IDENTIFY of an earlier process may count against any key
}

// key is the state of one rate-limit key.
type key struct {
	held    *Permit // nil: free
	freeAt  time.Time
	waiting []*waiter // by rising shard id
}

type waiter struct {
	shardID int
	again   bool
	granted chan *Permit // capacity 1
}

// Permit is the right of one shard to send one IDENTIFY. Its key belongs to the shard until Done.
type Permit struct {
	permits *Permits
	key     *key
	written time.Time // zero: not spent
}

// NewPermits returns permits under limit. log tells when the budget holds something back.
func NewPermits(limit Limit, log *slog.Logger) *Permits {
	p := &Permits{log: log, keys: map[int]*key{}, announced: map[int]time.Time{}}
	p.Update(limit)
	return p
}

// Update takes over a newer session_start_limit. Of Discord's remainder and our own count the smaller
// one wins: Discord's may lag behind what was just written.
func (p *Permits) Update(limit Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	limit.MaxConcurrency = max(limit.MaxConcurrency, 1)
	if p.resetAt.IsZero() || !now.Before(p.resetAt) || limit.Remaining < p.remaining {
		p.remaining = limit.Remaining
	}
	rekey := p.limit.MaxConcurrency != 0 && p.limit.MaxConcurrency != limit.MaxConcurrency
	p.limit = limit
	p.resetAt = now.Add(limit.ResetAfter)
	if rekey {
		p.rekey()
	}
	p.grant()
}

// Inherit keeps everybody waiting until Spacing after at: an earlier process may have identified as late as that.
func (p *Permits) Inherit(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := at.Add(Spacing)
	if bound := time.Now().Add(Spacing); until.After(bound) { // another clock's word
		until = bound
	}
	p.former = latest(p.former, until)
}

// Announce keeps the places of shards that are about to connect, so that they identify in rising
// order although their connections come up in any.
func (p *Permits) Announce(shardIDs ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := time.Now().Add(orderGrace)
	for _, id := range shardIDs {
		p.announced[id] = until
	}
}

// Acquire blocks until shardID may write IDENTIFY, or returns ctx's cause. again marks an IDENTIFY that is not
// the shard's first: below the reserve (5 % of the day's total, at least one per shard) such a one
// waits for the next day, since loops of them are what costs bots their token.
func (p *Permits) Acquire(ctx context.Context, shardID int, again bool) (*Permit, error) {
	w := &waiter{shardID: shardID, again: again, granted: make(chan *Permit, 1)}
	p.mu.Lock()
	delete(p.announced, shardID)
	p.join(w)
	p.grant()
	p.mu.Unlock()

	select {
	case permit := <-w.granted:
		return permit, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.leave(w)
	p.mu.Unlock()
	select {
	case permit := <-w.granted: // it came while we gave up
		permit.Done()
	default:
	}
	return nil, context.Cause(ctx)
}

// Spent records that IDENTIFY is being written now. It counts against the day, whatever becomes of it.
func (t *Permit) Spent() {
	t.permits.mu.Lock()
	defer t.permits.mu.Unlock()
	t.written = time.Now()
	t.permits.remaining = max(t.permits.remaining-1, 0)
}

// Done frees the key for the next shard: at once if nothing was written, else 5 s from now, and 5.25 s after the
// write at the earliest. Further calls do nothing.
func (t *Permit) Done() {
	t.permits.mu.Lock()
	defer t.permits.mu.Unlock()
	if t.key.held != t {
		return
	}
	t.key.held = nil
	if !t.written.IsZero() {
		t.key.freeAt = t.written.Add(Spacing)
		if safe := time.Now().Add(settled); safe.After(t.key.freeAt) {
			t.key.freeAt = safe
		}
	}
	t.permits.grant()
}

// Budget tells what is left of the day, and how long the shards that wait now will take at best.
func (p *Permits) Budget() messages.Budget {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roll(time.Now())
	b := messages.Budget{
		Total: p.limit.Total, Remaining: p.remaining, ResetAt: p.resetAt, MaxConcurrency: p.limit.MaxConcurrency,
	}
	for _, k := range p.keys {
		n := len(k.waiting)
		if n == 0 {
			continue
		}
		b.Waiting += n
		if p.remaining <= 0 { // until the next day, and then the queue
			b.ETA = max(b.ETA, time.Until(p.resetAt)+time.Duration(n-1)*Spacing)
			continue
		}
		free := latest(k.freeAt, p.former) // of the key's next IDENTIFY; one whose outcome is open takes its whole spacing
		if k.held != nil {
			free = time.Now().Add(Spacing)
			if !k.held.written.IsZero() {
				free = k.held.written.Add(Spacing)
			}
		}
		b.ETA = max(b.ETA, max(time.Until(free), 0)+time.Duration(n-1)*Spacing)
	}
	return b
}

func (p *Permits) keyOf(shardID int) *key {
	n := shardID % p.limit.MaxConcurrency
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
	free := time.Now()
	for _, k := range p.keys {
		waiting = append(waiting, k.waiting...)
		if k.held != nil {
			free = time.Now().Add(Spacing)
		} else if k.freeAt.After(free) {
			free = k.freeAt
		}
	}
	p.keys = map[int]*key{}
	for n := range p.limit.MaxConcurrency {
		p.keys[n] = &key{freeAt: free}
	}
	for _, w := range waiting {
		p.join(w)
	}
}

// grant gives every free key to its next shard and sets the timer for what becomes possible later.
func (p *Permits) grant() {
	if p.limit.Total == 0 {
		return // nobody knows what is allowed
	}
	now := time.Now()
	p.roll(now)
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
		if free := latest(k.freeAt, p.former); now.Before(free) {
			later(free)
			continue
		}
		i := slices.IndexFunc(k.waiting, func(w *waiter) bool { return p.affordable(w) })
		if i < 0 {
			later(p.resetAt)
			continue
		}
		if at := p.keptUntil(n, k.waiting[i].shardID, now); at.After(now) {
			later(at)
			continue
		}
		w := k.waiting[i]
		k.waiting = slices.Delete(k.waiting, i, i+1)
		k.held = &Permit{permits: p, key: k}
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

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// keptUntil is when the turn of announced shards below shardID ends, of those in key n.
func (p *Permits) keptUntil(n, shardID int, now time.Time) time.Time {
	var kept time.Time
	for id, until := range p.announced {
		if !until.After(now) {
			delete(p.announced, id)
		} else if id < shardID && id%p.limit.MaxConcurrency == n && until.After(kept) {
			kept = until
		}
	}
	return kept
}

// affordable tells whether the budget allows w's IDENTIFY today.
func (p *Permits) affordable(w *waiter) bool {
	floor := 0
	if w.again {
		floor = max(p.limit.Total/20, p.limit.Shards)
	}
	outstanding := 0 // granted and not written yet
	for _, k := range p.keys {
		if k.held != nil && k.held.written.IsZero() {
			outstanding++
		}
	}
	if p.remaining-outstanding > floor {
		return true
	}
	if !p.warned {
		p.warned = true
		p.log.Error("identify budget holds shards back", "shard_id", w.shardID, "remaining", p.remaining,
			"reserve", floor, "wait", time.Until(p.resetAt).Round(time.Second))
	}
	return false
}

// roll begins a new day when the old one is over.
func (p *Permits) roll(now time.Time) {
	if now.Before(p.resetAt) || p.limit.Total == 0 {
		return
	}
	p.remaining, p.warned = p.limit.Total, false
	p.resetAt = now.Add(24 * time.Hour)
}
