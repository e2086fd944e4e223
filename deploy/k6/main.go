// Command k6 is the load test of the database: it starts PostgreSQL and PgBouncer
// from nothing, fills them, has k6 run load.js against them in several ways, and
// says what came out. `make loadtest` builds that k6 and runs this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// errMissed says that a run went through, and its figures are not what they have to be.
var errMissed = errors.New("missed")

// options are what the command line says.
type options struct {
	k6       string  // the program
	script   string  // load.js
	out      string  // folder for summaries and plots of all runs
	markdown string  // the report; empty: none
	rounds   int     // of all ways
	quick    bool    // 10 s a run instead of 100
	p99      float64 // milliseconds
	version  string
}

func main() {
	var o options
	flag.StringVar(&o.k6, "k6", "bin/k6", "k6, built from deploy/k6/sql")
	flag.StringVar(&o.script, "script", "deploy/k6/load.js", "the script")
	flag.StringVar(&o.out, "out", "bin/loadtest", "folder for summaries and plots of all runs")
	flag.StringVar(&o.markdown, "markdown", "", "write a report to this file, and plots beside it")
	flag.IntVar(&o.rounds, "rounds", 1, "how often everything is run; a report gives median and worst")
	flag.BoolVar(&o.quick, "quick", false, "10 s a run instead of 100")
	flag.Float64Var(&o.p99, "p99", 10, "milliseconds below which the median p99 through PgBouncer has to be")
	flag.StringVar(&o.version, "version", "", "drover's version, for the report")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// run does everything, and returns errMissed where a figure is not what it has to be.
func run(ctx context.Context, o options, out io.Writer) (err error) {
	if o.rounds < 1 || flag.NArg() > 0 {
		return errors.New("-rounds is 1 or more, and there are no arguments: see -help")
	}
	if _, err := os.Stat(o.k6); err != nil {
		return fmt.Errorf("%w: build it with make bin/k6", err)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	start := time.Now()
	b, err := newBed(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	r := &report{o: o, start: start, load: load()}
	if r.conditions, err = b.conditions(ctx, o); err != nil {
		return err
	}
	if err := b.teeth(ctx, o); err != nil {
		return err
	}
	fmt.Fprintf(out, "servers are up and filled after %.1f s; %d × %d runs of %s\n",
		time.Since(start).Seconds(), o.rounds, len(ways), o.length())
	for round := range o.rounds {
		for i := range ways {
			// Another one begins each round: none has always the warm or the cold server.
			w := ways[(i+round)%len(ways)]
			got, err := b.measure(ctx, o, w, round+1)
			if err != nil {
				return fmt.Errorf("round %d, %s: %w", round+1, w.name, err)
			}
			r.outcomes = append(r.outcomes, got)
			fmt.Fprintln(out, got.line())
		}
	}
	r.took = time.Since(start)
	if o.markdown != "" {
		if err := r.write(filepath.Dir(o.markdown)); err != nil {
			return err
		}
	}
	missed := r.missed()
	for _, sentence := range missed {
		fmt.Fprintln(out, "MISSED:", sentence)
	}
	if len(missed) > 0 {
		return errMissed
	}
	fmt.Fprintln(out, "ok: in every run more than 99.9 % succeeded, and nobody saw a wrong row")
	if !r.judged() {
		fmt.Fprintf(out, "NOT JUDGED: p99 through PgBouncer (%.2f ms): the load average was %.1f before the first run, on %d cores\n",
			median(r.of("pgbouncer", p99)), r.load, runtime.NumCPU())
		return nil
	}
	fmt.Fprintf(out, "ok: p99 through PgBouncer %.2f ms, below %g ms\n", median(r.of("pgbouncer", p99)), o.p99)
	return nil
}

// length is how long k6 takes for one run.
func (o options) length() time.Duration {
	if o.quick {
		return 10 * time.Second
	}
	return 100 * time.Second
}
