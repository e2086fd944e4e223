package actors

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// saved lets time go by until the store has what is acknowledged of every shard.
func (n *node) saved() {
	n.t.Helper()
	n.await(time.Minute, "checkpoints", func() bool {
		for _, s := range n.status().Shards {
			c := n.store.of(s.ID)
			if messages.ShortSession(c.Session) != s.Session || c.Seq() != s.SeqAcked || !s.Unsaved.IsZero() {
				return false
			}
		}
		return true
	})
	elapse(time.Millisecond) // what is written from now on is later
}

// gapOf reads the only shard.gap that a window took.
func gapOf(t *testing.T, w *fakeWindow) messages.GapData {
	t.Helper()
	gaps := w.typed("shard.gap")
	if len(gaps) != 1 {
		t.Fatalf("got %d shard.gap, want 1: %v", len(gaps), gaps)
	}
	var g messages.GapData
	if err := json.Unmarshal([]byte(gaps[0].data), &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestConformance36_a_new_process_resumes_what_an_earlier_one_left(t *testing.T) {
	const shards = 3
	tests := []struct {
		name       string
		shards     int
		change     func(*Options)
		identifies int64 // of the new process
		gap        string
	}{
		{"the same identity", shards, func(*Options) {}, 0, ""},
		{"another token", shards, func(o *Options) { o.Session.Token = "another" }, shards, "identity_changed"},
		{"other intents", shards, func(o *Options) { o.Session.Intents = 1 }, shards, "identity_changed"},
		{"another number of shards", 4, func(*Options) {}, 4, "identity_changed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, shards, gatewaysim.Options{Guilds: 2 * shards, MaxConcurrency: 16}, nil, func(n *node) {
				n.awaitReady()
				for i := range 20 {
					n.dispatch(i%shards, i)
				}
				n.await(time.Minute, "the events", func() bool { return n.window.ofType("sheep.shorn") == 20 })
				n.saved()
				stored := n.store.all()
				n.kill()
				before := n.sim.Counts()
				for shard := range shards { // while nobody is there
					n.dispatch(shard, 100+shard)
				}
				died := time.Now()
				next := n.successor(tt.shards, func(_ *node, o *Options) { tt.change(o) }, func(a *messages.Assign) {
					if tt.shards == shards {
						return
					}
					a.Sessions, a.Lost = nil, map[int]messages.LostSession{}
					for id := range tt.shards {
						a.Lost[id] = messages.LostSession{Name: "of 3", Gap: messages.GapData{Reason: messages.GapIdentityChanged, From: stored[0].Contact.UnixMilli()}}
					}
				})
				defer next.end()
				next.awaitReady()
				after := n.sim.Counts()
				if got := after.Identifies - before.Identifies; got != tt.identifies {
					t.Errorf("got %d IDENTIFYs, want %d", got, tt.identifies)
				}
				if tt.identifies == 0 {
					next.await(time.Minute, "what came meanwhile", func() bool { return next.window.ofType("sheep.shorn") == shards })
					if got := after.Resumed - before.Resumed; got != shards {
						t.Errorf("got %d resumed, want %d", got, shards)
					}
					if got := after.Replayed - before.Replayed; got != shards {
						t.Errorf("got %d replayed, want %d: the RESUMEs name what is stored", got, shards)
					}
					if got := len(next.window.typed("shard.gap")) + next.window.ofType("guild.join") + next.window.ofType("guild.available"); got != 0 {
						t.Errorf("got %d gaps and guilds, want none: the session goes on", got)
					}
					return
				}
				next.await(time.Minute, "gaps", func() bool { return next.window.ofType("shard.gap") == tt.shards })
				for _, e := range next.window.typed("shard.gap") {
					var g messages.GapData
					if err := json.Unmarshal([]byte(e.data), &g); err != nil {
						t.Fatal(err)
					}
					if g.Reason != tt.gap || g.From == 0 || g.From > died.UnixMilli() || g.To < died.UnixMilli() {
						t.Errorf("got %+v, want %s around %d", g, tt.gap, died.UnixMilli())
					}
				}
				if got := next.window.ofType("guild.join") + next.window.ofType("guild.leave"); got != 0 && tt.shards == shards {
					t.Errorf("got %d joins and leaves, want none: the guild set is the same", got)
				}
			})
		})
	}
}

