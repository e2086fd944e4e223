package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"drover/messages"
	"drover/system/gatewaysim"
)

// troubledPast is the history of a shard that was closed with 4009 some minutes ago.
func troubledPast() *messages.ShardHistory {
	at := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	return &messages.ShardHistory{
		Began: at(time.Hour), Sessions: 2, Resumes: 1, Identifies: 2, Dials: 12, Lost: 1,
		Events: []messages.ShardEvent{
			{At: at(4 * time.Minute), State: messages.Ready, Text: "ready (identified)", Session: "b2b2b2b2", Times: 1},
			{At: at(5 * time.Minute), Until: at(270 * time.Second), State: messages.Disconnected, Text: "dial failed (refused), to identify anew", Times: 12, Error: true},
			{At: at(6 * time.Minute), State: messages.Disconnected, Text: "closed by Discord with 4009, to identify anew", Code: 4009, Times: 1, Error: true},
			{At: at(time.Hour), State: messages.Ready, Text: "ready (identified)", Session: "a1a1a1a1", Times: 1},
		},
		Closes: []messages.CloseCount{{Code: 4009, Meaning: "session timed out", Count: 3, Last: at(6 * time.Minute)}},
	}
}

func TestShardPage_over_HTTP(t *testing.T) {
	t.Parallel()
	n := made(3)
	remote := errors.New("NATS is away")
	o := Options{
		Status: n.Status, tick: time.Hour,
		Cluster: func(context.Context) (messages.ClusterStatus, error) { return herd(), nil },
		History: func(_ context.Context, id int) (*messages.ShardHistory, error) { return troubledPast(), nil },
		Remote: func(_ context.Context, id int) (messages.ShardDetail, bool, error) {
			d := messages.ShardDetail{ShardStatus: messages.ShardStatus{ID: id, Node: "birch", State: messages.Resuming}, History: *troubledPast()}
			if id == 9 && remote != nil {
				return d, false, remote
			}
			return d, id == 7, nil
		},
		Address: func(node string) string { return map[string]string{"birch": "10.0.0.2:9090"}[node] },
	}
	url := startWith(t, o)
	for _, c := range []struct {
		path  string
		code  int
		wants []string
	}{
		{"/shards/1", 200, []string{
			"Shard 1", "a1b2c301", `href="/shards/0"`, `href="/shards/2"`, "closed by Discord with 4009", "session timed out", "12 times, the last one at",
			`data-live="/live?shard=1"`, `class="strip"`, "a1a1a1a1",
		}},
		{"/shards/1?scope=cluster", 200, []string{`href="/?scope=cluster"`, `href="/shards/2?scope=cluster"`, `/live?shard=1&amp;scope=cluster`}},
		{"/shards/7", 200, []string{"resuming", `href="http://10.0.0.2:9090/shards/7"`, "session timed out"}},
		{"/shards/8", 404, []string{"No node serves shard 8"}},
		{"/shards/9", 503, []string{"Nothing is known of this shard at the moment: the other nodes cannot be asked: NATS is away."}},
		{"/api/v1/shards/9", 503, []string{"the other nodes cannot be asked: NATS is away"}},
		{"/shards/x", 404, []string{"named by its number"}},
		{"/shards/-1", 404, []string{"named by its number"}},
		{"/shards/99999999999999999999", 404, []string{"named by its number"}},
		{"/api/v1/shards/8", 404, []string{"no node serves shard 8"}},
		{"/live?shard=x", 400, []string{"shard is a number"}},
	} {
		code, _, body := get(t, url+c.path)
		if code != c.code {
			t.Errorf("%s: got %d, want %d", c.path, code, c.code)
		}
		for _, want := range c.wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", c.path, want)
			}
		}
	}
	for id, node := range map[int]string{1: "herder-7f9c", 7: "birch"} {
		code, h, body := get(t, url+fmt.Sprintf("/api/v1/shards/%d", id))
		var d messages.ShardDetail
		if err := json.Unmarshal([]byte(body), &d); err != nil || code != 200 || h.Get("Content-Type") != "application/json" {
			t.Fatalf("got %d %v %s", code, err, body)
		}
		if d.ID != id || d.Node != node || len(d.History.Events) != 4 || d.History.Closes[0].Code != 4009 {
			t.Errorf("got %+v, want the whole of shard %d", d, id)
		}
	}
	t.Run("says_that_the_node_is_silent", func(t *testing.T) {
		n.lock.Lock()
		n.silent = true
		n.lock.Unlock()
		silent := startWith(t, Options{Status: n.Status, tick: time.Hour})
		if code, _, body := get(t, silent+"/shards/1"); code != 503 || !strings.Contains(body, "did not answer") {
			t.Errorf("got %d, want 503 with the reason", code)
		}
	})
}

