package actors

import (
	"math/rand/v2"
	"testing"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

// owners are two nodes with one store, and who of them has which pool under which fence.
type owners struct {
	nodes  [2]*node
	of     [2]int // by pool
	fences [2]*fakeFence
}

// hand has a pool go in order, or as when its node was cut off: the other one takes it before that one knows.
func (o *owners) hand(t *testing.T, pool int, orderly bool) {
	old := o.nodes[o.of[pool]]
	if orderly {
		if got := answered[messages.Revoked](t, old.ask(messages.Revoke{Pool: pool, Timeout: time.Minute})); got.Unacked != 0 || got.Err != nil {
			t.Errorf("pool %d: got %+v", pool, got)
		}
	} else {
		o.fences[pool].broken.Store(true)
		elapse(10 * time.Second)
	}
	o.of[pool] = 1 - o.of[pool]
	o.fences[pool] = &fakeFence{}
	o.nodes[o.of[pool]].take(pool, o.fences[pool])
	if !orderly {
		elapse(5 * time.Second)
		answered[messages.Dropped](t, old.ask(messages.Drop{Pool: pool}))
	}
}

func TestPools_move_between_two_nodes_through_faults_and_lose_nothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, orderly := range map[string]bool{"handed over": true, "taken over": false} {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			twoPools(t, gatewaysim.Options{}, nil, func(n *node) {
				n.sim.SetSessionLife(time.Hour)
				next := n.second()
				defer next.end()
				o := &owners{nodes: [2]*node{n, next}}
				for pool := range 2 {
					n.leave(pool)
					o.fences[pool] = &fakeFence{}
					n.take(pool, o.fences[pool])
				}
				ready := func() bool { return n.status().ShardsReady+next.status().ShardsReady == 4 }
				for i := range 200 {
					n.dispatch(i%4, i)
					elapse(time.Duration(rnd.Int64N(int64(200 * time.Millisecond))))
					switch rnd.IntN(20) {
					case 0:
						n.sim.Drop(gatewaysim.One(rnd.IntN(4)))
					case 1:
						n.sim.Reconnect(gatewaysim.One(rnd.IntN(4)))
					case 2, 3:
						n.await(time.Minute, "ready", ready) // an IDENTIFY under way would be lost
						o.hand(t, rnd.IntN(2), orderly)
					}
				}
				n.await(time.Minute, "ready", ready)
				elapse(10 * time.Second)
				stored, twice := streamsOf(n, next)
				for _, l := range n.sim.Ledger() {
					for _, d := range l.Dispatch {
						if d.T != "READY" && d.T != "RESUMED" && stored[messages.EventID(l.SessionID, d.Seq)] == 0 {
							t.Errorf("shard %d: %d %s was lost", l.ShardID, d.Seq, d.T)
						}
					}
				}
				if orderly && len(twice) > 0 { // a take-over replays what no checkpoint knew; JetStream drops it by its id
					t.Errorf("got %d events twice", len(twice))
				}
				if got := n.sim.Counts().Identifies; got != 4 || n.window.late+next.window.late > 0 {
					t.Errorf("got %d IDENTIFYs and %d events too late, want the first 4 and none", got, n.window.late+next.window.late)
				}
			})
		})
	}
}
