package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// run is a benchmark at work. One goroutine uses it; rows that are measured at the same time change nothing of it.
type run struct {
	o       Options
	streams []jetstream.StreamConfig // as drover makes them
	payload float64                  // bytes of a stored event
}

// row is something to measure: at once, or in a race with those beside it.
type row struct {
	name string
	do   func(ctx context.Context, dir string) (values, error)
	// calm rows are measured at the same time as those beside them: most of such a row is waiting, and what is measured does not depend on
	// what others do with the processors.
	calm bool

	open func(ctx context.Context, dir string) (contender, error) // instead of do
	laps int                                                      // of the race, at least one
	warm bool                                                     // one more lap before them, which is not counted
}

// Run measures and returns what came of it. The error says what did not run; a figure that is not good enough is none.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	r := &run{o: o}
	began := time.Now()
	var rounds []round
	for i := range o.Rounds {
		got, err := r.round(ctx, i)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, got)
	}
	return r.report(rounds, began), nil
}

// round measures every row.
func (r *run) round(ctx context.Context, i int) (round, error) {
	got := round{}
	progress := fmt.Sprintf("round %d of %d", i+1, r.o.Rounds)
	for _, group := range Groups() {
		if !slices.Contains(r.o.Only, group) {
			continue
		}
		list := slices.DeleteFunc(r.rows(group), func(w row) bool { return !r.o.rows.MatchString(w.name) })
		if i%2 == 1 { // a machine that slows down shall not always strike the same rows
			slices.Reverse(list)
		}
		dir := filepath.Join(fmt.Sprintf("round-%d", i+1), group)
		for _, side := range beside(list) {
			measure := r.measure
			if side[0].open != nil {
				measure = r.race
			}
			all, err := measure(ctx, side, dir, progress)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s, %w", group, err)
			}
			for k, w := range side {
				got[w.name] = all[k]
			}
		}
	}
	return got, nil
}

// beside parts a list into those rows that are measured at the same time, or race.
func beside(list []row) (sides [][]row) {
	for i, w := range list {
		if i > 0 && (w.calm && list[i-1].calm || w.open != nil && list[i-1].open != nil) {
			sides[len(sides)-1] = append(sides[len(sides)-1], w)
			continue
		}
		sides = append(sides, []row{w})
	}
	return sides
}

// measure measures rows at the same time, each in a folder of its own.
func (r *run) measure(ctx context.Context, list []row, dir, progress string) ([]values, error) {
	all, errs := make([]values, len(list)), make([]error, len(list))
	var rows sync.WaitGroup
	for k, w := range list {
		rows.Go(func() {
			v, err := w.do(ctx, filepath.Join(dir, folder(w.name)))
			if err != nil {
				errs[k] = fmt.Errorf("%s: %w", w.name, err)
			}
			all[k] = v
		})
	}
	rows.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for k, w := range list {
		r.o.Say(fmt.Sprintf("%s: %-24s %s", progress, w.name, all[k]))
	}
	return all, nil
}

func (r *run) rows(group string) []row {
	switch group {
	case "throughput":
		return r.throughput()
	case "latency":
		return r.latency()
	case "memory":
		return r.memory()
	}
	return r.sessions()
}

// String shows what is worth a glance while the benchmark runs.
func (v values) String() string {
	var parts []string
	for _, m := range measures {
		if x, ok := v[m.name]; ok && !m.quiet {
			parts = append(parts, m.write(x))
		}
	}
	return strings.Join(parts, ", ")
}

// measure says how a value is written.
type measure struct {
	name, text, format string
	quiet              bool // only in the report
}

// measures are all values that rows have, in the order in which they are shown.
var measures = []measure{
	{name: "events_per_s", text: "events/s", format: "%.0f"},
	{name: "cpu_us", text: "µs CPU/event", format: "%.2f"},
	{name: "allocs", text: "allocs/event", format: "%.2f"},
	{name: "nats_cpu_us", text: "µs CPU/event of NATS", format: "%.2f"},
	{name: "simulator_cpu_us", text: "µs CPU/event of the simulator", format: "%.2f"},
	{name: "wire_bytes", text: "bytes/event on the wire", format: "%.0f", quiet: true},
	{name: "paced_cpu_us", text: "µs CPU/event paced", format: "%.2f"},
	{name: "paced_nats_cpu_us", text: "µs CPU/event of NATS paced", format: "%.2f"},
	{name: "paced_bill_us", text: "µs CPU/event of both paced", format: "%.2f"},
	{name: "paced_events_per_s", text: "events/s paced", format: "%.0f"},
	{name: "p50_ms", text: "ms p50", format: "%.2f"},
	{name: "p99_ms", text: "ms p99", format: "%.2f"},
	{name: "max_ms", text: "ms worst", format: "%.2f"},
	{name: "empty_mb", text: "MB empty", format: "%.1f"},
	{name: "above_mb", text: "MB above that", format: "%.1f"},
	{name: "per_session_mb", text: "MB/session", format: "%.3f"},
	{name: "per_1000_mb", text: "MB/1,000 guilds", format: "%.2f"},
	{name: "others_percent", text: "% of the machine used by others", format: "%.0f"},
	{name: "seconds", text: "s", format: "%.2f", quiet: true},
}

func (m measure) write(v float64) string { return m.number(v) + " " + m.text }

func (m measure) number(v float64) string {
	text := fmt.Sprintf(m.format, v)
	if m.format == "%.0f" && !math.IsNaN(v) {
		text = grouped(text)
	}
	return text
}

// grouped puts commas into a whole number.
func grouped(text string) string {
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
