package actors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

func TestDrop_publishes_and_saves_nothing_more_and_a_new_Assign_starts_from_the_store(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		fence := &fakeFence{}
		n.leave(1)
		n.take(1, fence)
		n.awaitReady()
		n.saved()
		stored := n.store.all()
		n.window.silence()
		for i := range 20 {
			n.dispatch(i%4, i)
		}
		n.interaction(2, 1)
		n.window.hold() // the next event has its reader wait, the life-cycle event the publisher
		n.dispatch(2, 100)
		n.dispatch(0, 100)
		n.tell(messages.LifeCycle{ShardID: 2, Session: stored[2].Session, Gap: &messages.GapData{Reason: messages.GapSpoolStranded}})
		n.tell(messages.StreamLost{Streams: []messages.Stream{messages.Commands}})
		synctest.Wait()
		before := len(n.window.all())
		fence.broken.Store(true)
		began := time.Now()
		if got := answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 1})); got.Pool != 1 || time.Since(began) > 0 {
			t.Errorf("got %+v after %v, want no wait for room in the window", got, time.Since(began))
		}
		n.nothingInvalid()
		if s := n.status(); s.ShardsTotal != 2 || s.Shards[1].ID != 1 || n.alive("pool-1") {
			t.Errorf("got %d shards, want those of pool 0", s.ShardsTotal)
		}
		n.window.release()
		n.window.answer()
		elapse(3 * time.Second)
		for _, e := range n.window.all()[before:] {
			if e.session == stored[2].Session || e.session == stored[3].Session {
				t.Errorf("got %s of a dropped session", e.typ)
			}
		}
		for _, e := range n.window.acknowledged() {
			if e.session == stored[2].Session && e.seq > stored[2].Seq() {
				t.Errorf("got %d %s published", e.seq, e.typ)
			}
		}
		for id := 2; id < 4; id++ {
			if got := n.store.of(id); got.Seq() != stored[id].Seq() || got.Contact != stored[id].Contact {
				t.Errorf("shard %d: got a checkpoint of %d, want %d as before", id, got.Seq(), stored[id].Seq())
			}
		}
		for _, c := range n.sim.Connections() {
			if c.ShardID >= 2 && (c.Closed.IsZero() || c.ClientCode != 4000) {
				t.Errorf("shard %d: got closed %v with %d, want 4000", c.ShardID, !c.Closed.IsZero(), c.ClientCode)
			}
		}
		n.take(1, &fakeFence{})
		n.awaitReady()
		elapse(5 * time.Second)
		whole(t, n)
		if got := n.sim.Counts(); got.Identifies != 4 || got.Replayed != 12 || n.window.late != 0 {
			t.Errorf("got %d IDENTIFYs, %d replayed, %d too late; want 4, 12, none", got.Identifies, got.Replayed, n.window.late)
		}
	})
}

func TestDrop_overtakes_a_hand_over(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		for name, wait := range map[string]time.Duration{"while acknowledgements are missing": 0, "while the checkpoints are written": 8 * time.Second} {
			n.window.silence()
			n.dispatch(2, 1)
			synctest.Wait()
			n.store.sabotage(errTest, true)
			revoked := n.ask(messages.Revoke{Pool: 1, Timeout: 10 * time.Second})
			elapse(wait)
			began := time.Now()
			answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 1}))
			if got := answered[messages.Revoked](t, revoked); !errors.Is(got.Err, errDropped) || time.Since(began) > 0 {
				t.Errorf("%s: got %+v after %v, want it dropped at once", name, got, time.Since(began))
			}
			if got := n.window.ofType("shard.down"); got != 0 {
				t.Errorf("%s: got %d shard.down, want none", name, got)
			}
			n.store.sabotage(nil, false)
			n.window.answer()
			n.take(1, nil)
			n.awaitReady()
		}
	})
}

func TestDrop_during_a_dial_and_a_wait_for_a_permit(t *testing.T) {
	permits := &fakePermits{wait: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}
	inBubble(t, 4, gatewaysim.Options{}, func(n *node, o *Options) { n.pools, o.Permits = 2, permits }, func(n *node) {
		n.await(time.Minute, "HELLO", func() bool { return n.status().Shards[3].State == messages.Identifying })
		if err := n.sim.RefuseDials(gatewaysim.HostBase, gatewaysim.DialHang, gatewaysim.Forever); err != nil {
			t.Fatal(err)
		}
		n.sim.Drop(gatewaysim.One(3))
		elapse(10 * time.Second)
		answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 1}))
		elapse(2 * time.Second)
		if n.open() != 2 || permits.out() != 0 {
			t.Errorf("got %d connections and %d permits, want 2 and 0", n.open(), permits.out())
		}
	})
}
