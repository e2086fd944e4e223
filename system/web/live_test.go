package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"drover/messages"
)

// events reads the server-sent events of a stream that have no name, one JSON object per call.
func events(t *testing.T, body io.Reader) func() map[string]string {
	t.Helper()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	return func() map[string]string {
		t.Helper()
		named := false // an event for the script
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok || named {
				named = strings.HasPrefix(lines.Text(), "event: ")
				continue
			}
			var sections map[string]string
			if err := json.Unmarshal([]byte(data), &sections); err != nil {
				t.Fatal(err)
			}
			return sections
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return nil
	}
}

func TestLive(t *testing.T) {
	t.Run("begins_with_the_whole_page", func(t *testing.T) {
		r, err := http.Get(start(t, made(2), time.Hour) + "/live")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.Header.Get("Content-Type") != "text/event-stream" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %v", r.Header)
		}
		first := events(t, r.Body)()
		if len(first) != 1 || !strings.HasPrefix(first["main"], `<main id="main">`) || !strings.Contains(first["main"], `id="pool-0"`) {
			t.Errorf("got %v", first)
		}
	})
	t.Run("sends_a_change_of_the_node", func(t *testing.T) {
		n := made(2)
		r, err := http.Get(start(t, n, 10*time.Millisecond) + "/live")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		next := events(t, r.Body)
		next()
		n.set(func(s *messages.NodeStatus) {
			s.Shards = slices.Clone(s.Shards)
			s.Shards[1].State = messages.Resuming
		})
		for {
			sections := next() // the pool alone, or the whole page if it is the viewer's first update
			if strings.Contains(sections["pool-0"]+sections["main"], `class="sq resuming"`) {
				return
			}
		}
	})
	t.Run("bounds_its_viewers", func(t *testing.T) {
		url := start(t, made(1), time.Hour) + "/live"
		for range maxViewers {
			r, err := http.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			events(t, r.Body)()
		}
		code, h, body := get(t, url)
		if code != 503 || h.Get("Retry-After") == "" || !strings.Contains(body, "too many viewers") {
			t.Errorf("got %d %s", code, body)
		}
	})
	t.Run("gives_a_place_back", func(t *testing.T) {
		n := made(1)
		s := New(Options{Status: n.Status})
		for range 3 * maxViewers {
			viewer, first := s.live.join(&snapshot{NodeStatus: n.status}, nil)
			if viewer == nil || first == nil {
				t.Fatal("no place though the others left")
			}
			s.live.leave(viewer)
		}
	})
	t.Run("drops_a_viewer_that_does_not_read", func(t *testing.T) {
		n := made(1)
		s := New(Options{Status: n.Status})
		slow, _ := s.live.join(&snapshot{NodeStatus: n.status}, nil)
		for i := range backlog + 1 {
			n.status.GuildsTotal = 1000 + i
			s.live.update(&snapshot{NodeStatus: n.status}, nil, time.Now())
		}
		got := 0
		for range slow { // ends because it was closed
			got++
		}
		if got != backlog || len(s.live.viewers) != 0 {
			t.Errorf("got %d updates and %d viewers, want %d and none", got, len(s.live.viewers), backlog)
		}
	})
	t.Run("ends_with_the_server", func(t *testing.T) {
		n := made(1)
		s := New(Options{Status: n.Status})
		viewer, _ := s.live.join(&snapshot{NodeStatus: n.status}, nil)
		s.live.end()
		if _, open := <-viewer; open {
			t.Error("the viewer was not let go")
		}
		if again, _ := s.live.join(&snapshot{NodeStatus: n.status}, nil); again != nil {
			t.Error("a viewer was taken in after the end")
		}
		s.live.leave(viewer) // what its request does then; must not close twice
	})
}

