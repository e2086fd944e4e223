package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
	"drover/system/simtime"
)

var errTest = errors.New("test")

func TestPublisher_pauses_when_the_broker_goes_and_replays_when_it_comes_back(t *testing.T) {
	inBubble(t, 0, gatewaysim.Options{}, nil, func(n *node) {
		tests := []struct {
			name            string
			message         any
			pauses, replays int // in all
		}{
			{"the first connection", nil, 0, 1},
			{"trouble on a connection", messages.Trouble{Err: errTest}, 1, 2},
			{"a lost connection", messages.BrokerDown{Err: errTest}, 2, 2},
			{"trouble without a connection", messages.Trouble{Err: errTest}, 3, 2},
			{"the next connection", messages.BrokerUp{}, 3, 3},
		}
		for _, tt := range tests {
			if tt.message != nil {
				n.tell(tt.message)
			}
			synctest.Wait()
			if pauses, replays := n.window.counts(); pauses != tt.pauses || replays != tt.replays {
				t.Errorf("%s: got %d pauses and %d replays, want %d and %d", tt.name, pauses, replays, tt.pauses, tt.replays)
			}
		}
	})
}

func TestPublisher_cancels_a_replay_for_a_newer_one(t *testing.T) {
	var running, cancelled atomic.Int32
	replay := func(ctx context.Context) error {
		running.Add(1)
		defer running.Add(-1)
		<-ctx.Done()
		cancelled.Add(1)
		return context.Cause(ctx)
	}
	inBubble(t, 0, gatewaysim.Options{}, func(n *node, _ *Options) { n.window.replay = replay }, func(n *node) {
		for i := range int32(5) {
			n.tell(messages.BrokerUp{})
			synctest.Wait()
			if got, old := running.Load(), cancelled.Load(); got != 1 || old != i+1 {
				t.Errorf("got %d replays running and %d cancelled, want 1 and %d", got, old, i+1)
			}
		}
	})
}

func TestPublisher_takes_life_cycle_events_while_the_window_is_full(t *testing.T) {
	inBubble(t, 0, gatewaysim.Options{}, nil, func(n *node) {
		n.window.hold()
		for i := range 100 {
			n.system.Root.Send(n.pid("publisher"), messages.LifeCycle{ShardID: i, Session: "s", Seq: int64(i), Down: &messages.DownData{}})
		}
		synctest.Wait()
		n.status()
		if got := len(n.window.all()); got != 0 {
			t.Errorf("got %d events in a full window, want 0", got)
		}
		n.window.release()
		synctest.Wait()
		all := n.window.all()
		if len(all) != 100 {
			t.Fatalf("got %d events, want 100", len(all))
		}
		for i, e := range all {
			if e.seq != int64(i) {
				t.Errorf("event %d: got %d, want them in order", i, e.seq)
			}
		}
	})
}

func TestPublisher_goes_on_after_a_panic(t *testing.T) {
	var panics atomic.Int32
	paused := func() {
		if panics.Add(1) == 1 {
			panic("a bug in Pause")
		}
	}
	inBubble(t, 1, gatewaysim.Options{}, func(n *node, _ *Options) { n.window.paused = paused }, func(n *node) {
		n.awaitReady()
		n.window.hold()
		for i := range 10 {
			n.system.Root.Send(n.pid("publisher"), messages.LifeCycle{Session: "s", Seq: int64(i), Down: &messages.DownData{}})
		}
		_, before := n.window.counts()
		n.tell(messages.Trouble{Err: errTest})
		synctest.Wait()
		if _, after := n.window.counts(); after != before+1 {
			t.Errorf("got %d replays, want 1: the window is paused and the connection stands", after-before)
		}
		if !strings.Contains(n.log.String(), "a bug in Pause") {
			t.Error("the panic was not logged")
		}
		if _, drained := n.told(); drained != 0 {
			t.Error("the node says that it is drained")
		}
		n.window.release()
		n.await(time.Minute, "the life-cycle events", func() bool { return n.window.ofType("shard.down") == 10 })
		n.tell(messages.Drain{})
		n.await(time.Minute, "drained", func() bool { _, drained := n.told(); return drained == 1 })
		if got := n.window.ofType("shard.down"); got != 11 {
			t.Errorf("got %d life-cycle events, want 11: ten, and the drain's", got)
		}
	})
}

