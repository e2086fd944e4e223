package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The file is what k6 1.8.1 wrote in a short run on a busy machine.
func TestSummary_of_k6_is_read_whole(t *testing.T) {
	got, err := readSummary("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	if got.Success != 1 || got.WrongRows != 0 || got.Errors != 0 {
		t.Errorf("got success %v, wrong rows %v, errors %v, want 1, 0, 0", got.Success, got.WrongRows, got.Errors)
	}
	if got.Connecting.Count != 200 || got.WarmUp.Count != 200 {
		t.Errorf("got %v connections and %v first transactions, want 200 of each", got.Connecting.Count, got.WarmUp.Count)
	}
	for name, list := range map[string]map[string]trend{"phases": got.Phases, "kinds": got.Kinds} {
		sum := 0.0
		for _, part := range list {
			sum += part.Count
		}
		if sum != got.Transactions.Count || sum == 0 {
			t.Errorf("%s: got %v transactions, want all %v", name, sum, got.Transactions.Count)
		}
	}
	for _, x := range []trend{got.Transactions, got.Connecting, got.WarmUp} {
		if !(0 < x.P50 && x.P50 < x.P90 && x.P90 < x.P99 && x.P99 <= x.Max && 0 < x.Mean) {
			t.Errorf("got %+v, want growing times", x)
		}
	}
}

func TestSummary_without_a_run_is_an_error(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary.json")
	for _, text := range []string{"", "{}", `{"metrics":{}}`, `{"metrics":{"success":{"values":[]}}}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSummary(file); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}

// rounds makes a report of whatever change does to good rounds.
func rounds(t *testing.T, n int, change func(*outcome)) *report {
	t.Helper()
	plot := filepath.Join(t.TempDir(), "plot.svg")
	if err := os.WriteFile(plot, []byte("<svg/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &report{o: options{p99: 10, rounds: n, version: "v1"}, conditions: []string{"a machine"}}
	for round := range n {
		for _, w := range ways {
			o := outcome{Way: w.name, Round: round + 1, Success: 1, plot: plot, Phases: map[string]trend{}, Kinds: map[string]trend{}}
			o.Transactions = trend{Count: 50_000, Mean: 2, P50: 1.5, P90: 3, P99: 6 + float64(round), Max: 40}
			o.Phases["steady"], o.Phases["spike"] = trend{Count: 30_000, P99: 5}, trend{Count: 9_999, P99: 9}
			o.Connecting, o.WarmUp = trend{Count: 200, P50: 8, P99: 70, Max: 90}, trend{Count: 200, P50: 3, P99: 12}
			if w.name == "where" {
				o.Transactions.P50 = 1.25
			}
			if change != nil {
				change(&o)
			}
			r.outcomes = append(r.outcomes, o)
		}
	}
	return r
}

func TestReport_judges(t *testing.T) {
	tests := []struct {
		name   string
		rounds int
		change func(*outcome)
		want   []string
	}{
		{"good rounds", 3, nil, nil},
		{"one slow round of three", 3, func(o *outcome) {
			if o.Round == 2 {
				o.Transactions.P99 = 500
			}
		}, nil},
		{"two slow rounds of three", 3, func(o *outcome) {
			if o.Round > 1 {
				o.Transactions.P99 = 10
			}
		}, []string{"p99 through PgBouncer: the median is 10.00 ms, and has to be below 10 ms"}},
		{"slow only without a pool", 1, func(o *outcome) {
			if o.Way == "direct" {
				o.Transactions.P99 = 500
			}
		}, nil},
		{"one round, one way, one in a thousand fails", 2, func(o *outcome) {
			if o.Way == "none" && o.Round == 2 {
				o.Success = 0.999
			}
		}, []string{"round 2, none: 99.900 % succeeded, and more than 99.9 % must"}},
		{"a row of another tenant", 1, func(o *outcome) {
			if o.Way == "direct" {
				o.WrongRows = 1
			}
		}, []string{"round 1, direct: 1 transactions saw rows that they should not, or too few"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := rounds(t, tt.rounds, tt.change).missed(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A short run on a busy machine tells of the machine, but of rows and success all the same.
func TestReport_judges_p99_of_short_runs_on_quiet_machines_only(t *testing.T) {
	for _, tt := range []struct {
		quick bool
		load  float64
		want  int
	}{{true, 0, 2}, {true, 2*float64(runtime.NumCPU()) + 1, 1}, {false, 2*float64(runtime.NumCPU()) + 1, 2}} {
		r := rounds(t, 1, func(o *outcome) {
			if o.Way == "pgbouncer" {
				o.Transactions.P99, o.Success = 900, 0.5
			}
		})
		r.o.quick, r.load = tt.quick, tt.load
		if got := r.missed(); len(got) != tt.want {
			t.Errorf("quick %v at load %v: got %q, want %d sentences", tt.quick, tt.load, got, tt.want)
		}
	}
}

func TestReport_gives_conditions_medians_and_the_worst(t *testing.T) {
	r := rounds(t, 5, nil)
	folder := t.TempDir()
	r.o.markdown = filepath.Join(folder, "database.md")
	if err := r.write(folder); err != nil {
		t.Fatal(err)
	}
	text := read(t, r.o.markdown)
	for _, want := range []string{
		"5 × 4 runs", "a machine", "drover v1", "fsync off", "Connecting is not inside",
		"**Held**: p99 through PgBouncer below 10 ms",
		"| row security, through PgBouncer | 50000 | 1.50 (1.50) | 8.00 (10.00) | 5.00 (5.00) | – (of 9999) |", // too few in the spike
		"| +0.25 ms (+0.25 to +0.25), +20 % |",
		"| row security, through PgBouncer | 200 | 8.00 (8.00) | 70.00 (70.00) | 90.00 (90.00) | 3.00 (3.00) | 12.00 (12.00) |",
		"| 5 | none |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	for _, file := range []string{"database.json", "database-pgbouncer.svg", "database-direct.svg"} {
		if !strings.Contains(text, "("+file+")") {
			t.Errorf("the report does not link %s", file)
		}
		read(t, filepath.Join(folder, file))
	}
	if got := r.typical("pgbouncer").Round; got != 3 {
		t.Errorf("the plot is of round %d, want 3, whose p99 is the median", got)
	}
}
