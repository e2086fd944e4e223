package actors

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

func TestRestore_leaves_to_the_spool_what_is_in_it(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2, ReplayBuffer: 1000}, nil, func(n *node) {
		n.awaitReady()
		n.await(time.Minute, "guilds", func() bool { return n.window.ofType("guild.available") == 2 })
		n.saved()
		point := n.store.of(0)
		n.window.silence()
		for i := range 10 {
			n.dispatch(0, i)
		}
		n.await(time.Minute, "the events", func() bool { return n.window.ofType("sheep.shorn") == 10 })
		n.kill()
		spooled := point.Acked[messages.Events] + 6 // of the ten
		next := n.successor(1, func(next *node, _ *Options) {
			next.window.spooled = map[string][messages.Streams]messages.Spooled{
				point.Session: {messages.Events: {Last: spooled, Left: 6, At: time.Now()}},
			}
		}, nil)
		defer next.end()
		next.awaitReady()
		next.await(time.Minute, "the rest", func() bool { return next.window.ofType("sheep.shorn") == 4 })
		elapse(3 * time.Second)
		if got := next.status().Shards[0].SeqAcked; got != point.Acked[messages.Events] {
			t.Errorf("got mark %d while the spool is not published, want %d", got, point.Acked[messages.Events])
		}
		if got := next.store.of(0).Seq(); got != point.Seq() {
			t.Errorf("got a checkpoint of %d, want it to stay at %d", got, point.Seq())
		}
		receipt := next.window.adopted[point.Session]
		for i := range int64(6) {
			receipt.Acked(messages.Events, point.Acked[messages.Events]+1+i, uint64(100+i))
		}
		next.saved()
		if s := next.status().Shards[0]; s.SeqAcked != s.SeqReceived || next.store.of(0).Seq() != s.SeqReceived {
			t.Errorf("got acked %d, stored %d; want both at %d", s.SeqAcked, next.store.of(0).Seq(), s.SeqReceived)
		}
	})
}

func TestRestore_declares_the_gap_behind_what_the_spool_has(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		point := n.store.of(0)
		elapse(10 * time.Minute)
		n.kill()
		n.sim.Forget(gatewaysim.All)
		read := time.Now().Add(-time.Second)
		next := n.successor(1, func(next *node, _ *Options) {
			next.window.spooled = map[string][messages.Streams]messages.Spooled{
				point.Session: {messages.Events: {Last: 5000, Left: 4900, At: read}},
			}
		}, nil)
		defer next.end()
		next.awaitReady()
		next.await(time.Minute, "the gap", func() bool { return next.window.ofType("shard.gap") == 1 })
		if g := gapOf(t, next.window); g.LastAckedSeq != 5000 || g.From != read.UnixMilli() || g.Reason != "session_lost" {
			t.Errorf("got %+v, want it from seq 5000 at %d", g, read.UnixMilli())
		}
	})
}

func TestRestore_does_not_try_a_session_that_is_long_gone(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		n.kill()
		elapse(time.Hour)
		next := n.successor(1, nil, nil)
		defer next.end()
		next.awaitReady()
		if got := n.sim.Counts(); got.Resumes != 0 || got.Identifies != 2 {
			t.Errorf("got %d RESUMEs and %d IDENTIFYs, want 0 and 2", got.Resumes, got.Identifies)
		}
		next.await(time.Minute, "the gap", func() bool { return next.window.ofType("shard.gap") == 1 })
		if g := gapOf(t, next.window); g.Reason != "session_expired" {
			t.Errorf("got %+v, want session_expired", g)
		}
	})
}

func TestGap_names_the_full_spool_where_that_cost_the_session(t *testing.T) {
	tests := []struct {
		name     string
		overfull bool
		want     string
	}{
		{"neither window nor spool had room", true, "spool_overflow"},
		{"the window alone was full", false, "session_lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
				n.awaitReady()
				n.window.hold()
				n.window.mu.Lock()
				n.window.overfull = tt.overfull
				n.window.mu.Unlock()
				n.dispatch(0, 1)
				elapse(time.Minute)
				n.sim.CloseAll(gatewaysim.All, 4009, "") // Discord's patience is over; it is read when there is room
				elapse(time.Second)
				n.window.release()
				n.await(5*time.Minute, "the gap", func() bool { return n.window.ofType("shard.gap") == 1 })
				if g := gapOf(t, n.window); g.Reason != tt.want || g.LastAckedSeq < 3 {
					t.Errorf("got %+v, want %s", g, tt.want)
				}
			})
		})
	}
}

