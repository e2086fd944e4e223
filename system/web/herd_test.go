package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"drover/messages"
)

// herd is a made-up bot of three nodes with four shards each, one of which drains.
func herd() messages.ClusterStatus {
	c := messages.ClusterStatus{Total: 12, Budget: messages.Budget{Total: 1000, Remaining: 950, ResetAt: time.Now().Add(time.Hour), MaxConcurrency: 1}}
	for i, name := range []string{"ash", "birch", "cedar"} {
		c.Nodes = append(c.Nodes, messages.MemberStatus{
			Name: name, Addr: fmt.Sprintf("10.0.0.%d:9090", i+1), Version: "v1", Self: i == 0, Ready: true, Answered: true, Pools: 2, Seen: time.Duration(i) * time.Second,
		})
		for id := 4 * i; id < 4*i+4; id++ {
			c.Shards = append(c.Shards, messages.ShardStatus{ID: id, Pool: id / 2, Node: name, State: messages.Ready, Guilds: 10})
		}
	}
	c.Nodes[1].Draining = true
	return c
}

func TestHerd_says_what_is_missing(t *testing.T) {
	tests := []struct {
		name   string
		change func(*messages.ClusterStatus)
		want   []string
	}{
		{"nothing", func(*messages.ClusterStatus) {}, nil},
		{"a silent node", func(c *messages.ClusterStatus) {
			c.Nodes[2].Answered = false
			c.Shards = c.Shards[:8]
		}, []string{"no answer from cedar", "8 of 12 shards are ready"}},
		{"a pool without a holder", func(c *messages.ClusterStatus) {
			c.Free = []int{3}
		}, []string{"nobody serves pool 3"}},
		{"many of them", func(c *messages.ClusterStatus) {
			c.Free = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		}, []string{"nobody serves pools 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"}},
		{"the store", func(c *messages.ClusterStatus) {
			c.Away = true
		}, []string{"NATS' key-value store does not answer: nodes keep what they have, and nobody takes anything over"}},
	}
	for _, tt := range tests {
		c := herd()
		tt.change(&c)
		s := New(Options{Cluster: func(context.Context) (messages.ClusterStatus, error) { return c, nil }})
		got, err := s.herdSnapshot(t.Context())
		if err != nil || fmt.Sprint(got.Reasons) != fmt.Sprint(tt.want) || got.IsReady != (tt.want == nil) {
			t.Errorf("%s: got %q, ready %v, %v, want %q", tt.name, got.Reasons, got.IsReady, err, tt.want)
		}
	}
}

func TestHerd_over_HTTP(t *testing.T) {
	c := herd()
	var failed atomic.Bool
	n := made(1)
	url := startWith(t, Options{Status: n.Status, Cluster: func(context.Context) (messages.ClusterStatus, error) {
		if failed.Load() {
			return messages.ClusterStatus{}, errors.New("nats: no responders")
		}
		return c, nil
	}, tick: time.Hour})
	t.Run("shows_every_node_and_all_shards", func(t *testing.T) {
		code, _, body := get(t, url+"/?scope=cluster")
		if code != 200 || strings.Count(body, `class="sq ready"`) < 12 {
			t.Errorf("got %d with %d squares, want 200 with 12", code, strings.Count(body, `class="sq ready"`))
		}
		for _, want := range []string{`data-node="ash"`, `data-node="birch"`, `data-node="cedar"`, "draining", "10.0.0.3:9090", `href="/api/v1/shards?scope=cluster"`} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
	})
	t.Run("answers_the_shards_of_all", func(t *testing.T) {
		if code, _, body := get(t, url+"/api/v1/shards?scope=cluster"); code != 200 || strings.Count(body, `"id":`) != 12 {
			t.Errorf("got %d %s", code, body)
		}
	})
	t.Run("refuses_another_scope", func(t *testing.T) {
		for _, path := range []string{"/?scope=world", "/live?scope=world"} {
			if code, _, body := get(t, url+path); code != 400 || !strings.Contains(body, badScope) {
				t.Errorf("%s: got %d %q", path, code, body)
			}
		}
	})
	t.Run("says_that_nobody_answers", func(t *testing.T) {
		failed.Store(true)
		defer failed.Store(false)
		if code, _, body := get(t, url+"/?scope=cluster"); code != 503 || !strings.Contains(body, "cannot be asked") {
			t.Errorf("got %d, want 503 with a reason", code)
		}
		if code, _, _ := get(t, url+"/"); code != 200 {
			t.Errorf("the node's own page: got %d", code)
		}
	})
}

// Asking all nodes costs each of them something.
func TestHerd_asks_nobody_while_nobody_looks(t *testing.T) {
	asked := make(chan struct{}, 100)
	n, c := made(1), herd()
	url := startWith(t, Options{Status: n.Status, tick: time.Millisecond, Cluster: func(context.Context) (messages.ClusterStatus, error) {
		asked <- struct{}{}
		return c, nil
	}})
	for range 3 { // the node's own page goes on meanwhile
		get(t, url+"/")
	}
	if len(asked) != 0 {
		t.Errorf("the nodes were asked %d times without a viewer", len(asked))
	}
	get(t, url+"/?scope=cluster")
	if len(asked) != 1 {
		t.Errorf("the nodes were asked %d times for one page", len(asked))
	}
}

func TestBrowser_all_nodes(t *testing.T) {
	t.Parallel()
	n := made(4)
	status := make(chan messages.ClusterStatus, 1)
	status <- herd()
	url := startWith(t, Options{Status: n.Status, tick: 20 * time.Millisecond, Cluster: func(context.Context) (messages.ClusterStatus, error) {
		c := <-status
		status <- c
		return c, nil
	}})
	b := open(t)
	b.do(t, chromedp.EmulateViewport(1280, 900), scheme("light"), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#tiles")))
	b.do(t, chromedp.Click(chromedp.CSS(`.scopes a[href="/?scope=cluster"]`)), chromedp.WaitVisible(chromedp.CSS("#nodes")))
	b.until(t, `document.getElementById("link").textContent === "Live"`)
	if got := read[int](t, b, `document.querySelectorAll("#nodes tbody tr").length`); got != 3 {
		t.Errorf("got %d nodes, want 3", got)
	}
	if got := read[int](t, b, `document.querySelectorAll("#pools .sq.ready").length`); got != 12 {
		t.Errorf("got %d squares, want those of all nodes", got)
	}
	b.shoot(t, "cluster")
	<-status
	c := herd() // another one: the server may still read the first
	c.Nodes[2].Answered, c.Shards = false, c.Shards[:8]
	status <- c
	b.until(t, `document.querySelector("[data-node=cedar] .bad")?.textContent === "no answer"`)
	b.until(t, `document.getElementById("badge").textContent === "Not ready"`)
	for _, name := range []string{"light", "dark"} {
		b.do(t, scheme(name))
		b.until(t, `matchMedia("(prefers-color-scheme: `+name+`)").matches && document.getAnimations().length === 0`)
		if faint := read[[]string](t, b, faintTexts); len(faint) > 0 {
			t.Errorf("%s: contrast below 4.5:1: %q", name, faint)
		}
	}
	b.do(t, scheme("light"), chromedp.EmulateViewport(390, 844))
	if !read[bool](t, b, `document.documentElement.scrollWidth <= innerWidth`) {
		t.Error("the page is wider than a telephone")
	}
	if said := b.said(); len(said) > 0 {
		t.Errorf("the browser complained: %v", said)
	}
}
