package audit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"drover/system/gatewaysim"
	"drover/system/process"
)

// The scripts of plans with several nodes: 24 pools of 4 shards.

const (
	poolSize   = 4
	leaseTTL   = 4 * time.Second
	takenOver  = leaseTTL + 2*time.Second // a dead node's shards are resumed elsewhere
	handedOver = time.Second              // without a connection, when a pool is handed over
)

// clusterPlan is a plan over three nodes under 1,000 events a second.
func clusterPlan(name, sentence string, script func(context.Context, *run) error) Plan {
	return Plan{
		Name: name, Sentence: sentence, Nodes: 3, Shards: 24 * poolSize, Script: script,
		Env: with(fast, "DROVER_POOL_SIZE="+strconv.Itoa(poolSize), "DROVER_CLUSTER_LEASE_TTL="+leaseTTL.String()),
		// IDENTIFYs come fast; a plan of its own looks at their pace. Discord's buffer must not be what ends a session.
		World: func(w *gatewaysim.Options) { w.MaxConcurrency, w.ReplayBuffer, w.Heartbeat = 96, 20_000, heartbeat },
	}
}

// clusterPlans are the plans with several nodes.
func clusterPlans() []Plan {
	start := clusterPlan("cluster-start", "three nodes start at once: each shard is served once, IDENTIFYs keep their pace over all nodes, and pools are shared out evenly", clusterStart)
	start.World = func(w *gatewaysim.Options) {
		w.MaxConcurrency, w.IdentifyEvery, w.ReplayBuffer = 32, 5*time.Second, 20_000
	}
	join := clusterPlan("cluster-join", "a third node joins two: at most a third of the pools move to it, by RESUME", clusterJoin)
	join.Late = 1
	cut := clusterPlan("cluster-cut", "one of three nodes is cut off from NATS for 25 s: the others take over, and it publishes nothing that they do", clusterCut)
	cut.Lasts = 25 * time.Second
	stop := clusterPlan("cluster-stop", "one of three nodes stands still for 15 s (SIGSTOP) and goes on: what it held is another's by then", clusterStop)
	stop.Lasts = 15 * time.Second
	down := clusterPlan("cluster-nats-down", "NATS is away for 30 s for all nodes: no session is lost, and no pool moves", clusterDown)
	down.Lasts = 30 * time.Second
	return []Plan{
		start,
		clusterPlan("cluster-kill", "one of three nodes is killed with SIGKILL: the others resume its shards within the lease's TTL and 2 s", clusterKill),
		clusterPlan("cluster-roll", "each of three nodes is restarted with SIGTERM in turn: 99 of 100 shards are without a connection for 1 s at most", clusterRoll),
		join,
		stop, cut, down, natsLeaderPlan(), clusterRandomPlan(),
	}
}

// pools says which node serves each pool; a pool whose shards are not all ready, at one node, is missing.
func (r *run) pools(ctx context.Context) map[int]int {
	shards, at := map[int]int{}, map[int]int{}
	for _, s := range r.shards(ctx) {
		if s.State != "ready" {
			continue
		}
		pool := s.ID / poolSize
		if shards[pool] > 0 && at[pool] != s.node {
			shards[pool] = 2 * poolSize // served twice
		}
		shards[pool]++
		at[pool] = s.node
	}
	for pool, n := range shards {
		if n != poolSize {
			delete(at, pool)
		}
	}
	return at
}

// balanced waits until every pool is served once, and no node has more than one pool more than another.
func (r *run) balanced(ctx context.Context) error {
	return process.Until(ctx, patience, "pools are shared out", func() (bool, string) {
		at, load := r.pools(ctx), map[int]int{}
		for _, node := range at {
			load[node]++
		}
		least, most := r.o.Shards, 0
		for i, n := range r.nodes {
			if n.up() {
				least, most = min(least, load[i]), max(most, load[i])
			}
		}
		return len(at) == r.o.Shards/poolSize && most-least <= 1, fmt.Sprintf("%d pools are served, by node %v", len(at), load)
	})
}

// moved counts pools that another node serves than before.
func moved(before, after map[int]int) (n int) {
	for pool, node := range before {
		if now, ok := after[pool]; ok && now != node {
			n++
		}
	}
	return n
}

// stayed complains if a pool is or was since then at another node than before.
func (r *run) stayed(ctx context.Context, before map[int]int, since time.Time, while string) {
	if n := max(moved(before, r.pools(ctx)), r.holders.moves(since)); n > 0 {
		r.complain("%d pools moved: %s. Want none", n, while)
	}
}

// pause is how long a shard was without a connection, between two of its connections.
type pause struct {
	shard int
	from  time.Time
	took  time.Duration // until the RESUME or IDENTIFY of the next
}

// pausesSince lists the shards' gaps that began after an instant, the longest last.
func (r *run) pausesSince(at time.Time) (list []pause) {
	last := map[int]gatewaysim.ConnRecord{}
	for _, c := range r.sim.Connections() {
		if c.ShardID < 0 {
			continue
		}
		var came time.Time
		for _, f := range c.Frames {
			if f.Op == 2 || f.Op == 6 {
				came = f.At
				break
			}
		}
		if before, ok := last[c.ShardID]; ok && !came.IsZero() && !before.Closed.IsZero() && before.Closed.After(at) {
			list = append(list, pause{c.ShardID, before.Closed, max(came.Sub(before.Closed), 0)})
		}
		last[c.ShardID] = c
	}
	slices.SortFunc(list, func(a, b pause) int { return int(a.took - b.took) })
	return list
}

