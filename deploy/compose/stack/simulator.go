package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"drover/system/gatewaysim"
)

// simulated is what a command line of drover simulate asks for.
type simulated struct {
	listen, resume string
	options        gatewaysim.Options
}

// parseSimulator reads the command of the simulator's service. It runs inside this program, since only there every byte that it sends is known to the judge.
func parseSimulator(command []string) (simulated, error) {
	var s simulated
	if len(command) == 0 || command[0] != "simulate" {
		return s, fmt.Errorf("the simulator's command is %q, want simulate …", command)
	}
	o, f := &s.options, pflag.NewFlagSet("simulate", pflag.ContinueOnError)
	f.Usage = func() {}
	f.StringVar(&s.listen, "listen", "127.0.0.1:4290", "")
	f.StringVar(&s.resume, "resume-listen", "", "")
	f.StringVar(&o.Token, "token", "", "")
	f.IntVar(&o.Shards, "shards", 4, "")
	f.IntVar(&o.Guilds, "guilds", 0, "")
	f.Float64Var(&o.Rate, "rate", 100, "")
	f.Uint64Var(&o.Seed, "seed", 1, "")
	f.IntVar(&o.MaxConcurrency, "max-concurrency", 16, "")
	f.DurationVar(&o.Heartbeat, "heartbeat", 41250*time.Millisecond, "")
	f.DurationVar(&o.SessionLife, "session-life", 90*time.Second, "")
	f.IntVar(&o.ReplayBuffer, "replay-buffer", 0, "")
	f.Bool("plain", false, "")
	f.Bool("verbose", false, "")
	if err := f.Parse(command[1:]); err != nil {
		return s, fmt.Errorf("drover simulate: %w", err)
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("drover simulate takes no %q", f.Args())
	}
	return s, o.Check()
}
