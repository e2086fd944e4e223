package audit

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/system/stream"
)

// holders is who held the lease of each pool at what time, as the store tells: its instants are those of the server, which runs
// on this machine. It reads past the proxies. Any goroutine may use it.
type holders struct {
	broker  *stream.Broker
	claimed func(leaseRecord) time.Time // as wiretap's
	done    chan struct{}
	cancel  context.CancelFunc

	mu    sync.Mutex
	pools map[int]*history
}

// history is a pool's, by rising time.
type history struct {
	tenures  []tenure
	revision uint64 // newest that was seen
}

// tenure is a time in which one node held a lease, or nobody did. It ends with the next one.
type tenure struct {
	node  string // empty: nobody
	epoch uint64
	from  time.Time
	// last is when it was seen to go on, at the latest.
	last time.Time
	// unsure says that it began at from or before, but behind the last of the one before: the beginning was not heard.
	unsure bool
	// claimed is when its holder asked for it, so that it did not begin before; zero: not known.
	claimed time.Time
}

// leaseRecord is what the audit reads of a lease.
type leaseRecord struct {
	Node    string `json:"node"`
	Process string `json:"process"`
	Attempt string `json:"attempt"`
	Epoch   uint64 `json:"epoch"` // 0 in the first write, whose revision it is
}

// leaseBucket is where drover keeps the leases, without a prefix of the streams.
const leaseBucket = "drover_leases"

// watchHolders follows the leases until close. claimed is the wiretap's.
func watchHolders(ctx context.Context, b *stream.Broker, claimed func(leaseRecord) time.Time) *holders {
	ctx, cancel := context.WithCancel(ctx)
	h := &holders{broker: b, claimed: claimed, cancel: cancel, done: make(chan struct{}), pools: map[int]*history{}}
	go func() { // ends with close
		defer close(h.done)
		for ctx.Err() == nil {
			if b.WaitConnected(ctx) == nil {
				_ = h.watch(ctx) // there is no bucket yet, or no server: again
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return h
}

func (h *holders) close() {
	h.cancel()
	<-h.done
}

// silence is how long no lease is renewed only where the watch hears nothing: each is renewed every quarter of its TTL. A watch whose
// server was away finds out much later by itself, and who took a lease meanwhile and renewed it would not be heard.
const silence = leaseTTL/4 + 200*time.Millisecond

// watch takes in what changes until it hears nothing any more.
func (h *holders) watch(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	kv, err := h.broker.JetStream().KeyValue(asking, leaseBucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }() // of a server that is gone
	quiet, look := time.NewTimer(silence), time.NewTicker(10*time.Millisecond)
	defer quiet.Stop()
	defer look.Stop()
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			if e == nil {
				continue // all that there was
			}
			quiet.Reset(silence)
			h.hear(e.Key(), e.Value(), e.Revision(), e.Created())
		case <-look.C:
			if !h.broker.Connected() {
				return errors.New("not connected")
			}
		case <-quiet.C:
			return errors.New("silence")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hear takes in one write of a lease; without a value it was given back, or ran out.
func (h *holders) hear(key string, value []byte, revision uint64, at time.Time) {
	pool, err := strconv.Atoi(strings.TrimPrefix(key, "pool."))
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pools[pool]
	if p == nil {
		p = &history{}
		h.pools[pool] = p
	}
	p.hear(value, revision, at, h.claimed)
}

func (p *history) hear(value []byte, revision uint64, at time.Time, claimed func(leaseRecord) time.Time) {
	if revision <= p.revision {
		return
	}
	p.revision = revision
	t := tenure{from: at, last: at}
	if len(value) > 0 {
		var record leaseRecord
		if json.Unmarshal(value, &record) != nil {
			return
		}
		t.node, t.epoch = record.Node, record.Epoch
		if t.epoch == 0 {
			t.epoch = revision
		}
		t.unsure = t.epoch != revision
		if t.unsure {
			t.claimed = claimed(record)
		}
	}
	if n := len(p.tenures); n > 0 {
		if now := &p.tenures[n-1]; now.node == t.node && now.epoch == t.epoch {
			now.last = at
			return
		}
	}
	p.tenures = append(p.tenures, t)
}

// whose says who held a pool at an instant; sure is false where the store's word of that time was not heard.
//
// Of a tenure whose beginning was not heard the holder's own request is believed: before that it had nothing, and from then on it
// may have had the lease, so that nobody else can be told to have had it.
func (h *holders) whose(pool int, at time.Time) (node string, sure bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pools[pool]
	if p == nil {
		return "", true
	}
	i := len(p.tenures) - 1
	for i >= 0 && p.tenures[i].from.After(at) {
		i--
	}
	var next tenure
	if i+1 < len(p.tenures) {
		next = p.tenures[i+1]
	}
	if next.unsure && !next.claimed.IsZero() && !at.Before(next.claimed) {
		return next.node, true
	}
	if i < 0 {
		return "", !next.unsure
	}
	return p.tenures[i].node, !next.unsure || !at.After(p.tenures[i].last)
}

// moves counts how often a pool went from one node to another one after an instant, whoever held it in between.
func (h *holders) moves(since time.Time) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.pools {
		before := ""
		for _, t := range p.tenures {
			if t.node == "" {
				continue
			}
			if before != "" && t.node != before && t.from.After(since) {
				n++
			}
			before = t.node
		}
	}
	return n
}
