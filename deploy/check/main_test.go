package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRunAll_says_what_came_of_each(t *testing.T) {
	list := []check{
		{artefact: "good", how: "looks", command: "echo result: first; echo result: 3 of 3"},
		{artefact: "bad", how: "breaks", command: "echo in vain; exit 1"},
		{artefact: "silent", how: "says nothing", command: "true"},
		{artefact: "missing", how: "lacks a tool", command: "echo result: not run: no engine here; exit 77"},
		{artefact: "linter", how: "finds errors", command: "echo result: looked; exit 3"},
	}
	var out strings.Builder
	err := runAll(t.Context(), &out, list, way{side: 2})
	if err == nil || err.Error() != "3 of 5 artefacts failed" {
		t.Errorf("got %v, want 3 of 5 failed", err)
	}
	for _, want := range []string{
		`(?m)^good +looks +\S+ +ok: 3 of 3$`, `(?m)^bad +breaks +\S+ +FAILED: exit status 1$`, `(?m)^in vain$`,
		`(?m)^silent .*FAILED: it ended without a line`, `(?m)^missing .*  not run: no engine here$`, `(?m)^linter .*FAILED: exit status 3: looked$`,
		`\n\n1 of 5 artefacts ran and are well, 1 were not run, 3 failed\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("got\n%s\nwant %s", out.String(), want)
		}
	}
}

// A program that ends with a number of its own, or a script that gives up in silence, must not look like a machine that lacks something.
func TestRun_takes_for_not_run_only_what_says_so_twice(t *testing.T) {
	tests := []struct {
		name, command string
		state, result string
	}{
		{"both", "echo result: not run: no runc; exit 77", skipped, "no runc"},
		{"without the words", "exit 77", failed, "exit status 77"},
		{"with a result instead", "echo result: 3 of 3; exit 77", failed, "exit status 77: 3 of 3"},
		{"without a reason", "echo 'result: not run: '; exit 77", failed, "exit status 77: not run: "},
		{"not as the result", "echo not run: no runc; exit 77", failed, "exit status 77"},
		{"exit code 3", "echo result: not run: no runc; exit 3", failed, "exit status 3: not run: no runc"},
		{"exit code 0", "echo result: not run: no runc", failed, "it did not end with exit code 77: not run: no runc"},
		{"a signal", "echo result: not run: no runc; kill -TERM $$", failed, "signal: terminated: not run: no runc"},
		{"well", "echo result: 3 of 3", ok, "3 of 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := (check{command: tt.command}).run(t.Context(), way{}); v.state != tt.state || v.result != tt.result {
				t.Errorf("got %s: %s, want %s: %s", v.state, v.result, tt.state, tt.result)
			}
		})
	}
}

func TestRun_ends_what_a_check_has_started(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	go func() { // ends with ctx
		for ctx.Err() == nil {
			if raw, _ := os.ReadFile(pid); strings.HasSuffix(string(raw), "\n") {
				cancel()
			}
			<-tick.C
		}
	}()
	if v := (check{command: "sleep 600 & echo $! > " + pid + "; wait"}).run(ctx, way{}); v.state != failed {
		t.Errorf("got %s, want %s", v.state, failed)
	}
	raw, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	wantGone(t, strings.TrimSpace(string(raw)))
}

// wantGone waits until a process has ended.
func wantGone(t *testing.T, pid string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") { // nobody may have asked for its exit code
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("what the check started still runs")
		}
	}
}

// In a run that has to show everything, a check that shows nothing must not look well.
func TestRunAll_takes_not_run_for_failed_where_all_has_to_run(t *testing.T) {
	var out strings.Builder
	err := runAll(t.Context(), &out, []check{{artefact: "missing", command: "echo result: not run: no engine here; exit 77"}}, way{all: true})
	if err == nil || !strings.Contains(out.String(), "FAILED: not run: no engine here") {
		t.Errorf("got %v and\n%s\nwant it failed, and why", err, out.String())
	}
}

// A check that hangs is told of, with what it printed until then, and leaves nothing behind: neither what hears SIGTERM nor what does not.
func TestRun_ends_a_check_that_hangs(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	list := []check{{artefact: "hanging", command: "trap '' TERM; echo got so far; (exec >/dev/null 2>&1; sleep 600) & echo $! > " + pid + "; trap - TERM; sleep 600"}}
	var out strings.Builder
	err := runAll(t.Context(), &out, list, way{most: time.Second})
	if err == nil || !strings.Contains(out.String(), "FAILED: it had not ended after 1s\n") || !strings.Contains(out.String(), "\ngot so far\n") {
		t.Errorf("got %v and\n%s\nwant it failed, why, and its output", err, out.String())
	}
	raw, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	wantGone(t, strings.TrimSpace(string(raw)))
}

// Each check's program is there, and each program is a check.
func TestChecks_name_what_exists(t *testing.T) {
	root := filepath.Join("..", "..")
	named := map[string]bool{}
	for _, c := range checks {
		for _, line := range []string{c.command, c.quick} {
			for _, word := range strings.Fields(line) {
				if strings.HasPrefix(word, "deploy/") && strings.HasSuffix(word, "/check") {
					named[word] = true
					if info, err := os.Stat(filepath.Join(root, word)); err != nil || info.Mode()&0o111 == 0 && !info.IsDir() {
						t.Errorf("%s: %s cannot be run: %v", c.artefact, word, err)
					}
				}
			}
		}
	}
	found, err := filepath.Glob(filepath.Join(root, "deploy", "*", "check"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, path := range found {
		if rel, _ := filepath.Rel(root, path); !named[rel] {
			t.Errorf("%s is in no check", rel)
		}
	}
}
