package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"
)

// account is the budget that all processes of a token share. Every change of it is a compare-and-set.
type account struct {
	fleet   Store
	process string
	p       *Permits
	kick    chan struct{} // capacity 1: there is news to write down

	changing chan struct{} // capacity 1: who writes

	// Guarded by the lock of p.
	news    *news     // what Discord told, and the store does not know yet
	seen    uint64    // revision of p.budget
	garbled uint64    // revision of the last budget that could not be read
	wanted  []*change // that nobody writes yet
}

// change is a wish of account.change.
type change struct {
	f       func(*budget) bool
	done    chan struct{} // closed when written and err are set
	written bool          // before done: there was something to write, as far as f was asked
	err     error
}

// news is what Discord told at an instant.
type news struct {
	limit Limit
	at    time.Time
}

// budgetKey is the key of the budget in the fleet bucket.
const budgetKey = "budget"

// changeTimeout bounds a write of the budget, with all its tries. A change may wait for the one before as well.
const changeTimeout = 5 * time.Second

// told takes a note of what Discord told. The caller holds the lock of p.
func (a *account) told(l Limit) {
	a.news = &news{l, time.Now()}
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// follow writes down what Discord tells, and reads each interval what others have spent, until ctx ends: what is heard of
// changes is a hint only.
func (a *account) follow(ctx context.Context, interval time.Duration, answered func(error)) {
	for wait := interval; ; {
		select {
		case <-ctx.Done():
			return
		case <-a.kick:
		case <-time.After(wait):
		}
		a.p.mu.Lock()
		early, untold := a.p.limit.Total == 0, a.news != nil
		a.p.mu.Unlock()
		var err error
		switch {
		case early: // Discord has told nothing: nobody could identify anyway
			continue
		case untold:
			_, err = a.change(func(*budget) bool { return true })
		default:
			err = a.look(ctx)
		}
		answered(err)
		if wait = interval; err != nil {
			wait = storePause
		}
	}
}

// look reads the budget for what is shown, and for who may ask; each IDENTIFY is judged by its own change.
func (a *account) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	b, revision, err := a.read(ctx)
	if err == nil {
		a.see(b, revision)
	}
	return err
}

// changed hears of a change that somebody made.
func (a *account) changed(e Entry) {
	if e.Key != budgetKey || e.Revision == 0 {
		return
	}
	b, err := readBudget(e.Value)
	if err != nil {
		return // whoever changes the budget next says so
	}
	a.p.mu.Lock()
	newer := e.Revision > a.seen
	a.p.mu.Unlock()
	if newer {
		a.see(b, e.Revision)
	}
}

// count counts the IDENTIFY of a permit before it is written. It reports false if the budget holds it back, or if
// max_concurrency is another by now.
func (a *account) count(t *Permit, w *waiter) (bool, error) {
	var c charge
	counted, err := a.change(func(b *budget) bool {
		now := time.Now()
		if b.Total == 0 || b.MaxConcurrency != t.keys {
			return false
		}
		if h := b.holds(w.shardID, w.again, a.p.reserve(b.Total, b.Shards), now); h.why != "" {
			return false
		}
		c = b.spend(w.shardID, w.again, now)
		return true
	})
	if counted { // where nobody knows, nothing is taken back
		a.p.mu.Lock()
		t.charge = c
		a.p.mu.Unlock()
	}
	return counted, err
}

// refund takes back what was counted for a permit that was not used. It is tried once: one too many is counted, at worst.
func (a *account) refund(c charge) {
	if c.era == 0 {
		return // nothing was counted
	}
	_, _ = a.change(func(b *budget) bool { return b.refund(c, time.Now()) })
}

// change applies f to the budget, and again if another process was faster. f reports whether there is anything to write;
// change whether it was written. After an error it may have been.
//
// What is asked for while another change of this process is under way is written together, in its order: a thousand shards
// that start are a handful of writes, and would be half a million tries if each got in the way of the others.
func (a *account) change(f func(*budget) bool) (bool, error) {
	own := &change{f: f, done: make(chan struct{})}
	a.p.mu.Lock()
	a.wanted = append(a.wanted, own)
	a.p.mu.Unlock()
	select {
	case a.changing <- struct{}{}:
	case <-own.done:
		return own.written, own.err
	}
	defer func() { <-a.changing }()
	a.p.mu.Lock()
	together := a.wanted
	a.wanted = nil
	a.p.mu.Unlock()
	if len(together) > 0 {
		a.write(together)
	}
	<-own.done // in any case: it was among them, or among those of who was here before
	return own.written, own.err
}

// write makes changes in one write, and says to each what became of it.
func (a *account) write(together []*change) {
	err := a.tryAll(together)
	for _, c := range together {
		c.err = err
		c.written = c.written && err == nil
		close(c.done)
	}
}

// tryAll tries until the changes are written that there is anything to write of.
func (a *account) tryAll(together []*change) error {
	ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	attempt := a.process + "." + strconv.FormatUint(attempts.Add(1), 10)
	a.p.mu.Lock()
	news := a.news
	a.p.mu.Unlock()
	for _, c := range together {
		c.written = true
	}
	for {
		b, revision, err := a.read(ctx)
		if err != nil {
			return err
		}
		written := b.Attempt == attempt // the answer was lost, and nothing else
		if written || !b.apply(together) {
			a.see(b, revision)
			return nil
		}
		b.Attempt = attempt
		if revision == 0 {
			revision, err = a.fleet.Create(ctx, budgetKey, b.encode())
		} else {
			revision, err = a.fleet.Update(ctx, budgetKey, b.encode(), revision)
		}
		if err == nil {
			a.see(b, revision)
			a.wrote(news)
			return nil
		}
		if !known(err) && ctx.Err() != nil {
			return err
		}
		// Other processes try as well, and a replica that was read may lag behind.
		pause(ctx.Done(), rand.N(20*time.Millisecond))
	}
}

// apply applies changes in their order, and reports whether there is anything to write. One that has nothing is not asked
// again: an earlier try may be what is written in the end, and it was not in that.
func (b *budget) apply(changes []*change) bool {
	any := false
	for _, c := range changes {
		c.written = c.written && c.f(b)
		any = any || c.written
	}
	return any
}

// wrote forgets news that the store has now.
func (a *account) wrote(n *news) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.news == n {
		a.news = nil
	}
}

// read is the budget with all that is known here: what Discord told, and that a window is over. Revision 0: there is none
// in the store, which has lost it or never had one; what was seen last is as good then.
func (a *account) read(ctx context.Context) (budget, uint64, error) {
	entry, err := a.fleet.Get(ctx, budgetKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return budget{}, 0, err
	}
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	b := a.p.budget
	b.Attempt = ""
	if err == nil {
		stored, err := readBudget(entry.Value)
		switch {
		case err == nil:
			b = stored
		case entry.Revision > a.garbled: // once, and not whenever it is looked at
			a.garbled = entry.Revision
			a.p.log.Error("identify budget unreadable, counted anew from what Discord tells", "err", err)
		}
	}
	if b.Total == 0 && a.news == nil {
		b.learn(a.p.limit, time.Now())
	}
	if a.news != nil {
		b.learn(a.news.limit, a.news.at)
	}
	b.roll(time.Now())
	return b, entry.Revision, nil
}

// see takes over the budget as it stands in the store at a revision.
func (a *account) see(b budget, revision uint64) {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	if a.p.limit.Total == 0 {
		return // Discord has not told us yet: what others were told may be of another day
	}
	a.seen = revision
	a.p.see(b)
}
