package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// simNode is one process of the simulation: a real Node, with a model of the way to NATS below it and, as its Host, a model
// of the shards above it. They publish whenever simulation.publish comes by.
type simNode struct {
	sim      *simulation
	name     string
	process  string
	capacity int
	pinned   *int
	client   *modelClient
	node     *Node
	cancel   context.CancelFunc
	done     chan struct{} // closed when Run has returned

	// Under simulation.mu.
	pools    []simPool // by number
	calls    []int     // of Serve and Leave, by number
	busy     []bool    // a method of the Host is under way for the pool
	draining bool      // nobody may plan for it any more
	twin     bool      // it has the name of another, and must be refused
	stopping bool      // somebody ends it in order
	ended    bool      // it publishes nothing any more
}

// simPool is one pool as its Host sees it.
type simPool struct {
	lease   *Lease          // nil: not served
	ctx     context.Context // Serve's, to see that it ends
	reading bool            // its shards are started, and not told to stop
	leaving bool
}

var _ Host = (*simNode)(nil)

var errSim = errors.New("simulated fault")

// start begins a process. One of the same name may have run before.
func (s *simulation) start(name string, capacity int, pinned *int) *simNode {
	s.mu.Lock()
	process := fmt.Sprintf("%s-p%d", name, len(s.nodes)+1)
	s.mu.Unlock()
	n := &simNode{
		sim: s, name: name, process: process, capacity: capacity, pinned: pinned,
		client: newModelClient(s.server, process, s.noise), done: make(chan struct{}),
		pools: make([]simPool, s.pools), calls: make([]int, s.pools), busy: make([]bool, s.pools),
	}
	log := slog.New(slog.DiscardHandler)
	if s.verbose {
		log = slog.New(slog.NewTextHandler(n, nil))
		n.client.told = func(what string) { _, _ = n.Write([]byte(what)) }
	}
	n.node = NewNode(NodeOptions{
		Name: name, Addr: name + ":8080", Version: "sim", Process: process, Capacity: capacity, Pinned: pinned, Pools: s.pools,
		TTL: s.ttl, Margin: s.margin, Gather: s.gather,
		Leases:  &modelStore{n.client, s.leases},
		Members: &modelStore{n.client, s.members},
		Fleet:   &modelStore{n.client, s.fleet},
		Host:    n, Log: log,
	})
	if s.teeth.careless {
		n.node.health.ttl = 1
	}
	ctx, cancel := context.WithCancel(s.ctx)
	n.cancel = cancel
	s.mu.Lock()
	s.nodes, s.byProcess[process] = append(s.nodes, n), n
	s.mu.Unlock()
	s.fault("start", n, -1)
	go func() {
		defer close(n.done)
		err := n.node.Run(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.note("ended", n, -1)
		var name *NameError
		switch {
		case n.twin:
			if !errors.As(err, &name) {
				s.fail("Run of %s, whose name belongs to another: got %v, want a NameError", n.process, err)
			}
		case err == nil:
		default:
			s.fail("Run of %s: %v", n.process, err)
		}
		for pool, p := range n.pools {
			if p.reading && !n.ended {
				s.fail("pool %d is still served by %s, whose Run has returned", pool, n.process)
			}
		}
		n.ended = true
	}()
	return n
}

// Write adds what the node logs to the trace.
func (n *simNode) Write(text []byte) (int, error) {
	n.sim.mu.Lock()
	defer n.sim.mu.Unlock()
	n.sim.note(strings.TrimSpace(string(text)), n, -1)
	return len(text), nil
}

// again starts the program of a process that has ended.
func (n *simNode) again() *simNode { return n.sim.start(n.name, n.capacity, n.pinned) }

// who names the process, also if there is none.
func (n *simNode) who() string {
	if n == nil {
		return "nobody"
	}
	return n.process
}

// kill is kill -9: nothing that the process still does has an effect.
func (n *simNode) kill() {
	n.sim.fault("kill", n, -1)
	n.sim.mu.Lock()
	n.ended = true
	n.sim.mu.Unlock()
	n.client.kill()
	n.cancel()
}

// stop is SIGTERM.
func (n *simNode) stop() {
	n.sim.fault("stop", n, -1)
	n.sim.mu.Lock()
	n.draining = true
	n.sim.mu.Unlock()
	n.cancel()
}

// enter is the beginning of a call for pool. Under simulation.mu; leave is to be called at its end, without it.
func (n *simNode) enter(pool int, what string) (leave func()) {
	if n.busy[pool] {
		n.sim.fail("%s of pool %d on %s while another call is under way", what, pool, n.process)
	}
	n.busy[pool] = true
	n.sim.note(what, n, pool)
	return func() {
		n.sim.mu.Lock()
		defer n.sim.mu.Unlock()
		n.busy[pool] = false
	}
}

// roll are the dice of the next call for pool. Under simulation.mu.
func (n *simNode) roll(pool int) dice {
	n.calls[pool]++
	return newDice(n.sim.seed, "host", n.process, strconv.Itoa(pool), strconv.Itoa(n.calls[pool]))
}

// Serve implements Host, like the methods after it.
func (n *simNode) Serve(ctx context.Context, pool int, l *Lease) error {
	if !n.client.gate() {
		return errSim
	}
	s := n.sim
	s.mu.Lock()
	p := &n.pools[pool]
	if p.lease != nil {
		s.fail("Serve of pool %d, which %s serves already", pool, n.process)
	}
	if l == nil {
		s.fail("Serve of pool %d without a lease", pool)
	}
	*p = simPool{lease: l, ctx: ctx}
	defer n.enter(pool, "serve")()
	d := n.roll(pool)
	took := d.between(2*time.Millisecond, s.host.serve)
	s.mu.Unlock()
	wait(ctx, took)
	if !n.client.gate() {
		return errSim
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil && p.lease == l {
		p.reading = !s.teeth.servesNobody
	}
	return ctx.Err()
}

func (n *simNode) Leave(ctx context.Context, pool int) error {
	if !n.client.gate() {
		return errSim
	}
	s := n.sim
	s.mu.Lock()
	p := &n.pools[pool]
	if p.lease == nil {
		s.fail("Leave of pool %d, which %s does not serve", pool, n.process)
	}
	if p.lease != nil && p.ctx.Err() != nil && !errors.Is(context.Cause(p.ctx), errGivenBack) {
		s.fail("Leave of pool %d on %s, whose service was ended before", pool, n.process)
	}
	p.reading, p.leaving = false, true
	defer n.enter(pool, "leave")()
	d := n.roll(pool)
	took := d.between(2*time.Millisecond, s.host.leave)
	fails := d.chance(s.host.fails)
	if fails && d.chance(0.5) {
		took = time.Minute // or until ctx ends
	}
	s.mu.Unlock()
	wait(ctx, took)
	if !n.client.gate() {
		return errSim
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*p = simPool{}
	s.note("left", n, pool)
	if fails {
		return errSim
	}
	return ctx.Err()
}

// Expect implements Host. A real node dials; nothing else may depend on it.
func (n *simNode) Expect(int) {}

func (n *simNode) Drop(pool int) {
	if !n.client.gate() {
		return
	}
	s := n.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := n.pools[pool]; p.lease != nil && (p.ctx.Err() == nil || p.lease.Valid()) {
		s.fail("Drop of pool %d on %s, whose context and lease go on", pool, n.process)
	}
	n.pools[pool] = simPool{}
	s.note("drop", n, pool)
	if n.busy[pool] {
		s.fail("drop of pool %d on %s while another call is under way", pool, n.process)
	}
}

// wait takes some time, or less if ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// believe has the lease of a pool count from the last answer. Under simulation.mu.
func (n *simNode) believe(pool int) {
	l := n.pools[pool].lease
	n.client.mu.Lock()
	at, ok := n.client.answered[n.sim.keys[pool]]
	n.client.mu.Unlock()
	if good := n.sim.ttl - n.sim.margin; ok && l.until.Load() > 0 && int64(at.Sub(l.base)+good) > l.until.Load() {
		l.until.Store(int64(at.Sub(l.base) + good))
		l.wall.Store(at.Add(good).UnixNano())
	}
}
