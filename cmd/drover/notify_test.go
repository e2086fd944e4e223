package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fakeSystemd is the socket to which a process tells its state.
type fakeSystemd struct {
	t    testing.TB
	path string
	said chan string // one line each
}

func listenAsSystemd(t testing.TB) *fakeSystemd {
	t.Helper()
	// Not the test's own folder: a socket's path may have 104 bytes at most on some systems.
	dir, err := os.MkdirTemp("", "drover")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeSystemd{t: t, path: filepath.Join(dir, "n"), said: make(chan string, 4096)}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when the cleanup closes conn
		defer close(done)
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			for line := range strings.Lines(string(buf[:n])) {
				s.said <- strings.TrimSuffix(line, "\n")
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		_ = os.RemoveAll(dir) // what is left is in the temporary folder
	})
	return s
}

// hear waits for a line that begins so, and returns the lines until then.
func (s *fakeSystemd) hear(prefix string) (before []string) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line := <-s.said:
			if strings.HasPrefix(line, prefix) {
				return before
			}
			before = append(before, line)
		case <-deadline:
			s.t.Fatalf("no %s within %v, but %q", prefix, patience, before)
		}
	}
}

func TestRun_tells_systemd_that_it_is_ready_alive_reloading_and_stopping(t *testing.T) {
	t.Parallel()
	manager, sim := listenAsSystemd(t), startSimulator(t, "--shards", "1", "--rate", "0")
	node := startDrover(t, []string{
		"NOTIFY_SOCKET=" + manager.path, "WATCHDOG_USEC=400000",
		"DROVER_DISCORD_API_URL=" + sim.api, "DISCORD_TOKEN=" + botToken, "NATS_URL=none", "DROVER_HTTP_ADDR=127.0.0.1:0",
	}, "run")
	for _, line := range manager.hear("READY=1") { // a machine that is busy may need more time than the first limit
		if !strings.HasPrefix(line, "EXTEND_TIMEOUT_USEC=") {
			t.Errorf("got %q before READY=1, want nothing else than more time", line)
		}
	}
	for range 3 {
		if before := manager.hear("WATCHDOG=1"); len(before) > 0 {
			t.Errorf("got %q between signs of life, want nothing", before)
		}
	}
	node.signal(syscall.SIGHUP)
	manager.hear("MONOTONIC_USEC=")
	manager.hear("RELOADING=1")
	manager.hear("READY=1")
	node.signal(syscall.SIGTERM)
	manager.hear("STOPPING=1")
	if code := node.ended(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}

// It would need a database to be ready, and none to be alive.
func TestWorker_tells_systemd_that_it_is_ready_alive_and_stopping(t *testing.T) {
	t.Parallel()
	manager := listenAsSystemd(t)
	w := startDrover(t, []string{
		"NOTIFY_SOCKET=" + manager.path, "WATCHDOG_USEC=400000",
		"DATABASE_URL=postgres://app_worker:x@127.0.0.1:1/drover", "NATS_URL=nats://127.0.0.1:1", "DROVER_HTTP_ADDR=127.0.0.1:0",
	}, "worker")
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1"} {
		manager.hear(want)
	}
	w.stop()
	manager.hear("STOPPING=1")
}

func TestServiceManager_gets_no_sign_of_life_while_health_is_not_well(t *testing.T) {
	manager := listenAsSystemd(t)
	t.Setenv("NOTIFY_SOCKET", manager.path)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "")
	var ill atomic.Bool
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" {
			t.Errorf("asked for %s, want /health", r.URL.Path)
		}
		asked.Add(1)
		if ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	m := newServiceManager(t.Context(), slog.New(slog.DiscardHandler))
	m.listening(server.Listener.Addr().String())
	manager.hear("READY=1")
	manager.hear("WATCHDOG=1")
	ill.Store(true)
	manager.hear("STATUS=not healthy")
	from := asked.Load()
	await(t, "health is asked on", func() (bool, string) { return asked.Load() > from+10, fmt.Sprint(asked.Load()) })
	ill.Store(false)
	if between := manager.hear("STATUS=healthy again"); len(between) > 0 {
		t.Errorf("got %q while not healthy, want nothing", between)
	}
	manager.hear("WATCHDOG=1")
	m.close()
	manager.hear("STOPPING=1")
}

// A store of many gigabytes on a slow disk takes its time, and must not be killed for it again and again.
func TestServiceManager_asks_for_more_time_until_the_process_listens(t *testing.T) {
	manager := listenAsSystemd(t)
	t.Setenv("NOTIFY_SOCKET", manager.path)
	t.Setenv("WATCHDOG_USEC", "")
	m := newServiceManager(t.Context(), slog.New(slog.DiscardHandler))
	m.opened() // the long ticks
	<-m.waiting
	m.starting(time.Millisecond, time.Hour)
	for range 3 {
		if before := manager.hear("EXTEND_TIMEOUT_USEC=3000"); len(before) > 0 {
			t.Errorf("got %q, want more time and nothing else", before)
		}
	}
	m.listening("127.0.0.1:1")
	manager.hear("READY=1")
	m.close()
	if after := manager.hear("STOPPING=1"); len(after) > 0 {
		t.Errorf("got %q after READY=1, want no more time", after)
	}
}

func TestServiceManager_asks_for_more_time_no_longer_than_a_start_may_take(t *testing.T) {
	manager := listenAsSystemd(t)
	t.Setenv("NOTIFY_SOCKET", manager.path)
	m := newServiceManager(t.Context(), slog.New(slog.DiscardHandler))
	m.opened()
	<-m.waiting
	m.starting(time.Millisecond, 20*time.Millisecond)
	defer m.close()
	select {
	case <-m.waiting:
	case <-time.After(patience):
		t.Errorf("still asks after %v, want an end after 20 ms", patience)
	}
}

// Without a service manager nothing is sent and nothing goes on; another process's watchdog is not ours.
func TestServiceManager_is_quiet_where_nobody_asked(t *testing.T) {
	manager := listenAsSystemd(t)
	for _, tt := range []struct{ name, socket, usec, pid string }{
		{"no service manager", "", "", ""},
		{"a watchdog of another process", manager.path, "1000", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", tt.socket)
			t.Setenv("WATCHDOG_USEC", tt.usec)
			t.Setenv("WATCHDOG_PID", tt.pid)
			m := newServiceManager(t.Context(), slog.New(slog.DiscardHandler))
			m.listening("127.0.0.1:1")
			m.close()
		})
	}
	manager.hear("READY=1")
	if between := manager.hear("STOPPING=1"); len(between) > 0 {
		t.Errorf("got %q, want no sign of life", between)
	}
}