// interaction has Discord send an interaction to a shard.
func (n *node) interaction(shardID, i int) {
	n.t.Helper()
	d := fmt.Appendf(nil, `{"id":"%d","type":2,"token":"t%d","data":{"name":"shear"}}`, 1000+i, i)
	if sent, err := n.sim.Dispatch(gatewaysim.One(shardID), messages.InteractionCreate, d); sent != 1 || err != nil {
		n.t.Fatalf("got %d sessions, error %v; want 1", sent, err)
	}
}

// streamsOf puts together what the streams hold after several processes: by their ids each event once.
func streamsOf(nodes ...*node) (stored map[string]int, twice []taken) {
	stored = map[string]int{}
	for _, n := range nodes {
		for _, e := range n.window.acknowledged() {
			if stored[e.id]++; stored[e.id] > 1 {
				twice = append(twice, e)
			}
		}
	}
	return stored, twice
}

func TestConformance37_a_crash_between_reading_and_storing_repeats_and_skips_nothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 20 {
		inBubble(t, 1, gatewaysim.Options{Guilds: 4, ReplayBuffer: 1000}, nil, func(n *node) {
			n.awaitReady()
			n.await(time.Minute, "guilds", func() bool { return n.window.ofType("guild.available") == 4 })
			if n.store.of(0).Session == "" { // no time went by
				t.Error("got no checkpoint of a new session")
			}
			n.window.silence()
			for i := range 100 {
				if rnd.IntN(4) == 0 {
					n.interaction(0, i)
				} else {
					n.dispatch(0, i)
				}
				if rnd.IntN(10) == 0 { // JetStream answers in any order, and never for some
					synctest.Wait()
					n.window.answerSome(func(int) bool { return rnd.IntN(3) > 0 })
				}
				if rnd.IntN(20) == 0 {
					elapse(time.Duration(rnd.Int64N(int64(3 * time.Second))))
				}
			}
			synctest.Wait()
			point := n.store.of(0)
			unsaved := n.status().Shards[0].SeqAcked // acknowledged, but perhaps not in the checkpoint
			n.kill()
			next := n.successor(1, nil, nil)
			defer next.end()
			next.awaitReady()
			next.await(time.Minute, "the rest", func() bool {
				s := next.status().Shards[0]
				return s.SeqAcked == s.SeqReceived && s.SeqReceived > point.Seq()
			})
			stored, twice := streamsOf(n, next)
			for _, l := range n.sim.Ledger() {
				for _, d := range l.Dispatch {
					if d.T != "READY" && d.T != "RESUMED" && stored[messages.EventID(l.SessionID, d.Seq)] == 0 {
						t.Errorf("%d %s was skipped; the checkpoint was %v, acknowledged was %d", d.Seq, d.T, point.Acked, unsaved)
					}
				}
			}
			for _, e := range twice { // their ids make JetStream drop them
				stream := messages.Events
				if e.typ == "interaction.create" {
					stream = messages.Commands
				}
				if e.seq <= point.Acked[stream] {
					t.Errorf("%d %s came again, although the checkpoint had it: %v", e.seq, e.typ, point.Acked)
				}
			}
			if got := n.sim.Counts(); got.Identifies != 1 || got.Resumed != 1 {
				t.Errorf("got %d IDENTIFYs and %d resumed, want 1 and 1", got.Identifies, got.Resumed)
			}
		})
	}
}

// away is what happens to the guilds of shard 0 while no process runs: one goes, one comes.
func (n *node) away() (left, joined uint64) {
	n.t.Helper()
	left = n.sim.GuildIDs(0, 1)[1]
	if err := n.sim.LeaveGuild(left); err != nil {
		n.t.Fatal(err)
	}
	return left, n.sim.JoinGuild()
}

