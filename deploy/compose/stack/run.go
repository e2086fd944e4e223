package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"drover/system/audit"
	"drover/system/gatewaysim"
	"drover/system/localdb"
	"drover/system/process"
)

// stack is the cluster of compose.yaml, running.
type stack struct {
	o       options
	p       *types.Project
	r       *processes
	db      *localdb.Server
	sim     *gatewaysim.Server
	witness *audit.Witness
	prom    prometheus
	pools   float64
	rate    float64
	began   time.Time
	undo    []func()
}

// runStack starts everything, kills nodes, and judges.
func runStack(ctx context.Context, o options) (err error) {
	f, err := o.files()
	if err != nil {
		return err
	}
	s := &stack{o: o, began: time.Now()}
	var faults []string
	if s.p, faults = judge(ctx, o, f); len(faults) > 0 {
		return fmt.Errorf("compose.yaml: %s", strings.Join(faults, "\n  "))
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "drover-stack-"); err != nil {
			return err
		}
	} else if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the servers' user goes through it
		return err
	}
	s.r = &processes{p: s.p, dir: dir, addrs: map[string]string{}, running: map[string]*process.Process{}, done: map[string]bool{}, starts: map[string]int{}}
	defer func() {
		for _, undo := range slices.Backward(s.undo) {
			undo()
		}
		switch {
		case err != nil:
			err = fmt.Errorf("%w\nlogs: %s", err, dir)
		case o.keep == "":
			_ = os.RemoveAll(dir) // what is left is in a temporary folder
		}
	}()
	s.undo = append(s.undo, s.r.close)
	if err := s.start(ctx); err != nil {
		return err
	}
	for i := range o.kills {
		if err := s.kill(ctx, []string{"drover-1", "drover-2"}[i%2]); err != nil {
			return err
		}
	}
	return s.judge(ctx)
}

func (s *stack) say(format string, args ...any) {
	fmt.Printf("%6.1fs %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// start brings everything up, in the order of depends_on.
func (s *stack) start(ctx context.Context) error {
	if err := s.findPrograms(); err != nil {
		return err
	}
	if err := s.startDatabase(ctx); err != nil {
		return err
	}
	if err := s.startSimulator(); err != nil {
		return err
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		if err := s.r.start(name); err != nil { // all at once: none is healthy without another
			return err
		}
	}
	for _, name := range []string{"nats-1", "nats-2", "nats-3"} {
		if err := s.r.healthy(ctx, name); err != nil {
			return err
		}
	}
	s.say("three NATS servers are a cluster, PostgreSQL runs, and so does the simulated Discord (%g events/s)", s.rate)
	if err := s.watch(ctx); err != nil {
		return err
	}
	for _, name := range []string{"migrate", "pgbouncer", "prometheus", "drover-1", "drover-2", "worker"} {
		if err := s.r.up(ctx, name); err != nil {
			return err
		}
	}
	var err error
	if s.prom.addr, err = s.r.address("prometheus", "9090"); err != nil {
		return err
	}
	if err := s.prom.until(ctx, "Prometheus sees both nodes serve every pool", s.balanced()); err != nil {
		return err
	}
	loaded, _, broken, err := s.prom.alerts(ctx)
	if err != nil || loaded == 0 || len(broken) > 0 {
		return fmt.Errorf("%d alerts are loaded, %d of them broken %v: %w", loaded, len(broken), broken, err)
	}
	s.say("migrated; two nodes share %g pools, the worker works, Prometheus scrapes all three and has %d alerts", s.pools, loaded)
	return nil
}

// balanced is what Prometheus sees of a whole cluster.
func (s *stack) balanced() map[string]float64 {
	return map[string]float64{
		`sum(up{job="drover"})`: 2, `sum(up{job="worker"})`: 1, `sum(gateway_lease_held{job="drover"})`: s.pools, `min(gateway_lease_held{job="drover"})`: s.pools / 2,
		`sum(gateway_shard_state{job="drover",state="ready"})`: float64(s.shards()),
	}
}

func (s *stack) shards() int {
	w, _ := parseSimulator(s.p.Services["simulator"].Command) // judged before
	return w.options.Shards
}

// kill ends a node with SIGKILL under load, waits until Prometheus sees the other one serve everything, and starts it again, as
// restart: unless-stopped does.
func (s *stack) kill(ctx context.Context, name string) error {
	other := "drover-2"
	if name == other {
		other = "drover-1"
	}
	made := s.sim.Counts().TrafficMade
	if err := process.Until(ctx, patience, "traffic", func() (bool, string) {
		now := s.sim.Counts().TrafficMade
		return now > made+int64(s.rate)*3, fmt.Sprintf("%d events", now-made)
	}); err != nil {
		return err
	}
	// A crowd, so that something is under way.
	s.sim.SetRate(10 * s.rate)
	made = s.sim.Counts().TrafficMade
	if err := process.Until(ctx, patience, "a crowd", func() (bool, string) { return s.sim.Counts().TrafficMade > made+int64(s.rate)*5, "" }); err != nil {
		return err
	}
	resumes, at := s.sim.Counts().Resumed, time.Now()
	s.r.running[name].Kill()
	s.sim.SetRate(s.rate)
	s.say("%s killed with SIGKILL under %g events/s", name, 10*s.rate)
	err := s.prom.until(ctx, "Prometheus sees "+other+" take over", map[string]float64{
		`sum(up{job="drover"})`: 1, `sum(gateway_lease_held{job="drover"})`: s.pools, `sum(gateway_shard_state{job="drover",state="ready"})`: float64(s.shards()),
	})
	if err != nil {
		return err
	}
	took := time.Since(at)
	if s.sim.Counts().Resumed == resumes {
		return errors.New("nothing was resumed after the kill")
	}
	s.say("Prometheus sees %s serve all %g pools, %v after the kill (it looks every 5 s); %d sessions resumed", other, s.pools, took.Round(100*time.Millisecond), s.sim.Counts().Resumed-resumes)
	if err := s.r.up(ctx, name); err != nil {
		return err
	}
	if err := s.prom.until(ctx, "Prometheus sees both nodes share the pools again", s.balanced()); err != nil {
		return err
	}
	s.say("%s is back, and Prometheus sees both nodes share the pools", name)
	return nil
}
