package cluster

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConformance19_spacing_survives_random_faults has processes come and go, stand still, lose the store, and get no or
// late answers from it.
func TestConformance19_spacing_survives_random_faults(t *testing.T) {
	base := rand.Uint64()
	for n := range 10 {
		seed := base + uint64(n)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { permitChaos(t, seed) })
		if t.Failed() {
			return // the seed is in the test's name
		}
	}
}

func permitChaos(t *testing.T, seed uint64) {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(seed, 0))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rnd.IntN(n)
	}
	keys := 1 + roll(3)
	inCluster(t, Limit{Total: 5000, Remaining: 5000, ResetAfter: 24 * time.Hour, MaxConcurrency: keys, Shards: 6}, func(c *permitCluster) {
		var calm atomic.Bool
		c.fault = func() kvFault {
			if n := roll(25); !calm.Load() && n <= int(kvLate) {
				return kvFault(n)
			}
			return kvFine
		}
		processes := []*permitProcess{c.process(), c.process(), c.process()}
		serve := func(p *permitProcess) {
			for id := range 6 {
				p.serve(id, roll)
			}
		}
		for _, p := range processes {
			serve(p)
		}
		for range 40 {
			<-time.After(time.Duration(roll(20000)) * time.Millisecond)
			n := roll(len(processes))
			switch p := processes[n]; roll(4) {
			case 0:
				p.kill()
				processes[n] = c.process()
				serve(processes[n])
			case 1:
				p.end()
				processes[n] = c.process()
				serve(processes[n])
			case 2:
				p.away.Store(true)
			case 3:
				p.away.Store(false)
			}
		}
		calm.Store(true)
		for _, p := range processes {
			p.away.Store(false)
		}
		<-time.After(time.Minute)
		before := len(c.all())
		<-time.After(10 * time.Minute)
		c.spaced(keys)
		if n := len(c.all()) - before; n < 8 {
			t.Errorf("got %d IDENTIFYs in ten calm minutes, want them to go on", n)
		}
		for _, p := range processes {
			p.end()
		}
		b, err := readBudget(c.fleet.entries[budgetKey].Value)
		if err != nil || b.Spent < len(c.all()) {
			t.Errorf("got %d counted and %v, want at least %d", b.Spent, err, len(c.all()))
		}
	})
}

// serve has a shard identify again and again until its process ends: it gives up, stands still, gets answers late or
// never.
func (p *permitProcess) serve(shardID int, roll func(int) int) {
	p.identifying.Go(func() {
		for p.running.Err() == nil {
			pause(p.running.Done(), time.Duration(roll(20000))*time.Millisecond)
			permit, err := p.Acquire(p.running, shardID, false)
			if err != nil {
				return
			}
			if roll(3) == 0 { // the machine was suspended, or the connection is gone
				pause(p.running.Done(), time.Duration(roll(40000))*time.Millisecond)
			}
			if permit.Valid() && roll(5) > 0 {
				permit.Spent()
				p.c.wrote(shardID)
				pause(p.running.Done(), time.Duration(roll(roll(60000)+1))*time.Millisecond)
			}
			permit.Done()
		}
	})
}