func TestStreamLost_is_declared_once_by_each_shard_and_holds_its_checkpoint(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{Guilds: 4}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		elapse(time.Hour)
		before := n.store.of(0)
		if before.Stored[messages.Events] == 0 {
			t.Fatal("the checkpoint has no position in the stream")
		}
		n.window.silence()
		n.window.mu.Lock()
		n.window.stored = [messages.Streams]uint64{} // the new stream counts from 1
		n.window.mu.Unlock()
		from := time.Now().Add(-5 * time.Minute)
		n.tell(messages.StreamLost{Streams: []messages.Stream{messages.Events, messages.Commands}, From: from})
		synctest.Wait()
		n.dispatch(0, 1)
		elapse(3 * time.Second)
		if got := n.store.of(0).Stored; got != before.Stored {
			t.Errorf("got positions %v stored before the gap is, want %v", got, before.Stored)
		}
		n.window.answer()
		n.saved()
		gaps := n.window.typed("shard.gap")
		if len(gaps) != 2 {
			t.Fatalf("got %d gaps, want one for each shard", len(gaps))
		}
		for _, e := range gaps {
			var g messages.GapData
			if err := json.Unmarshal([]byte(e.data), &g); err != nil {
				t.Fatal(err)
			}
			if g.Reason != "stream_lost" || g.From != from.UnixMilli() || g.To == 0 || g.LastAckedSeq == 0 || g.Session == "" {
				t.Errorf("got %+v, want stream_lost from %d", g, from.UnixMilli())
			}
		}
		if got := n.store.of(0).Stored[messages.Events]; got == 0 || got > 4 {
			t.Errorf("got position %d, want one in the new stream", got)
		}
		if got := n.sim.Counts(); got.Identifies != 2 || got.Resumes != 0 {
			t.Errorf("got %d IDENTIFYs and %d RESUMEs, want 2 and 0: the sessions live", got.Identifies, got.Resumes)
		}
	})
}

func TestReady_of_a_new_session_waits_with_its_checkpoint_for_what_it_tells(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		old := n.store.of(0)
		n.window.silence()
		n.sim.CloseAll(gatewaysim.All, 4009, "")
		n.await(time.Minute, "the next session", func() bool { return n.window.ofType("shard.ready") == 2 })
		elapse(5 * time.Second)
		if got := n.store.of(0); got.Session != old.Session {
			t.Errorf("got session %s stored, want %s: its gap is not", got.Session, old.Session)
		}
		if n.status().Shards[0].Unsaved.IsZero() {
			t.Error("nothing says that the new session has no checkpoint")
		}
		then := time.Now()
		n.window.answer()
		synctest.Wait() // no time goes by: the keeper is woken
		if got := n.store.since(0, then); len(got) != 1 || got[0].Session == old.Session || got[0].Guilds == nil {
			t.Errorf("got writes %+v, want the new session at once, with its guilds", got)
		}
	})
}

func TestRestore_leaves_the_ids_of_life_cycle_events_apart(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: -1}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		n.sim.Drop(gatewaysim.All) // a connection that the checkpoint may not know of
		n.await(time.Minute, "resumed", func() bool { return n.window.ofType("shard.resumed") == 1 })
		stored := n.store.of(0)
		stored.Connection, stored.Acked = 3, [messages.Streams]int64{1, 1}
		n.kill()
		next := n.successor(1, nil, func(a *messages.Assign) { a.Sessions[0] = stored })
		defer next.end()
		next.await(time.Minute, "resumed", func() bool { return next.window.ofType("shard.resumed") > 0 })
		ids := map[string]bool{}
		for _, e := range append(n.window.all(), next.window.all()...) {
			if e.own && ids[e.id] {
				t.Errorf("got id %s of a %s twice", e.id, e.typ)
			}
			ids[e.id] = true
		}
	})
}

// A younger session of the shard is no reason to be silent on what an older one had stored.
func TestStreamLost_reaches_back_over_a_change_of_session(t *testing.T) {
	tests := []struct {
		name  string
		again bool // there is a second session
		young bool // the stream held events of all the shard's life
	}{
		{"one session, older than the stream's events", false, false},
		{"one session, younger", false, true},
		{"two sessions", true, false},
		{"two sessions, both younger", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
				n.awaitReady()
				began := time.Now()
				elapse(10 * time.Minute)
				if tt.again {
					n.sim.Invalidate(gatewaysim.All, false)
					n.await(time.Minute, "the next session", func() bool { return n.window.ofType("shard.ready") == 2 })
					n.awaitReady()
				}
				before := n.window.ofType("shard.gap")
				from := time.Now().Add(-5 * time.Minute)
				if tt.young {
					from = began.Add(-time.Hour)
				}
				n.tell(messages.StreamLost{Streams: []messages.Stream{messages.Events}, From: from})
				synctest.Wait()
				gaps := n.window.typed("shard.gap")
				if len(gaps) != before+1 {
					t.Fatalf("got %d gaps, want %d", len(gaps), before+1)
				}
				var g messages.GapData
				if err := json.Unmarshal([]byte(gaps[before].data), &g); err != nil {
					t.Fatal(err)
				}
				if !tt.young && g.From != from.UnixMilli() || tt.young && (g.From > began.UnixMilli() || g.From < began.Add(-time.Minute).UnixMilli()) {
					t.Errorf("got it from %d, want %d (began %d)", g.From, from.UnixMilli(), began.UnixMilli())
				}
			})
		})
	}
}
