package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// fenced runs f with a node of one pool of two shards, which serve under a fence.
func fenced(t *testing.T, sim gatewaysim.Options, f func(n *node, fence *fakeFence)) {
	t.Helper()
	fence := &fakeFence{}
	sim.Guilds, sim.ReplayBuffer, sim.MaxConcurrency = 4, 1000, 16
	inBubble(t, 2, sim, func(n *node, _ *Options) {
		n.fence = fence
		n.window.publish = func(ev *messages.Event) {
			if f := n.taking.Load(); f != nil {
				(*f)(ev)
			}
		}
	}, func(n *node) {
		n.awaitReady()
		n.saved()
		n.sim.SetSessionLife(time.Hour)
		f(n, fence)
	})
}

// restored is another assignment of the pool.
func (n *node) restored(fence messages.Fence) messages.Assign {
	a := n.assignment(2)
	a.Sessions, a.Fence = n.store.all(), fence
	return a
}

// dials counts those that Discord has seen, refused ones included.
func (n *node) dials() int64 {
	c := n.sim.Counts()
	return c.DialsBase + c.DialsResume + c.DialsRefused
}

func TestFence_invalid_nothing_is_published_or_saved_and_valid_again_all_goes_on(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		stored, published := n.store.all(), len(n.window.acknowledged())
		fence.broken.Store(true)
		for i := range 20 {
			n.dispatch(i%2, i)
		}
		beats := n.sim.Counts().Heartbeats
		elapse(10 * time.Minute)
		for id, c := range n.store.all() {
			if c.Contact != stored[id].Contact {
				t.Errorf("shard %d: got a checkpoint under an invalid fence", id)
			}
		}
		if got := len(n.window.acknowledged()); got != published {
			t.Errorf("got %d events published", got-published)
		}
		if n.open() != 2 || n.sim.Counts().Heartbeats < beats+24 || n.status().ShardsReady != 2 {
			t.Errorf("got %d connections and %d heartbeats, want 2 that beat on", n.open(), n.sim.Counts().Heartbeats-beats)
		}
		n.window.answer()
		if got := n.status().Shards[0]; got.SeqAcked == got.SeqReceived {
			t.Error("got it acknowledged under an invalid fence")
		}
		fence.broken.Store(false)
		n.window.answer()
		n.saved()
		whole(t, n)
		for _, s := range n.status().Shards {
			if got := n.store.of(s.ID).Seq(); got != s.SeqReceived {
				t.Errorf("shard %d: got a checkpoint of %d, want %d", s.ID, got, s.SeqReceived)
			}
		}
	})
}

func TestFence_invalid_says_that_checkpoints_are_due(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		n.dispatch(0, 1)
		synctest.Wait()
		fence.broken.Store(true)
		elapse(10 * time.Second)
		if s := n.status().Shards[0]; s.Unsaved.IsZero() || time.Since(s.Unsaved) < 8*time.Second {
			t.Errorf("got unsaved since %v, want since about 10s", s.Unsaved)
		}
	})
}

func TestFence_invalid_a_lost_connection_is_resumed_once(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		fence.broken.Store(true)
		for _, host := range []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume} { // failed dials do not count
			if err := n.sim.RefuseDials(host, gatewaysim.Dial503, gatewaysim.Limit{For: 20 * time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		n.sim.Drop(gatewaysim.One(0))
		n.await(5*time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 1 && n.status().ShardsReady == 2 })
		n.sim.Drop(gatewaysim.All) // shard 1 has not been resumed yet
		n.await(5*time.Minute, "the other one resumed", func() bool { return n.sim.Counts().Resumed == 2 })
		dials := n.dials()
		elapse(5 * time.Minute)
		s := n.status()
		if n.dials() != dials || s.Shards[0].State != messages.Disconnected || s.Shards[1].State != messages.Ready {
			t.Errorf("got %d more dials and shard 0 %s, want it to wait for its lease", n.dials()-dials, s.Shards[0].State)
		}
		fence.broken.Store(false)
		n.awaitReady()
		elapse(time.Minute)
		fence.broken.Store(true) // another time they may again
		n.sim.Drop(gatewaysim.All)
		n.await(5*time.Minute, "resumed again", func() bool { return n.sim.Counts().Resumed == 5 })
		if got := n.sim.Counts().Identifies; got != 2 {
			t.Errorf("got %d IDENTIFYs, want the first two", got)
		}
	})
}

