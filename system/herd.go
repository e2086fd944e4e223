package system

import (
	"context"
	"net"
	"slices"
	"time"

	"drover/messages"
	"drover/system/cluster"
)

// Cluster is the whole bot as this node knows it, with what the other nodes answer within allTime.
func (s *System) Cluster(ctx context.Context) (messages.ClusterStatus, error) {
	p := s.placement.Load()
	if p == nil { // there are no others, or nobody knows them yet
		return s.alone(ctx)
	}
	known := p.node.Status()
	c := messages.ClusterStatus{Total: p.total, Away: known.Away, Budget: s.permits.Budget()}
	var err error
	if c.Shards, err = cluster.NewOperator(s.broker.JetStream(), s.cfg.Streams.Prefix).Shards(ctx, len(known.Members), allTime); err != nil {
		return c, err
	}
	told := map[string]bool{}
	for i := range c.Shards {
		told[c.Shards[i].Node] = true
	}
	for _, m := range known.Members {
		c.Nodes = append(c.Nodes, messages.MemberStatus{
			Name: m.Name, Addr: reachable(m.Addr), Version: m.Version, Self: m.Process == known.Process, Ready: m.Ready, Draining: m.Draining,
			Answered: told[m.Name] || m.Pools == 0, Pools: m.Pools, Seen: m.Seen,
		})
	}
	held := map[int]bool{}
	for _, l := range known.Leases {
		held[l.Pool] = true
	}
	for pool := range s.cfg.Pool.PoolCount(p.total) {
		if !held[pool] {
			c.Free = append(c.Free, pool)
		}
	}
	return c, nil
}

// allTime is for how long all nodes are waited for. A dead one is a member for a TTL, and does not answer.
const allTime = time.Second

// alone is the same where this node is all there is.
func (s *System) alone(ctx context.Context) (messages.ClusterStatus, error) {
	status, err := s.askActors(ctx)
	c := messages.ClusterStatus{Shards: status.Shards, Total: status.ShardsTotal, Budget: s.permits.Budget()}
	var pools []int
	for i := range status.Shards {
		if !slices.Contains(pools, status.Shards[i].Pool) {
			pools = append(pools, status.Shards[i].Pool)
		}
	}
	c.Nodes = []messages.MemberStatus{{Name: s.cfg.Cluster.Node, Version: s.o.Version, Self: true, Ready: true, Answered: err == nil, Pools: len(pools)}}
	return c, err
}

// ownShards are this node's shards.
func (s *System) ownShards(ctx context.Context) ([]messages.ShardStatus, error) {
	status, err := s.askActors(ctx)
	return status.Shards, err
}

// reachable is an address that another host may use; empty for one that says only "every interface of this one".
func reachable(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return ""
	}
	return addr
}
