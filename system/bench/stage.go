package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"drover/system/process"
)

// stage is one measurement at work: a fresh NATS server, a Discord, and what reads it. One goroutine uses it.
type stage struct {
	sessions int // of the simulated gateway
	o        *Options
	dir      string
	nats     *broker
	sim      *simulator
	client   *client
}

// newStage makes a folder of its own for a measurement and starts NATS. The caller ends it.
func newStage(ctx context.Context, o *Options, name string) (*stage, error) {
	dir := filepath.Join(o.Dir, name)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	s := &stage{o: o, dir: dir}
	var err error
	s.nats, err = startBroker(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// end stops every process. The store of a stage is of no use to anybody; logs stay until the whole benchmark ends.
func (s *stage) end() {
	if s.client != nil {
		s.client.proc.Kill()
	}
	if s.sim != nil {
		s.sim.proc.Kill()
	}
	s.nats.stop()
	if !s.o.Keep {
		_ = os.RemoveAll(filepath.Join(s.dir, "nats"))
		_ = os.RemoveAll(filepath.Join(s.dir, "spool"))
	}
}

// discord starts the simulator for so many sessions.
func (s *stage) discord(ctx context.Context, sessions int, args ...string) (err error) {
	s.sessions = sessions
	s.sim, err = startSimulator(ctx, s.o, s.dir, append([]string{"--shards", strconv.Itoa(sessions), "--rate", "0"}, args...)...)
	return err
}

// run starts what reads Discord, and returns when its first guilds are stored.
func (s *stage) run(ctx context.Context, with setting) (err error) {
	start := startNode
	if with.bot {
		start = startBot
	}
	if s.client, err = start(ctx, s, with); err != nil {
		return err
	}
	if err := s.client.ready(ctx); err != nil {
		return err
	}
	_, err = s.nats.settled(ctx)
	return err
}

// bill is what the processes of a stage have cost so far, and the whole machine.
type bill struct {
	client, sim, nats time.Duration
	machine           time.Duration // processor time of everything that runs on it; 0: not known
	at                time.Time
}

func (s *stage) bill() (b bill, err error) {
	for _, of := range []struct {
		to   *time.Duration
		proc *process.Process
	}{{&b.client, s.client.proc}, {&b.nats, s.nats.proc}} {
		if *of.to, err = of.proc.CPU(); err != nil {
			return b, err
		}
	}
	if s.sim != nil {
		b.sim, err = s.sim.proc.CPU()
	}
	b.machine, b.at = machineTime(), time.Now()
	return b, err
}

// values is what a measurement measured, by name.
type values map[string]float64

// charge notes what n events have cost since before, in microseconds of processor time each, and how much of the machine
// was not ours meanwhile.
func (v values) charge(before, after bill, n int) {
	per := func(a, b time.Duration) float64 { return float64(b-a) / float64(n) / float64(time.Microsecond) }
	v["cpu_us"], v["nats_cpu_us"] = per(before.client, after.client), per(before.nats, after.nats)
	if after.sim > 0 {
		v["simulator_cpu_us"] = per(before.sim, after.sim)
	}
	if before.machine > 0 {
		ours := after.client - before.client + after.nats - before.nats + after.sim - before.sim
		all := after.at.Sub(before.at) * time.Duration(runtime.NumCPU())
		v["others_percent"] = 100 * max(0, float64(after.machine-before.machine-ours)/float64(all))
	}
}

// surge sends n events that were made ready beforehand as fast as they are taken, and measures until the last of them
// is stored. A profile of the client goes to the folder record, if it is set.
func (s *stage) surge(ctx context.Context, n int, record string) (values, error) {
	held, err := s.sim.surge(ctx, n)
	if err != nil {
		return nil, err
	}
	if held.Sessions != s.sessions {
		return nil, fmt.Errorf("bench: %d sessions hold the events, want %d", held.Sessions, s.sessions)
	}
	before, err := s.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	if record != "" {
		if err := s.client.record(ctx, record); err != nil {
			return nil, err
		}
	}
	allocs, err := s.client.allocs(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := s.bill()
	if err != nil {
		return nil, err
	}
	at, err := s.sim.release(ctx)
	if err != nil {
		return nil, err
	}
	after, err := s.nats.stores(ctx, before, n)
	if err != nil {
		return nil, err
	}
	paid, err := s.bill()
	if err != nil {
		return nil, err
	}
	allocated, err := s.client.allocs(ctx)
	if err != nil {
		return nil, err
	}
	if record != "" {
		if err := s.client.record(ctx, ""); err != nil {
			return nil, err
		}
	}
	took := after.at.Sub(at)
	if took <= 0 {
		return nil, fmt.Errorf("bench: %d events were stored %v after they were sent: is the clock being set?", n, took)
	}
	v := values{
		"events_per_s": float64(n) / took.Seconds(), "seconds": took.Seconds(),
		"allocs": (allocated - allocs) / float64(n), "wire_bytes": float64(held.Bytes) / float64(n),
	}
	v.charge(cost, paid, n)
	return v, s.nats.distinct(ctx, before, after)
}

// routed checks that the node has counted what it had to: n more than before.
func (s *stage) routed(ctx context.Context, before float64, n int) error {
	return s.client.await(ctx, "drover counts what is stored", func() (bool, string) {
		now, err := s.client.metric(ctx, routedMetric)
		return err == nil && now-before == float64(n), fmt.Sprintf("%v of %d (%v)", now-before, n, err)
	})
}

const routedMetric = "gateway_events_routed_total"