func TestHealth_remembers_the_shards_after_a_panic(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.system.Root.Send(n.pid("health"), messages.ShardHalted{ShardID: 7}) // no error: a bug of its sender
		synctest.Wait()
		if s := n.status(); s.ShardsTotal != 3 || s.ShardsReady != 3 {
			t.Errorf("got %d of %d shards ready, want 3 of 3", s.ShardsReady, s.ShardsTotal)
		}
	})
}

// panicOnce makes the log panic at the first line with that text, on the goroutine that logs.
func panicOnce(n *node, text string) {
	var done atomic.Bool
	n.log.watch(func(line string) {
		if strings.Contains(line, text) && done.CompareAndSwap(false, true) {
			panic(fmt.Sprintf("a bug while logging %q", text))
		}
	})
}

func TestPool_panics_keep_sessions_and_what_was_refused(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{}, nil, func(n *node) {
		n.awaitReady()
		n.sim.CloseAll(gatewaysim.One(1), 4010, "")
		n.await(time.Minute, "refused", func() bool { return !n.alive("pool-0/shard-1") })
		panicOnce(n, "shard restarts")
		n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerDrop}, gatewaysim.Limit{Count: 2})
		n.sim.Drop(gatewaysim.One(0))
		elapse(5 * time.Minute)
		s := n.status()
		if s.ShardsReady != 2 || s.Shards[1].State != messages.Halted {
			t.Errorf("got %d shards ready and shard 1 %s, want 2 and halted", s.ShardsReady, s.Shards[1].State)
		}
		if got := n.sim.Counts().Identifies; got != 3 || n.alive("pool-0/shard-1") {
			t.Errorf("got %d IDENTIFYs, want 3: two sessions are resumed, one shard is refused", got)
		}
		n.compare(everything)
	})
}

func TestRoot_panics_keep_the_drain(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{}, func(n *node, o *Options) {
		told := o.Refused
		o.Refused = func(err error) {
			told(err)
			panic("a bug in Refused")
		}
	}, func(n *node) {
		n.awaitReady()
		n.sim.CloseAll(gatewaysim.One(0), 4004, "")
		n.await(time.Minute, "drained", func() bool { _, drained := n.told(); return drained == 1 })
		elapse(10 * time.Minute)
		refused, drained := n.told()
		if got := n.sim.Counts().Identifies; len(refused) != 1 || drained != 1 || got != 2 {
			t.Errorf("got %d times refused, %d drained and %d IDENTIFYs, want 1, 1 and 2", len(refused), drained, got)
		}
	})
}

// A restart of the root stops the publisher and starts another one.
func TestPublisher_hands_what_waits_to_the_next_one(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		w, k, m := &fakeWindow{}, &publishing{}, newMarks("s", 1, 1, [messages.Streams]uint64{})
		o := &Options{Window: w, Meters: meters(t), Log: slog.New(slog.DiscardHandler)}
		start := func() *publisher {
			p := newPublisher(o, k)
			p.ctx, p.cancel = context.WithCancel(t.Context())
			p.open(nil, nil)
			return p
		}
		w.hold()
		first := start()
		for i := range int64(3) {
			first.lifeCycle(messages.LifeCycle{
				Session: "s", Connection: uint64(i), Receipt: m.hold(), Gap: &messages.GapData{Reason: messages.GapStreamLost, To: i},
			})
		}
		synctest.Wait()
		first.stop()
		w.release()
		second := start()
		synctest.Wait()
		for i, e := range w.typed("shard.gap") {
			if want := fmt.Sprintf(`"to":%d`, i); !strings.Contains(e.data, want) {
				t.Errorf("got %s, want %s: they keep their order", e.data, want)
			}
		}
		if _, _, ok := m.point(1); !ok || w.ofType("shard.gap") != 3 {
			t.Errorf("got %d gaps, checkpoint free %v; want 3, true", w.ofType("shard.gap"), ok)
		}
		second.stop()
	})
}