func TestShown_sends_only_what_changed(t *testing.T) {
	n := made(50)
	now := time.Now()
	var h history
	var s shown
	names := func() []string {
		status := n.status
		return slices.Sorted(maps.Keys(s.change(newView(&snapshot{NodeStatus: status}, &h, now))))
	}
	if got := names(); !slices.Equal(got, []string{"main"}) {
		t.Errorf("first: got %v, want main", got)
	}
	if got := names(); len(got) != 0 {
		t.Errorf("nothing happened: got %v", got)
	}
	n.status.GuildsTotal++
	if got := names(); !slices.Equal(got, []string{"tiles"}) {
		t.Errorf("a guild came: got %v, want tiles", got)
	}
	n.status.Shards = slices.Clone(n.status.Shards)
	n.status.Shards[30].State = messages.Halted
	if got := names(); !slices.Equal(got, []string{"pool-1", "states"}) {
		t.Errorf("shard 30 halted: got %v, want pool-1 and states", got)
	}
	n.status.Shards[30].SeqReceived++
	n.status.Shards[30].HeartbeatLatencyMS++
	if got := names(); len(got) != 0 {
		t.Errorf("an event came: got %v, want nothing", got)
	}
	n.status.Shards = n.status.Shards[:25]
	if got := names(); !slices.Equal(got, []string{"main"}) {
		t.Errorf("a pool left: got %v, want main", got)
	}
}

func TestLive_keeps_the_last_known_when_the_node_is_silent(t *testing.T) {
	n := made(2)
	s := New(Options{Status: n.Status, Node: "node-a"})
	at := time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC)
	gone := errors.New("deadline")
	if v := s.live.view(&snapshot{NodeStatus: messages.NodeStatus{Node: "node-a", Version: "v1"}}, gone, at); v.Node != "node-a" || !strings.HasSuffix(v.Silent, "within 2 s.") {
		t.Errorf("before any answer: got %q %q", v.Node, v.Silent)
	}
	s.live.update(&snapshot{NodeStatus: n.status}, nil, at)
	v := s.live.view(&snapshot{NodeStatus: messages.NodeStatus{Node: "node-a", Version: "v1"}}, gone, at.Add(time.Minute))
	if v.Node != "herder-7f9c" || len(v.Pools) != 1 || v.Badge != "No answer" || !strings.HasSuffix(v.Silent, "from 10:11:12 UTC.") {
		t.Errorf("after one: got %q %q %q", v.Node, v.Badge, v.Silent)
	}
}

// Each status lists every shard, and most of the time nobody looks.
func TestLive_asks_for_every_shard_only_while_somebody_looks(t *testing.T) {
	n := made(2)
	var statuses, traffics atomic.Int64
	s := New(Options{
		Addr: "127.0.0.1:0", Metrics: http.NotFoundHandler(), tick: time.Millisecond,
		Status:  func(ctx context.Context) (messages.NodeStatus, error) { statuses.Add(1); return n.Status(ctx) },
		Traffic: func() messages.Traffic { traffics.Add(1); return messages.Traffic{} },
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with cancel
		defer close(done)
		s.live.run(ctx)
	}()
	until := func(what string, ok func() bool) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		late := time.After(30 * time.Second)
		for !ok() {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("not within 30 s: %s", what)
			}
		}
	}
	until("fifty ticks", func() bool { return traffics.Load() >= 50 })
	if got, most := statuses.Load(), traffics.Load()/(unseen-1)+2; got > most {
		t.Errorf("got %d statuses while nobody looks, want at most %d", got, most)
	}
	s.live.lock.Lock()
	s.live.viewers[make(chan []byte, 1<<16)] = struct{}{} // so much that it is never dropped for being slow
	s.live.lock.Unlock()
	before := traffics.Load() // one may be under way
	seen := statuses.Load()
	until("statuses for a viewer", func() bool { return statuses.Load() >= seen+2*unseen })
	if got := traffics.Load(); got > before+1 {
		t.Errorf("got %d ticks without a status while somebody looks, want none", got-before)
	}
	cancel()
	<-done
}
