package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"drover/messages"
)

// thousand is a node of 1,000 shards, a quarter of which are on their way.
func thousand() *node {
	n := made(1000)
	for i := range n.status.Shards {
		s := &n.status.Shards[i]
		s.State = messages.AllStates[[]int{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 0, 2, 4}[(i*7919)%20]]
		s.HeartbeatLatencyMS, s.LastDispatch = float64(20+i%90), time.Now().Add(-time.Duration(i%40)*time.Second)
	}
	n.status.Shards[617].State, n.status.Shards[617].LastError = messages.Halted, "gateway: closed with 4010: invalid shard"
	n.status.Shards[40].State = messages.Ready
	n.status.ShardsReady, n.status.IsReady, n.status.Reasons = 749, false, []string{"251 of 1000 shards are not ready"}
	n.status.Budget.Waiting, n.status.Budget.ETA = 100, 35*time.Second
	return n
}

// busy lets each shard read as many events as its number's last digit, between one status and the next.
func (n *node) busy() {
	n.set(func(s *messages.NodeStatus) {
		s.Shards = slices.Clone(s.Shards)
		for i := range s.Shards {
			s.Shards[i].SeqReceived += int64(i % 10)
			s.Traffic.Received += uint64(i % 10)
			s.Traffic.Routed += uint64(i % 10)
		}
	})
}

// press types keys where the focus is.
func (b *browser) press(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		b.do(t, chromedp.KeyEvent(key))
	}
}

// focused is the number of the shard whose square has the focus.
func (b *browser) focused(t *testing.T) string {
	t.Helper()
	return read[string](t, b, `document.activeElement.dataset.id ?? document.activeElement.tagName`)
}

// spoken lists what assistive technology is told of the page: role and name.
func (b *browser) spoken(t *testing.T) map[string]bool {
	t.Helper()
	tree, err := chromedp.Run(b.ctx, chromedp.Action[accessibility.GetFullAXTreeResult](
		func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
			return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		}))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, n := range tree.Nodes {
		if !n.Ignored && n.Role != nil && n.Name != nil {
			var role, name string
			if json.Unmarshal(n.Role.Value, &role) == nil && json.Unmarshal(n.Name.Value, &name) == nil {
				out[role+" "+name] = true
			}
		}
	}
	return out
}

