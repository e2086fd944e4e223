package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"drover/system/bench"
)

func TestBench_help_teaches(t *testing.T) {
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"bench", "--help"}, &out, &errs); code != 0 {
		t.Fatalf("got exit code %d", code)
	}
	for _, want := range []string{"--quick", "exit code is 0", "hand-written bot", "a fresh NATS server", "drover bench --only throughput --rounds 1"} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "\n", " "), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestBench_parts_are_not_for_people(t *testing.T) {
	var out, errs bytes.Buffer
	execute(t.Context(), []string{"--help"}, &out, &errs)
	if !strings.Contains(out.String(), "  bench ") {
		t.Errorf("the help does not show bench:\n%s", out.String())
	}
	for _, part := range []string{"bench-node", "bench-bot", "bench-raw", natsChild} {
		if strings.Contains(out.String(), part) {
			t.Errorf("the help shows %s, which is for drover bench alone", part)
		}
	}
}

func TestBench_refuses_flags_that_make_no_sense(t *testing.T) {
	for _, args := range [][]string{{"--only", "sheep"}, {"--events", "5"}, {"--nats-server", "no-such-server"}} {
		var out, errs bytes.Buffer
		if code := execute(t.Context(), append([]string{"bench"}, args...), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), args[0]) {
			t.Errorf("%v: got exit code %d, %q, want %d and the flag", args, code, errs.String(), exitUsage)
		}
	}
}

var helpFlag = regexp.MustCompile(`(?m)^ +(?:-[a-z], )?--([a-z-]+)`)

var flagRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|")

func TestDocs_list_every_flag_of_bench(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	var help, errs bytes.Buffer
	execute(t.Context(), []string{"bench", "--help"}, &help, &errs)
	var want, got []string
	for _, m := range helpFlag.FindAllStringSubmatch(help.String(), -1) {
		if m[1] != "help" {
			want = append(want, m[1])
		}
	}
	if len(want) < 8 {
		t.Fatalf("got %v from the help: is this test still about something?", want)
	}
	for _, m := range flagRow.FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/benchmarks.md lists %v, want %v", got, want)
	}
}

// Every kind of process once, real ones: a surge, the raw publisher, node and bot with their notes. What the figures are worth is
// not looked at.
func TestBench_runs_what_it_compares(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("drover bench needs Linux")
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary, "bench", "--quick", "--only", "throughput,latency", "--rows", "window 256|latency",
		"--events", "1000", "--json", "--markdown", filepath.Join(dir, "report.md"), "--plots", dir)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	var progress strings.Builder
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("got %v, want exit code 0\n%s", err, progress.String())
	}
	var report bench.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	var rows []string
	for _, row := range report.Rows {
		rows = append(rows, row.Name)
		if row.Values["events_per_s"].Median <= 0 {
			t.Errorf("%s: got %v, want events", row.Name, row.Values)
		}
	}
	if want := []string{"raw window 256", "latency drover", "latency hand-written bot"}; !slices.Equal(rows, want) {
		t.Errorf("got rows %q, want %q", rows, want)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("got %v (%v), want a report and a plot and nothing left behind", left, err)
	}
}
