package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover/system/simtime"
)

// write is one IDENTIFY as the shards of a test sent it.
type write struct {
	shardID int
	at      time.Duration // since the test began
}

// identifyAll has every shard ask at once, in the given order, write at once and be READY after
// took. It returns the writes by time.
func identifyAll(t *testing.T, p *Permits, shardIDs []int, took time.Duration) []write {
	t.Helper()
	began := time.Now()
	writes := make(chan write, len(shardIDs))
	var outcome sync.WaitGroup // READYs that are still to come
	outcome.Add(len(shardIDs))
	for _, id := range shardIDs {
		go func() {
			permit, err := p.Acquire(t.Context(), id, false)
			if err != nil {
				t.Errorf("shard %d: got error %v, want a permit", id, err)
				outcome.Done()
				return
			}
			permit.Spent()
			writes <- write{id, time.Since(began)}
			time.AfterFunc(took, func() {
				defer outcome.Done()
				permit.Done()
			})
		}()
		synctest.Wait() // so that the order of asking is the order given
	}
	var out []write
	for range shardIDs {
		out = append(out, <-writes)
	}
	outcome.Wait()
	return out
}

func newTestPermits(l Limit) *Permits { return NewPermits(l, slog.New(slog.DiscardHandler)) }

func TestConformance16_identifies_are_spaced_and_in_rising_order(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 3})
		p.Announce(0, 1, 2)
		writes := identifyAll(t, p, []int{2, 0, 1}, 100*time.Millisecond) // connections come up in any order
		for i, w := range writes {
			if w.shardID != i {
				t.Errorf("IDENTIFY number %d: got shard %d, want %d", i, w.shardID, i)
			}
			if i > 0 && w.at-writes[i-1].at < 5*time.Second {
				t.Errorf("got %v between shards %d and %d, want at least 5s", w.at-writes[i-1].at, i-1, i)
			}
		}
	})
}

func TestConformance17_keys_identify_side_by_side_and_none_twice_in_5s(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 16, Shards: 32})
		ids := make([]int, 32)
		for i := range ids {
			ids[i] = i
		}
		p.Announce(ids...)
		slices.Reverse(ids)
		lastOf := map[int]time.Duration{}
		for i, w := range identifyAll(t, p, ids, time.Second) {
			if first := i < 16; first != (w.shardID < 16) {
				t.Errorf("IDENTIFY number %d is shard %d: want 0–15 before 16–31", i, w.shardID)
			}
			if w.shardID < 16 && w.at > 0 {
				t.Errorf("shard %d: got %v after the start, want at once", w.shardID, w.at)
			}
			if last, ok := lastOf[w.shardID%16]; ok && w.at-last < 5*time.Second {
				t.Errorf("key %d: got %v between two IDENTIFYs, want at least 5s", w.shardID%16, w.at-last)
			}
			lastOf[w.shardID%16] = w.at
		}
	})
}

func TestConformance18_an_unwritten_permit_is_free_at_once_and_a_written_one_counts(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 2})
		first, _ := p.Acquire(t.Context(), 0, false)
		first.Done() // the socket died before the write
		began := time.Now()
		second, _ := p.Acquire(t.Context(), 1, false)
		if took := time.Since(began); took != 0 {
			t.Errorf("after an unwritten permit: got a wait of %v, want none", took)
		}
		second.Spent()
		second.Done() // the socket died after the write
		third, _ := p.Acquire(t.Context(), 0, false)
		if took := time.Since(began); took < 5*time.Second {
			t.Errorf("after a written permit: got a wait of %v, want at least 5s", took)
		}
		third.Done()
		if got := p.Budget().Remaining; got != 999 {
			t.Errorf("got %d remaining, want 999: only what was written counts", got)
		}
	})
}

func TestPermits_hold_the_key_until_the_outcome_is_known(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 2})
		writes := identifyAll(t, p, []int{0, 1}, 90*time.Second) // READY delayed, as in an outage
		if gap := writes[1].at - writes[0].at; gap != 95*time.Second {
			t.Errorf("got %v between the IDENTIFYs, want 95s: the first one's outcome was open for 90s", gap)
		}
	})
}

func TestConformance20_no_identify_before_the_budget_is_back(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 0, ResetAfter: time.Minute, MaxConcurrency: 1, Shards: 1})
		began := time.Now()
		permit, err := p.Acquire(t.Context(), 0, false)
		if err != nil {
			t.Fatal(err)
		}
		permit.Done()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("got a permit after %v, want after 1m0s", took)
		}
	})
}