func TestStrip_shows_the_last_quarter_of_an_hour(t *testing.T) {
	now := time.Now()
	event := func(ago time.Duration, s messages.State) messages.ShardEvent {
		return messages.ShardEvent{At: now.Add(-ago), State: s}
	}
	h := &messages.ShardHistory{Events: []messages.ShardEvent{
		event(3*time.Minute, messages.Ready), event(6*time.Minute, messages.Ready), // the later one is a note
		event(6*time.Minute+40*time.Millisecond, messages.Resuming), event(6*time.Minute+100*time.Millisecond, messages.Disconnected), event(time.Hour, messages.Ready), event(2*time.Hour, messages.Halted),
	}}
	got := strip(h, now)
	if len(got) != 4 || got[1].Class != "none" || got[1].X != got[2].X {
		t.Fatalf("got %+v, want three stretches, and a blank below the one without service", got)
	}
	if s := got[0]; s.Class != "ready" || s.X != 0 || int(s.Width) != 539 || s.Height != stripHeight {
		t.Errorf("oldest: got %+v, want ready for nine of fifteen minutes", s)
	}
	if s := got[2]; s.Class != "disconnected" || s.Width != thinnest || s.Height >= stripHeight {
		t.Errorf("short: got %+v, want it wide enough to be seen, and lower than ready", s)
	}
	if s := got[3]; int(s.X) != 540 || int(s.Width) != 360 {
		t.Errorf("newest: got %+v, want six minutes up to the right edge", s)
	}
}

// Real nodes, real sessions, and close codes that a simulated Discord sends.
func TestBrowser_a_shard_has_a_history(t *testing.T) {
	t.Parallel()
	sim := simulate(t, gatewaysim.Options{Shards: 8, MaxConcurrency: 8, Rate: 200, IdentifyEvery: 100 * time.Millisecond, Heartbeat: 2 * time.Second})
	urls := StartHerd(t, sim, 8, "ash", "birch")
	b := open(t)
	b.do(t, chromedp.EmulateViewport(1320, 1000), scheme("light"), chromedp.Navigate(urls[0]+"/?scope=cluster"))
	b.within(t, 40*time.Second, `document.querySelectorAll("#pools .sq.ready").length === 8 &&
		[...document.querySelectorAll("#nodes tbody tr")].map(r => r.cells[2].textContent).join() === "2,2"`) // pools of each
	served := func(node string) int {
		var all []messages.ShardStatus
		_, _, body := get(t, urls[0]+"/api/v1/shards?scope=cluster")
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			t.Fatal(err)
		}
		return all[slices.IndexFunc(all, func(s messages.ShardStatus) bool { return s.Node == node })].ID
	}
	for _, c := range []struct{ name, node string }{{"on_another_node", "birch"}, {"on_this_one", "ash"}} {
		t.Run(c.name, func(t *testing.T) {
			id := served(c.node)
			b.do(t, chromedp.Navigate(fmt.Sprintf("%s/shards/%d?scope=cluster", urls[0], id)))
			b.until(t, `document.getElementById("link").textContent === "Live" && document.querySelector("#past tbody tr")`)
			if where := read[string](t, b, `document.querySelector("#one .title .sub").innerText`); !strings.HasSuffix(where, "on "+c.node) {
				t.Errorf("got %q, want the node %s", where, c.node)
			}
			sim.CloseAll(gatewaysim.One(id), 4000, "")
			b.until(t, `document.querySelector(".events .error")?.innerText.includes("closed by Discord with 4000") &&
				document.querySelector(".events tbody tr").innerText.includes("ready (resumed)")`)
			sim.CloseAll(gatewaysim.One(id), 4009, "")
			b.until(t, `[...document.querySelectorAll(".closes tbody tr")].map(r => r.innerText.split("\t").slice(0, 3).join()).join(";") === "4000,unknown error,1;4009,session timed out,1" &&
				document.querySelector(".events tbody").innerText.includes("session lost: events may be missing")`)
			counts := read[map[string]int](t, b, `Object.fromEntries([...document.querySelectorAll(".counts dl div")].map(d => [d.children[0].textContent, +d.children[1].textContent]))`)
			// The first session began here, or the other node handed it over; and the next one may have begun by now.
			up := counts["Sessions begun"] + counts["Resumes that worked"]
			if counts["Resumes that worked"] == 0 || up < 2 || up > 3 || counts["Sessions begun"] > counts["Identifies sent"] {
				t.Errorf("got %v, want a session that was resumed after the close", counts)
			}
			b.until(t, `document.querySelector(".strip rect.disconnected")`)
			if c.node == "ash" { // by now a step of the charts is over
				b.until(t, `document.querySelector("#chart-heartbeat .line")`)
			}
			_, _, text := get(t, fmt.Sprintf("%s/api/v1/shards/%d", urls[0], id))
			text += read[string](t, b, `document.documentElement.outerHTML`)
			for _, session := range sim.Ledger() {
				if strings.Contains(text, session.SessionID) || strings.Contains(text, "test-token") {
					t.Error("the whole id of a session, or the token, is shown")
				}
			}
			for _, theme := range []string{"dark", "light"} {
				b.do(t, scheme(theme))
				b.until(t, `matchMedia("(prefers-color-scheme: `+theme+`)").matches && document.getAnimations().length === 0`)
				if faint := read[[]string](t, b, faintTexts); len(faint) > 0 {
					t.Errorf("%s: contrast below 4.5:1: %q", theme, faint)
				}
			}
			b.shoot(t, "shard-"+c.node)
		})
	}
	if said := b.said(); len(said) > 0 {
		t.Errorf("the browser complained: %v", said)
	}
}
