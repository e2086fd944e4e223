package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"drover/system/audit"
)

// apart are the plans that take as long as they are told to: they run with short times of their own.
var apart = []string{"outage-long", "random", "random-memory"}

// byHand are the plans that only make audit runs: each has three nodes and takes half a minute, and time is short here.
var byHand = []string{"cluster-start", "cluster-stop", "cluster-cut", "cluster-nats-down", "cluster-nats-leader", "cluster-random"}

// inAudit runs the binary's audit and returns its document; text is what it said meanwhile.
func inAudit(args ...string) (results map[string]audit.Result, text string, err error) {
	dir, err := os.MkdirTemp("", "drover-audit-test-")
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(binary, append([]string{"audit", "--json", "--keep", dir, "--shards", "2", "--rate", "400"}, args...)...)
	var progress strings.Builder
	cmd.Stderr = &progress
	out, err := cmd.Output()
	var doc struct{ Plans []audit.Result }
	if wrong := json.Unmarshal(out, &doc); wrong != nil {
		return nil, progress.String(), fmt.Errorf("no document: %w (%w)", wrong, err)
	}
	results = map[string]audit.Result{}
	failed := false
	for _, r := range doc.Plans {
		results[r.Plan] = r
		failed = failed || !r.Passed
	}
	if code := cmd.ProcessState.ExitCode(); (code == 1) != failed {
		return nil, progress.String(), fmt.Errorf("got exit code %d, and a plan that failed: %t", code, failed)
	}
	if !failed {
		err = os.RemoveAll(dir)
	}
	return results, progress.String(), err
}

type audited struct {
	results map[string]audit.Result
	text    string
	err     error
}

// auditOnce runs all plans in one go: they mostly wait, and take a quarter of the time at once.
var auditOnce = sync.OnceValue(func() (a audited) {
	var names []string
	for _, p := range audit.Plans() {
		if !slices.Contains(apart, p.Name) && !slices.Contains(byHand, p.Name) {
			names = append(names, p.Name)
		}
	}
	a.results, a.text, a.err = inAudit("--parallel", "5", "--events", "500", "--plan", strings.Join(names, ","))
	return a
})

// apartOnce runs the others.
var apartOnce = sync.OnceValue(func() (a audited) {
	a.results, a.text, a.err = inAudit("--parallel", "3", "--for", "10s", "--lasts", "5s", "--plan", strings.Join(apart, ","))
	return a
})

// auditPlan wants a plan to pass.
func auditPlan(t *testing.T, name string) {
	t.Helper()
	t.Parallel()
	a := auditOnce()
	if slices.Contains(apart, name) {
		a = apartOnce()
	}
	r, ok := a.results[name]
	if a.err != nil && !ok {
		t.Fatalf("%v\n%s", a.err, tailOf(a.text))
	}
	if !r.Passed {
		var said []string
		for line := range strings.Lines(a.text) {
			if strings.Contains(line, " "+name+": ") {
				said = append(said, line)
			}
		}
		t.Fatalf("%s (seed %d, logs in %s): %v\n%s%v", name, r.Seed, r.Logs, r.Complaints, strings.Join(said, ""), r.Examples)
	}
	if r.Sent == 0 || r.Stored+r.Declared != r.Sent || r.Lost+r.Twice+r.Reordered+r.Altered+r.Unknown != 0 || len(r.Faults) == 0 {
		t.Errorf("got %+v, want everything that was sent stored or declared, and faults", r)
	}
	t.Logf("%d sent, %d unacknowledged at the fault, recovered in %.1f s, %.1f s in all", r.Sent, r.Unacked(), r.Recovery(), r.Seconds)
}