// The RESUME was accepted, although RESUMED never came: what it replayed says so.
func TestFence_invalid_half_a_resume_counts(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		fence.broken.Store(true)
		first := n.status().Shards[0].SeqReceived + 1
		n.onTake(func(ev *messages.Event) {
			if ev.Seq == first {
				n.sim.Drop(gatewaysim.One(0)) // in the midst of the replay
			}
		})
		n.sim.Drop(gatewaysim.One(0))
		noise := make([]byte, 10_000) // hardly compressed, so that the replay is more than all buffers on its way
		from := rand.New(rand.NewPCG(1, 1))
		for range 100 {
			for i := range noise {
				noise[i] = byte(from.Uint32())
			}
			if _, err := n.sim.Dispatch(gatewaysim.One(0), "SHEEP_SHORN", fmt.Appendf(nil, `{"n":"%x"}`, noise)); err != nil {
				t.Fatal(err)
			}
		}
		n.await(time.Minute, "the replay", func() bool { return n.window.ofType("sheep.shorn") > 0 })
		dials := n.dials()
		elapse(5 * time.Minute)
		cut := !strings.Contains(n.log.String(), "how=resumed")
		if got := n.sim.Counts().Resumes; got != 1 || !cut || n.dials() != dials {
			t.Errorf("got %d RESUMEs, cut %v, and %d more dials; want one that was cut, and none", got, cut, n.dials()-dials)
		}
		fence.broken.Store(false)
		n.window.answer()
		n.awaitReady()
		n.await(time.Minute, "the rest", func() bool { return n.window.ofType("sheep.shorn") == 100 })
		whole(t, n)
	})
}

// onTake has the window call f for each event from now on.
func (n *node) onTake(f func(*messages.Event)) { n.taking.Store(&f) }

func TestFence_invalid_after_a_lost_session_nothing_is_done(t *testing.T) {
	tests := []struct {
		name       string
		fault      func(n *node)
		identifies int64 // once the fence is valid again
	}{
		{"op 9", func(n *node) { n.sim.Invalidate(gatewaysim.One(0), false) }, 1},
		{"op 9, to be resumed", func(n *node) { n.sim.Invalidate(gatewaysim.One(0), true) }, 0},
		{"4006", func(n *node) { n.sim.CloseAll(gatewaysim.One(0), 4006, "") }, 1},
		{"4009", func(n *node) { n.sim.CloseAll(gatewaysim.One(0), 4009, "") }, 1},
		{"a RESUME that is refused", func(n *node) {
			n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerInvalid}, gatewaysim.Limit{Count: 1})
			n.sim.Drop(gatewaysim.One(0))
			n.await(time.Minute, "RESUME", func() bool { return n.sim.Counts().Resumes == 1 })
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
				fence.broken.Store(true)
				tt.fault(n)
				dials := n.dials()
				elapse(5 * time.Minute)
				if n.dials() != dials || n.sim.Counts().Identifies != 2 {
					t.Errorf("got %d dials and %d IDENTIFYs while fenced, want none", n.dials()-dials, n.sim.Counts().Identifies-2)
				}
				fence.broken.Store(false)
				n.window.answer()
				n.awaitReady()
				elapse(5 * time.Second)
				if got := n.sim.Counts().Identifies - 2; got != tt.identifies {
					t.Errorf("got %d IDENTIFYs after it, want %d", got, tt.identifies)
				}
				if got := n.window.ofType("shard.gap"); int64(got) != tt.identifies {
					t.Errorf("got %d gaps, want %d", got, tt.identifies)
				}
			})
		})
	}
}

