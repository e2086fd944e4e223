package actors

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// twoPools runs f with a node of two pools of two shards each, that serve.
func twoPools(t *testing.T, sim gatewaysim.Options, change func(*node, *Options), f func(n *node)) {
	t.Helper()
	sim.Guilds, sim.ReplayBuffer, sim.MaxConcurrency = 8, 1000, 16
	inBubble(t, 4, sim, func(n *node, o *Options) {
		n.pools = 2
		if change != nil {
			change(n, o)
		}
	}, func(n *node) {
		n.awaitReady()
		n.saved()
		f(n)
	})
}

// ask begins a request to the root.
func (n *node) ask(message any) *actor.Future {
	return n.system.Root.RequestFuture(n.root, message, time.Hour)
}

func answered[T any](t *testing.T, f *actor.Future) T {
	t.Helper()
	answer, err := f.Result()
	if err != nil {
		t.Fatalf("got no answer: %v", err)
	}
	return answer.(T)
}

// leave hands a pool over, and expects that all goes well.
func (n *node) leave(pool int) {
	n.t.Helper()
	began := time.Now()
	got := answered[messages.Revoked](n.t, n.ask(messages.Revoke{Pool: pool, Timeout: 10 * time.Second}))
	if took := time.Since(began); got.Pool != pool || got.Unacked != 0 || got.Err != nil || took > time.Second {
		n.t.Errorf("got %+v after %v, want pool %d handed over in no time", got, took, pool)
	}
}

// second starts another node with the same store, which serves no pool yet.
func (n *node) second() *node {
	next := &node{t: n.t, sim: n.sim, window: &fakeWindow{stored: n.window.Stored()}, store: n.store, log: &logBook{}, dial: n.dial}
	next.spawn(nil)
	return next
}

// take assigns a pool with what is stored of it.
func (n *node) take(pool int, fence messages.Fence) {
	n.t.Helper()
	n.tell(n.poolOf(pool, fence))
	synctest.Wait()
}

func (n *node) poolOf(pool int, fence messages.Fence) messages.Assign {
	a := messages.Assign{Pool: pool, Shards: []int{2 * pool, 2*pool + 1}, Total: 4, GatewayURL: n.sim.GatewayURL(), Fence: fence}
	a.Sessions = n.store.all()
	for id := range a.Sessions {
		if !slices.Contains(a.Shards, id) {
			delete(a.Sessions, id)
		}
	}
	return a
}

// nothingInvalid expects that the window holds nothing that may not be published any more.
func (n *node) nothingInvalid() {
	n.t.Helper()
	n.window.mu.Lock()
	defer n.window.mu.Unlock()
	for _, u := range n.window.receipts {
		if !messages.Valid(u.fence) {
			n.t.Error("the window still holds an event of a pool that is gone")
		}
	}
}

// whole expects that the nodes have stored every dispatch once.
func whole(t *testing.T, nodes ...*node) {
	t.Helper()
	stored, twice := streamsOf(nodes...)
	for _, l := range nodes[0].sim.Ledger() {
		for _, d := range l.Dispatch {
			if d.T != "READY" && d.T != "RESUMED" && stored[messages.EventID(l.SessionID, d.Seq)] == 0 {
				t.Errorf("shard %d: %d %s was lost", l.ShardID, d.Seq, d.T)
			}
		}
	}
	if len(twice) > 0 {
		t.Errorf("got %d events twice: %v", len(twice), twice)
	}
}

