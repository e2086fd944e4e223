package cluster

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A thousand shards that got in each other's way, and read each the slots of all, made 3.7 GB of garbage at the start of a node,
// and what lived between it kept its pages resident.
func TestPermits_of_many_shards_that_start_share_their_requests(t *testing.T) {
	const shards = 400
	limit := day(shards)
	limit.Shards = shards
	inCluster(t, limit, func(c *permitCluster) {
		var requests atomic.Int64
		c.fault = func() kvFault {
			requests.Add(1)
			return kvFine
		}
		p := c.process()
		p.identify(0, false, from(0, shards)...)
		writes := c.wait(shards, 10*time.Second)
		<-time.After(2 * Spacing)
		if got := requests.Load(); got > 3*shards {
			t.Errorf("got %d requests for %d shards, want a Create and a Delete for each, and few more", got, shards)
		}
		if got := p.Budget().Remaining; got != limit.Remaining-shards {
			t.Errorf("got %d IDENTIFYs left, want %d: each is counted", got, limit.Remaining-shards)
		}
		c.slots.mu.Lock()
		defer c.slots.mu.Unlock()
		if n := len(c.slots.entries); n != 0 {
			t.Errorf("got %d slots held after the spacing, want none", n)
		}
		if last := writes[shards-1].at; last > 2*time.Second {
			t.Errorf("got the last IDENTIFY after %v, want all side by side", last)
		}
	})
}

func TestAccount_writes_together_what_is_asked_together(t *testing.T) {
	const wishes = 50
	inCluster(t, day(1), func(c *permitCluster) {
		p := c.process()
		<-time.After(time.Second)
		a := p.shared.account
		revisions := func() uint64 { c.fleet.mu.Lock(); defer c.fleet.mu.Unlock(); return c.fleet.revision }
		before := revisions()
		written := make(chan bool, wishes)
		for i := range wishes {
			go func() { // ends with its answer
				ok, err := a.change(func(b *budget) bool {
					if i%2 == 1 || b.remaining() <= 990 {
						return false
					}
					b.Spent++
					return true
				})
				written <- ok && err == nil
			}()
		}
		n := 0
		for range wishes {
			if <-written {
				n++
			}
		}
		if got := p.Budget().Remaining; n != 10 || got != 990 {
			t.Errorf("got %d changes written and %d left, want 10 and 990: each sees the ones before it", n, got)
		}
		if got := revisions() - before; got > 3 {
			t.Errorf("got %d writes, want at most 3", got)
		}
	})
}

func TestStore_a_list_leaves_little_garbage(t *testing.T) {
	const lists = 50
	s, js := newTestStore(t, startServer(t), "leases", time.Minute)
	if _, err := s.Create(t.Context(), "pool.1", []byte("a")); err != nil {
		t.Fatal(err)
	}
	keysOf(t, s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range lists {
		keysOf(t, s)
	}
	runtime.ReadMemStats(&after)
	// The server in this process is in it. A channel for 65,536 messages alone is 512 KB.
	if got := (after.TotalAlloc - before.TotalAlloc) / lists; got > 128<<10 {
		t.Errorf("got %d bytes for one list, want less than 128 KB", got)
	}
	js.Conn().Close()
	if _, err := s.List(t.Context()); err == nil {
		t.Errorf("got a list over a closed connection, want %v", nats.ErrConnectionClosed)
	}
}
