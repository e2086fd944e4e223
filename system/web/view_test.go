package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"drover/messages"
)

func TestFormat(t *testing.T) {
	cases := []struct{ name, got, want string }{
		{"count_small", count(999), "999"},
		{"count_thousands", count(1234567), "1,234,567"},
		{"count_negative", count(-123456), "-123,456"},
		{"rate_none", rate(0), "0"},
		{"rate_few", rate(0.25), "0.2"},
		{"rate_many", rate(12345.6), "12,346"},
		{"rate_at_the_border", rate(9.96), "10"},
		{"plural_one", plural(1, "shard"), "1 shard"},
		{"plural_none", plural(0, "shard"), "0 shards"},
		{"span_seconds", span(59 * time.Second), "59\u00a0s"},
		{"span_minutes", span(61 * time.Second), "1\u00a0min 1\u00a0s"},
		{"span_hours", span(23*time.Hour + 59*time.Minute), "23\u00a0h 59\u00a0min"},
		{"span_days", span(50 * time.Hour), "2\u00a0d 2\u00a0h"},
		{"span_of_a_clock_set_back", span(-time.Hour), "0\u00a0s"},
		{"about_seconds", about(35 * time.Second), "35\u00a0s"},
		{"about_minutes", about(10 * time.Minute), "10\u00a0min"},
		{"about_hours", about(5 * time.Hour), "5\u00a0h"},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "– ", 250 * time.Microsecond: "250 µs", 1800 * time.Microsecond: "1.8 ms", 42 * time.Millisecond: "42 ms", 2100 * time.Millisecond: "2.1 s",
	} {
		number, unit := latency(d)
		if got := number + " " + unit; got != want {
			t.Errorf("latency(%v): got %q, want %q", d, got, want)
		}
	}
}

func TestHistory(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fill := func(h *history, ticks int, perTick uint64) {
		for range ticks {
			n := uint64(len(h.samples))
			total := uint64(0)
			at := began
			if n > 0 {
				last := h.samples[n-1]
				total, at = last.received+perTick, last.at.Add(time.Second)
			}
			h.add(at, &messages.Traffic{Received: total, ByType: map[string]uint64{"member.join": total / 2}})
		}
	}
	t.Run("has_no_rate_before_two_samples", func(t *testing.T) {
		var h history
		fill(&h, 1, 10)
		line, area, peak := h.spark()
		if h.rate() != 0 || h.rateOf("member.join") != 0 || line != "" || area != "" || peak != 0 {
			t.Errorf("got %v %v %q %q %v", h.rate(), h.rateOf("member.join"), line, area, peak)
		}
	})
	t.Run("follows_a_change_within_seconds", func(t *testing.T) {
		var h history
		fill(&h, 20, 10)
		if h.rate() != 10 || h.rateOf("member.join") != 5 {
			t.Errorf("got %v and %v, want 10 and 5", h.rate(), h.rateOf("member.join"))
		}
		fill(&h, smooth, 1000)
		if h.rate() != 1000 {
			t.Errorf("got %v, want 1000", h.rate())
		}
	})
	t.Run("is_bounded", func(t *testing.T) {
		var h history
		fill(&h, 10*keep, 10)
		types := 0
		for _, s := range h.samples {
			if s.byType != nil {
				types++
			}
		}
		if len(h.samples) != keep+1 || types != smooth+1 {
			t.Errorf("got %d samples, %d with types; want %d, %d", len(h.samples), types, keep+1, smooth+1)
		}
		line, area, peak := h.spark()
		if got := len(strings.Fields(line)); got != keep {
			t.Errorf("got %d points, want %d", got, keep)
		}
		if !strings.HasPrefix(line, "1,") || !strings.HasPrefix(area, "1,40 1,") || !strings.HasSuffix(area, " 180,40") || peak != 10 {
			t.Errorf("got %.12s… %.12s…, peak %v", line, area, peak)
		}
	})
	t.Run("begins_anew_when_the_counters_do", func(t *testing.T) {
		var h history
		fill(&h, 5, 10)
		h.add(began.Add(time.Hour), &messages.Traffic{})
		if len(h.samples) != 1 || h.rate() != 0 {
			t.Errorf("got %d samples, rate %v", len(h.samples), h.rate())
		}
	})
}