func TestRevoke_with_events_in_flight_loses_and_doubles_nothing(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		n.window.silence()
		for i := range 80 {
			n.dispatch(i%4, i)
			if i%5 == 0 {
				n.interaction(i%4, i)
			}
		}
		synctest.Wait()
		asked := n.ask(messages.Revoke{Pool: 1, Timeout: 10 * time.Second})
		synctest.Wait()
		for i := range 20 { // those of pool 1 Discord replays to the next node
			n.dispatch(i%4, 100+i)
		}
		elapse(time.Second)
		if n.open() != 4 || n.status().ShardsReady != 4 {
			t.Errorf("got %d connections and %d ready before everything is acknowledged, want 4", n.open(), n.status().ShardsReady)
		}
		began := time.Now()
		n.window.answer()
		got := answered[messages.Revoked](t, asked)
		if took := time.Since(began); got.Pool != 1 || got.Unacked != 0 || got.Err != nil || took > 100*time.Millisecond {
			t.Errorf("got %+v after %v", got, took)
		}
		if downs := n.window.typed("shard.down"); len(downs) != 2 || n.window.late != 0 {
			t.Errorf("got %d shard.down and %d events too late, want 2 and none", len(downs), n.window.late)
		}
		elapse(2 * time.Second)
		for _, c := range n.sim.Connections() {
			if c.ShardID < 2 != c.Closed.IsZero() || c.ShardID >= 2 && c.ClientCode != 4000 {
				t.Errorf("shard %d: got closed %v with %d, want pool 1 alone closed with 4000", c.ShardID, !c.Closed.IsZero(), c.ClientCode)
			}
		}
		next := n.second()
		defer next.end()
		next.take(1, nil)
		next.awaitReady()
		for i := range 20 {
			n.dispatch(i%4, 200+i)
		}
		elapse(5 * time.Second)
		whole(t, n, next)
		if got := n.sim.Counts(); got.Identifies != 4 || got.Resumed != 2 || got.Replayed != 10 {
			t.Errorf("got %d IDENTIFYs, %d resumed, %d replayed; want 4, 2, 10", got.Identifies, got.Resumed, got.Replayed)
		}
	})
}

func TestRevoke_that_runs_out_of_time_says_what_is_left_and_gives_it_up(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		n.window.silence()
		for i := range 12 {
			n.dispatch(i%4, i)
		}
		synctest.Wait()
		began := time.Now()
		got := answered[messages.Revoked](t, n.ask(messages.Revoke{Pool: 1, Timeout: 6 * time.Second}))
		if took := time.Since(began); got.Unacked != 6+2 || got.Err != nil || took < 6*time.Second || took > 7*time.Second {
			t.Errorf("got %+v after %v, want 6 events and 2 shard.down after 6s", got, took)
		}
		n.nothingInvalid()
		n.window.answer() // the other pool's
		next := n.second()
		defer next.end()
		next.take(1, nil)
		next.awaitReady()
		elapse(5 * time.Second)
		whole(t, n, next)
		if got := n.sim.Counts(); got.Identifies != 4 || got.Replayed != 6 {
			t.Errorf("got %d IDENTIFYs, %d replayed; want 4, 6", got.Identifies, got.Replayed)
		}
	})
}

func TestRevoke_says_that_the_last_checkpoints_were_not_written(t *testing.T) {
	for name, hang := range map[string]bool{"the store answers with an error": false, "it does not answer": true} {
		t.Run(name, func(t *testing.T) {
			twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
				n.store.sabotage(errTest, hang)
				got := answered[messages.Revoked](t, n.ask(messages.Revoke{Pool: 0, Timeout: 10 * time.Second}))
				if got.Err == nil || got.Unacked != 0 {
					t.Errorf("got %+v, want an error", got)
				}
			})
		})
	}
}

func TestRevoke_and_a_new_Assign_on_the_same_node(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		for round := range 5 {
			for i := range 20 {
				n.dispatch(i%4, 100*round+i)
			}
			n.leave(round % 2)
			if s := n.status(); s.ShardsTotal != 2 || s.ShardsReady != 2 || s.Shards[0].Pool == round%2 {
				t.Errorf("got %d of %d shards of pool %d, want the other pool's two", s.ShardsReady, s.ShardsTotal, s.Shards[0].Pool)
			}
			for i := range 20 {
				n.dispatch(i%4, 1000+100*round+i)
			}
			n.take(round%2, nil)
			n.awaitReady()
		}
		elapse(5 * time.Second)
		whole(t, n)
		ids := map[string]bool{}
		for _, e := range n.window.all() {
			if ids[e.id] {
				t.Errorf("got id %s of a %s twice", e.id, e.typ)
			}
			ids[e.id] = true
		}
		if got := n.sim.Counts(); got.Identifies != 4 || got.Resumed != 10 {
			t.Errorf("got %d IDENTIFYs and %d resumed, want 4 and 10", got.Identifies, got.Resumed)
		}
	})
}