func TestAudit_plan_kill_drover(t *testing.T)           { auditPlan(t, "kill-drover") }
func TestAudit_plan_term_drover(t *testing.T)           { auditPlan(t, "term-drover") }
func TestAudit_plan_kill_embedded(t *testing.T)         { auditPlan(t, "kill-embedded") }
func TestAudit_plan_nats_term_file(t *testing.T)        { auditPlan(t, "nats-term-file") }
func TestAudit_plan_nats_kill_file(t *testing.T)        { auditPlan(t, "nats-kill-file") }
func TestAudit_plan_nats_stop_file(t *testing.T)        { auditPlan(t, "nats-stop-file") }
func TestAudit_plan_nats_term_memory(t *testing.T)      { auditPlan(t, "nats-term-memory") }
func TestAudit_plan_nats_kill_memory(t *testing.T)      { auditPlan(t, "nats-kill-memory") }
func TestAudit_plan_nats_stop_memory(t *testing.T)      { auditPlan(t, "nats-stop-memory") }
func TestAudit_plan_cut(t *testing.T)                   { auditPlan(t, "cut") }
func TestAudit_plan_blackhole(t *testing.T)             { auditPlan(t, "blackhole") }
func TestAudit_plan_unknown_old(t *testing.T)           { auditPlan(t, "unknown-old") }
func TestAudit_plan_nats_down_kill(t *testing.T)        { auditPlan(t, "nats-down-kill") }
func TestAudit_plan_nats_down_kill_late(t *testing.T)   { auditPlan(t, "nats-down-kill-late") }
func TestAudit_plan_drain_while_nats_down(t *testing.T) { auditPlan(t, "drain-while-nats-down") }
func TestAudit_plan_outage_long(t *testing.T)           { auditPlan(t, "outage-long") }
func TestAudit_plan_spool_full(t *testing.T)            { auditPlan(t, "spool-full") }
func TestAudit_plan_disk_full(t *testing.T)             { auditPlan(t, "disk-full") }
func TestAudit_plan_gateway_refused(t *testing.T)       { auditPlan(t, "gateway-refused") }
func TestAudit_plan_gateway_drop_all(t *testing.T)      { auditPlan(t, "gateway-drop-all") }
func TestAudit_plan_dead_resume_host(t *testing.T)      { auditPlan(t, "dead-resume-host") }
func TestAudit_plan_silent_resume(t *testing.T)         { auditPlan(t, "silent-resume") }
func TestAudit_plan_silent_edge(t *testing.T)           { auditPlan(t, "silent-edge") }
func TestAudit_plan_invalid_session(t *testing.T)       { auditPlan(t, "invalid-session") }
func TestAudit_plan_random(t *testing.T)                { auditPlan(t, "random") }
func TestAudit_plan_random_memory(t *testing.T)         { auditPlan(t, "random-memory") }

func TestAudit_plan_cluster_kill(t *testing.T) { auditPlan(t, "cluster-kill") }
func TestAudit_plan_cluster_roll(t *testing.T) { auditPlan(t, "cluster-roll") }
func TestAudit_plan_cluster_join(t *testing.T) { auditPlan(t, "cluster-join") }

func TestAudit_every_plan_has_a_test(t *testing.T) {
	functions := testFunctions(t)
	for _, p := range audit.Plans() {
		if name := "TestAudit_plan_" + strings.ReplaceAll(p.Name, "-", "_"); !functions[name] && !slices.Contains(byHand, p.Name) {
			t.Errorf("there is no %s", name)
		}
	}
}

// sabotages are those that a plan with one node catches. The others take three nodes and half a minute each, and are left to make
// audit.
var sabotages = []string{"checkpoint-received", "random-ids", "retry-out-of-order", "acks-ignored"}

// A drover that breaks a promise must not get through.
func TestAudit_self_test_catches_every_sabotage(t *testing.T) {
	t.Parallel()
	// With the whole environment: it runs the Go command.
	cmd := exec.CommandContext(t.Context(), binary, "audit", "--self-test", "--source", "../..", "--sabotage", strings.Join(sabotages, ","), "--shards", "2", "--rate", "400", "--json")
	var progress strings.Builder
	cmd.Stderr = &progress
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("got %v, want exit code 0\n%s", err, tailOf(progress.String()))
	}
	var doc struct{ Builds []audit.Catch }
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Builds) < 5 {
		t.Errorf("got %d builds, want the honest one and four that are not", len(doc.Builds))
	}
	for _, b := range doc.Builds {
		if !b.Caught {
			t.Errorf("%s: got %v after the plan %s, want something %s", b.Sabotage, b.Result.Complaints, b.Result.Plan, b.Want)
		}
	}
}

// Interrupted at any moment, an audit takes its processes along.
func TestAudit_leaves_no_process_behind(t *testing.T) {
	t.Parallel()
	for _, how := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			tmp := t.TempDir()
			p := startDrover(t, []string{"TMPDIR=" + tmp}, "audit", "--plan", "blackhole", "--shards", "2", "--rate", "200")
			p.match(p.stdout, `leaving NATS behind a dead network with \d+`)
			children := childrenOf(t, p.cmd.Process.Pid)
			if len(children) < 2 {
				t.Fatalf("got %d processes, want drover and nats-server", len(children))
			}
			p.signal(how)
			if code := p.ended(); how == syscall.SIGINT && code != 1 {
				t.Errorf("got exit code %d, want 1: nothing was shown", code)
			}
			await(t, "the end of its processes", func() (bool, string) {
				for _, pid := range children {
					if alive(pid) {
						return false, fmt.Sprintf("process %d lives", pid)
					}
				}
				return true, ""
			})
			if left, err := os.ReadDir(tmp); how == syscall.SIGINT && (err != nil || len(left) > 0) {
				t.Errorf("got %v left behind (%v), want nothing", left, err)
			}
		})
	}
}

// childrenOf lists the processes that pid has started, from /proc.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			t.Skip("this kernel does not tell children: ", err)
		}
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	return out
}

// alive reports whether a process exists and has not ended.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name
	return !strings.HasPrefix(rest, "Z")
}
