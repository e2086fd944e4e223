package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// instants remember for each shard when something happened to it last. Shards come and go, and their numbers may be anything: so
// they stand on pages, which are only ever added. Any goroutine may use it; after the first instant of a shard nothing allocates.
type instants struct {
	pages atomic.Pointer[map[int]*page] // copied on write
	grow  sync.Mutex
}

// page is the instants of some shards in a row, in Unix ns; 0: none.
type page [256]atomic.Int64

func (i *instants) set(shardID int, at time.Time) {
	if shardID < 0 {
		return
	}
	if pages := i.pages.Load(); pages != nil {
		if p := (*pages)[shardID/len(page{})]; p != nil {
			p[shardID%len(page{})].Store(at.UnixNano())
			return
		}
	}
	i.add(shardID / len(page{}))
	i.set(shardID, at)
}

func (i *instants) add(number int) {
	i.grow.Lock()
	defer i.grow.Unlock()
	next := map[int]*page{}
	if old := i.pages.Load(); old != nil {
		if (*old)[number] != nil {
			return // another goroutine was faster
		}
		next = maps.Clone(*old)
	}
	next[number] = &page{}
	i.pages.Store(&next)
}

// of is when it happened last; zero: it did not.
func (i *instants) of(shardID int) time.Time {
	pages := i.pages.Load()
	if pages == nil || shardID < 0 {
		return time.Time{}
	}
	p := (*pages)[shardID/len(page{})]
	if p == nil {
		return time.Time{}
	}
	at := p[shardID%len(page{})].Load()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}
