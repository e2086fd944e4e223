package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"drover/system/simtime"
)

const testMargin = 500 * time.Millisecond

// leaseOn is a lease of process on pool 1.
func leaseOn(leases, marks Store, process string, ttl time.Duration) *Lease {
	return NewLease(LeaseOptions{
		Store: leases, Key: poolKey(1), Node: "node-" + process, Process: process, TTL: ttl, Margin: testMargin,
		Marks: marks, MarkKey: markKey(1),
	})
}

// lateStore is a store whose answers to writes are lost while lost is set, although the writes happen.
type lateStore struct {
	Store
	lost bool
}

var errAnswerLost = errors.New("the answer was lost")

func (s *lateStore) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := s.Store.Create(ctx, key, value)
	if s.lost {
		return 0, errAnswerLost
	}
	return revision, err
}

func (s *lateStore) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	revision, err := s.Store.Update(ctx, key, value, last)
	if s.lost {
		return 0, errAnswerLost
	}
	return revision, err
}

func wantValid(t *testing.T, l *Lease, want bool) {
	t.Helper()
	if l.Valid() != want || l.Remaining() > 0 != want {
		t.Errorf("got valid %v with %v remaining, want valid %v", l.Valid(), l.Remaining(), want)
	}
}

func wantOutcome(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestLease_is_of_one_process_until_it_is_released(t *testing.T) {
	srv := startServer(t)
	store, _ := newTestStore(t, srv, "leases", time.Minute)
	marks, _ := newTestStore(t, srv, "fleet", 0)
	ctx := t.Context()
	a, b := leaseOn(store, marks, "a", time.Minute), leaseOn(store, marks, "b", time.Minute)
	wantValid(t, a, false)
	wantOutcome(t, "renew what was never held", a.Renew(ctx), ErrLost)
	wantOutcome(t, "acquire", a.Acquire(ctx), nil)
	wantValid(t, a, true)
	wantOutcome(t, "acquire what is held", b.Acquire(ctx), ErrHeld)
	wantValid(t, b, false)
	epoch := a.Epoch()
	wantOutcome(t, "renew", a.Renew(ctx), nil)
	if a.Epoch() != epoch {
		t.Errorf("renewed: got epoch %d, want %d", a.Epoch(), epoch)
	}
	wantOutcome(t, "release", a.Release(ctx), nil)
	wantValid(t, a, false)
	wantOutcome(t, "acquire a released one", a.Acquire(ctx), ErrLost)
	wantOutcome(t, "acquire what is free", b.Acquire(ctx), nil)
	if b.Epoch() <= epoch {
		t.Errorf("got epoch %d after %d", b.Epoch(), epoch)
	}
	wantOutcome(t, "renew what is another's", a.Renew(ctx), ErrLost)
	wantOutcome(t, "release what is another's", a.Release(ctx), nil)
	wantOutcome(t, "renew", b.Renew(ctx), nil)
}

func TestLease_that_ran_out_is_acquired_again_under_a_new_epoch(t *testing.T) {
	srv := startServer(t)
	store, js := newTestStore(t, srv, "leases", time.Minute)
	marks, _ := newTestStore(t, srv, "fleet", 0)
	ctx := t.Context()
	a := leaseOn(store, marks, "a", time.Minute)
	wantOutcome(t, "acquire", a.Acquire(ctx), nil)
	epoch := a.Epoch()
	if err := js.DeleteKeyValue(ctx, "drover_leases"); err != nil { // as if it had expired
		t.Fatal(err)
	}
	wantOutcome(t, "renew", a.Renew(ctx), ErrLost)
	wantValid(t, a, false)
	wantOutcome(t, "acquire again", a.Acquire(ctx), nil)
	wantValid(t, a, true)
	if a.Epoch() <= epoch {
		t.Errorf("got epoch %d after %d", a.Epoch(), epoch)
	}
}

func TestLease_that_another_held_in_between_is_over(t *testing.T) {
	srv := startServer(t)
	store, js := newTestStore(t, srv, "leases", time.Minute)
	marks, _ := newTestStore(t, srv, "fleet", 0)
	ctx := t.Context()
	a, b := leaseOn(store, marks, "a", time.Minute), leaseOn(store, marks, "b", time.Minute)
	wantOutcome(t, "acquire", a.Acquire(ctx), nil)
	if err := js.DeleteKeyValue(ctx, "drover_leases"); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, "b acquires", b.Acquire(ctx), nil)
	wantOutcome(t, "b releases", b.Release(ctx), nil)
	wantOutcome(t, "renew", a.Renew(ctx), ErrLost)
	wantOutcome(t, "acquire again", a.Acquire(ctx), ErrInterrupted)
	wantValid(t, a, false)
	next := leaseOn(store, marks, "a", time.Minute)
	wantOutcome(t, "a new lease takes the entry over", next.Acquire(ctx), nil)
	wantValid(t, next, true)
	wantValid(t, a, false)
}

