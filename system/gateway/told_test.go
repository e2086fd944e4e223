package gateway

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTrackerKnows_the_guild_set_as_of_a_sequence_number(t *testing.T) {
	tr := NewTracker()
	tr.Keep()
	if _, version, ok := tr.Known(tr.Session(), 0); version != 0 || !ok {
		t.Errorf("before the first session: got version %d, ok %v; want 0, true", version, ok)
	}
	tr.Begin(1, []uint64{2, 1})
	steps := []struct {
		event, d string // seq 2, 3, …
		want     []uint64
	}{
		{"GUILD_CREATE", `{"id":"1"}`, []uint64{1, 2}},
		{"GUILD_CREATE", `{"id":"3"}`, []uint64{1, 2, 3}},
		{"GUILD_DELETE", `{"id":"2","unavailable":true}`, []uint64{1, 2, 3}},
		{"MESSAGE_CREATE", `{}`, []uint64{1, 2, 3}},
		{"GUILD_DELETE", `{"id":"1"}`, []uint64{2, 3}},
		{"GUILD_CREATE", `{"id":"1","unavailable":true}`, []uint64{1, 2, 3}}, // joined in an outage
		{"GUILD_DELETE", `{"id":"2"}`, []uint64{1, 3}},
	}
	for _, s := range steps {
		follow(t, tr, s.event, s.d)
	}
	session := tr.Session()
	guilds, before, _ := tr.Known(session, 1)
	if !slices.Equal(guilds, []uint64{1, 2}) {
		t.Errorf("as of READY: got %v, want what it lists: consumers are not told of joins", guilds)
	}
	for i, s := range steps {
		guilds, version, ok := tr.Known(session, int64(2+i))
		changed := i > 0 && !slices.Equal(s.want, steps[i-1].want)
		if !slices.Equal(guilds, s.want) || !ok || (version != before) != changed {
			t.Errorf("as of %d: got %v, version %d after %d; want %v", 2+i, guilds, version, before, s.want)
		}
		before = version
	}
	if n := len(tr.told.journal); n != 0 {
		t.Errorf("got %d changes kept, want none: all of them are stored", n)
	}
}

func TestTrackerKnows_nobody_of_whom_nobody_was_told(t *testing.T) {
	tr := NewTracker()
	tr.Keep()
	tr.Restore(40, []uint64{1, 2})
	if left := tr.Begin(1, []uint64{2, 3, 4}); !slices.Equal(left, []uint64{1}) {
		t.Errorf("got left %v, want [1]", left)
	}
	old := tr.Session()
	if guilds, _, _ := tr.Known(old, 1); !slices.Equal(guilds, []uint64{2}) {
		t.Errorf("got %v, want [2]: 3 and 4 are told with their GUILD_CREATEs", guilds)
	}
	if got := follow(t, tr, "GUILD_CREATE", `{"id":"3"}`); got != "guild.join" {
		t.Errorf("got %s, want guild.join", got)
	}
	follow(t, tr, "GUILD_DELETE", `{"id":"4","unavailable":true}`)
	if guilds, _, _ := tr.Known(old, 3); !slices.Equal(guilds, []uint64{2, 3}) {
		t.Errorf("got %v, want [2 3]: of 4 nobody knows yet", guilds)
	}
	if left := tr.Begin(1, []uint64{2}); !slices.Equal(left, []uint64{3}) {
		t.Errorf("got left %v, want [3]: nobody was told of 4", left)
	}
}

func TestTrackerKnows_nothing_of_a_session_that_is_over(t *testing.T) {
	tr := NewTracker()
	tr.Keep()
	tr.Begin(1, []uint64{1})
	old := tr.Session()
	tr.Begin(1, []uint64{1})
	follow(t, tr, "GUILD_CREATE", `{"id":"2"}`)
	if guilds, _, ok := tr.Known(old, 1000); ok {
		t.Errorf("got %v for a session that is over", guilds)
	}
	if guilds, _, ok := tr.Known(tr.Session(), 1); !ok || !slices.Equal(guilds, []uint64{1}) {
		t.Errorf("got %v, want [1]: the acknowledgements of the old session mean nothing here", guilds)
	}
}

func TestTrackerRestored(t *testing.T) {
	tr := NewTracker()
	tr.Keep()
	tr.Restore(7, []uint64{5, 4})
	if tr.Seq() != 7 || tr.Guilds() != 2 || tr.Pending() != 0 {
		t.Errorf("got seq %d, %d guilds, %d pending; want 7, 2, 0", tr.Seq(), tr.Guilds(), tr.Pending())
	}
	// Replayed, although the set is that of seq 10 already: the leave of 5 and its second join.
	for seq, name := range map[int64]string{8: "GUILD_DELETE", 9: "GUILD_CREATE", 10: "GUILD_DELETE"} {
		if f := dispatch(t, seq, name, `{"id":"5"}`); seq > tr.Seq() {
			tr.Pass(f)
		}
	}
	if guilds, _, _ := tr.Known(tr.Session(), 10); !slices.Equal(guilds, []uint64{4, 5}) || tr.Guilds() != 2 || tr.Seq() != 10 {
		t.Errorf("got %v at %d, want [4 5] at 10", guilds, tr.Seq())
	}
	if got := follow(t, tr, "GUILD_CREATE", `{"id":"4"}`); got != "guild.available" {
		t.Errorf("got %s of a known guild, want guild.available", got)
	}
	if got := follow(t, tr, "GUILD_CREATE", `{"id":"6"}`); got != "guild.join" {
		t.Errorf("got %s of a new guild, want guild.join", got)
	}

	unknown := NewTracker()
	unknown.Keep()
	unknown.Restore(7, nil)
	if _, version, ok := unknown.Known(unknown.Session(), 7); version != 0 || !ok {
		t.Errorf("a set that nobody knows: got version %d, want 0", version)
	}
	if left := unknown.Begin(1, []uint64{1}); left != nil {
		t.Errorf("got left %v, want none: nobody knows what was before", left)
	}
	if got := follow(t, unknown, "GUILD_CREATE", `{"id":"1"}`); got != "guild.available" {
		t.Errorf("got %s, want guild.available", got)
	}
}

func TestTrackerKnows_at_any_mark_what_the_events_up_to_it_tell(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tr := NewTracker()
		tr.Keep()
		tr.Begin(1, []uint64{1, 2, 3})
		at := [][]uint64{nil, {1, 2, 3}} // by seq
		acked := int64(1)
		told := map[uint64]bool{1: true, 2: true, 3: true}
		for range rapid.IntRange(1, 60).Draw(rt, "events") {
			id := rapid.Uint64Range(1, 6).Draw(rt, "guild")
			event := rapid.SampledFrom([]string{"GUILD_CREATE", "GUILD_DELETE"}).Draw(rt, "event")
			switch follow(t, tr, event, fmt.Sprintf(`{"id":"%d"}`, id)) {
			case "guild.join":
				told[id] = true
			case "guild.leave":
				delete(told, id)
			}
			var now []uint64
			for id := range told {
				now = append(now, id)
			}
			slices.Sort(now)
			at = append(at, now)
			if rapid.Bool().Draw(rt, "ask") {
				acked = rapid.Int64Range(acked, tr.Seq()).Draw(rt, "acked")
				if got, _, _ := tr.Known(tr.Session(), acked); !slices.Equal(got, at[acked]) {
					rt.Fatalf("as of %d of %d: got %v, want %v", acked, tr.Seq(), got, at[acked])
				}
			}
		}
	})
}
