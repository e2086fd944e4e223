package audit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// randomFaults is how many faults the plan cluster-random inflicts.
const randomFaults = 40

func clusterRandomPlan() Plan {
	p := clusterPlan("cluster-random", fmt.Sprintf("%d seeded faults of nodes, of their ways to NATS, of NATS and of Discord; fewer where --for ends it before", randomFaults), clusterRandom)
	p.Nodes, p.Late = 4, 1
	p.World = func(w *gatewaysim.Options) {
		w.MaxConcurrency, w.IdentifyEvery, w.ReplayBuffer, w.Heartbeat = 32, identifySpacing, 20_000, heartbeat
	}
	p.Expect = Expect{Identifies: anything, Gaps: map[string][2]int{"session_lost": {0, 1 << 20}, "spool_stranded": {0, 1 << 20}}}
	return p
}

// clusterRandom inflicts the faults one after the other; a quarter of those that last have one of Discord's in their middle. It wants
// everything well again after each, but not the pools shared out: the next one may strike while they move.
func clusterRandom(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	m := &mix{r: r, rnd: rand.New(rand.NewPCG(r.o.Seed, 0xc1a5))}
	r.say("seed %d", r.o.Seed)
	began := time.Now()
	for n := 1; n <= randomFaults && (r.o.For == 0 || time.Since(began) < r.o.For); n++ {
		f := m.draw()
		f.name = fmt.Sprintf("%d of %d: %s", n, randomFaults, f.name)
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// mix draws faults. What it draws follows from the seed alone.
type mix struct {
	r      *run
	rnd    *rand.Rand
	joined bool // the last node is there
	whole  int  // faults of all connections to Discord that were drawn
}

// wholes is how many faults of all connections there are at most: with each connection that lived for less than a minute a shard
// waits longer for the next, as it must.
const wholes = 3

// draw chooses a fault by weight.
func (m *mix) draw() fault {
	kinds := []struct {
		weight int
		of     func() fault
	}{
		{5, m.kill}, {4, m.restart}, {5, m.freeze}, {5, m.cutOff}, {2, m.cut}, {5, m.broker}, {2, m.killWhileDown}, {4, m.come},
		{9, m.gateway}, {1, m.silentEdge},
	}
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	at := m.rnd.IntN(sum)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			return k.of()
		}
	}
	return fault{} // not reached
}

// some is a time up to half as long again as a lease: half of them are longer than a lease is believed in.
func (m *mix) some() time.Duration { return time.Duration(m.rnd.Int64N(int64(3 * leaseTTL / 2))) }

// node draws one that is there.
func (m *mix) node() *node {
	count := len(m.r.nodes)
	if !m.joined {
		count--
	}
	return m.r.nodes[m.rnd.IntN(count)]
}

// spoiled puts a fault of Discord into the middle of every fourth fault that lasts.
func (m *mix) spoiled(f fault) fault {
	f.lasts = m.some()
	if m.rnd.IntN(4) != 0 {
		return f
	}
	g, strike, half := m.gateway(), f.strike, f.lasts/2
	f.name, f.lasts = f.name+", and then "+g.name, half
	f.strike = func(ctx context.Context) error {
		if err := strike(ctx); err != nil {
			return err
		}
		if err := m.r.last(ctx, half); err != nil {
			return err
		}
		return g.strike(ctx)
	}
	return f
}

func (m *mix) kill() fault {
	n := m.node()
	return m.spoiled(fault{
		name:   "killing " + n.name,
		strike: func(context.Context) error { m.r.killOne(n); return nil },
		lift:   func(ctx context.Context) error { return m.r.startAll(ctx, n) },
	})
}

func (m *mix) restart() fault {
	n := m.node()
	return m.spoiled(fault{
		name:   "stopping " + n.name,
		strike: func(context.Context) error { return m.r.stopAll(0, nil, n) },
		lift:   func(ctx context.Context) error { return m.r.startAll(ctx, n) },
	})
}

func (m *mix) freeze() fault {
	n := m.node()
	return m.spoiled(fault{
		name:   "freezing " + n.name,
		strike: func(context.Context) error { m.r.freeze(n); return nil },
		lift:   func(context.Context) error { m.r.thaw(n); return nil },
	})
}

func (m *mix) cutOff() fault {
	n := m.node()
	return m.spoiled(fault{
		name:   "cutting " + n.name + " off from NATS",
		strike: func(context.Context) error { m.r.cutOff(n); return nil },
		lift:   func(context.Context) error { m.r.rejoin(n); return nil },
	})
}

