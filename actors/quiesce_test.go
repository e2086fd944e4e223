package actors

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// awaitQuiet asks to stop reading and waits until every shard has.
func (n *node) awaitQuiet() {
	n.t.Helper()
	n.tell(messages.Quiesce{})
	n.await(time.Second, "quiet", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.quiesced > 0 })
}

func (n *node) open() int {
	open := 0
	for _, c := range n.sim.Connections() {
		if c.Closed.IsZero() {
			open++
		}
	}
	return open
}

func TestQuiesce_takes_no_more_events_and_keeps_the_connections_alive(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{Guilds: 6}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		before, received := len(n.window.all()), n.status().Shards[0].SeqReceived
		n.awaitQuiet()
		for i := range 30 {
			n.dispatch(i%3, i)
		}
		beats := n.sim.Counts().Heartbeats
		elapse(10 * time.Minute)
		if got := len(n.window.all()); got != before {
			t.Errorf("got %d events taken after the last word, want none", got-before)
		}
		if got := n.status().Shards[0].SeqReceived; got != received {
			t.Errorf("got received %d, want it to stay at %d: the rest is to be replayed", got, received)
		}
		if got := n.sim.Counts(); n.open() != 3 || got.Heartbeats < beats+36 || got.HeartbeatsMissed != 0 {
			t.Errorf("got %d connections and %d heartbeats, want 3 that beat on", n.open(), got.Heartbeats-beats)
		}
		n.awaitDrained(time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.quiesced != 1 {
			t.Errorf("got Quiesced %d times, want once", n.quiesced)
		}
	})
}

func TestQuiesce_then_drain_leaves_a_checkpoint_of_all_that_was_taken(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{Guilds: 4, ReplayBuffer: 1000}, func(_ *node, o *Options) { o.CheckpointInterval = time.Hour }, func(n *node) {
		n.awaitReady()
		n.window.silence()
		for i := range 40 {
			n.dispatch(i%2, i)
		}
		synctest.Wait()
		n.awaitQuiet()
		for i := range 10 { // these Discord replays to the next process
			n.dispatch(i%2, 100+i)
		}
		n.window.answer()
		n.awaitDrained(5 * time.Second)
		status := n.status()
		for _, s := range status.Shards {
			if got := n.store.of(s.ID); got.Seq() != s.SeqReceived || time.Since(got.Contact) > 10*time.Minute {
				t.Errorf("shard %d: got a checkpoint of %d, want %d", s.ID, got.Seq(), s.SeqReceived)
			}
		}
		n.sim.SetSessionLife(time.Hour)
		n.end()
		n.dead.Store(true)
		next := n.successor(2, nil, nil)
		defer next.end()
		next.awaitReady()
		next.await(time.Minute, "the rest", func() bool { return next.window.ofType("sheep.shorn") == 10 })
		if _, twice := streamsOf(n, next); len(twice) != 0 {
			t.Errorf("got %d events again, want none: the checkpoint has them", len(twice))
		}
	})
}

func TestQuiesce_gives_up_the_event_that_waits_for_room(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.window.hold()
		n.dispatch(0, 1)
		synctest.Wait()
		received := n.status().Shards[0].SeqReceived
		n.awaitQuiet()
		n.window.release()
		elapse(time.Minute)
		if got := n.window.ofType("sheep.shorn"); got != 0 || n.open() != 1 || n.status().Shards[0].SeqReceived != received {
			t.Errorf("got %d events, %d connections; want the event left to a RESUME and the connection open", got, n.open())
		}
	})
}