// bound complains if more than one in a hundred of the gaps since an instant were longer than most.
func (r *run) bound(since time.Time, what string, most time.Duration, share float64) {
	gaps := r.pausesSince(since)
	if len(gaps) == 0 {
		return
	}
	took := gaps[min(int(float64(len(gaps))*share), len(gaps)-1)].took
	r.say("%d shards were without a connection, at most %v", len(gaps), gaps[len(gaps)-1].took.Round(time.Millisecond))
	if took > most && !r.o.Untimed {
		r.complain("%s: a shard was without a connection for %v, want at most %v", what, took.Round(time.Millisecond), most)
	}
}

func clusterStart(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	for _, c := range r.sim.Connections() {
		if len(c.Sent(2)) > 1 {
			r.complain("shard %d identified twice on one connection", c.ShardID)
		}
	}
	return nil
}

// struckNode is a fault of one node, after which the others take over.
func (r *run) struckNode(name string, n *node, strike func(), lasts time.Duration, lift func(context.Context) error) fault {
	return fault{
		name: name + " " + n.name,
		strike: func(ctx context.Context) error {
			at := time.Now()
			strike()
			if err := r.elsewhere(ctx, at); err != nil {
				return err
			}
			return r.last(ctx, lasts-time.Since(at))
		},
		lift: lift,
	}
}

// elsewhere waits until the nodes that are left have resumed every shard, which must not take longer than takenOver since at.
func (r *run) elsewhere(ctx context.Context, at time.Time) error {
	err := process.Until(ctx, patience, "the other nodes take over", func() (bool, string) {
		states := r.shards(ctx)
		for _, s := range states {
			if s.State != "ready" {
				return false, fmt.Sprintf("shard %d is %s", s.ID, s.State)
			}
		}
		return len(states) == r.o.Shards, fmt.Sprintf("%d of %d shards", len(states), r.o.Shards)
	})
	took := time.Since(at)
	r.say("taken over after %v", took.Round(10*time.Millisecond))
	if err == nil && took > takenOver+lookingTime && !r.o.Untimed {
		r.complain("taken over after %v, want at most %v", took.Round(10*time.Millisecond), takenOver)
	}
	return err
}

// lookingTime is for what the audit itself takes to see it: it asks every node's HTTP server in turn.
const lookingTime = 500 * time.Millisecond

func clusterKill(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	n := r.nodes[1]
	f := r.struckNode("killing", n, func() { r.killOne(n) }, 0, func(ctx context.Context) error { return r.startAll(ctx, n) })
	if err := r.inflict(ctx, f); err != nil {
		return err
	}
	return r.balanced(ctx)
}

func clusterRoll(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	began := time.Now()
	for _, n := range r.nodes {
		f := fault{
			name:   "restarting " + n.name,
			strike: func(context.Context) error { return r.stopAll(0, nil, n) },
			lift:   func(ctx context.Context) error { return r.startAll(ctx, n) },
		}
		if err := r.inflict(ctx, f); err != nil {
			return err
		}
		if err := r.balanced(ctx); err != nil {
			return err
		}
	}
	r.bound(began, "restarting every node", handedOver, 0.99)
	return nil
}

func clusterJoin(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	before, began := r.pools(ctx), time.Now()
	n := r.nodes[2]
	f := fault{
		name:   "starting " + n.name,
		strike: func(ctx context.Context) error { return r.startAll(ctx, n) },
	}
	if err := r.inflict(ctx, f); err != nil {
		return err
	}
	if err := r.balanced(ctx); err != nil {
		return err
	}
	pools := r.o.Shards / poolSize
	most := (pools + len(r.nodes) - 1) / len(r.nodes)
	if n := moved(before, r.pools(ctx)); n == 0 || n > most {
		r.complain("%d pools moved to the new node, want 1 to %d", n, most)
	}
	r.bound(began, "moving pools to a new node", handedOver, 0.99)
	return nil
}

func clusterStop(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	n := r.nodes[1]
	f := r.struckNode("freezing", n, func() { r.freeze(n) }, r.lasts, func(context.Context) error { r.thaw(n); return nil })
	if err := r.inflict(ctx, f); err != nil {
		return err
	}
	return r.balanced(ctx)
}

func clusterCut(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	n := r.nodes[1]
	f := r.struckNode("cutting off", n, func() { n.away = true; r.cutOff(n) }, r.lasts, func(context.Context) error {
		r.rejoin(n)
		n.away = false
		return nil
	})
	if err := r.inflict(ctx, f); err != nil {
		return err
	}
	return r.balanced(ctx)
}

func clusterDown(ctx context.Context, r *run) error {
	if err := r.balanced(ctx); err != nil {
		return err
	}
	before, began := r.pools(ctx), time.Now()
	f := fault{
		name: "killing nats-server", lasts: r.lasts,
		strike: func(context.Context) error { r.nats.proc.Kill(); return nil },
		lift:   r.nats.start,
	}
	if err := r.inflict(ctx, f); err != nil {
		return err
	}
	r.stayed(ctx, before, began, "NATS was away for all nodes")
	return nil
}