func TestRevoke_of_what_identifies_right_now_ends_it(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		n.sim.NextReady(gatewaysim.ReadyFault{Delay: time.Hour}, gatewaysim.Forever)
		n.sim.Invalidate(gatewaysim.One(2), false)
		n.await(time.Minute, "IDENTIFY", func() bool { return n.sim.Counts().Identifies == 5 })
		n.leave(1)
		elapse(2 * time.Second)
		if n.open() != 2 || n.status().ShardsReady != 2 {
			t.Errorf("got %d connections, want those of the other pool", n.open())
		}
	})
}

// A checkpoint of the new session waits for what tells of the old one's end, and that for room in the window.
func TestRevoke_brings_what_a_new_session_owes_to_the_window(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		old := n.store.of(2).Session
		n.window.hold()
		n.sim.CloseAll(gatewaysim.One(2), 4009, "")
		n.await(time.Minute, "the next session", func() bool {
			s := n.status().Shards[2]
			return s.State == messages.Ready && s.Session != messages.ShortSession(old)
		})
		before := n.sim.Counts().Identifies
		asked := n.ask(messages.Revoke{Pool: 1, Timeout: 10 * time.Second})
		elapse(time.Second)
		n.window.release()
		if got := answered[messages.Revoked](t, asked); got.Unacked != 0 || got.Err != nil {
			t.Errorf("got %+v", got)
		}
		if n.store.of(2).Session == old || n.window.ofType("shard.gap") != 1 {
			t.Errorf("got session %s stored and %d gaps, want the new one and 1", n.store.of(2).Session, n.window.ofType("shard.gap"))
		}
		next := n.second()
		defer next.end()
		next.take(1, nil)
		next.awaitReady()
		if got := n.sim.Counts(); got.Identifies != before || got.Resumed != 2 {
			t.Errorf("got %d IDENTIFYs and %d resumed, want none and 2", got.Identifies-before, got.Resumed)
		}
	})
}

func TestRevoke_of_a_pool_that_is_not_here_is_answered(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		if got := answered[messages.Revoked](t, n.ask(messages.Revoke{Pool: 7})); got != (messages.Revoked{Pool: 7}) {
			t.Errorf("got %+v", got)
		}
		if got := answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 7})); got.Pool != 7 {
			t.Errorf("got %+v", got)
		}
		n.window.silence()
		n.dispatch(0, 1)
		synctest.Wait()
		first := n.ask(messages.Revoke{Pool: 0, Timeout: 10 * time.Second})
		again := n.ask(messages.Revoke{Pool: 0, Timeout: time.Hour})
		synctest.Wait()
		n.window.answer()
		if a, b := answered[messages.Revoked](t, first), answered[messages.Revoked](t, again); a != b || a.Unacked != 0 {
			t.Errorf("got %+v and %+v, want the same answer twice", a, b)
		}
	})
}

func TestDrain_of_the_node_during_a_hand_over(t *testing.T) {
	for name, quiesce := range map[string]bool{"in two phases": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
				n.window.silence()
				for i := range 8 {
					n.dispatch(i%4, i)
				}
				synctest.Wait()
				revoked := n.ask(messages.Revoke{Pool: 1, Timeout: time.Minute})
				synctest.Wait()
				if quiesce {
					n.awaitQuiet()
				}
				n.window.answer()
				n.awaitDrained(5 * time.Second)
				if got := answered[messages.Revoked](t, revoked); got.Unacked != 0 || got.Err != nil {
					t.Errorf("got %+v", got)
				}
				if got := n.window.ofType("shard.down"); got != 4 {
					t.Errorf("got %d shard.down, want 4", got)
				}
				if got := answered[messages.Revoked](t, n.ask(messages.Revoke{Pool: 0})); got != (messages.Revoked{}) {
					t.Errorf("after the drain: got %+v", got)
				}
				answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 0}))
				next := n.second()
				defer next.end()
				next.take(0, nil)
				next.take(1, nil)
				next.awaitReady()
				elapse(5 * time.Second)
				whole(t, n, next)
			})
		})
	}
}