func TestQuiesce_dials_and_identifies_no_more(t *testing.T) {
	tests := []struct {
		name  string
		fault func(n *node)
	}{
		{"a lost connection", func(n *node) { n.sim.Drop(gatewaysim.All) }},
		{"a close", func(n *node) { n.sim.CloseAll(gatewaysim.All, 4000, "") }},
		{"op 7", func(n *node) { n.sim.Reconnect(gatewaysim.All) }},
		{"op 9", func(n *node) { n.sim.Invalidate(gatewaysim.All, false) }},
		{"a corrupt stream", func(n *node) { n.sim.Corrupt(gatewaysim.All) }},
		{"silence", func(n *node) { n.sim.DropAcks(gatewaysim.All, true) }},
		{"a final no", func(n *node) { n.sim.CloseAll(gatewaysim.All, 4004, "") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, 2, gatewaysim.Options{Guilds: 4}, nil, func(n *node) {
				n.awaitReady()
				n.saved()
				stored := n.store.all()
				n.awaitQuiet()
				before := n.sim.Counts()
				tt.fault(n)
				elapse(10 * time.Minute)
				after := n.sim.Counts()
				if after.DialsBase != before.DialsBase || after.DialsResume != before.DialsResume {
					t.Errorf("got %d dials, want none", after.DialsBase+after.DialsResume-before.DialsBase-before.DialsResume)
				}
				n.awaitDrained(5 * time.Second)
				for id, c := range n.store.all() {
					if c.Session != stored[id].Session || c.Seq() != stored[id].Seq() {
						t.Errorf("shard %d: got %s at %d stored, want %s at %d", id, c.Session, c.Seq(), stored[id].Session, stored[id].Seq())
					}
				}
			})
		})
	}
}

func TestQuiesce_ends_what_has_no_session_yet(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, func(n *node, _ *Options) {
		n.sim.NextReady(gatewaysim.ReadyFault{Delay: time.Hour}, gatewaysim.Forever)
	}, func(n *node) {
		n.await(time.Minute, "IDENTIFYs", func() bool { return n.sim.Counts().Identifies == 2 })
		n.awaitQuiet()
		elapse(2 * time.Second)
		if n.open() != 0 {
			t.Errorf("got %d connections open, want none", n.open())
		}
		n.awaitDrained(time.Second)
	})
}

func TestQuiesce_of_a_node_that_nobody_has_told_what_to_serve(t *testing.T) {
	inBubble(t, 0, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitQuiet()
		n.tell(n.assignment(2)) // too late
		elapse(time.Minute)
		if got := n.sim.Counts().DialsBase; got != 0 {
			t.Errorf("got %d dials, want none", got)
		}
		n.awaitDrained(time.Second)
	})
}

func TestQuiesce_after_a_drain_is_answered(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.sim.CloseAll(gatewaysim.One(0), 4004, "") // root drains by itself
		n.await(10*time.Second, "drained", func() bool { _, drained := n.told(); return drained == 1 })
		n.awaitQuiet()
	})
}

func TestDrain_ends_although_the_store_does_not_answer(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.store.sabotage(errTest, true)
		n.awaitDrained(lastTimeout + saveTimeout + time.Second)
	})
}

// The READY that was taken before the last word is worth its IDENTIFY: the next process resumes its session.
func TestQuiesce_keeps_a_session_that_has_just_begun(t *testing.T) {
	for range 20 {
		var once sync.Once
		inBubble(t, 1, gatewaysim.Options{Guilds: 2}, func(n *node, o *Options) {
			o.Window = &earlyWindow{n.window, func() {
				once.Do(func() {
					n.tell(messages.Quiesce{})
					for range 10_000 { // the shard has it, and waits for the reader
						runtime.Gosched()
					}
				})
			}}
		}, func(n *node) {
			n.await(time.Minute, "quiet", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.quiesced > 0 })
			n.awaitDrained(5 * time.Second)
			if n.store.of(0).Session == "" {
				t.Errorf("got stored %q, want the session kept", n.store.of(0).Session)
			}
		})
	}
}

// earlyWindow calls ready while a READY is being taken.
type earlyWindow struct {
	*fakeWindow
	ready func()
}

func (w *earlyWindow) Stored() [messages.Streams]uint64 {
	w.ready()
	return w.fakeWindow.Stored()
}
