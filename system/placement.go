package system

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/messages"
	"drover/system/cluster"
	"drover/system/gateway"
)

// placement is what this node does with the pools that the cluster gives it. It implements cluster.Host.
type placement struct {
	s     *System
	total int        // shards of the bot
	heirs chan *heir // pools whose heritage is wanted

	node *cluster.Node

	life  context.Context // of run
	owned sync.WaitGroup  // goroutines that end with life
	leave context.CancelFunc
	left  chan struct{} // closed when no pool is left and the node has gone

	asked chan struct{} // closed when Discord has told where sessions begin
	url   string        // that; set before asked is closed

	counted, tidied sync.Once

	mu      sync.Mutex
	leases  map[int]*cluster.Lease // by pool: the newest of each
	ending  bool                   // nothing new is served
	unacked int                    // events that were given up with their pools since then
}

// newPlacement makes this node's part in the cluster. run begins it, and leave ends it.
func newPlacement(ctx context.Context, s *System, total int) *placement {
	p := &placement{s: s, total: total, heirs: make(chan *heir), asked: make(chan struct{}), left: make(chan struct{}), leases: map[int]*cluster.Lease{}}
	p.life, p.leave = context.WithCancel(context.WithoutCancel(ctx)) // pools are left during the drain
	c := s.cfg.Cluster
	o := cluster.NodeOptions{
		Name: c.Node, Addr: s.web.Addr(), Version: s.o.Version, Process: s.process, Home: s.home, Capacity: c.Capacity, Pinned: s.cfg.Pool.ID,
		Pools: s.cfg.Pool.PoolCount(total), TTL: c.LeaseTTL, Gather: gatherTime, LeaveTimeout: s.leaveTimeout() + closingTime,
		Agree: map[string]string{
			"pool.total_shards": strconv.Itoa(total), "pool.size": strconv.Itoa(s.cfg.Pool.Size),
			"discord.intents": strings.Join(s.intents.Names(), ","), "discord.token": gateway.TokenFingerprint(s.cfg.Discord.Token.Reveal()),
			"cluster.lease_ttl": c.LeaseTTL.String(),
		},
		Leases: s.stores.leases, Members: s.stores.members, Fleet: s.stores.fleet, Host: p, Log: s.log,
	}
	if s.embedded != nil { // nobody could come before
		o.Gather = 0
	}
	p.node = cluster.NewNode(o)
	return p
}

// gatherTime is for how long a node that starts where nobody serves waits for others. Too low: the first one takes everything and gives it
// away again; too high: the bot starts late.
const gatherTime = time.Second

// run takes part in the cluster until leave is called and everything is handed over. An error says that this node must not.
func (p *placement) run() error {
	defer close(p.left)
	defer p.owned.Wait()
	defer p.leave()
	p.owned.Go(func() { p.inheriting(p.life) })
	p.owned.Go(func() { p.claim(p.life) })
	control, err := cluster.StartControl(cluster.ControlOptions{
		JetStream: p.s.broker.JetStream(), Prefix: p.s.cfg.Streams.Prefix, Node: p.node, Version: p.s.o.Version, Shards: p.s.ownShards,
		Shard:   p.s.web.Shard,
		Restart: func(shardID int) { p.s.tell(messages.RestartShard{ShardID: shardID}) },
	})
	if err != nil {
		p.s.log.Error("operators cannot ask this node: drover shards does not see it", "err", err)
	} else {
		defer control.Stop()
	}
	err = p.node.Run(p.life)
	var config *cluster.ConfigError
	var name *cluster.NameError
	switch {
	case errors.As(err, &config), errors.As(err, &name):
		return &Error{Code: exitConfig, Text: "cluster", Err: err}
	case err != nil:
		return &Error{Code: exitFailure, Text: "cluster", Err: err}
	}
	return nil
}