func TestRefused_during_a_hand_over(t *testing.T) {
	for name, panics := range map[string]bool{"the root goes on": false, "the root panics": true} {
		t.Run(name, func(t *testing.T) {
			twoPools(t, gatewaysim.Options{}, func(_ *node, o *Options) {
				told := o.Refused
				o.Refused = func(err error) {
					told(err)
					if panics {
						panic("a bug in Refused")
					}
				}
			}, func(n *node) {
				n.window.silence()
				n.dispatch(2, 1)
				synctest.Wait()
				revoked := n.ask(messages.Revoke{Pool: 1, Timeout: 10 * time.Second})
				synctest.Wait()
				n.sim.CloseAll(gatewaysim.One(0), 4004, "")
				got := answered[messages.Revoked](t, revoked)
				if panics != errors.Is(got.Err, errCutShort) || got.Unacked == 0 {
					t.Errorf("got %+v, want it cut short: %v", got, panics)
				}
				n.window.answer()
				n.await(time.Minute, "drained", func() bool { _, drained := n.told(); return drained == 1 })
				if refused, _ := n.told(); len(refused) != 1 || n.sim.Counts().Identifies != 4 {
					t.Errorf("got refused %v, want it once", refused)
				}
			})
		})
	}
}

func TestRefused_counts_the_shards_that_are_here(t *testing.T) {
	twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
		halt := func(shards ...int) {
			for _, id := range shards {
				n.sim.CloseAll(gatewaysim.One(id), 4011, "")
			}
			elapse(time.Minute)
		}
		refused := func() int { refused, _ := n.told(); return len(refused) }
		halt(0, 1, 2)
		n.leave(0) // with all that was refused of it
		if s := n.status(); s.ShardsTotal != 2 || len(s.Reasons) != 1 || refused() != 0 {
			t.Errorf("got %d shards, %d times refused and reasons %v; want those of pool 1", s.ShardsTotal, refused(), s.Reasons)
		}
		answered[messages.Dropped](t, n.ask(messages.Drop{Pool: 1}))
		n.take(0, nil) // Discord may think otherwise by now
		n.awaitReady()
		halt(1)
		if refused() != 0 {
			t.Error("got refused, although a shard serves")
		}
		halt(0)
		if refused() != 1 {
			t.Errorf("got %d times refused, want once: every shard that is here is", refused())
		}
	})
}

func TestStatus_and_metrics_forget_a_pool_that_left(t *testing.T) {
	tel, err := telemetry.New(telemetry.Options{Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	twoPools(t, gatewaysim.Options{}, func(n *node, o *Options) {
		o.Meters = tel.Meters
		tel.Meters.Observe(func(context.Context) (messages.NodeStatus, error) { return n.status(), nil })
	}, func(n *node) {
		scrape := func() string {
			out := httptest.NewRecorder()
			tel.Handler().ServeHTTP(out, httptest.NewRequest("GET", "/metrics", nil))
			return out.Body.String()
		}
		const series = `gateway_shards_ready{pool_id="1"}`
		if !strings.Contains(scrape(), series) {
			t.Fatalf("got no %s while the pool is here: %s", series, scrape())
		}
		n.leave(1)
		if strings.Contains(scrape(), series) {
			t.Errorf("got %s of a pool that left", series)
		}
		if s := n.status(); s.ShardsTotal != 2 || s.GuildsTotal != 4 || !strings.Contains(s.Notices[0].Text, "pool 1 handed over") {
			t.Errorf("got %d shards, %d guilds and %+v", s.ShardsTotal, s.GuildsTotal, s.Notices[0])
		}
	})
}