func TestConformance20_permits_out_and_writes_of_ours_count_before_Discord_does(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1, ResetAfter: time.Hour, MaxConcurrency: 2, Shards: 2})
		first, err := p.Acquire(t.Context(), 0, false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Acquire(ctx, 1, false); err == nil { // another key, but the last IDENTIFY is spoken for
			t.Error("got a second permit, want none: one IDENTIFY is left")
		}
		first.Spent()
		first.Done()
		p.Update(Limit{Total: 1000, Remaining: 1, ResetAfter: time.Hour, MaxConcurrency: 2, Shards: 2}) // Discord lags behind
		if got := p.Budget().Remaining; got != 0 {
			t.Errorf("got %d remaining, want 0: the smaller count wins", got)
		}
	})
}

func TestConformance21_below_the_reserve_loops_wait_and_say_so(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		var log bytes.Buffer
		p := NewPermits(Limit{Total: 1000, Remaining: 50, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 25},
			slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if _, err := p.Acquire(ctx, 3, true); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("again, at the reserve: got %v, want to wait", err)
		}
		if !strings.Contains(log.String(), "identify budget holds shards back") {
			t.Errorf("got log %q, want an alarm", log.String())
		}
		first, err := p.Acquire(t.Context(), 4, false)
		if err != nil {
			t.Fatalf("a shard's first IDENTIFY may use the reserve: got %v", err)
		}
		first.Done()
		began := time.Now()
		again, err := p.Acquire(t.Context(), 3, true)
		if err != nil {
			t.Fatal(err)
		}
		again.Done()
		if took := time.Since(began); took < 49*time.Minute {
			t.Errorf("again: got a permit after %v, want the next day's", took)
		}
	})
}

func TestPermits_pass_over_an_announced_shard_that_does_not_come(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 2})
		p.Announce(0, 1) // shard 0 resumes, or its connection hangs
		began := time.Now()
		permit, err := p.Acquire(t.Context(), 1, false)
		if err != nil {
			t.Fatal(err)
		}
		permit.Done()
		if took := time.Since(began); took != orderGrace {
			t.Errorf("got a wait of %v, want %v", took, orderGrace)
		}
	})
}

func TestPermits_follow_a_new_max_concurrency(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		limit := Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 8}
		p := newTestPermits(limit)
		done := make(chan time.Duration, 8)
		began := time.Now()
		for id := range 8 {
			go func() {
				permit, err := p.Acquire(t.Context(), id, false)
				if err != nil {
					t.Errorf("shard %d: %v", id, err)
					return
				}
				permit.Spent()
				permit.Done()
				done <- time.Since(began)
			}()
		}
		synctest.Wait()
		limit.MaxConcurrency = 16
		p.Update(limit)
		var last time.Duration
		for range 8 {
			last = max(last, <-done)
		}
		if last > 2*Spacing {
			t.Errorf("got the last IDENTIFY after %v, want within %v: all keys differ now", last, 2*Spacing)
		}
	})
}

func TestPermits_tell_an_ETA_that_counts_down(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 4})
		first, _ := p.Acquire(t.Context(), 0, false)
		first.Spent()
		first.Done()
		var waiting sync.WaitGroup
		for id := 1; id < 4; id++ {
			waiting.Go(func() {
				if permit, err := p.Acquire(t.Context(), id, false); err == nil {
					permit.Spent()
					permit.Done()
				}
			})
		}
		synctest.Wait()
		if got, want := p.Budget().ETA, 3*Spacing; got != want {
			t.Errorf("three wait: got an ETA of %v, want %v", got, want)
		}
		<-time.After(2 * time.Second)
		if got, want := p.Budget().ETA, 3*Spacing-2*time.Second; got != want {
			t.Errorf("2s later: got an ETA of %v, want %v", got, want)
		}
		waiting.Wait()
		if got := p.Budget(); got.ETA != 0 || got.Waiting != 0 {
			t.Errorf("nobody waits: got %v for %d, want none", got.ETA, got.Waiting)
		}
	})
}

func TestPermits_a_caller_that_gives_up_leaves_its_place(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		p := newTestPermits(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1, Shards: 3})
		held, _ := p.Acquire(t.Context(), 0, false)
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := p.Acquire(ctx, 1, false)
			gone <- err
		}()
		synctest.Wait()
		why := errors.New("connection lost")
		cancel(why)
		if err := <-gone; !errors.Is(err, why) {
			t.Errorf("got %v, want the context's cause", err)
		}
		held.Done()
		next, err := p.Acquire(t.Context(), 2, false)
		if err != nil {
			t.Fatal(err)
		}
		next.Done()
		if got := p.Budget(); got.Waiting != 0 || got.Remaining != 1000 {
			t.Errorf("got %d waiting and %d remaining, want 0 and 1000", got.Waiting, got.Remaining)
		}
	})
}
