package actors

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"drover/messages"
	"drover/system/cluster"
	"drover/system/gatewaysim"
)

// nodePermits are the cluster's under the interface of this package.
type nodePermits struct{ *cluster.Permits }

func (p nodePermits) Acquire(ctx context.Context, shardID int, again bool) (Permit, error) {
	permit, err := p.Permits.Acquire(ctx, shardID, again)
	if err != nil {
		return nil, err
	}
	return permit, nil
}

func TestNode_through_a_simulated_day_of_faults(t *testing.T) {
	const shards, keys = 4, 2
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sim := gatewaysim.Options{Guilds: 8, Rate: 0.2, ReplayBuffer: 3500, MaxConcurrency: keys, DailyTotal: 5000, Seed: seed}
	withPermits := func(_ *node, o *Options) {
		o.Session.Rand = rand.Float64
		o.Permits = nodePermits{cluster.NewPermits(cluster.Limit{
			Total: 5000, Remaining: 5000, ResetAfter: 24 * time.Hour, MaxConcurrency: keys, Shards: shards,
		}, slog.New(slog.DiscardHandler))}
	}
	inBubble(t, shards, sim, withPermits, func(n *node) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		n.awaitReady()
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); {
			elapse(time.Duration(rnd.Int64N(int64(3 * time.Minute))))
			n.fault(rnd)
		}
		if err := n.sim.Clear(); err != nil {
			t.Fatal(err)
		}
		n.window.release()
		n.awaitReady()
		n.sim.SetRate(0)
		elapse(time.Minute)
		n.awaitReady()
		s := n.status()
		for _, shard := range s.Shards {
			if shard.SeqAcked != shard.SeqReceived {
				t.Errorf("shard %d: got acked mark %d, want %d: the window is empty", shard.ID, shard.SeqAcked, shard.SeqReceived)
			}
		}
		n.compare(everything)
		n.spacing(keys)
		for _, v := range n.sim.Violations() {
			t.Errorf("the simulator complains: %+v", v)
		}
		counts := n.sim.Counts()
		t.Logf("%d events, %+v", len(n.window.all()), counts)
		if counts.Resumed < 100 || counts.Identifies < 20 {
			t.Errorf("got %d resumed and %d IDENTIFYs: this day had too few faults to show anything", counts.Resumed, counts.Identifies)
		}
		n.awaitDrained(time.Minute)
	})
}

// fault does one of many bad things to one shard, or to all.
func (n *node) fault(rnd *rand.Rand) {
	at := gatewaysim.One(rnd.IntN(4))
	if rnd.IntN(10) == 0 {
		at = gatewaysim.All
	}
	few := gatewaysim.Limit{Count: 1 + rnd.IntN(4)}
	host := []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume}[rnd.IntN(2)]
	switch rnd.IntN(20) {
	case 0, 1:
		n.sim.Drop(at)
	case 2:
		n.sim.CloseAll(at, []int{1000, 1001, 4000, 4001, 4002, 4003, 4005, 4007, 4008, 4009, 4999}[rnd.IntN(11)], "")
	case 3:
		n.sim.Reconnect(at)
	case 4:
		n.sim.Invalidate(at, rnd.IntN(2) == 0)
	case 5:
		n.sim.Corrupt(at)
	case 6:
		n.sim.Garbage(at)
	case 7:
		n.sim.Duplicate(at)
	case 8:
		n.sim.SilentEdge(few)
		n.sim.Drop(at)
	case 9:
		n.sim.ReconnectHello(few)
		n.sim.Reconnect(at)
	case 10:
		_ = n.sim.RefuseDials(host, gatewaysim.Dial503, few)
		n.sim.Drop(at)
	case 11:
		_ = n.sim.RefuseDials(host, gatewaysim.DialReset, gatewaysim.Limit{For: 40 * time.Second})
		n.sim.Drop(at)
	case 12:
		n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: []gatewaysim.Answer{
			gatewaysim.AnswerDrop, gatewaysim.AnswerSilence, gatewaysim.AnswerResumable, gatewaysim.AnswerInvalid}[rnd.IntN(4)]}, few)
		n.sim.Drop(at)
	case 13:
		n.sim.AnswerIdentify(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerDrop}, few)
		n.sim.Invalidate(at, false)
	case 14:
		n.sim.DropAcks(at, true)
	case 15:
		n.sim.RequestHeartbeat(at)
	case 16:
		n.sim.NextReady(gatewaysim.ReadyFault{Delay: 40 * time.Second}, few)
		n.sim.Invalidate(at, false)
	case 17:
		n.window.hold()
	case 18:
		n.window.release()
		n.tell(messages.Trouble{Err: errTest})
	case 19:
		n.window.hold()
		n.sim.Drop(at)
	}
	if rnd.IntN(3) > 0 {
		n.window.release()
	}
}

// spacing holds IDENTIFYs of one key to the 5 s that Discord asks for.
func (n *node) spacing(keys int) {
	n.t.Helper()
	last := map[int]time.Time{}
	for _, c := range n.sim.Connections() {
		for _, f := range c.Sent(2) {
			key := c.ShardID % keys
			if at := last[key]; !at.IsZero() && f.At.Sub(at).Abs() < 5*time.Second {
				n.t.Errorf("key %d: got two IDENTIFYs within %v, want 5s or more", key, f.At.Sub(at).Abs())
			}
			last[key] = f.At
		}
	}
}
