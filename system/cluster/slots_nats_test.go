package cluster

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"
)

// natsPermits are permits as a process of its own would have them, with a spacing for impatient tests.
func natsPermits(t *testing.T, srv *natsServer, name string, spacing, ttl time.Duration, limit Limit) *Permits {
	t.Helper()
	slots, _ := newTestStore(t, srv, "identify", ttl)
	fleet, _ := newTestStore(t, srv, "fleet", 0)
	p := NewPermits(limit, slog.New(slog.DiscardHandler))
	p.spacing = spacing
	p.Share(Shared{Slots: slots, Fleet: fleet, Process: name, SlotTTL: ttl, Margin: 100 * time.Millisecond})
	running, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { p.Run(running) })
	t.Cleanup(func() {
		stop()
		ended.Wait()
	})
	return p
}

func TestConformance19_three_processes_on_one_server_keep_the_spacing(t *testing.T) {
	const spacing = jitter + 100*time.Millisecond
	srv := startServer(t)
	var mu sync.Mutex
	last := map[int]time.Time{}
	var identifying sync.WaitGroup
	var processes []*Permits
	for n := range 3 {
		p := natsPermits(t, srv, "process"+strconv.Itoa(n), spacing, time.Minute, day(2))
		processes = append(processes, p)
		for id := range 2 { // two keys, three IDENTIFYs each
			identifying.Go(func() {
				permit, err := p.Acquire(t.Context(), id, false)
				if err != nil {
					t.Error(err)
					return
				}
				defer permit.Done()
				mu.Lock()
				defer mu.Unlock()
				now := time.Now() // before the write is noted, and so before the spacing begins
				permit.Spent()
				if gap := now.Sub(last[id%2]); gap < spacing {
					t.Errorf("key %d: got %v between two IDENTIFYs, want at least %v", id%2, gap, spacing)
				}
				last[id%2] = now
			})
		}
	}
	identifying.Wait()
	for _, p := range processes {
		eventually(t, "all processes agree on the budget", func() bool {
			b := p.Budget()
			return b.Remaining == 994 && b.Repeated == 4
		})
	}
}

func TestSlots_of_a_dead_process_are_free_after_the_TTL_on_a_server(t *testing.T) {
	const ttl = 1500 * time.Millisecond
	srv := startServer(t)
	store, _ := newTestStore(t, srv, "identify", ttl)
	if _, err := store.Create(t.Context(), "slot.0", []byte(`{"process":"dead","attempt":"1","shard":7,"max_concurrency":1}`)); err != nil {
		t.Fatal(err)
	}
	p := natsPermits(t, srv, "alive", time.Second, ttl, day(1))
	permit, err := p.Acquire(t.Context(), 0, false)
	if err != nil {
		t.Fatal(err)
	}
	permit.Done()
}

func TestSlots_a_server_that_restarts_loses_no_count(t *testing.T) {
	srv := startServer(t)
	p := natsPermits(t, srv, "one", jitter+time.Millisecond, time.Minute, day(1))
	identify := func(id int) {
		t.Helper()
		permit, err := p.Acquire(t.Context(), id, false)
		if err != nil {
			t.Fatal(err)
		}
		permit.Spent()
		permit.Done()
	}
	identify(0)
	srv.stop()
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		identify(1)
	}()
	eventually(t, "the shard waits, and says for what", func() bool { return p.Budget().Reason != "" })
	select {
	case <-waiting:
		t.Error("got a permit without a server, want none")
	default:
	}
	srv.start()
	<-waiting
	eventually(t, "both are counted", func() bool { return p.Budget().Remaining == 998 })
}