func (m *mix) cut() fault {
	n := m.node()
	return fault{
		name: "cutting the connections of " + n.name + " to NATS",
		strike: func(context.Context) error {
			for _, p := range n.proxies {
				p.cut()
			}
			return nil
		},
	}
}

// broker ends or freezes NATS.
func (m *mix) broker() fault {
	nats := m.r.nats
	f := fault{lift: nats.start}
	switch m.rnd.IntN(3) {
	case 0:
		f.name = "killing nats-server"
		f.strike = func(context.Context) error { nats.proc.Kill(); return nil }
	case 1:
		f.name = "stopping nats-server"
		f.strike = func(context.Context) error {
			nats.proc.Signal(syscall.SIGTERM)
			_, err := nats.proc.Await(patience)
			return err
		}
	case 2:
		f.name = "freezing nats-server"
		f.strike = func(context.Context) error { nats.proc.Signal(process.Freeze); return nil }
		f.lift = func(context.Context) error { nats.proc.Signal(process.Thaw); return nil }
	}
	return m.spoiled(f)
}

// killWhileDown kills a node that has set events aside, and brings it or NATS back first.
func (m *mix) killWhileDown() fault {
	n, nats := m.node(), m.r.nats
	start := func(ctx context.Context) error { return m.r.startAll(ctx, n) }
	first, second := nats.start, start
	if m.rnd.IntN(2) == 0 {
		first, second = second, first
	}
	away := m.some()
	return fault{
		name: "killing nats-server and " + n.name,
		strike: func(ctx context.Context) error {
			nats.proc.Kill()
			if err := m.r.last(ctx, away); err != nil {
				return err
			}
			m.r.killOne(n)
			return nil
		},
		lift: func(ctx context.Context) error {
			if err := first(ctx); err != nil {
				return err
			}
			return second(ctx)
		},
	}
}

// come has the last node join, or leave if it is there.
func (m *mix) come() fault {
	n := m.r.nodes[len(m.r.nodes)-1]
	if m.joined = !m.joined; !m.joined {
		return fault{name: n.name + " leaves", strike: func(context.Context) error { return m.r.stopAll(0, nil, n) }}
	}
	return fault{name: n.name + " joins", strike: func(ctx context.Context) error { return m.r.startAll(ctx, n) }}
}

// gateway is a fault of Discord at some shards, or at all.
func (m *mix) gateway() fault {
	sim := m.r.sim
	keeps, ends := []int{1001, 4000, 4002, 4008}, []int{4001, 4003, 4005, 4006, 4007, 4009}
	code, end := keeps[m.rnd.IntN(len(keeps))], ends[m.rnd.IntN(len(ends))]
	kinds := []struct {
		name   string
		ending bool // the sessions: each costs an IDENTIFY
		do     func(gatewaysim.Target)
	}{
		{fmt.Sprintf("close code %d", code), false, func(t gatewaysim.Target) { sim.CloseAll(t, code, "audit") }},
		{fmt.Sprintf("close code %d", end), true, func(t gatewaysim.Target) { sim.CloseAll(t, end, "audit") }},
		{"a dropped connection", false, func(t gatewaysim.Target) { sim.Drop(t) }},
		{"op 7", false, func(t gatewaysim.Target) { sim.Reconnect(t) }},
		{"op 9 true", false, func(t gatewaysim.Target) { sim.Invalidate(t, true) }},
		{"op 9 false", true, func(t gatewaysim.Target) { sim.Invalidate(t, false) }},
	}
	k := kinds[m.rnd.IntN(len(kinds))]
	first, count := m.rnd.IntN(m.r.o.Shards), 1+m.rnd.IntN(2*poolSize)
	if m.rnd.IntN(4) == 0 && !k.ending && m.whole < wholes {
		m.whole++
		return fault{name: k.name + " for all shards", strike: func(context.Context) error { k.do(gatewaysim.All); return nil }}
	}
	return fault{
		name: fmt.Sprintf("%s for %d shards from %d on", k.name, count, first),
		strike: func(context.Context) error {
			for i := range count {
				k.do(gatewaysim.One((first + i) % m.r.o.Shards))
			}
			return nil
		},
	}
}

// silentEdge drops a shard's connection and says nothing on the next one.
func (m *mix) silentEdge() fault {
	shard := m.rnd.IntN(m.r.o.Shards)
	return fault{
		name: fmt.Sprintf("a silent edge for shard %d", shard),
		strike: func(context.Context) error {
			m.r.sim.SilentEdge(gatewaysim.Limit{})
			m.r.sim.Drop(gatewaysim.One(shard))
			return nil
		},
		after: m.r.sim.Clear,
	}
}
