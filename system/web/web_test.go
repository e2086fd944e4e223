package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"drover/messages"
)

// node is a made-up node whose status a test can change.
type node struct {
	lock   sync.Mutex
	status messages.NodeStatus
	silent bool // Status does not answer before its context ends
}

func (n *node) Status(ctx context.Context) (messages.NodeStatus, error) {
	n.lock.Lock()
	status, silent := n.status, n.silent
	n.lock.Unlock()
	if silent {
		<-ctx.Done()
		return messages.NodeStatus{}, ctx.Err()
	}
	return status, nil
}

// set changes the status. The lists of the old one may still be in use: change must replace them.
func (n *node) set(change func(*messages.NodeStatus)) {
	n.lock.Lock()
	defer n.lock.Unlock()
	change(&n.status)
}

// start runs a server on a free port until the test ends, and returns its address as a URL.
func start(t *testing.T, n *node, tick time.Duration) string {
	t.Helper()
	return startWith(t, Options{Status: n.Status, tick: tick})
}

// startWith runs one with other options.
func startWith(t *testing.T, o Options) string {
	t.Helper()
	o.Addr, o.Metrics, o.Node, o.Version = "127.0.0.1:0", http.NotFoundHandler(), "node-a", "v1"
	s := New(o)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + s.Addr()
}

// made is a node of so many shards in pools of 25, all ready, a minute after its start.
func made(shards int) *node {
	n := &node{status: messages.NodeStatus{
		Node: "herder-7f9c", Version: "v0.1.0", Started: time.Now().Add(-3*time.Hour - 12*time.Minute),
		ShardsTotal: shards, ShardsReady: shards, GuildsTotal: shards * 812, NATSConnected: true, Live: true, IsReady: true,
		Budget:  messages.Budget{Total: 1000, Remaining: 973, ResetAt: time.Now().Add(5 * time.Hour), MaxConcurrency: 16},
		Traffic: messages.Traffic{ByType: map[string]uint64{}},
	}}
	for id := range shards {
		n.status.Shards = append(n.status.Shards, messages.ShardStatus{
			ID: id, Pool: id / 25, Node: "herder-7f9c", State: messages.Ready, Session: fmt.Sprintf("%08x", 0xa1b2c300+id),
			SeqReceived: 1000, SeqAcked: 998, Guilds: 812, HeartbeatLatencyMS: 41.5, Since: time.Now().Add(-time.Hour),
		})
	}
	return n
}

func get(t *testing.T, url string) (code int, header http.Header, body string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(b)
}

func TestListen(t *testing.T) {
	t.Run("names_a_taken_address", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		s := New(Options{Addr: taken.Addr().String()})
		err = s.Listen()
		var refused *ListenError
		if !errors.As(err, &refused) || refused.Addr != taken.Addr().String() {
			t.Fatalf("got %v, want a ListenError for %s", err, taken.Addr())
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got cause %v, want address already in use", refused.Err)
		}
		if got := err.Error(); strings.Count(got, taken.Addr().String()) != 1 {
			t.Errorf("got %q, want the address in it once", got)
		}
	})
	t.Run("names_an_absurd_address", func(t *testing.T) {
		var refused *ListenError
		if err := New(Options{Addr: "nonsense:port:9"}).Listen(); !errors.As(err, &refused) || refused.Addr != "nonsense:port:9" {
			t.Errorf("got %v, want a ListenError", err)
		}
	})
	t.Run("tells_the_port_it_took", func(t *testing.T) {
		s := New(Options{Addr: "127.0.0.1:0"})
		if got := s.Addr(); got != "127.0.0.1:0" {
			t.Errorf("before: got %s", got)
		}
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		defer s.listener.Close()
		if got := s.Addr(); strings.HasSuffix(got, ":0") {
			t.Errorf("after: got %s, want a port", got)
		}
	})
}

func TestServe(t *testing.T) {
	t.Run("answers_only_get_and_head", func(t *testing.T) {
		url := start(t, made(1), time.Second)
		for _, path := range []string{"/", "/health", "/ready", "/api/v1/shards", "/page.js", "/live"} {
			for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
				r, err := http.NewRequest(method, url+path, strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s %s: got %d, want 405", method, path, answer.StatusCode)
				}
			}
			answer, err := http.Head(url + path)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("HEAD %s: got %d, want 200", path, answer.StatusCode)
			}
		}
		if code, _, _ := get(t, url+"/nowhere"); code != http.StatusNotFound {
			t.Errorf("got %d for a path that is none, want 404", code)
		}
	})
	t.Run("sets_security_headers_everywhere", func(t *testing.T) {
		url := start(t, made(1), time.Second)
		for _, path := range []string{"/", "/health", "/page.css", "/nowhere"} {
			_, h, _ := get(t, url+path)
			if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
				t.Errorf("%s: got %v", path, h)
			}
		}
	})
	t.Run("ends_with_its_context_though_viewers_stay", func(t *testing.T) {
		s := New(Options{Addr: "127.0.0.1:0", Status: made(1).Status, Metrics: http.NotFoundHandler()})
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx) }() // ends with cancel
		stream, err := http.Get("http://" + s.Addr() + "/live")
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Body.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if _, err := io.ReadAll(stream.Body); err != nil {
			t.Errorf("the stream was cut instead of ended: %v", err)
		}
	})
	t.Run("says_why_it_cannot_go_on", func(t *testing.T) {
		s := New(Options{Addr: "127.0.0.1:0", Status: made(1).Status, Metrics: http.NotFoundHandler()})
		if err := s.Listen(); err != nil {
			t.Fatal(err)
		}
		s.listener.Close()
		if err := s.Serve(t.Context()); err == nil || !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want what broke the listener", err)
		}
	})
}

func TestAssets(t *testing.T) {
	url := start(t, made(1), time.Second)
	for path, want := range map[string]string{"/page.js": "text/javascript; charset=utf-8", "/page.css": "text/css; charset=utf-8"} {
		code, h, body := get(t, url+path)
		if code != http.StatusOK || h.Get("Content-Type") != want || body == "" {
			t.Errorf("%s: got %d %s", path, code, h.Get("Content-Type"))
		}
		r, err := http.NewRequest(http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", h.Get("ETag"))
		again, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: got %d, want 304", path, again.StatusCode)
		}
	}
}