func TestLease_an_answer_that_was_lost_leaves_no_ghost(t *testing.T) {
	srv := startServer(t)
	real, _ := newTestStore(t, srv, "leases", time.Minute)
	ctx := t.Context()
	store := &lateStore{Store: real, lost: true}
	a := leaseOn(store, nil, "a", time.Minute)
	wantOutcome(t, "acquire", a.Acquire(ctx), errAnswerLost)
	wantValid(t, a, false)
	wantOutcome(t, "acquire by another", leaseOn(real, nil, "b", time.Minute).Acquire(ctx), ErrHeld)
	store.lost = false
	wantOutcome(t, "acquire again", a.Acquire(ctx), nil)
	wantValid(t, a, true)
	epoch := a.Epoch()
	store.lost = true
	wantOutcome(t, "renew", a.Renew(ctx), errAnswerLost)
	store.lost = false
	wantOutcome(t, "renew again", a.Renew(ctx), nil)
	if a.Epoch() != epoch {
		t.Errorf("got epoch %d, want %d", a.Epoch(), epoch)
	}
	store.lost = true
	wantOutcome(t, "renew a third time", a.Renew(ctx), errAnswerLost)
	store.lost = false
	wantOutcome(t, "release", a.Release(ctx), nil)
	if keys := keysOf(t, real); len(keys) != 0 {
		t.Errorf("got %v, want no ghost", keys)
	}
}

// slowStore answers after a while; it knows one key.
type slowStore struct {
	Store
	after    time.Duration
	revision uint64
}

func (s *slowStore) Create(context.Context, string, []byte) (uint64, error) {
	time.Sleep(s.after)
	s.revision++
	return s.revision, nil
}

func (s *slowStore) Update(context.Context, string, []byte, uint64) (uint64, error) {
	return s.Create(context.Background(), "", nil)
}

func TestLease_counts_from_before_the_request(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		store := &slowStore{after: time.Second}
		l := leaseOn(store, nil, "a", 4*time.Second) // 3.5 s with its margin
		wantOutcome(t, "acquire", l.Acquire(t.Context()), nil)
		time.Sleep(2500*time.Millisecond - 1)
		wantValid(t, l, true)
		time.Sleep(time.Nanosecond)
		wantValid(t, l, false)
		store.after = 3 * time.Second // the answer comes late
		wantOutcome(t, "renew", l.Renew(t.Context()), nil)
		time.Sleep(500*time.Millisecond - 1)
		wantValid(t, l, true)
		time.Sleep(time.Nanosecond)
		wantValid(t, l, false)
		store.after = 4 * time.Second // too late
		wantOutcome(t, "renew", l.Renew(t.Context()), nil)
		wantValid(t, l, false)
	})
}

func TestLease_believes_the_clock_that_is_further(t *testing.T) {
	store := &slowStore{}
	hour := int64(time.Hour)
	tests := []struct {
		name string
		step func(l *Lease)
		want bool
	}{
		{"both agree", func(*Lease) {}, true},
		{"the wall clock was set forward, or the machine was suspended", func(l *Lease) { l.wall.Add(-hour) }, false},
		{"the wall clock was set back", func(l *Lease) { l.wall.Add(hour) }, true},
		{"the wall clock was set back and the time is over", func(l *Lease) { l.wall.Add(hour); l.until.Add(-hour) }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := leaseOn(store, nil, "a", time.Minute)
			wantOutcome(t, "acquire", l.Acquire(t.Context()), nil)
			test.step(l) // the deadline moves against the clock as the clock would against it
			wantValid(t, l, test.want)
			wantOutcome(t, "renew", l.Renew(t.Context()), nil)
			wantValid(t, l, true)
		})
	}
}

func TestLease_validity_costs_no_allocation(t *testing.T) {
	l := leaseOn(&slowStore{}, nil, "a", time.Minute)
	wantOutcome(t, "acquire", l.Acquire(t.Context()), nil)
	if n := testing.AllocsPerRun(100, func() { l.Valid() }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
