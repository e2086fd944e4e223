// Package cluster holds what the shards of one bot must agree on, wherever they run: who may send
// IDENTIFY, how many of them a day has left, and where each session stands, so that any process can RESUME it.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"drover/messages"
)

// Spacing between the writes of two IDENTIFYs of one rate-limit key. Discord asks for 5 s (Gateway, "Rate
// Limiting"); a quarter second more covers the network's jitter.
const Spacing = 5*time.Second + jitter

// jitter is what Spacing has more than Discord asks for. After an outcome it is not needed: the server counts from when
// an IDENTIFY reached it, and that was before it answered, however slow the way there was.
const jitter = 250 * time.Millisecond

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
// yet, everybody waits for Update. After Share all this holds over every process of the token, and while the store
// is away nobody gets a permit.
//
// All methods may be called from any goroutine.
type Permits struct {
	log     *slog.Logger
	spacing time.Duration // Spacing, but in tests against a real server

	mu        sync.Mutex
	shared    *slots // nil: this process has the token alone
	limit     Limit
	budget    budget // with shared: as it was seen last
	reserve   func(total, shards int) int
	keys      map[int]*key
	announced map[int]time.Time // shard → until when its turn is kept
	wake      *time.Timer       // runs grant again; nil when nothing waits
	warned    string            // what the log was told last
	former    time.Time         // until when an IDENTIFY under other keys may count against any key
}

// NewPermits returns permits under limit. log tells when the budget holds something back.
func NewPermits(limit Limit, log *slog.Logger) *Permits {
	p := &Permits{
		log: log, spacing: Spacing, keys: map[int]*key{}, announced: map[int]time.Time{},
		reserve: func(total, shards int) int { return max(total/20, shards) },
	}
	p.Update(limit)
	return p
}

// Reserve replaces the rule that says how many IDENTIFYs are kept for first ones: 5 % of the total, at least one per
// shard. Call it before the first Acquire.
func (p *Permits) Reserve(rule func(total, shards int) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserve = rule
}

// Update takes over a newer session_start_limit. Of Discord's remainder and our own count the smaller
// one wins: Discord's may lag behind what was just written. It does not wait for the store.
func (p *Permits) Update(limit Limit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared != nil && limit.Total <= 0 {
		return // this says nothing, and the store may say more
	}
	p.limit = limit
	if p.shared != nil {
		p.shared.account.told(limit)
		return
	}
	next := p.budget
	next.learn(limit, time.Now())
	p.see(next)
}

// see takes over a budget that is newer than the one before.
func (p *Permits) see(next budget) {
	before := p.budget.MaxConcurrency
	p.budget = next
	if before != 0 && before != next.MaxConcurrency {
		p.rekey()
	}
	p.grant()
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

// Acquire blocks until shardID may write IDENTIFY, or returns ctx's cause. again marks an IDENTIFY that is not the
// shard's first in this process; one that is not its first in Discord's day counts as such too. Such a one waits for the
// next day below the reserve, and while half of the total went to such ones within 24 hours, since loops of them are what
// costs bots their token.
func (p *Permits) Acquire(ctx context.Context, shardID int, again bool) (*Permit, error) {
	if messages.Sabotaged(messages.PaceIgnored) {
		return &Permit{permits: p, key: &key{}, shardID: shardID}, nil
	}
	w := &waiter{shardID: shardID, again: again, granted: make(chan *Permit, 1)}
	p.mu.Lock()
	delete(p.announced, shardID)
	p.join(w)
	p.grant()
	shared := p.shared
	p.mu.Unlock()
	for {
		permit, err := p.turn(ctx, w)
		if err != nil {
			return nil, err
		}
		if shared != nil && !shared.take(permit, w) {
			continue // w stands in the queue again
		}
		if ctx.Err() != nil {
			permit.Done()
			return nil, context.Cause(ctx)
		}
		return permit, nil
	}
}

// turn waits until w is the next one of this process.
func (p *Permits) turn(ctx context.Context, w *waiter) (*Permit, error) {
	if ctx.Err() == nil {
		select {
		case permit := <-w.granted:
			return permit, nil
		case <-ctx.Done():
		}
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

// Budget tells what is left of the day, what it holds back, and how long the shards that wait now will take at best.
func (p *Permits) Budget() messages.Budget {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.budget.roll(now)
	b := messages.Budget{
		Total: p.budget.Total, Remaining: p.budget.remaining(), ResetAt: p.budget.End, MaxConcurrency: p.budget.MaxConcurrency,
		Reserve: p.reserve(p.budget.Total, p.budget.Shards), Repeated: p.budget.loops(now),
	}
	var worst held
	for _, k := range p.keys {
		ahead := 0
		for _, w := range k.waiting {
			b.Waiting++
			if h := p.holds(w, now); h.why != "" && b.Total > 0 {
				b.Held++
				b.ETA = max(b.ETA, h.until.Sub(now)+time.Duration(len(k.waiting)-1)*p.spacing)
				if worst.why == "" || h.until.After(worst.until) {
					worst = h
				}
				continue
			}
			b.ETA = max(b.ETA, max(time.Until(p.freeAt(k)), 0)+time.Duration(ahead)*p.spacing)
			ahead++
		}
	}
	switch {
	case worst.why != "":
		b.Reason = p.sentence(worst, b.Reserve, now)
	case b.Waiting > 0 && p.shared != nil && p.shared.away != nil:
		b.Reason = fmt.Sprintf("the identify slots on NATS do not answer: %v", p.shared.away)
	}
	return b
}

// sentence says in words what holds shards back.
func (p *Permits) sentence(h held, reserve int, now time.Time) string {
	when := fmt.Sprintf("%s, in %v", h.until.Format("15:04:05 MST"), h.until.Sub(now).Round(time.Second))
	switch h.why {
	case heldReserve:
		return fmt.Sprintf("%d of today's %d IDENTIFYs are left, and the last %d are kept for shards that have not identified today "+
			"(identify.reserve): repeated ones are allowed again at %s", p.budget.remaining(), p.budget.Total, reserve, when)
	case heldGovernor:
		return fmt.Sprintf("%d IDENTIFYs within 24 hours were repeated ones, which looks like a loop, and half of the day's %d is the limit: "+
			"the next is allowed at %s", p.budget.loops(now), p.budget.Total, when)
	default:
		return fmt.Sprintf("today's %d IDENTIFYs are spent: the next is allowed at %s", p.budget.Total, when)
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