func TestFence_invalid_after_a_lost_session_a_drop_ends_the_wait(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		fence.broken.Store(true)
		n.sim.Invalidate(gatewaysim.All, false)
		elapse(time.Minute)
		dials := n.dials()
		answered[messages.Dropped](t, n.ask(messages.Drop{}))
		fence.broken.Store(false)
		elapse(time.Minute)
		if n.dials() != dials || n.status().ShardsTotal != 0 || n.window.ofType("shard.gap") != 0 {
			t.Errorf("got %d dials, %d shards, %d gaps; want none", n.dials()-dials, n.status().ShardsTotal, n.window.ofType("shard.gap"))
		}
	})
}

// What was never held here may be another node's: not even a RESUME is free of harm.
func TestFence_invalid_from_the_start_nothing_is_dialled(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		n.leave(0)
		fence.broken.Store(true)
		dials := n.dials()
		n.tell(n.restored(fence))
		elapse(5 * time.Minute)
		if n.dials() != dials || n.status().ShardsTotal != 2 {
			t.Errorf("got %d dials, want none", n.dials()-dials)
		}
		fence.broken.Store(false)
		n.awaitReady()
		if got := n.sim.Counts(); got.Identifies != 2 || got.Resumed != 2 {
			t.Errorf("got %d IDENTIFYs and %d resumed, want 2 and 2", got.Identifies, got.Resumed)
		}
	})
}

func TestFence_that_breaks_during_a_dial_is_noticed(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		n.leave(0)
		n.dialling = func() { fence.broken.Store(true) }
		n.tell(n.restored(fence))
		elapse(5 * time.Minute)
		if got := n.sim.Counts(); got.Resumes != 0 || n.open() != 0 {
			t.Errorf("got %d RESUMEs and %d connections, want none", got.Resumes, n.open())
		}
		n.dialling = nil // nobody dials
		fence.broken.Store(false)
		n.awaitReady()
	})
}

func TestFence_invalid_no_shard_identifies(t *testing.T) {
	fence := &fakeFence{}
	permits := &fakePermits{}
	asked, breaks := 0, false
	permits.wait = func(context.Context) error { // the store may answer late
		if asked++; breaks {
			fence.broken.Store(true)
			breaks = false
		}
		return nil
	}
	inBubble(t, 1, gatewaysim.Options{}, func(n *node, o *Options) { n.fence, o.Permits = fence, permits }, func(n *node) {
		n.awaitReady()
		breaks = true
		n.sim.CloseAll(gatewaysim.All, 4009, "")
		elapse(5 * time.Minute)
		if got := n.sim.Counts().Identifies; got != 1 || permits.out() != 0 || asked != 2 {
			t.Errorf("got %d IDENTIFYs, %d permits held and %d asked for; want 1, 0 and 2", got, permits.out(), asked)
		}
		if s := n.status().Shards[0].State; s != messages.Identifying || n.open() != 1 {
			t.Errorf("got %s, want it to wait with its connection", s)
		}
		fence.broken.Store(false)
		n.awaitReady()
		if got := n.sim.Counts().Identifies; got != 2 || asked != 3 {
			t.Errorf("got %d IDENTIFYs and %d permits asked for, want 2 and 3", got, asked)
		}
	})
}

func TestFence_invalid_a_hand_over_runs_out_of_time(t *testing.T) {
	fenced(t, gatewaysim.Options{}, func(n *node, fence *fakeFence) {
		stored := n.store.all()
		fence.broken.Store(true)
		n.dispatch(0, 1)
		n.sim.Invalidate(gatewaysim.One(1), false) // it waits for the fence, and needs no more
		elapse(time.Second)
		got := answered[messages.Revoked](t, n.ask(messages.Revoke{Timeout: 3 * time.Second}))
		if got.Unacked == 0 || got.Err == nil {
			t.Errorf("got %+v, want what is left, and that checkpoints are not written", got)
		}
		for id, c := range n.store.all() {
			if c.Contact != stored[id].Contact {
				t.Errorf("shard %d: got a checkpoint under an invalid fence", id)
			}
		}
	})
}
