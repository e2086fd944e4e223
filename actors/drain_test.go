package actors

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// awaitDrained drains and expects that every session is left resumable.
func (n *node) awaitDrained(within time.Duration) {
	n.t.Helper()
	n.tell(messages.Drain{})
	n.tell(messages.Drain{})
	n.await(within, "drained", func() bool { _, drained := n.told(); return drained > 0 })
	elapse(time.Minute)
	if _, drained := n.told(); drained != 1 {
		n.t.Errorf("got Drained %d times, want once", drained)
	}
	for _, c := range n.sim.Connections() {
		if c.Closed.IsZero() {
			n.t.Errorf("connection %d is still open", c.ID)
		}
	}
	n.compare(asFarAsTaken)
}

func TestDrain_closes_every_session_so_that_it_can_be_resumed(t *testing.T) {
	inBubble(t, 5, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.awaitDrained(time.Second)
		for _, c := range n.sim.Connections() {
			if c.ClientCode != 4000 {
				t.Errorf("shard %d: got close code %d, want 4000", c.ShardID, c.ClientCode)
			}
		}
		if got := n.window.ofType("shard.down"); got != 5 {
			t.Errorf("got %d shard.down, want 5: the last words are published", got)
		}
	})
}

func TestDrain_of_a_node_without_shards(t *testing.T) {
	inBubble(t, 0, gatewaysim.Options{}, nil, func(n *node) { n.awaitDrained(time.Second) })
}

func TestDrain_during_a_dial(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, func(n *node, _ *Options) {
		if err := n.sim.RefuseDials(gatewaysim.HostBase, gatewaysim.DialHang, gatewaysim.Forever); err != nil {
			t.Fatal(err)
		}
	}, func(n *node) {
		n.await(time.Minute, "dials", func() bool { return n.sim.Counts().DialsBase == 2 })
		n.awaitDrained(time.Second)
	})
}

func TestDrain_during_back_off(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, func(n *node, _ *Options) {
		if err := n.sim.RefuseDials(gatewaysim.HostBase, gatewaysim.Dial503, gatewaysim.Forever); err != nil {
			t.Fatal(err)
		}
	}, func(n *node) {
		elapse(3 * time.Minute)
		n.awaitDrained(time.Second)
		dials := n.sim.Counts().DialsBase
		elapse(time.Hour)
		if got := n.sim.Counts().DialsBase; got != dials {
			t.Errorf("got %d dials after the drain, want none", got-dials)
		}
	})
}

func TestDrain_during_a_wait_for_a_permit(t *testing.T) {
	permits := &fakePermits{wait: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }}
	inBubble(t, 2, gatewaysim.Options{}, func(_ *node, o *Options) { o.Permits = permits }, func(n *node) {
		n.await(time.Minute, "HELLO", func() bool { return n.status().Shards[1].State == messages.Identifying })
		n.awaitDrained(time.Second)
		if got := n.sim.Counts().Identifies; got != 0 {
			t.Errorf("got %d IDENTIFYs, want none", got)
		}
	})
}

func TestDrain_while_a_shard_restarts(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{}, func(n *node, o *Options) {
		var spent atomic.Int32
		o.Permits = &fakePermits{spent: func() {
			if spent.Add(1) == 2 {
				n.tell(messages.Drain{}) // it meets the failure on its way up
				panic("a bug in Spent")
			}
		}}
	}, func(n *node) {
		n.await(time.Minute, "drained", func() bool { _, drained := n.told(); return drained > 0 })
		n.awaitDrained(time.Second)
	})
}

func TestDrain_in_a_full_window_closes_at_once_and_ends_when_there_is_room(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.window.hold()
		for i := range 10 {
			n.dispatch(0, i)
		}
		n.tell(messages.Drain{})
		elapse(2 * time.Second)
		for _, c := range n.sim.Connections() {
			if c.Closed.IsZero() {
				t.Errorf("shard %d: still connected", c.ShardID)
			}
		}
		if _, drained := n.told(); drained != 0 {
			t.Error("drained, but the last words are not in the window")
		}
		n.window.release()
		n.await(time.Second, "drained", func() bool { _, drained := n.told(); return drained == 1 })
		if got := n.window.ofType("sheep.shorn"); got != 0 {
			t.Errorf("got %d events of a drained shard, want none: RESUME brings them", got)
		}
	})
}

func TestWindow_when_full_holds_the_reader_and_not_the_actor(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.window.hold()
		for i := range 10 {
			n.dispatch(0, i)
		}
		beats := n.sim.Counts().Heartbeats
		elapse(30 * time.Minute)
		n.status()
		if got := n.sim.Counts(); got.Heartbeats < beats+80 || got.DialsBase != 2 || got.DialsResume != 0 {
			t.Errorf("got %d heartbeats and %+v, want every heartbeat and no new dial", got.Heartbeats-beats, got)
		}
		n.window.release()
		n.await(time.Second, "the events", func() bool { return n.window.ofType("sheep.shorn") == 10 })
		n.compare(everything)
	})
}

func TestReader_keeps_its_life_cycle_events_when_the_connection_ends_in_a_full_window(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 3}, func(n *node, _ *Options) { n.window.hold() }, func(n *node) {
		n.await(time.Minute, "READY", func() bool { return n.status().ShardsReady == 1 })
		n.sim.SetSessionLife(time.Hour)
		n.sim.Drop(gatewaysim.All) // the reader waits for room and does not see it; a heartbeat does
		n.await(10*time.Minute, "RESUME", func() bool { return n.sim.Counts().Resumes > 0 })
		n.status()
		n.window.release()
		n.await(time.Minute, "the guilds", func() bool { return n.window.ofType("guild.available") == 3 })
		n.awaitReady()
		if got := n.window.ofType("shard.ready"); got != 1 {
			t.Errorf("got %d shard.ready, want 1", got)
		}
		n.compare(everything)
	})
}
