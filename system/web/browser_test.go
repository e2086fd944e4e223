package web

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"drover/messages"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// unwell is a node of 25 shards in every state there is, under way after a restart.
func unwell() *node {
	n := made(25)
	s := &n.status
	fail := func(id int, state messages.State, since time.Duration, text string) {
		s.Shards[id].State, s.Shards[id].Since, s.Shards[id].LastError = state, time.Now().Add(-since), text
	}
	fail(3, messages.Connecting, 2*time.Second, "")
	fail(7, messages.Disconnected, 34*time.Second, "gateway: dial shard 7: i/o timeout")
	fail(11, messages.Resuming, time.Second, "gateway: closed with 4000 (resumable)")
	fail(17, messages.Halted, 11*time.Minute, "gateway: closed with 4010: invalid shard; check pool.total_shards")
	fail(23, messages.Identifying, 9*time.Second, "")
	fail(24, messages.Identifying, 9*time.Second, "")
	s.Shards[7].Restarts, s.Shards[17].Session, s.Shards[23].Session, s.Shards[24].Session = 3, "", "", ""
	s.ShardsReady, s.IsReady = 19, false
	s.Reasons = []string{"6 of 25 shards are not ready (health.min_ready is 1.0)", "shard 17 was refused by Discord: close code 4010"}
	s.Budget.Waiting, s.Budget.ETA = 2, 10*time.Second
	s.Notices = []messages.Notice{
		{At: time.Now().Add(-time.Second), ShardID: 11, Text: "connection lost (4000), resuming"},
		{At: time.Now().Add(-9 * time.Second), ShardID: 24, Text: "session invalid, identifying anew"},
		{At: time.Now().Add(-34 * time.Second), ShardID: 7, Text: "connection lost without a close frame, dialling again in 8 s"},
		{At: time.Now().Add(-11 * time.Minute), ShardID: 17, Text: "refused for good: 4010 invalid shard"},
		{At: time.Now().Add(-3 * time.Hour), ShardID: -1, Text: "NATS connected"},
	}
	s.Traffic = messages.Traffic{
		Received: 12_345_678, Routed: 12_345_660, Failures: 3, Unacked: 18, P50: 1800 * time.Microsecond, P99: 12 * time.Millisecond,
		ByType: map[string]uint64{
			"message.create": 6_812_004, "presence.update": 2_420_118, "typing.start": 1_204_551, "voice.state_update": 801_993,
			"message.update": 412_822, "guild.available": 20_300, "member.update": 302_118, "message.reaction_add": 210_777,
			"member.join": 44_120, "member.leave": 39_871, "interaction.create": 61_204, "channel.update": 9_113, "guild.update": 4_006, "invite.create": 2_681,
		},
	}
	return n
}

// faintTexts lists the texts on the page whose contrast to what is behind them is below 4.5:1 (WCAG 2.2, level AA).
const faintTexts = `(() => {
	const channels = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = channels(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b; };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
		if (channels(c).length === 3 || channels(c)[3] === 1) return c; } return "rgb(255,255,255)"; };
	const faint = [];
	for (const e of document.body.querySelectorAll("*")) {
		if (![...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim()) || e.closest("noscript, [aria-hidden]")) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((a, b) => b - a);
		if ((a + .05) / (b + .05) < 4.5) faint.push(e.textContent.trim() + " " + ((a + .05) / (b + .05)).toFixed(2));
	}
	return faint;
})()`

