package gateway

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"drover/messages"
)

// dispatch scans one dispatch.
func dispatch(t testing.TB, seq int64, name, d string) *Frame {
	t.Helper()
	var f Frame
	if err := Scan(fmt.Appendf(nil, `{"op":0,"t":"%s","s":%d,"d":%s}`, name, seq, d), &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// follow checks and accepts the next dispatch, and returns its type.
func follow(t testing.TB, tr *Tracker, name, d string) string {
	t.Helper()
	f := dispatch(t, tr.Seq()+1, name, d)
	v := tr.Check(f)
	if v.Dup || v.Gap != 0 {
		t.Errorf("%s %s: got %+v, want neither a duplicate nor a gap", name, d, v)
	}
	tr.Accept(f)
	return v.Kind.Type
}

func TestTrackerGuildTable(t *testing.T) {
	const (
		full, outage = `{"id":"7","unavailable":false}`, `{"id":"7","unavailable":true}`
		bare         = `{"id":"7"}`
	)
	states := map[string][]string{ // how guild 7 comes into a state, after READY with guilds 7 and 8
		"pending":     nil,
		"unavailable": {"GUILD_DELETE", outage},
		"available":   {"GUILD_CREATE", full},
		"unknown":     {"GUILD_DELETE", bare},
	}
	tests := []struct {
		event, d, state string
		want            string
		guilds, pending int // afterwards
	}{
		{"GUILD_CREATE", full, "pending", "guild.available", 2, 1},
		{"GUILD_CREATE", bare, "pending", "guild.available", 2, 1},
		{"GUILD_CREATE", full, "unavailable", "guild.available", 2, 1},
		{"GUILD_CREATE", full, "available", "guild.available", 2, 1},
		{"GUILD_CREATE", full, "unknown", "guild.join", 2, 1},
		{"GUILD_CREATE", outage, "unknown", "guild.join", 2, 1},
		{"GUILD_CREATE", outage, "pending", "guild.unavailable", 2, 1},
		{"GUILD_CREATE", outage, "available", "guild.unavailable", 2, 1},
		{"GUILD_CREATE", outage, "unavailable", "guild.unavailable", 2, 1},
		{"GUILD_DELETE", outage, "pending", "guild.unavailable", 2, 1},
		{"GUILD_DELETE", outage, "available", "guild.unavailable", 2, 1},
		{"GUILD_DELETE", outage, "unavailable", "guild.unavailable", 2, 1},
		{"GUILD_DELETE", outage, "unknown", "guild.unavailable", 2, 1},
		{"GUILD_DELETE", bare, "pending", "guild.leave", 1, 1},
		{"GUILD_DELETE", bare, "available", "guild.leave", 1, 1},
		{"GUILD_DELETE", full, "available", "guild.leave", 1, 1}, // unavailable is there, but not true
		{"GUILD_DELETE", bare, "unavailable", "guild.leave", 1, 1},
		{"GUILD_DELETE", bare, "unknown", "guild.leave", 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.event+" "+tt.d+" of a guild "+tt.state, func(t *testing.T) {
			tr := NewTracker()
			tr.Begin(1, []uint64{7, 8})
			if way := states[tt.state]; way != nil {
				follow(t, tr, way[0], way[1])
			}
			if got := follow(t, tr, tt.event, tt.d); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tr.Guilds() != tt.guilds || tr.Pending() != tt.pending {
				t.Errorf("got %d guilds, %d pending; want %d, %d", tr.Guilds(), tr.Pending(), tt.guilds, tt.pending)
			}
		})
	}
}

func TestConformance55_guild_signals_follow_the_sets_of_the_shard(t *testing.T) {
	const a, b, c = "900000000000000001", "900000000000000002", "900000000000000003"
	tr := NewTracker()
	tr.Begin(1, []uint64{900000000000000001, 900000000000000002})
	steps := []struct{ event, d, want string }{
		{"GUILD_CREATE", `{"id":"` + a + `","unavailable":false}`, "guild.available"}, // loaded, not joined
		{"GUILD_CREATE", `{"id":"` + c + `","unavailable":false}`, "guild.join"},
		{"GUILD_DELETE", `{"id":"` + b + `","unavailable":true}`, "guild.unavailable"},
		{"GUILD_CREATE", `{"id":"` + b + `"}`, "guild.available"},
		{"GUILD_DELETE", `{"id":"` + a + `","unavailable":true}`, "guild.unavailable"},
		{"GUILD_DELETE", `{"id":"` + a + `"}`, "guild.leave"},
		{"GUILD_CREATE", `{"id":"` + a + `"}`, "guild.join"},
		{"GUILD_UPDATE", `{"id":"` + a + `"}`, "guild.update"},
		{"GUILD_ROLE_CREATE", `{"guild_id":"` + a + `"}`, "guild.role_create"},
	}
	for i, s := range steps {
		if got := follow(t, tr, s.event, s.d); got != s.want {
			t.Errorf("step %d, %s %s: got %s, want %s", i, s.event, s.d, got, s.want)
		}
	}
}

func TestConformance28_replayed_dispatches_are_duplicates_and_jumps_are_gaps(t *testing.T) {
	tr := NewTracker()
	tr.Begin(1, nil)
	for range 9 {
		follow(t, tr, "TYPING_START", `{}`)
	}
	tr.Resume(8) // what was acknowledged when the connection broke
	for seq := int64(9); seq <= 10; seq++ {
		if v := tr.Check(dispatch(t, seq, "TYPING_START", `{}`)); !v.Dup || v.Kind != nil {
			t.Errorf("s=%d again: got %+v, want a duplicate", seq, v)
		}
	}
	jump := dispatch(t, 13, "TYPING_START", `{}`)
	if v := tr.Check(jump); v.Dup || v.Gap != 2 || v.Kind != messages.KindOf([]byte("TYPING_START")) {
		t.Errorf("10 to 13: got %+v, want a gap of 2", v)
	}
	if tr.Seq() != 10 {
		t.Errorf("seq after Check alone: got %d, want 10", tr.Seq())
	}
	tr.Accept(jump)
	if tr.Seq() != 13 {
		t.Errorf("seq: got %d, want 13", tr.Seq())
	}
	tr.Accept(dispatch(t, 11, "GUILD_CREATE", `{"id":"5"}`)) // late: neither the sequence nor the sets go back
	if tr.Seq() != 13 || tr.Guilds() != 0 {
		t.Errorf("after an old dispatch: got seq %d and %d guilds, want 13 and 0", tr.Seq(), tr.Guilds())
	}
	if v := tr.Check(dispatch(t, 0, "TYPING_START", `{}`)); !v.Dup {
		t.Errorf("a dispatch without s: got %+v, want a duplicate", v)
	}
}

func TestConformance26_replay_and_resumed_count_on(t *testing.T) {
	tr := NewTracker()
	tr.Resume(10) // a new process with a stored session
	for range 10 {
		follow(t, tr, "MESSAGE_CREATE", `{}`)
	}
	follow(t, tr, "RESUMED", `{"_trace":[]}`)
	if tr.Seq() != 21 {
		t.Errorf("got seq %d, want 21", tr.Seq())
	}
}

func TestTrackerForgetsTheSequenceOfAnOldSession(t *testing.T) {
	tr := NewTracker()
	tr.Begin(1, nil)
	tr.Resume(5000)
	if v := tr.Check(dispatch(t, 1, "READY", `{}`)); v.Dup || v.Gap != 0 {
		t.Errorf("READY of a new session: got %+v, want neither a duplicate nor a gap", v)
	}
	tr.Begin(1, nil)
	if got := follow(t, tr, "MESSAGE_CREATE", `{}`); got != "message.create" || tr.Seq() != 2 {
		t.Errorf("got %s and seq %d, want message.create and 2", got, tr.Seq())
	}
}

func TestTrackerComparesSessions(t *testing.T) {
	tr := NewTracker()
	if left := tr.Begin(1, []uint64{3, 2, 1}); left != nil {
		t.Errorf("first session: got left %v, want none", left)
	}
	follow(t, tr, "GUILD_CREATE", `{"id":"2"}`)
	if left := tr.Begin(1, []uint64{2, 4, 5, 6}); !slices.Equal(left, []uint64{1, 3}) {
		t.Errorf("got left %v, want [1 3]", left)
	}
	steps := []struct{ event, d, want string }{
		{"GUILD_CREATE", `{"id":"2"}`, "guild.available"},
		{"GUILD_CREATE", `{"id":"4"}`, "guild.join"},
		{"GUILD_CREATE", `{"id":"4"}`, "guild.available"}, // once
		{"GUILD_DELETE", `{"id":"5","unavailable":true}`, "guild.unavailable"},
		{"GUILD_CREATE", `{"id":"5"}`, "guild.join"}, // the outage hid that it is new
		{"GUILD_CREATE", `{"id":"6","unavailable":true}`, "guild.join"},
		{"GUILD_CREATE", `{"id":"6"}`, "guild.available"},
	}
	for i, s := range steps {
		if got := follow(t, tr, s.event, s.d); got != s.want {
			t.Errorf("step %d, %s %s: got %s, want %s", i, s.event, s.d, got, s.want)
		}
	}
	if tr.Pending() != 0 || tr.Guilds() != 4 {
		t.Errorf("got %d pending of %d, want 0 of 4", tr.Pending(), tr.Guilds())
	}
}

func TestTrackerTakesBadGuildIDs(t *testing.T) {
	tr := NewTracker()
	tr.Begin(1, []uint64{7})
	for _, d := range []string{`{}`, `{"id":null}`, `{"id":"99999999999999999999"}`, `{"id":{}}`, `[]`, `null`} {
		if got := follow(t, tr, "GUILD_CREATE", d); got != "guild.available" {
			t.Errorf("GUILD_CREATE %s: got %s, want guild.available", d, got)
		}
		if got := follow(t, tr, "GUILD_DELETE", d); got != "guild.leave" {
			t.Errorf("GUILD_DELETE %s: got %s, want guild.leave", d, got)
		}
	}
	if tr.Guilds() != 1 || tr.Pending() != 1 {
		t.Errorf("got %d guilds, %d pending; want 1, 1", tr.Guilds(), tr.Pending())
	}
}

func TestConformance57_a_guild_that_never_loads_does_not_hold_the_shard_up(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	tr := NewTracker()
	tr.Begin(1, []uint64{7, 8, 9})
	l := BeginLoading(start, tr.Pending())
	if l.Done(at(14*time.Second), tr.Pending()) {
		t.Error("after 14 s without a load: got loaded")
	}
	follow(t, tr, "GUILD_CREATE", `{"id":"7"}`)
	if l.Done(at(14*time.Second), tr.Pending()) || l.Done(at(28*time.Second), tr.Pending()) {
		t.Error("14 s after a load: got loaded")
	}
	if !l.Done(at(29*time.Second), tr.Pending()) {
		t.Error("15 s after a load: got not loaded")
	}
	if got := follow(t, tr, "GUILD_CREATE", `{"id":"8"}`); got != "guild.available" { // late, but no join
		t.Errorf("late load: got %s, want guild.available", got)
	}
	follow(t, tr, "GUILD_DELETE", `{"id":"9","unavailable":true}`)
	if l := BeginLoading(start, tr.Pending()); !l.Done(start, tr.Pending()) {
		t.Error("nothing pending: got not loaded")
	}

	slow := BeginLoading(start, 100)
	for i := 1; i <= 7; i++ {
		if slow.Done(at(time.Duration(i)*10*time.Second), 100-i) {
			t.Errorf("after %d0 s of slow loading: got loaded", i)
		}
	}
	if !slow.Done(at(75*time.Second), 92) {
		t.Error("at the cap: got not loaded")
	}
}

func TestTrackerMemory(t *testing.T) {
	const guilds = 100_000
	ids := make([]uint64, guilds)
	for i := range ids {
		ids[i] = uint64(i)<<22 | 1
	}
	tr := NewTracker()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	tr.Begin(1, ids)
	if got := float64(heap()-before) / guilds; got > 40 {
		t.Errorf("got %.1f bytes a guild, want at most 40", got)
	}
	runtime.KeepAlive(tr)
	runtime.KeepAlive(ids)
}

func TestTrackerDoesNotAllocate(t *testing.T) {
	tr := NewTracker()
	tr.Begin(1, []uint64{7})
	frames := []*Frame{dispatch(t, 3, "MESSAGE_CREATE", `{}`), dispatch(t, 4, "GUILD_CREATE", `{"id":"7"}`), dispatch(t, 5, "GUILD_DELETE", `{"id":"7","unavailable":true}`)}
	got := testing.AllocsPerRun(100, func() {
		tr.seq.Store(2)
		for _, f := range frames {
			if tr.Check(f).Kind == nil {
				t.Fatal("no kind")
			}
			tr.Accept(f)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
