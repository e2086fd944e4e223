package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// What every run must hold; load.js has the same as thresholds.
const mustSucceed = 0.999

// fewest is how many transactions make a p99 that is reported: a hundred lie beyond it.
const fewest = 10_000

// report is what all runs came to.
type report struct {
	o          options
	start      time.Time
	took       time.Duration
	load       float64 // before anything
	conditions []string
	outcomes   []outcome
}

// missed are the figures that are not what they have to be, a sentence each.
func (r *report) missed() []string {
	var out []string
	for _, o := range r.outcomes {
		if o.Success <= mustSucceed {
			out = append(out, fmt.Sprintf("round %d, %s: %.3f %% succeeded, and more than %g %% must", o.Round, o.Way, o.Success*100, mustSucceed*100))
		}
		if o.WrongRows > 0 {
			out = append(out, fmt.Sprintf("round %d, %s: %.0f transactions saw rows that they should not, or too few", o.Round, o.Way, o.WrongRows))
		}
	}
	if !r.judged() {
		return out
	}
	if p99 := median(r.of("pgbouncer", p99)); !(p99 < r.o.p99) {
		out = append(out, fmt.Sprintf("p99 through PgBouncer: the median is %.2f ms, and has to be below %g ms", p99, r.o.p99))
	}
	return out
}

// judged reports whether a short run says anything about p99. On a machine that
// others keep busy it would only tell of them. A report is always judged.
func (r *report) judged() bool { return !r.o.quick || r.load <= 2*float64(runtime.NumCPU()) }

func p50(o outcome) float64  { return o.Transactions.P50 }
func p99(o outcome) float64  { return o.Transactions.P99 }
func mean(o outcome) float64 { return o.Transactions.Mean }

// of is a figure of one way in all rounds.
func (r *report) of(way string, figure func(outcome) float64) []float64 {
	var list []float64
	for _, o := range r.outcomes {
		if o.Way == way {
			list = append(list, figure(o))
		}
	}
	return list
}

// median of a list; NaN of an empty one.
func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// write writes the report, its plots and its raw figures into a folder.
func (r *report) write(folder string) error {
	name := strings.TrimSuffix(filepath.Base(r.o.markdown), ".md")
	raw, err := json.MarshalIndent(r.outcomes, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name+".json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	for _, way := range []string{"pgbouncer", "direct"} {
		plot, err := os.ReadFile(r.typical(way).plot)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+"-"+way+".svg"), plot, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(r.o.markdown, []byte(r.text(name)), 0o644)
}

// typical is the run whose p99 is the median, or next above it.
func (r *report) typical(way string) outcome {
	var list []outcome
	for _, o := range r.outcomes {
		if o.Way == way {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b outcome) int { return int(math.Copysign(1, p99(a)-p99(b))) })
	return list[len(list)/2]
}

