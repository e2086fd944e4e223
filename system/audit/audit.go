package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// Options say what is audited and how. Check tells what is wrong with them.
type Options struct {
	// Drover is the program under audit: it is run as `Drover run`.
	Drover string
	// Broker runs the NATS server: a program with the arguments that come before --listen and --data-dir.
	Broker []string
	// NATS, if it is set, is a stock nats-server that is run in Broker's place.
	NATS string

	Shards int           // of the bot; default 4
	Rate   float64       // events per second over all shards; default 800. Too low: nothing is under way when a fault strikes
	Events int64         // at least so many are made; 0: as many as the faults take
	Seed   uint64        // of the world, and of the plan random
	For    time.Duration // how long the plans random go on; 0: 60 s, and cluster-random until its faults are all inflicted
	Lasts  time.Duration // how long a fault lasts that lasts; 0: the plan's own time

	// Untimed has the times of hand-overs between nodes told and not judged: something else runs on the machine.
	Untimed bool

	// Dir keeps logs, stores and spools, a folder for each plan. Nothing in it is removed.
	Dir     string
	Env     []string // further variables for drover; the plan's own come before them
	Verbose bool     // drover logs at debug

	// Say is told what is happening, a line at a time. It may be nil; SelfTest calls it from several goroutines.
	Say func(string)
}

// Check fills defaults in and returns an error that says what is wrong.
func (o *Options) Check() error {
	if o.Shards == 0 {
		o.Shards = 4
	}
	if o.Rate == 0 {
		o.Rate = 800
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	switch {
	case o.Shards < 1 || o.Shards > 64:
		return fmt.Errorf("%d shards: choose 1 to 64", o.Shards)
	case !(o.Rate >= 10 && o.Rate <= 20_000):
		return fmt.Errorf("%g events per second: choose 10 to 20000", o.Rate)
	case o.Events < 0:
		return fmt.Errorf("%d events: choose 0 or more", o.Events)
	case o.For != 0 && (o.For < time.Second || o.For > 24*time.Hour):
		return fmt.Errorf("%v for the random mix: choose 1s to 24h", o.For)
	case o.Lasts < 0 || o.Lasts > time.Hour:
		return fmt.Errorf("%v for a fault: choose up to 1h", o.Lasts)
	case process.Freeze == 0:
		return errors.New("this system cannot stop and continue processes: run the audit on Linux, macOS or BSD")
	case o.Drover == "" || len(o.Broker) == 0 && o.NATS == "" || o.Dir == "":
		return errors.New("audit: a program, a broker and a directory are needed")
	}
	return nil
}

// Run runs one plan and says what came of it. The error is ctx's cause when ctx ended, or why the plan could not even
// begin; what drover did wrong stands in the Result.
func Run(ctx context.Context, p Plan, o Options) (Result, error) {
	if err := o.Check(); err != nil {
		return Result{}, err
	}
	if p.Shards > 0 {
		o.Shards = p.Shards
	}
	dir, err := ownDir(o.Dir, p.Name)
	if err != nil {
		return Result{}, err
	}
	r := &run{o: o, plan: p, dir: dir, began: time.Now(), lasts: p.Lasts}
	if o.Lasts > 0 {
		r.lasts = o.Lasts
	}
	r.result = Result{Plan: p.Name, Sentence: p.Sentence, Seed: o.Seed, Shards: o.Shards, Rate: o.Rate, Logs: dir, Gaps: map[string]int{}}
	defer r.end()
	if err := r.start(ctx); err != nil {
		return r.result, err
	}
	r.script(ctx)
	r.settle(ctx)
	if ctx.Err() != nil {
		return r.result, context.Cause(ctx)
	}
	r.judge()
	return r.result, nil
}

// ownDir makes a folder for a plan that nothing was ever in: what an earlier run left in it would be found again.
func ownDir(parent, name string) (string, error) {
	parent, err := filepath.Abs(parent)
	if err == nil {
		err = os.MkdirAll(parent, 0o750)
	}
	dir := filepath.Join(parent, name)
	for n := 2; err == nil; n++ {
		if err = os.Mkdir(dir, 0o750); err == nil {
			return dir, nil
		}
		if errors.Is(err, os.ErrExist) {
			dir, err = filepath.Join(parent, fmt.Sprintf("%s-%d", name, n)), nil
		}
	}
	return "", fmt.Errorf("audit: folder of plan %s: %w", name, err)
}

// world is the Discord of a plan. What it keeps for a RESUME is what a busy shard's session has at Discord.
func (r *run) world() gatewaysim.Options {
	w := gatewaysim.Options{
		Shards: r.o.Shards, Seed: r.o.Seed, Record: true, ReplayBuffer: 3500, Heartbeat: 5 * time.Second, Token: token,
		// The pace of IDENTIFYs holds within a process, and is not what is audited: a plan may restart drover at once.
		IdentifyEvery: time.Millisecond,
	}
	if r.plan.World != nil {
		r.plan.World(&w)
	}
	return w
}

// token is the bot's. The simulator takes no other, so an identify with another would show.
const token = "drover-audit"