// Serve implements cluster.Host: it loads what the pool's sessions need to RESUME, and tells the actors.
func (p *placement) Serve(ctx context.Context, pool int, l *cluster.Lease) error {
	if p.isEnding() {
		return errors.New("this node is draining")
	}
	shards := p.shardsOf(pool)
	left, among, err := p.inherit(ctx, shards)
	if err != nil {
		return err
	}
	url, err := p.gatewayURL(ctx, left.gatewayURL())
	if err != nil {
		return err
	}
	if left.other != nil {
		p.tidied.Do(func() { p.owned.Go(func() { p.s.forgetOthers(p.life, p.total) }) })
	}
	s := p.s
	p.mu.Lock()
	p.leases[pool] = l
	p.mu.Unlock()
	s.publisher.Own(shards, l, left.acked())
	p.counted.Do(p.count)
	a := messages.Assign{Pool: pool, Shards: shards, Total: p.total, GatewayURL: url, Fence: l, Spread: min(time.Duration(among)*dialEach, time.Second)}
	left.give(&a)
	s.log.Info("pool assigned", "pool_id", pool, "shards", len(shards), "epoch", l.Epoch(), "stored_sessions", len(a.Sessions))
	s.tell(a)
	if now, err := p.gatewayURL(ctx, url); err == nil && now != url {
		s.tell(messages.GatewayMoved{URL: now}) // Discord answered in this instant
	}
	if left.dead != nil {
		dead := *left.dead
		dead.Pools = []int{pool}
		s.tell(dead)
	}
	for _, gap := range left.overtaken(shards, time.Now()) {
		s.telemetry.Meters.Gap(gap.ShardID, pool, gap.Gap.Reason)
		s.tell(gap)
	}
	s.waitingFor("")
	return nil
}

// dialEach is how much time each of the shards adds over which those dial that begin together.
const dialEach = 10 * time.Millisecond

// Leave implements cluster.Host: what was read is acknowledged, the last checkpoints are written, and the sessions closed for
// another node to RESUME.
func (p *placement) Leave(ctx context.Context, pool int) error {
	s := p.s
	timeout := s.leaveTimeout()
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	calm := context.AfterFunc(ctx, func() { s.tell(messages.Drop{Pool: pool}) })
	defer calm()
	answer, err := s.actors.Root.RequestFuture(s.root.Load(), messages.Revoke{Pool: pool, Timeout: max(timeout, 0)}, timeout+answerTimeout).Result()
	s.publisher.Disown(p.shardsOf(pool))
	if err != nil {
		return fmt.Errorf("actors do not answer: %w", err)
	}
	revoked := answer.(messages.Revoked)
	p.gaveUp(pool, revoked.Unacked)
	return revoked.Err
}

// gaveUp takes in how many events a pool was left with. Those of an end that was asked for are told with it; a hand-over that is long
// ago says nothing of it.
func (p *placement) gaveUp(pool, events int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case events == 0:
	case p.ending:
		p.unacked += events
	default:
		p.s.log.Warn("pool was handed over with events unacknowledged: discord replays its own to the next node", "pool_id", pool, "events", events)
	}
}

// Drop implements cluster.Host.
func (p *placement) Drop(pool int) {
	s := p.s
	_, err := s.actors.Root.RequestFuture(s.root.Load(), messages.Drop{Pool: pool}, answerTimeout).Result()
	if err != nil {
		s.log.Error("actors do not answer: a pool that is another node's is not dropped in time", "pool_id", pool, "err", err)
	}
	s.publisher.Disown(p.shardsOf(pool))
}

// answerTimeout is what actors may take beyond what they were given.
const answerTimeout = 8 * time.Second

// learnURL takes in where sessions begin, as Discord says; once.
func (p *placement) learnURL(url string) {
	p.url = url
	close(p.asked)
}

// gatewayURL is what Discord said, or else what is remembered; without that it waits for Discord.
func (p *placement) gatewayURL(ctx context.Context, remembered string) (string, error) {
	select {
	case <-p.asked:
		return p.url, nil
	default:
	}
	if remembered != "" {
		return remembered, nil
	}
	select {
	case <-p.asked:
		return p.url, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func (p *placement) shardsOf(pool int) (ids []int) {
	first, end := p.s.cfg.Pool.ShardRange(pool, p.total)
	for id := first; id < end; id++ {
		ids = append(ids, id)
	}
	return ids
}

// count tells metrics, before the first shard counts anything, how many this node is to serve.
func (p *placement) count() {
	shards := 0
	for pool, node := range p.node.Status().Plan {
		if node == p.s.cfg.Cluster.Node {
			shards += len(p.shardsOf(pool))
		}
	}
	p.s.telemetry.Meters.Shards(shards)
}

// epochOf is the epoch of the lease under which a shard is served, or was.
func (p *placement) epochOf(shardID int) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.leases[p.s.cfg.Pool.PoolOf(shardID)]; l != nil {
		return l.Epoch()
	}
	return 0
}

func (p *placement) isEnding() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ending
}

// end has nothing new served.
func (p *placement) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = true
}

// givenUp is how many events were given up with their pools.
func (p *placement) givenUp() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unacked
}