// flow lets events arrive with every status that is asked for, the busier types faster.
func (n *node) flow(perTick float64) {
	n.set(func(s *messages.NodeStatus) {
		types := map[string]uint64{}
		for name, total := range s.Traffic.ByType {
			more := uint64(perTick * float64(total) / 12e6 * (0.7 + 0.6*rand.Float64()))
			types[name] = total + more
			s.Traffic.Received += more
			s.Traffic.Routed += more
		}
		s.Traffic.ByType = types
	})
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	n := unwell()
	url := start(t, n, 50*time.Millisecond)
	b := open(t)
	b.do(t, chromedp.EmulateViewport(1280, 900), scheme("light"), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#tiles")))

	t.Run("shows_the_counts_of_all_states", func(t *testing.T) {
		for state, want := range map[string]int{
			"ready": 19, "connecting": 1, "identifying": 2, "resuming": 1, "disconnected": 1, "halted": 1,
		} {
			if got := read[int](t, b, `document.querySelectorAll("#pools .sq.`+state+`").length`); got != want {
				t.Errorf("squares %s: got %d, want %d", state, got, want)
			}
			legend := read[string](t, b, `document.querySelector("[data-state=`+state+`] b").textContent`)
			if legend != fmt.Sprint(want) {
				t.Errorf("legend %s: got %s, want %d", state, legend, want)
			}
		}
	})
	t.Run("tells_states_apart_without_colour", func(t *testing.T) {
		if got := read[int](t, b, `document.querySelectorAll("#pools .sq:not(.ready):not([data-letter])").length`); got != 0 {
			t.Errorf("%d squares that are not ready have no letter", got)
		}
		title := read[string](t, b, `document.querySelector("#pools .sq.halted").ariaLabel`)
		if !strings.HasPrefix(title, "Shard 17: halted · 812 guilds") {
			t.Errorf("got name %q", title)
		}
	})
	t.Run("says_in_words_what_is_missing", func(t *testing.T) {
		reasons := read[string](t, b, `document.getElementById("reasons").innerText`)
		for _, want := range n.status.Reasons {
			if !strings.Contains(reasons, want) {
				t.Errorf("got %q, want %q in it", reasons, want)
			}
		}
		if got := read[string](t, b, `document.getElementById("badge").textContent`); got != "Not ready" {
			t.Errorf("got badge %q", got)
		}
		if got := read[string](t, b, `document.querySelector(".trouble tbody tr td").textContent`); got != "17" {
			t.Errorf("got shard %s on top of the troubles, want the halted one", got)
		}
	})
	t.Run("draws_the_rate", func(t *testing.T) {
		for range 40 {
			n.flow(900)
			before := read[string](t, b, `document.querySelector(".spark polyline")?.getAttribute("points") ?? ""`)
			b.until(t, fmt.Sprintf(`(document.querySelector(".spark polyline")?.getAttribute("points") ?? "") !== %q`, before))
		}
		for range 200 { // the rate is that of the last ticks, and the browser may be slow
			if read[string](t, b, `document.querySelector("#tile-rate b").textContent`) != "0" {
				return
			}
			n.flow(900)
			b.until(t, `new Promise(ok => requestAnimationFrame(() => ok(true)))`)
		}
		t.Error("the rate is 0 though events come")
	})
	t.Run("looks_as_it_should", func(t *testing.T) {
		b.shoot(t, "light")
		light := read[string](t, b, `getComputedStyle(document.body).backgroundColor`)
		b.do(t, scheme("dark"))
		b.until(t, `matchMedia("(prefers-color-scheme: dark)").matches`)
		if dark := read[string](t, b, `getComputedStyle(document.body).backgroundColor`); dark == light {
			t.Errorf("got %s as background in both schemes", dark)
		}
		b.shoot(t, "dark")
		b.do(t, scheme("light"), chromedp.EmulateViewport(390, 844))
		if got := read[bool](t, b, `document.documentElement.scrollWidth <= innerWidth`); !got {
			t.Error("the page is wider than a telephone")
		}
		b.shoot(t, "narrow")
		b.do(t, chromedp.EmulateViewport(1280, 900))
	})
	t.Run("can_be_read_in_both_schemes", func(t *testing.T) {
		for _, name := range []string{"light", "dark"} {
			b.do(t, scheme(name))
			b.until(t, `matchMedia("(prefers-color-scheme: `+name+`)").matches && document.getAnimations().length === 0`)
			if faint := read[[]string](t, b, faintTexts); len(faint) > 0 {
				t.Errorf("%s: contrast below 4.5:1: %q", name, faint)
			}
		}
		b.do(t, scheme("light"))
	})
	t.Run("follows_the_node_without_a_reload", func(t *testing.T) {
		b.until(t, `document.getElementById("link").textContent === "Live"`)
		read[bool](t, b, `(window.same = document.querySelector("#pools .sq.halted")) !== null`)
		n.set(func(s *messages.NodeStatus) {
			*s = made(25).status
		})
		b.until(t, `document.getElementById("badge").textContent === "Ready"`)
		b.until(t, `document.querySelectorAll("#pools .sq.ready").length === 25 && !document.getElementById("reasons")`)
		if !read[bool](t, b, `window.same.isConnected && window.same.className === "sq ready"`) {
			t.Error("the square was made anew: tooltips and transitions would not survive")
		}
		b.shoot(t, "ready")
	})
	t.Run("says_when_the_actors_are_silent", func(t *testing.T) {
		n.lock.Lock()
		n.silent = true
		n.lock.Unlock()
		b.until(t, `document.querySelector("[role=alert]")?.textContent.includes("did not answer")`)
		n.lock.Lock()
		n.silent = false
		n.lock.Unlock()
		b.until(t, `!document.querySelector("[role=alert]")`)
	})
	if said := b.said(); len(said) > 0 {
		t.Errorf("the browser complained: %v", said)
	}
}

func TestBrowser_without_script(t *testing.T) {
	t.Parallel()
	url := start(t, unwell(), 50*time.Millisecond)
	b := open(t)
	b.do(t, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#tiles")))
	b.do(t, chromedp.WaitVisible(chromedp.CSS("#pools .sq.halted")), chromedp.WaitVisible(chromedp.CSS("#reasons")))
	b.shoot(t, "no-script")
}

func TestPolicy_is_in_force(t *testing.T) {
	t.Parallel()
	url := start(t, made(1), time.Second)
	b := open(t)
	b.do(t, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#tiles")))
	b.do(t, chromedp.Evaluate[chromedp.Void](`const s = document.createElement("script"); s.textContent = "window.broken = true"; document.body.append(s)`))
	if read[bool](t, b, `window.broken === true`) {
		t.Error("an inline script ran")
	}
	if said := b.said(); !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "Content Security Policy") }) {
		t.Errorf("got %v: this test's ears do not hear a violation", said)
	}
}
