package cluster

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drover/system/simtime"
)

// permitCluster is some processes with one token, in simulated time.
type permitCluster struct {
	*testing.T
	limit        Limit
	slots, fleet *kvFake
	fault        func() kvFault
	began        time.Time
	started      int
	unjudged     int // first of writes that spaced looks at

	mu     sync.Mutex
	writes []write // of all processes, in their order
}

// permitProcess is one of them.
type permitProcess struct {
	*Permits
	c           *permitCluster
	slots       kvClient
	away        *atomic.Bool
	running     context.Context
	stop        context.CancelCauseFunc
	identifying sync.WaitGroup
}

func inCluster(t *testing.T, limit Limit, run func(*permitCluster)) {
	t.Helper()
	simtime.Run(t, func(t *testing.T) {
		run(&permitCluster{T: t, limit: limit, slots: newKVFake(DefaultSlotTTL), fleet: newKVFake(0), began: time.Now()})
	})
}

// process starts one, which ends with the test at the latest.
func (c *permitCluster) process() *permitProcess {
	c.started++
	p := &permitProcess{c: c, away: &atomic.Bool{}}
	p.running, p.stop = context.WithCancelCause(context.Background())
	p.slots = kvClient{c.slots, p.away, c.fault}
	p.Permits = NewPermits(c.discord(), slog.New(slog.DiscardHandler))
	p.Share(Shared{
		Slots: p.slots, Fleet: kvClient{c.fleet, p.away, c.fault}, Process: "process" + strconv.Itoa(c.started),
		SlotTTL: DefaultSlotTTL, Margin: DefaultMargin,
	})
	p.identifying.Go(func() { p.Run(p.running) })
	c.Cleanup(p.end)
	return p
}

// discord tells session_start_limit as Discord does: it counts what it got, in windows one after the other.
func (c *permitCluster) discord() Limit {
	l := c.limit
	if l.Total == 0 {
		return l
	}
	from, end := time.Duration(0), l.ResetAfter
	for end <= time.Since(c.began) {
		from, end = end, end+24*time.Hour
		l.Remaining = l.Total
	}
	l.ResetAfter = end - time.Since(c.began)
	for _, w := range c.all() {
		if w.at >= from {
			l.Remaining--
		}
	}
	return l
}

// end stops a process in order, kill at once and without a word to anybody.
func (p *permitProcess) end() {
	p.stop(context.Canceled)
	p.identifying.Wait()
}

func (p *permitProcess) kill() {
	p.away.Store(true)
	p.end()
}

// identify has shards ask, each for itself, and write at once; the outcome comes after took. It returns without waiting
// for them.
func (p *permitProcess) identify(took time.Duration, again bool, shardIDs ...int) {
	p.Announce(shardIDs...)
	for _, id := range shardIDs {
		p.identifying.Go(func() {
			permit, err := p.Acquire(p.running, id, again)
			if err != nil {
				return
			}
			defer permit.Done()
			if !permit.Valid() {
				p.c.Errorf("shard %d: the permit ran out before it came", id)
				return
			}
			permit.Spent()
			p.c.wrote(id)
			pause(p.running.Done(), took)
		})
	}
}

func (c *permitCluster) wrote(shardID int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append(c.writes, write{shardID, time.Since(c.began)})
}

// all returns the writes up to now.
func (c *permitCluster) all() []write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

// wait lets time go by until there are n writes, and returns them.
func (c *permitCluster) wait(n int, limit time.Duration) []write {
	c.Helper()
	for end := time.Now().Add(limit); ; <-time.After(100 * time.Millisecond) {
		writes := c.all()
		if len(writes) >= n {
			return writes
		}
		if time.Now().After(end) {
			c.Fatalf("got %d IDENTIFYs within %v, want %d: %v", len(writes), limit, n, writes)
		}
	}
}

// spaced checks that no key had two IDENTIFYs within 5 s.
func (c *permitCluster) spaced(keys int) {
	c.Helper()
	last := map[int]write{}
	for _, w := range c.all()[c.unjudged:] {
		before, ok := last[w.shardID%keys]
		if ok && w.at-before.at < 5*time.Second {
			c.Errorf("key %d: shards %d and %d identified within %v, want at least 5s", w.shardID%keys, before.shardID, w.shardID, w.at-before.at)
		}
		last[w.shardID%keys] = w
	}
}

// acquire gets a permit, without writing.
func (p *permitProcess) acquire(shardID int) *Permit {
	p.c.Helper()
	permit, err := p.Acquire(p.running, shardID, false)
	if err != nil {
		p.c.Fatal(err)
	}
	return permit
}

func from(first, n int) (ids []int) {
	for id := range n {
		ids = append(ids, first+id)
	}
	return ids
}

func day(keys int) Limit {
	return Limit{Total: 1000, Remaining: 1000, ResetAfter: 24 * time.Hour, MaxConcurrency: keys, Shards: 4}
}
