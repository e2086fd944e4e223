package main

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The test binary plays a process that panics, or that Go itself gives up, when this is set.
const crashAs = "TEST_CRASH_AS"

func runCrash(how string) {
	crashBySignal()
	if how == "fatal error" {
		var never sync.Mutex
		never.Unlock() // no recover helps against it
	}
	go func() { panic("on purpose") }() // no defer of main sees it
	select {}
}

// allowCore has the processes that this test starts begin with the highest limit that there is.
func allowCore(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	before := limit
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &before); err != nil {
			t.Error(err)
		}
	})
}

// wantAborted wants a death by SIGABRT without a core: exit code 2 would say "do not start it again".
func wantAborted(t *testing.T, state *os.ProcessState) {
	t.Helper()
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() {
		t.Errorf("got %v, want an end by SIGABRT and no core", state)
	}
}

func TestCrash_by_SIGABRT_ends_by_the_signal_and_not_with_exit_code_2(t *testing.T) {
	allowCore(t)
	sim := startSimulator(t, "--shards", "1", "--rate", "0")
	wantNoCore(t, sim.cmd.Process.Pid)
	sim.signal(syscall.SIGABRT)
	sim.ended()
	wantAborted(t, sim.cmd.ProcessState)
	for _, want := range []string{"SIGABRT", "\ngoroutine 1 "} {
		if !strings.Contains(sim.stderr.String(), want) {
			t.Errorf("got no %q on standard error, want the stacks of all goroutines", want)
		}
	}
	for _, name := range sim.files() {
		if strings.HasPrefix(name, "core") {
			t.Errorf("got a core, %s: tokens would be in it", name)
		}
	}
}

func TestCrash_in_Go_ends_by_the_signal_and_not_with_exit_code_2(t *testing.T) {
	allowCore(t)
	for how, want := range map[string]string{"panic": "panic: on purpose", "fatal error": "unlock of unlocked mutex"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), crashAs+"="+how)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("got exit code 0, want a crash")
			}
			wantAborted(t, cmd.ProcessState)
			if !strings.Contains(string(out), want) {
				t.Errorf("got %s, want %q", tailOf(string(out)), want)
			}
		})
	}
}

// wantNoCore reads the process's limit: one byte is Linux's word for no core at all, 0 is what a supervisor may have set.
func wantNoCore(t *testing.T, pid int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return // there is no such file
	}
	limits, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/limits")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^Max core file size +(\S+)`).FindSubmatch(limits); m == nil || string(m[1]) != "1" && string(m[1]) != "0" {
		t.Errorf("got %q, want a limit of 1 byte or none", m)
	}
}