func TestView(t *testing.T) {
	now := time.Now()
	t.Run("shows_only_shards_in_trouble_worst_first", func(t *testing.T) {
		n := made(30)
		for id, s := range map[int]messages.ShardStatus{
			1: {State: messages.Identifying, Since: now},                                     // on its way up
			2: {State: messages.Identifying, Since: now.Add(-patience - time.Second)},        // for too long
			3: {State: messages.Connecting, Since: now, LastError: "gateway: dial: refused"}, // again
			4: {State: messages.Disconnected, Since: now},
			5: {State: messages.Halted, Since: now.Add(-time.Hour)},
		} {
			n.status.Shards[id].State, n.status.Shards[id].Since, n.status.Shards[id].LastError = s.State, s.Since, s.LastError
		}
		var got []int
		for _, line := range newView(&snapshot{NodeStatus: n.status}, &history{}, now).Trouble {
			got = append(got, line.ID)
		}
		if want := "[5 4 3 2]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	})
	t.Run("has_a_square_for_a_state_that_it_does_not_know", func(t *testing.T) {
		n := made(1)
		n.status.Shards[0].State = "dreaming"
		c := newView(&snapshot{NodeStatus: n.status}, &history{}, now).Pools[0].Cells[0]
		if c.Class != "disconnected" || c.Letter != "D" || !strings.Contains(c.Title, "dreaming") {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("folds_the_rare_types_into_a_line", func(t *testing.T) {
		n := made(1)
		for i := range maxTypes + 3 {
			n.status.Traffic.ByType[fmt.Sprintf("type.%02d", i)] = uint64(1000 - i)
		}
		v := newView(&snapshot{NodeStatus: n.status}, &history{}, now)
		if len(v.Types) != maxTypes || v.Types[0].Name != "type.00" || v.Others != "and 3 more types with 2,961 events" {
			t.Errorf("got %d types, first %s, %q", len(v.Types), v.Types[0].Name, v.Others)
		}
	})
	t.Run("says_how_long_identifying_takes", func(t *testing.T) {
		n := made(25)
		n.status.ShardsReady = 9
		n.status.Budget.Waiting, n.status.Budget.ETA = 16, 42*time.Second
		var notes []string
		for _, tile := range newView(&snapshot{NodeStatus: n.status}, &history{}, now).Tiles {
			notes = append(notes, tile.ID+": "+tile.Note)
		}
		for _, want := range []string{"ready: 16 to go · done in about 42\u00a0s", "budget: 16 shards waiting · 16 at a time"} {
			if !strings.Contains(strings.Join(notes, "\n"), want) {
				t.Errorf("got %q, want %q among them", notes, want)
			}
		}
	})
}

func TestPage_escapes_what_it_shows(t *testing.T) {
	n := made(1)
	evil := `"><script>alert(1)</script>`
	n.status.Node, n.status.Reasons, n.status.IsReady = evil, []string{evil}, false
	n.status.Shards[0].State, n.status.Shards[0].LastError = messages.Halted, evil
	n.status.Notices = []messages.Notice{{At: time.Now(), Text: evil}}
	n.status.Traffic.ByType[evil] = 1
	code, _, body := get(t, start(t, n, time.Hour)+"/")
	if code != 200 || strings.Contains(body, "<script>alert") {
		t.Errorf("got %d, and the script in the page", code)
	}
	if got := strings.Count(body, "&lt;script&gt;"); got < 6 {
		t.Errorf("got it shown %d times, want in all places", got)
	}
	if strings.Contains(body, " style=") || strings.Contains(body, "<style") || strings.Contains(body, " onclick") {
		t.Error("the page holds what its own policy forbids")
	}
}

func TestTile_says_what_the_spool_does(t *testing.T) {
	for _, tt := range []struct {
		traffic messages.Traffic
		note    string
		class   string
	}{
		{messages.Traffic{Unacked: 7}, "events on their way to JetStream", ""},
		{messages.Traffic{Unacked: 9000, Spooled: 4904}, "4,904 of them on disk, until NATS takes them", "wait"},
		{messages.Traffic{Unacked: 9000, Spooled: 4904, SpoolFull: true}, "the spool is full: shards wait", "bad"},
	} {
		got := unacked(&messages.NodeStatus{Traffic: tt.traffic})
		if got.Note != tt.note || got.Class != tt.class {
			t.Errorf("%+v: got %q, class %q, want %q, class %q", tt.traffic, got.Note, got.Class, tt.note, tt.class)
		}
	}
}
