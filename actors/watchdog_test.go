package actors

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// intervals are two heartbeat intervals of the simulated Discord, which is Discord's own.
const intervals = 2 * 41250 * time.Millisecond

func TestWatchdog_notices_a_shard_that_is_connected_and_dead(t *testing.T) {
	tests := []struct {
		name   string
		fault  func(n *node)
		within time.Duration // noticed; after that the shard is up again in a minute
	}{
		{"heartbeats go unanswered", func(n *node) { n.sim.DropAcks(gatewaysim.One(0), true) }, intervals},
		{"an edge that says no HELLO", func(n *node) {
			n.sim.SilentEdge(gatewaysim.Limit{Count: 1})
			n.sim.Drop(gatewaysim.All)
		}, 25 * time.Second},
		{"a RESUME that gets no answer", func(n *node) {
			n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerSilence}, gatewaysim.Limit{Count: 1})
			n.sim.Drop(gatewaysim.All)
		}, intervals},
		{"a dead resume host", func(n *node) {
			if err := n.sim.RefuseDials(gatewaysim.HostResume, gatewaysim.DialReset, gatewaysim.Forever); err != nil {
				n.t.Fatal(err)
			}
			n.sim.Drop(gatewaysim.All)
		}, intervals},
		{"a resume host that takes the dial and hangs", func(n *node) {
			if err := n.sim.RefuseDials(gatewaysim.HostResume, gatewaysim.DialHang, gatewaysim.Forever); err != nil {
				n.t.Fatal(err)
			}
			n.sim.Drop(gatewaysim.All)
		}, intervals},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
				n.awaitReady()
				n.sim.SetSessionLife(time.Hour)
				elapse(5 * time.Minute)
				dials := n.sim.Counts()
				tt.fault(n)
				n.await(tt.within+time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 1 && n.status().ShardsReady == 1 })
				after := n.sim.Counts()
				if got := after.DialsBase + after.DialsResume + after.DialsRefused - dials.DialsBase - dials.DialsResume; got > 10 {
					t.Errorf("got %d dials, want at most 10", got)
				}
				if after.Identifies != 1 {
					t.Errorf("got %d IDENTIFYs, want 1: a RESUME was possible", after.Identifies)
				}
			})
		})
	}
}

func TestWatchdog_takes_a_quiet_guild_for_what_it_is(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.dispatch(0, 1)
		read := time.Now()
		elapse(24 * time.Hour)
		if got := n.sim.Counts(); got.DialsBase+got.DialsResume != 1 {
			t.Errorf("got %d dials in a quiet day, want the first one only", got.DialsBase+got.DialsResume)
		}
		s := n.status().Shards[0]
		if s.State != messages.Ready || s.LastDispatch.Sub(read).Abs() > time.Second {
			t.Errorf("got %s with a last dispatch at %v, want ready, at %v", s.State, s.LastDispatch, read)
		}
	})
}

func TestWatchdog_spends_few_dials_on_an_outage_and_no_identify(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, mode := range []gatewaysim.DialMode{gatewaysim.Dial503, gatewaysim.DialReset} {
		most := int64(0)
		for range 25 {
			random := func(_ *node, o *Options) {
				var mu sync.Mutex // all shards draw from it
				from := rand.New(rand.NewPCG(rnd.Uint64(), 0))
				o.Session.Rand = func() float64 { mu.Lock(); defer mu.Unlock(); return from.Float64() }
			}
			inBubble(t, 4, gatewaysim.Options{Guilds: 8, MaxConcurrency: 16}, random, func(n *node) {
				n.awaitReady()
				before := n.sim.Counts()
				for _, host := range []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume} {
					if err := n.sim.RefuseDials(host, mode, gatewaysim.Limit{For: 8 * time.Second}); err != nil {
						t.Fatal(err)
					}
				}
				n.sim.Drop(gatewaysim.All)
				n.await(5*time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 4 })
				after := n.sim.Counts()
				most = max(most, after.DialsRefused-before.DialsRefused)
				if after.Identifies != 4 {
					t.Errorf("got %d IDENTIFYs, want 4: the sessions lived", after.Identifies)
				}
			})
		}
		if most > 4*10 {
			t.Errorf("%s: got up to %d dials of 4 shards, want at most 10 a shard", mode, most)
		}
		t.Logf("%s: up to %d refused dials of 4 shards", mode, most)
	}
}

func TestWatchdog_walks_from_the_resume_url_to_a_fresh_session(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerDrop}, gatewaysim.Forever) // neither host resumes it
		before := n.sim.Counts()
		n.sim.Drop(gatewaysim.All)
		n.await(10*time.Minute, "the next session", func() bool { return n.sim.Counts().Identifies == 2 && n.status().ShardsReady == 1 })
		after := n.sim.Counts()
		if after.Resumes != 3 {
			t.Errorf("got %d RESUMEs before the IDENTIFY, want 3", after.Resumes)
		}
		if onResume, onBase := after.DialsResume-before.DialsResume, after.DialsBase-before.DialsBase; onResume != 2 || onBase != 2 {
			t.Errorf("got %d dials at the resume URL and %d at the base URL, want 2 RESUMEs there, and here one and the IDENTIFY", onResume, onBase)
		}
		if g := gapOf(t, n.window); g.Reason != "session_lost" {
			t.Errorf("got %+v, want session_lost", g)
		}
	})
}