func TestConformance56_joins_and_leaves_while_no_process_ran_are_told_once(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 3}, nil, func(n *node) {
		n.awaitReady()
		n.await(time.Minute, "guilds", func() bool { return n.window.ofType("guild.available") == 3 })
		n.saved()
		if got, want := n.store.of(0).Guilds, slices.Sorted(slices.Values(n.sim.GuildIDs(0, 1))); !slices.Equal(got, want) {
			t.Fatalf("got stored guilds %v, want %v", got, want)
		}
		lost := n.store.of(0)
		n.kill()
		left, joined := n.away()
		n.sim.Forget(gatewaysim.All)

		// Two processes that die before anything is stored, the second one after its READY was answered.
		var nodes []*node
		for range 2 {
			nodes = append(nodes, n.successor(1, func(next *node, _ *Options) { next.window.silence() }, nil))
			next := nodes[len(nodes)-1]
			next.awaitReady()
			elapse(5 * time.Second)
			if got := next.store.of(0); got.Session != lost.Session {
				t.Fatalf("got a checkpoint of session %s before its gap was stored", got.Session)
			}
			next.kill()
			n.sim.Forget(gatewaysim.All)
		}
		last := n.successor(1, nil, nil)
		defer last.end()
		last.awaitReady()
		last.await(time.Minute, "guilds", func() bool {
			return last.window.ofType("guild.available") == 2 && last.window.ofType("guild.join") == 1
		})
		leave := last.window.typed("guild.leave")
		if len(leave) != 1 || !strings.Contains(leave[0].data, fmt.Sprint(left)) {
			t.Errorf("got leaves %v, want one of %d", leave, left)
		}
		if join := last.window.typed("guild.join"); !strings.Contains(join[0].data, fmt.Sprint(joined)) {
			t.Errorf("got join %.200v, want it of %d", join, joined)
		}
		for _, next := range nodes {
			if before := next.window.typed("guild.leave"); len(before) != 1 || before[0].id != leave[0].id {
				t.Errorf("got the leave under %v before and %v now, want the same id: told again it is the same event", before, leave[0].id)
			}
		}
		if g := gapOf(t, last.window); g.Reason != "session_lost" || g.Session != messages.ShortSession(lost.Session) ||
			g.LastAckedSeq != lost.Acked[messages.Events] || g.From != lost.Contact.UnixMilli() {
			t.Errorf("got %+v, want the session of the first process, up to %v from %d", g, lost.Acked, lost.Contact.UnixMilli())
		}
		last.saved()
		if got, want := last.store.of(0).Guilds, slices.Sorted(slices.Values(n.sim.GuildIDs(0, 1))); !slices.Equal(got, want) {
			t.Errorf("got stored guilds %v, want %v", got, want)
		}
	})
}

func TestConformance56_a_guild_that_came_before_the_crash_is_told_once(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.await(time.Minute, "guilds", func() bool { return n.window.ofType("guild.available") == 2 })
		n.saved()
		n.window.silence()
		n.sim.JoinGuild()
		n.await(time.Minute, "the join", func() bool { return n.window.ofType("guild.join") == 1 })
		elapse(3 * time.Second)
		if got := n.store.of(0).Guilds; len(got) != 2 {
			t.Errorf("got %d guilds stored, want 2: the join is not", len(got))
		}
		n.kill()
		next := n.successor(1, nil, nil)
		defer next.end()
		next.awaitReady()
		next.await(time.Minute, "the join again", func() bool { return next.window.ofType("guild.join") == 1 })
		if a, b := n.window.typed("guild.join"), next.window.typed("guild.join"); a[0].id != b[0].id {
			t.Errorf("got ids %s and %s, want the same event", a[0].id, b[0].id)
		}
		next.saved()
		if got := next.store.of(0).Guilds; len(got) != 3 {
			t.Errorf("got %d guilds stored, want 3", len(got))
		}
	})
}

func TestCarried_declares_a_session_that_ended_without_a_word(t *testing.T) {
	began := time.Now()
	c := newCarried(nil)
	if got := c.succeed(began); got != began || c.gap != nil {
		t.Errorf("first session: got begun %v, gap %+v; want now, none", got, c.gap)
	}
	m := newMarks("silent-session", 1, 7, [messages.Streams]uint64{})
	m.begun = began
	c.adopt(m)
	if got := c.succeed(began.Add(time.Minute)); got != began || c.lost != "silent-session" || c.gap == nil {
		t.Fatalf("second: got begun %v, lost %q, gap %+v; want the first one's loss", got, c.lost, c.gap)
	}
	if g := *c.gap; g.Reason != messages.GapSessionLost || g.Session != "silent-s" || g.LastAckedSeq != 7 || g.From != began.UnixMilli() {
		t.Errorf("got %+v", g)
	}
	c.gap = nil // declared
	if c.succeed(began.Add(time.Hour)); c.gap != nil {
		t.Errorf("got %+v declared again", c.gap)
	}
}
