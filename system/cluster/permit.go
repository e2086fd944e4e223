package cluster

import "time"

// Permit is the right of one shard to send one IDENTIFY. Its key belongs to the shard until Done.
type Permit struct {
	permits *Permits
	key     *key
	shardID int

	// Guarded by the lock of permits.
	charge  charge
	written time.Time // zero: not spent
	freeAt  time.Time // of the key; set by Done

	// Of a slot that other processes see; unset without a store.
	slot    string
	keys    int           // max_concurrency under which slot is the shard's
	attempt string        // names this holder of the slot
	until   time.Time     // IDENTIFY may be written until then, by both clocks
	ended   chan struct{} // closed by Done; nil: there is no slot
	resting *time.Timer   // until the spacing is over; nil: not begun
}

// Valid tells whether IDENTIFY may be written now. It is asked right before the write: a process that stood still may have
// lost its slot in the meantime, and then another one identifies. Such a permit is given back by Done.
func (t *Permit) Valid() bool {
	t.permits.mu.Lock()
	defer t.permits.mu.Unlock()
	return t.valid(time.Now())
}

func (t *Permit) valid(now time.Time) bool {
	if t.ended == nil {
		return true
	}
	// The monotonic clock stands still while a machine is suspended, and the wall clock may be set back: both must agree.
	return now.Before(t.until) && now.Round(0).Before(t.until.Round(0))
}

// Spent records that IDENTIFY is being written now. It has been counted before, and stays so whatever becomes of it.
func (t *Permit) Spent() {
	t.permits.mu.Lock()
	defer t.permits.mu.Unlock()
	t.written = time.Now()
}

// Done frees the key for the next shard: at once if nothing was written, and then it was not spent; else 5 s from now,
// and 5.25 s after the write at the earliest. It does not wait for the store. Further calls do nothing.
func (t *Permit) Done() {
	t.permits.mu.Lock()
	defer t.permits.mu.Unlock()
	t.done()
}

func (t *Permit) done() {
	p := t.permits
	if !t.freeAt.IsZero() {
		return
	}
	t.freeAt = time.Now()
	if !t.written.IsZero() {
		t.freeAt = latest(t.written.Add(p.spacing), t.freeAt.Add(p.spacing-jitter))
	}
	if t.ended != nil {
		close(t.ended) // keep does the rest
		return
	}
	if t.written.IsZero() && p.shared == nil {
		p.budget.refund(t.charge, time.Now())
	}
	t.free()
}

// free gives the key to whoever is next.
func (t *Permit) free() {
	if t.key.held == t {
		t.key.held, t.key.freeAt = nil, t.freeAt
	}
	t.permits.grant()
}
