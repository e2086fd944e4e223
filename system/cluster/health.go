package cluster

import (
	"context"
	"errors"
	"sync"
	"time"
)

// health is whether the store answers, as this node sees it. Any goroutine may call its methods.
type health struct {
	ttl time.Duration

	mu       sync.Mutex
	parts    [parts]partHealth
	reserved time.Time // until when this node takes only what it held
	calls    map[*call]struct{}
}

// part is a part of the store that can be away while the others answer. In a cluster of NATS servers each bucket elects a leader of its
// own, without which nothing is written; what is read any copy answers, also one that is alone. So an answer of one part
// says nothing about the others, and a read nothing about writes.
type part uint8

const (
	leaseWrites part = iota
	memberWrites
	restOfStore // lists, and what all agree on
	parts
)

// partHealth is the health of a part.
type partHealth struct {
	answered time.Time // the last time
	failing  time.Time // when the first of the requests began that nobody answered since then; zero: it answers
}

// call is a request that is under way.
type call struct {
	part   part
	giveUp context.CancelFunc
}

func (h *health) begin(c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[c] = struct{}{}
}

func (h *health) end(c *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, c)
}

// failed takes in that a request which began then has no certain outcome. It reports whether everything had answered before.
func (h *health) failed(p part, began time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.parts[p]
	if !s.failing.IsZero() || s.answered.After(began) { // others were answered meanwhile
		return false
	}
	first = h.answers()
	s.failing = began
	return first
}

// worked takes in a sign of life of a part. It returns for how long there was none, if it was away, and whether everything answers now.
//
// After that long a time everybody's leases and members may have run out, and whoever is back first would take all of
// them. So for one TTL a node takes only the pools that it held, and misses nobody.
func (h *health) worked(p part, now time.Time) (away time.Duration, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.parts[p]
	if now.After(s.answered) {
		s.answered = now
	}
	if s.failing.IsZero() {
		return 0, h.answers()
	}
	away = now.Sub(s.failing)
	s.failing = time.Time{}
	for c := range h.calls {
		if c.part == p {
			c.giveUp() // it may have been sent to nobody, and would wait in vain; asked again it is answered at once
		}
	}
	if away >= h.ttl/4 { // with what lies between two renewals, and between the first node that is back and the last
		h.reserved = now.Add(h.ttl)
	}
	return away, h.answers()
}

// answers reports that no part is away. The caller holds mu.
func (h *health) answers() bool {
	for _, s := range h.parts {
		if !s.failing.IsZero() {
			return false
		}
	}
	return true
}

func (h *health) away() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.answers()
}

// reservedFor is for how long this node still takes only what it held; 0 or less: it is not restricted.
func (h *health) reservedFor(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reserved.IsZero() {
		return 0
	}
	return h.reserved.Sub(now)
}

// ask makes a request with a bound, and learns from it whether that part of the store answers.
func (n *Node) ask(ctx context.Context, p part, request func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	defer context.AfterFunc(n.patient, cancel)()
	c := &call{p, cancel}
	began := time.Now()
	n.health.begin(c)
	err := request(bounded)
	n.health.end(c)
	switch {
	case certain(err):
		n.answered(p)
	case ctx.Err() == nil && n.health.failed(p, began):
		n.log.Warn("cluster's store does not answer", "err", err)
	}
	return err
}

// answered takes in a sign of life of a part of the store.
func (n *Node) answered(p part) {
	away, all := n.health.worked(p, time.Now())
	if away == 0 {
		return
	}
	if all {
		n.log.Info("cluster's store answers again", "away", away.Round(time.Millisecond))
	}
	n.mu.Lock()
	for _, h := range n.holds {
		signal(h.poke)
	}
	n.mu.Unlock()
	signal(n.relist)
	signal(n.refresh)
}

// certain reports that the store answered.
func certain(err error) bool {
	var config *ConfigError
	return known(err) || errors.Is(err, ErrHeld) || errors.Is(err, ErrLost) || errors.Is(err, ErrInterrupted) || errors.As(err, &config)
}

// signal wakes whoever waits on c, a channel of capacity 1; it never blocks.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// askLease is ask for requests about leases, of which few are under way at a time.
func (n *Node) askLease(ctx context.Context, request func(context.Context) error) error {
	select {
	case n.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-n.slots }()
	return n.ask(ctx, leaseWrites, request)
}