func TestBrowser_1000_shards(t *testing.T) {
	t.Parallel()
	n := thousand()
	url := startWith(t, Options{Status: n.Status, tick: 400 * time.Millisecond, step: 250 * time.Millisecond})
	b := open(t)
	b.do(t, chromedp.EmulateViewport(1320, 900), scheme("light"), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#tiles")))
	b.until(t, `document.getElementById("link").textContent === "Live" && !document.getElementById("toolbar").hidden`)

	t.Run("fit_into_a_window", func(t *testing.T) {
		if got := read[int](t, b, `document.querySelectorAll("#pools .sq").length`); got != 1000 {
			t.Errorf("got %d squares, want 1000", got)
		}
		if got := read[int](t, b, `document.querySelectorAll(".trouble tbody tr").length`); got != maxTrouble {
			t.Errorf("got %d lines of trouble, want %d", got, maxTrouble)
		}
		if height := read[float64](t, b, `document.getElementById("pools").getBoundingClientRect().height`); height > 600 {
			t.Errorf("the grid is %v pixels high, want all of it in a window", height)
		}
		b.shoot(t, "thousand")
	})
	t.Run("are_walked_through_with_the_keyboard", func(t *testing.T) {
		if got := read[int](t, b, `document.querySelectorAll('#pools .sq[tabindex="0"]').length`); got != 1 {
			t.Errorf("got %d squares that Tab reaches, want one", got)
		}
		b.do(t, chromedp.Focus(chromedp.CSS("#pools .sq")))
		for _, step := range []struct{ key, want string }{
			{kb.ArrowRight, "1"}, {kb.ArrowRight, "2"}, {kb.ArrowLeft, "1"}, {kb.ArrowDown, "51"}, {kb.ArrowDown, "101"}, {kb.ArrowUp, "51"},
			{kb.End, "74"}, {kb.Home, "50"}, {kb.PageDown, "75"}, {kb.PageUp, "50"},
		} {
			b.press(t, step.key)
			if got := b.focused(t); got != step.want {
				t.Errorf("got shard %s with the focus, want %s", got, step.want)
			}
		}
		if card := read[string](t, b, `document.getElementById("card").innerText`); !strings.Contains(card, "Shard 50") || !strings.Contains(card, "70 ms") {
			t.Errorf("got the card %q, want the facts of shard 50", card)
		}
		b.press(t, kb.Escape)
		if !read[bool](t, b, `document.getElementById("card").hidden`) {
			t.Error("Escape leaves the card")
		}
		b.press(t, kb.Enter)
		b.until(t, `location.pathname === "/shards/50" && document.querySelector("#one-title")?.textContent === "Shard 50"`)
		b.do(t, chromedp.Navigate(url))
		b.until(t, `document.getElementById("link").textContent === "Live"`)
	})
	t.Run("are_filtered", func(t *testing.T) {
		seen := func() int { return read[int](t, b, `document.querySelectorAll("#pools .sq:not([data-out])").length`) }
		for text, want := range map[string]int{"617": 1, "100-149": 50, "pool 3 ready": 15, "invalid shard": 1, "nothing": 0} {
			b.press(t, "/")
			if got := read[string](t, b, `document.activeElement.id`); got != "filter" {
				t.Fatalf("got the focus on %q after /, want the filter", got)
			}
			b.do(t, chromedp.Evaluate[chromedp.Void](`document.getElementById("filter").value = ""`))
			b.press(t, strings.Split(text, "")...)
			b.until(t, `document.getElementById("filter").value === `+fmt.Sprintf("%q", text))
			if text == "pool 3 ready" {
				want = read[int](t, b, `document.querySelectorAll("#pool-3 .sq.ready").length`)
			}
			b.until(t, fmt.Sprintf(`document.querySelectorAll("#pools .sq:not([data-out])").length === %d`, want))
			if got, want := read[string](t, b, `document.getElementById("found").textContent`), fmt.Sprintf("%d of 1,000 shards", want); got != want {
				t.Errorf("%q: got %q, want %q", text, got, want)
			}
			b.do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
		}
		b.do(t, chromedp.Evaluate[chromedp.Void](`{ const f = document.getElementById("filter"); f.value = ""; f.dispatchEvent(new Event("input", {bubbles: true})) }`))
		b.do(t, chromedp.Click(chromedp.CSS(`[data-state="resuming"] .chip`)))
		if got, want := seen(), read[int](t, b, `document.querySelectorAll("#pools .sq.resuming").length`); got != want || want == 0 {
			t.Errorf("got %d squares, want the %d that resume", got, want)
		}
		b.press(t, kb.Tab) // on to the next chip: what is pressed must stay so while the server sends
		n.busy()
		b.until(t, `document.querySelector('[data-state="resuming"] .chip').ariaPressed === "true" && location.search === "?state=resuming"`)
		b.do(t, chromedp.Click(chromedp.CSS(`[data-state="resuming"] .chip`)))
		if got := seen(); got != 1000 {
			t.Errorf("got %d squares without a filter, want all", got)
		}
	})
	t.Run("show_other_things_than_their_state", func(t *testing.T) {
		b.do(t, chromedp.Click(chromedp.CSS(`input[value="heartbeat"] + span`)))
		b.until(t, `document.querySelector('#pools .sq[data-id="40"]').dataset.level === "1"`) // 60 ms
		if got := read[int](t, b, `document.querySelectorAll("#pools .sq:not(.ready)[data-level]").length`); got != 0 {
			t.Errorf("%d squares that are not ready hide that", got)
		}
		b.do(t, chromedp.Click(chromedp.CSS(`input[value="rate"] + span`)))
		b.until(t, `(() => { fetch("/health"); return [...document.querySelectorAll("#pools .sq.ready[data-level]")].length > 700 })()`)
		b.do(t, chromedp.Click(chromedp.CSS(`input[value="state"] + span`)))
	})
	t.Run("are_a_table_that_can_be_sorted", func(t *testing.T) {
		b.do(t, chromedp.Click(chromedp.CSS(`input[value="table"] + span`)))
		b.until(t, `document.querySelectorAll("#table tbody tr").length === 100 && document.getElementById("pools").hidden`)
		b.do(t, chromedp.Click(chromedp.CSS(`[data-key="heartbeat"] button`)))
		first := `document.querySelector("#table tbody tr").innerText`
		b.until(t, `document.querySelector('[data-key="heartbeat"]').ariaSort === "descending" && `+first+`.includes("109 ms")`)
		b.do(t, chromedp.Click(chromedp.CSS(`[data-key="state"] button`)))
		b.until(t, first+`.startsWith("617") && `+first+`.includes("4010")`)
		b.do(t, chromedp.Click(chromedp.CSS(`.more`)))
		b.until(t, `document.querySelectorAll("#table tbody tr").length === 200`)
		b.do(t, chromedp.Click(chromedp.CSS(`input[value="grid"] + span`)))
	})
	t.Run("are_named_for_those_who_do_not_see_them", func(t *testing.T) {
		spoken := b.spoken(t)
		for _, want := range []string{
			"link Shard 617: halted · 812 guilds · gateway: closed with 4010: invalid shard", "group Shards of pool 24", "searchbox Filter by number, range, pool, node or error",
			"button " + read[string](t, b, `document.querySelector("[data-state=disconnected] b").textContent`) + " disconnected", "radio Table", "heading Identify budget", "button Theme: system", "link Skip to the shards", "region The last 15 minutes",
		} {
			if !spoken[want] {
				t.Errorf("nobody is told of %q; told is %q", want, near(spoken, want))
			}
		}
		if near := near(spoken, "image Memory over the last 15 minutes"); len(near) != 1 || !strings.Contains(near[0], "now ") {
			t.Errorf("got %q, want the memory's chart in words", near)
		}
	})
	t.Run("tell_when_a_state_changes_and_not_otherwise", func(t *testing.T) {
		b.do(t, chromedp.Evaluate[chromedp.Void](`window.heard = []; new MutationObserver(() => window.heard.push(document.getElementById("said").textContent)).observe(document.getElementById("said"), {childList: true})`))
		read[bool](t, b, `(window.same = document.querySelector('#pools .sq[data-id="41"]')) !== null`)
		for range 5 {
			n.busy()
			b.until(t, `new Promise(ok => requestAnimationFrame(() => ok(true)))`)
		}
		n.set(func(s *messages.NodeStatus) {
			s.Shards = slices.Clone(s.Shards)
			s.Shards[40].State = messages.Resuming
		})
		b.until(t, `window.heard.length > 0`)
		if heard := read[[]string](t, b, `window.heard`); len(heard) != 1 || heard[0] != "Shard 40 is resuming." {
			t.Errorf("heard %q, want one sentence about shard 40", heard)
		}
		b.until(t, `document.querySelector('#pools .sq[data-id="40"]').className === "sq resuming" && window.same.isConnected`)
	})
	t.Run("draw_charts_of_the_node", func(t *testing.T) {
		for range 4 {
			n.busy()
			before := read[string](t, b, `document.querySelector("#chart-events .line")?.getAttribute("d") ?? ""`)
			b.until(t, fmt.Sprintf(`(document.querySelector("#chart-events .line")?.getAttribute("d") ?? "") !== %q`, before))
		}
		if got := read[string](t, b, `document.querySelector("#chart-events .keys b").textContent`); got == "–" {
			t.Error("the chart has no value")
		}
		b.do(t, chromedp.Focus(chromedp.CSS("#chart-memory .plot")))
		b.press(t, kb.ArrowLeft, kb.ArrowLeft)
		b.until(t, `document.querySelector("#chart-memory .read")?.textContent.includes("MB") && document.getElementById("said").textContent.includes("from the system")`)
		b.press(t, kb.Escape)
		b.until(t, `!document.querySelector(".read")`)
	})
	t.Run("have_a_theme_that_can_be_chosen", func(t *testing.T) {
		background := func() string { return read[string](t, b, `getComputedStyle(document.body).backgroundColor`) }
		light := background()
		b.do(t, chromedp.Click(chromedp.CSS("#theme")), chromedp.Click(chromedp.CSS("#theme"))) // to light, to dark
		dark := background()
		if dark == light {
			t.Errorf("got %s in both themes", dark)
		}
		b.do(t, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#theme")))
		if got := background(); got != dark || read[string](t, b, `document.getElementById("theme").innerText`) != "Theme: dark" {
			t.Errorf("got %s after a reload, want the dark one that was chosen", got)
		}
		b.do(t, chromedp.Click(chromedp.CSS("#theme")))
		if got := background(); got != light {
			t.Errorf("got %s, want the system's", got)
		}
	})
	if said := b.said(); len(said) > 0 {
		t.Errorf("the browser complained: %v", said)
	}
}

// near are the spoken names that begin like want.
func near(spoken map[string]bool, want string) (out []string) {
	begin := want[:min(len(want), 16)]
	for _, name := range slices.Sorted(maps.Keys(spoken)) {
		if strings.HasPrefix(name, begin) && len(out) < 8 {
			out = append(out, name)
		}
	}
	return out
}
