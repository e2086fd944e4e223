package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the program that the tests run.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "burn":
		for n := uint64(1); n != 0; n += 2 { // some minutes, and its end is nobody's wish
		}
		os.Exit(9)
	case "say":
		os.Stdout.WriteString("out one\nout two\n")
		os.Stderr.WriteString("err one\nhalf a line")
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// start runs this test program in a role. The test ends it.
func start(t *testing.T, role string, change func(*Command)) *Process {
	t.Helper()
	c := Command{Name: role, Args: []string{os.Args[0]}, Env: []string{"PROCESS_TEST=" + role}, Dir: t.TempDir()}
	c.Log = filepath.Join(c.Dir, "log")
	if change != nil {
		change(&c)
	}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestProcess_shows_lines_and_keeps_them_in_the_log(t *testing.T) {
	var lock sync.Mutex
	var said []string
	var log string
	p := start(t, "say", func(c *Command) {
		log = c.Log
		c.Line = func(b []byte) {
			lock.Lock()
			defer lock.Unlock()
			said = append(said, string(b))
		}
	})
	code, err := p.Await(time.Minute)
	if err != nil || code != 7 {
		t.Fatalf("got exit code %d, %v, want 7", code, err)
	}
	if p.Running() || !strings.Contains(p.State(), "7") {
		t.Errorf("got running %t, state %q, want an end with 7", p.Running(), p.State())
	}
	lock.Lock()
	defer lock.Unlock()
	if strings.Join(said, "|") != "err one" {
		t.Errorf("got lines %q, want the whole one of standard error", said)
	}
	text, err := os.ReadFile(log)
	if err != nil || !bytes.Contains(text, []byte("half a line")) || !bytes.Contains(text, []byte("out two\n")) {
		t.Errorf("got log %q (%v), want everything", text, err)
	}
}

func TestProcess_tells_what_it_costs(t *testing.T) {
	p := start(t, "burn", nil)
	if runtime.GOOS != "linux" {
		if _, err := p.CPU(); !errors.Is(err, ErrUnknown) {
			t.Errorf("got %v, want ErrUnknown", err)
		}
		return
	}
	first, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	err = Until(t.Context(), time.Minute, "it burns", func() (bool, string) {
		now, err := p.CPU()
		return err == nil && now > first+10*time.Millisecond, now.String()
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := p.RSS(); err != nil || n < 1<<20 || n > 1<<30 {
		t.Errorf("got %d bytes, %v, want some MB", n, err)
	}
	p.Kill()
	if _, err := p.CPU(); err == nil || !strings.Contains(err.Error(), "burn: it has ended") {
		t.Errorf("got %v, want that it has ended", err)
	}
	if _, err := p.RSS(); err == nil {
		t.Error("got the memory of a process that has ended")
	}
}

func TestProcess_is_ended_once_and_for_all(t *testing.T) {
	p := start(t, "burn", nil)
	p.Signal(Freeze)
	if _, err := p.Await(time.Millisecond); err == nil {
		t.Error("got an end of a frozen process")
	}
	p.Kill()
	p.Kill()
	select {
	case <-p.Exited():
	default:
		t.Error("it is killed and has not ended")
	}
	p.Signal(syscall.SIGTERM) // nobody is there, and nothing happens
	var none *Process
	none.Kill()
	if none.Running() {
		t.Error("a process that was never started runs")
	}
}

func TestStart_says_which_program_is_missing(t *testing.T) {
	dir := t.TempDir()
	_, err := Start(Command{Name: "herd", Args: []string{filepath.Join(dir, "nothing")}, Dir: dir, Log: filepath.Join(dir, "log")})
	if err == nil || !strings.Contains(err.Error(), "process: start herd") {
		t.Errorf("got %v, want the name of what was to start", err)
	}
}

func TestUntil_tells_the_last_state_and_the_cause(t *testing.T) {
	err := Until(t.Context(), time.Millisecond, "rain", func() (bool, string) { return false, "dry" })
	if err == nil || !strings.Contains(err.Error(), "rain") || !strings.Contains(err.Error(), "dry") {
		t.Errorf("got %v, want what and state", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if err := Until(ctx, time.Minute, "rain", func() (bool, string) { return false, "" }); !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
}
