package web

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"drover/messages"
)

func TestColumns(t *testing.T) {
	now := time.Now()
	of := func(n *node) *columns {
		return newColumns(&snapshot{NodeStatus: n.status}, func(id int) float32 { return float32(id) / 4 }, now)
	}
	n := made(1000)
	first := of(n)
	t.Run("are_small", func(t *testing.T) {
		data, err := json.Marshal(first)
		if err != nil || len(data) > 40_000 {
			t.Errorf("got %d bytes, %v, want at most 40 KB for a thousand shards", len(data), err)
		}
		t.Logf("%d bytes", len(data))
	})
	t.Run("say_all_of_a_shard", func(t *testing.T) {
		n := made(3)
		n.status.Shards[2].State, n.status.Shards[2].LastError, n.status.Shards[1].State = messages.Halted, "no", messages.Resuming
		n.status.Shards[0].LastError = "of before"
		c := of(n)
		if c.States != ".rh" || c.Latency[0] != 415 || c.Rate[2] != 5 || c.Guilds[1] != 812 || c.Since[0] != n.status.Shards[0].Since.Unix() || c.Last[0] != 0 {
			t.Errorf("got %+v", c)
		}
		if len(c.Errors) != 1 || c.Errors[2] != "no" {
			t.Errorf("got the errors %v, want that of the shard that is not ready", c.Errors)
		}
	})
	t.Run("are_sent_where_they_changed", func(t *testing.T) {
		if got := of(n).change(first); got != nil {
			t.Errorf("got %+v, want nothing", got)
		}
		n.status.Shards = slices.Clone(n.status.Shards)
		n.status.Shards[7].State = messages.Disconnected
		got := of(n).change(first)
		if got == nil || got.States == "" || got.ID != nil || got.Rate != nil || got.Guilds != nil {
			t.Errorf("got %+v, want the states alone", got)
		}
		n.status.Shards = n.status.Shards[:999]
		if got := of(n).change(first); len(got.ID) != 999 || len(got.Rate) != 999 {
			t.Errorf("got %d ids after a shard has left, want everything anew", len(got.ID))
		}
	})
	t.Run("have_a_letter_for_each_state", func(t *testing.T) {
		seen := map[byte]bool{}
		for _, s := range messages.AllStates {
			seen[letterOf(s)] = true
		}
		if len(seen) != len(messages.AllStates) || letterOf("") != 'd' || letterOf("newer") != 'd' {
			t.Errorf("got %v", seen)
		}
	})
}

func TestPulse(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shards := func(seqs ...int64) (out []messages.ShardStatus) {
		for id, seq := range seqs {
			out = append(out, messages.ShardStatus{ID: id, SeqReceived: seq})
		}
		return out
	}
	var p pulse
	if r := p.rate(0); r == r {
		t.Errorf("got %v before anything was seen", r)
	}
	p.add(at, shards(100))
	p.add(at, shards(100)) // at the same instant: somebody else has asked
	if r := p.rate(0); r == r {
		t.Errorf("got %v after one status", r)
	}
	p.add(at.Add(2*time.Second), shards(120, 7))
	if r := p.rate(0); r != 10 {
		t.Errorf("got %v, want 10", r)
	}
	if r := p.rate(1); r == r {
		t.Errorf("got %v for a shard that was seen once", r)
	}
	p.add(at.Add(4*time.Second), shards(20, 17)) // shard 0 has a new session
	if r := p.rate(0); r != 10 {
		t.Errorf("a new session: got %v, want 20 and 20 in 4 s", r)
	}
	if r := p.rate(1); r != 5 {
		t.Errorf("a shard that came later: got %v, want 5", r)
	}
	for i := range 20 {
		p.add(at.Add(time.Duration(5+i)*time.Second), shards(20, 17))
	}
	if r := p.rate(0); r != 0 || len(p.times) != beats+1 {
		t.Errorf("got %v over %d statuses, want silence over the last few", r, len(p.times))
	}
}

func TestBudget_says_when_all_have_identified(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	whole := messages.Budget{Total: 1000, Remaining: 900, ResetAt: now.Add(5 * time.Hour), MaxConcurrency: 16, Reserve: 50, Repeated: 3}
	cases := []struct {
		name   string
		change func(*messages.Budget)
		want   []string
		lack   []string
	}{
		{"nobody_waits", func(*messages.Budget) {}, []string{"900 of 1,000", "in 5\u00a0h", "no shard", "nobody waits", "16 at a time", "3 of at most 500", "50"}, nil},
		{"some_wait", func(b *messages.Budget) { b.Waiting, b.ETA = 100, 35*time.Second }, []string{"100 shards", "in about 35\u00a0s", "12:00:35", "enough are left"}, nil},
		{"too_few_are_left", func(b *messages.Budget) { b.Waiting, b.Remaining, b.ETA = 100, 40, time.Hour }, []string{"60 more than are left"}, []string{"enough are left"}},
		{"held_back", func(b *messages.Budget) {
			b.Waiting, b.Held, b.Reason, b.ETA = 2, 2, "half of the day went to repetitions", time.Hour
		}, []string{"2 shards held back: half of the day went to repetitions"}, nil},
		{"not_known", func(b *messages.Budget) { *b = messages.Budget{Waiting: 4} }, []string{"not asked for yet", "when Discord has told the budget", "4 shards"}, []string{"enough"}},
		{"reset_is_over", func(b *messages.Budget) { b.ResetAt = now.Add(-time.Minute) }, []string{"now"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := whole
			c.change(&b)
			text := render("budget", &view{Budget: newBudget(&b, now)})
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("got %s, want %q in it", text, want)
				}
			}
			for _, lack := range c.lack {
				if strings.Contains(text, lack) {
					t.Errorf("got %s, want no %q in it", text, lack)
				}
			}
		})
	}
}