// text is the report as Markdown.
func (r *report) text(name string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The database under load, %s\n", r.start.UTC().Format(time.DateOnly))
	line("`make loadtest`; [how it works](../../deploy/k6/README.md). %d × %d runs of %s, each round beginning with another way; took %.0f min.\n",
		r.o.rounds, len(ways), r.o.length(), r.took.Minutes())
	for _, c := range r.conditions {
		line("- %s", c)
	}
	line("- drover %s, %s; load average before the first run %.1f", r.o.version, r.start.UTC().Format(time.RFC3339), r.load)
	line("- users: a steady ramp to 100, a spike to 200; 50–150 ms of thinking between transactions; each user keeps a connection")
	line("- 20 tenants × 1,000 members; 90 %% reads (a member, the first ten by rank, the rules), 10 %% writes (a rank, a badge)")
	line("- measured is one transaction in one round trip: BEGIN, the tenant's setting, the statement and COMMIT, sent together. **Connecting is not inside, nor the first transaction of each user**: both stand below")
	line("- fsync off, %s, PgBouncer by a Unix socket to PostgreSQL, k6 without garbage collection below 3 GiB, and everything on one machine: nothing here speaks for production", map[bool]string{true: "the data in memory (tmpfs)", false: "the data on disk"}[inMemory() != ""])
	line("- the script finds wrong rows where there are some: before the first run it was put on the tables without row security, and every transaction failed\n")

	missed := r.missed()
	if len(missed) == 0 {
		line("**Held**: p99 through PgBouncer below %g ms in the median; in every run more than 99.9 %% succeeded, and nobody saw a wrong row.\n", r.o.p99)
	}
	for _, sentence := range missed {
		line("**Missed**: %s.\n", sentence)
	}

	line("## Transactions\n\nMilliseconds, median of the rounds (worst round).\n")
	line("| way | transactions | p50 | p99 | p99 at 100 users | p99 in the spike | longest | success, worst round |")
	line("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, w := range ways {
		success := slices.Min(r.of(w.name, func(o outcome) float64 { return o.Success }))
		line("| %s | %.0f | %s | %s | %s | %s | %s | %.3f %% |", w.title, median(r.of(w.name, func(o outcome) float64 { return o.Transactions.Count })),
			r.figure(w.name, p50), r.tail(w.name, func(o outcome) trend { return o.Transactions }), r.tail(w.name, func(o outcome) trend { return o.Phases["steady"] }),
			r.tail(w.name, func(o outcome) trend { return o.Phases["spike"] }), r.figure(w.name, func(o outcome) float64 { return o.Transactions.Max }), success*100)
	}
	line("\n![Through PgBouncer, over time](%s-pgbouncer.svg)\n\n![Straight to PostgreSQL, over time](%s-direct.svg)\n", name, name)
	line("The plots show the round of the median p99. A p99 of fewer than %d transactions is not given.\n", fewest)

	line("## What row security costs\n\nDifferences within a round, through PgBouncer; median of the rounds (lowest to highest). Below zero is noise.\n")
	line("| compared with | p50 | mean | p99 |\n|---|---:|---:|---:|")
	for _, way := range []string{"where", "none"} {
		tail := "–"
		if r.least("pgbouncer") >= fewest && r.least(way) >= fewest {
			tail = r.cost(way, p99)
		}
		line("| %s | %s | %s | %s |", titleOf(way), r.cost(way, p50), r.cost(way, mean), tail)
	}

	line("\n## Kinds of transactions\n\np50 through PgBouncer with row security, and without; milliseconds.\n")
	line("| kind | row security | none |\n|---|---:|---:|")
	for _, kind := range kinds {
		of := func(o outcome) float64 { return o.Kinds[kind].P50 }
		line("| %s | %s | %s |", kind, r.figure("pgbouncer", of), r.figure("where", of))
	}

	line("\n## Connecting\n\nWith SCRAM, while the others work; milliseconds, median of the rounds (worst round).\n")
	line("| way | connections | p50 | p99 | longest | first transaction, p50 | p99 |\n|---|---:|---:|---:|---:|---:|---:|")
	for _, w := range ways {
		line("| %s | %.0f | %s | %s | %s | %s | %s |", w.title, median(r.of(w.name, func(o outcome) float64 { return o.Connecting.Count })),
			r.figure(w.name, func(o outcome) float64 { return o.Connecting.P50 }), r.figure(w.name, func(o outcome) float64 { return o.Connecting.P99 }),
			r.figure(w.name, func(o outcome) float64 { return o.Connecting.Max }), r.figure(w.name, func(o outcome) float64 { return o.WarmUp.P50 }),
			r.figure(w.name, func(o outcome) float64 { return o.WarmUp.P99 }))
	}

	line("\n## Every run\n\nThe load average is the last minute's, before and after; the run itself is in the latter. [Raw figures](%s.json).\n", name)
	line("| round | way | load | transactions | success | p50 | p99 | longest |\n|---:|---|---:|---:|---:|---:|---:|---:|")
	for _, o := range r.outcomes {
		tail := "–"
		if o.Transactions.Count >= fewest {
			tail = fmt.Sprintf("%.2f", p99(o))
		}
		line("| %d | %s | %.1f → %.1f | %.0f | %.3f %% | %.2f | %s | %.1f |", o.Round, o.Way, o.LoadBefore, o.LoadAfter,
			o.Transactions.Count, o.Success*100, p50(o), tail, o.Transactions.Max)
	}
	return b.String()
}

// figure is the median and the worst of a figure.
func (r *report) figure(way string, figure func(outcome) float64) string {
	list := r.of(way, figure)
	return fmt.Sprintf("%.2f (%.2f)", median(list), slices.Max(list))
}

// tail is a p99, if there is enough for one.
func (r *report) tail(way string, of func(outcome) trend) string {
	if least := slices.Min(r.of(way, func(o outcome) float64 { return of(o).Count })); least < fewest {
		return fmt.Sprintf("– (of %.0f)", least)
	}
	return r.figure(way, func(o outcome) float64 { return of(o).P99 })
}

// least is how many transactions the shortest run of a way had.
func (r *report) least(way string) float64 {
	return slices.Min(r.of(way, func(o outcome) float64 { return o.Transactions.Count }))
}

// cost is what the way with row security took longer than another one.
func (r *report) cost(other string, figure func(outcome) float64) string {
	with, without := r.of("pgbouncer", figure), r.of(other, figure)
	var list []float64
	for i := range with {
		list = append(list, with[i]-without[i])
	}
	return fmt.Sprintf("%+.2f ms (%+.2f to %+.2f), %+.0f %%", median(list), slices.Min(list), slices.Max(list), 100*median(list)/median(without))
}

func titleOf(name string) string {
	for _, w := range ways {
		if w.name == name {
			return w.title
		}
	}
	return name
}
