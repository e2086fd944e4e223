package bench

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Options say what is measured and how. Check tells what is wrong with them.
type Options struct {
	Program string // drover itself: simulator, node, NATS server and the parts of the benchmark are its verbs
	NATS    string // a stock nats-server to run instead of the one inside Program; may be empty
	Version string // of drover, for the report
	Command string // the command line, for the report
	Intents uint64 // what node and bot ask Discord for

	Only     []string // groups to run, of Groups; empty: all
	Rows     string   // a regular expression: only the rows whose name it matches; figures that need others are not judged
	Rounds   int      // each figure is the median of so many; too low and one disturbance decides
	Events   int      // of one throughput measurement; too low and the start of it weighs too much
	Sessions int      // gateway sessions of the throughput rows
	Storage  string   // of the streams: memory or file
	Quick    bool     // small and short: shows that everything runs, and no figures worth reading

	Dir     string   // keeps logs and stores, a folder for each measurement
	Keep    bool     // nothing in Dir is removed
	Profile string   // folder for profiles of the node in the throughput rows; empty: none
	Env     []string // further variables for the node

	rows *regexp.Regexp // Rows

	// Say is told what is happening, a line at a time.
	Say func(string)
}

// Groups are the parts of the benchmark, in the order in which they run.
func Groups() []string { return []string{"throughput", "latency", "memory", "sessions"} }

// Check fills defaults in and returns an error that says what is wrong.
func (o *Options) Check() error {
	def := func(v *int, usual, quick int) {
		if *v == 0 {
			*v = usual
			if o.Quick {
				*v = quick
			}
		}
	}
	def(&o.Rounds, 5, 1)
	def(&o.Events, 200_000, 10_000)
	def(&o.Sessions, 1, 1)
	if o.Storage == "" {
		o.Storage = "memory"
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	if len(o.Only) == 0 {
		o.Only = Groups()
	}
	for _, g := range o.Only {
		if !slices.Contains(Groups(), g) {
			return fmt.Errorf("--only %s: there is no such group; choose from %s", g, strings.Join(Groups(), ", "))
		}
	}
	var err error
	if o.rows, err = regexp.Compile(o.Rows); err != nil {
		return fmt.Errorf("--rows is no regular expression: %w", err)
	}
	switch {
	case o.Rounds < 1 || o.Rounds > 100:
		return fmt.Errorf("--rounds is %d: choose 1 to 100", o.Rounds)
	case o.Events < 1000 || o.Events > 2_000_000:
		return fmt.Errorf("--events is %d: choose 1000 to 2000000", o.Events)
	case o.Sessions < 1 || o.Sessions > 1000:
		return fmt.Errorf("--sessions is %d: choose 1 to 1000", o.Sessions)
	case o.Storage != "memory" && o.Storage != "file":
		return fmt.Errorf("--storage is %q: choose memory or file", o.Storage)
	case runtime.GOOS != "linux":
		return errors.New("drover bench reads processor time and memory as Linux tells them: run it on Linux")
	case o.Program == "" || o.Dir == "":
		return errors.New("bench: a program and a directory are needed")
	}
	return o.absolute()
}

// absolute makes paths independent of the folder in which a process runs: each has its own.
func (o *Options) absolute() error {
	if o.NATS != "" {
		path, err := exec.LookPath(o.NATS)
		if err != nil {
			return fmt.Errorf("--nats-server: %w", err)
		}
		o.NATS = path
	}
	for _, path := range []*string{&o.NATS, &o.Dir, &o.Profile} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		*path = abs
	}
	return nil
}

// pick is usual, or quick where Options.Quick is set.
func (o *Options) pick(usual, quick int) int {
	if o.Quick {
		return quick
	}
	return usual
}
