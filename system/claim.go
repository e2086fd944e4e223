package system

import (
	"context"
	"time"
)

// claim decides on what earlier processes left in the spool of shards that this node does not serve, until ctx ends: another node that
// serves them resumes their sessions from what is acknowledged, and those of another sharding are nobody's but ours. It also says it when another
// node has the pool that this one is pinned to.
func (p *placement) claim(ctx context.Context) {
	tick := time.NewTicker(p.s.cfg.Cluster.LeaseTTL / 4)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if other := p.pinnedElsewhere(); other != told {
			if told = other; other != "" {
				p.s.log.Warn("another node serves the pool that this one is pinned to", "pool_id", *p.s.cfg.Pool.ID, "other", other)
			}
		}
		unclaimed := p.s.publisher.Unclaimed()
		if len(unclaimed) == 0 {
			continue
		}
		others := map[int]string{} // pool → node
		for _, l := range p.node.Status().Leases {
			if !l.Mine {
				others[l.Pool] = l.Node
			}
		}
		for _, id := range unclaimed {
			node, elsewhere := others[p.s.cfg.Pool.PoolOf(id)]
			switch {
			case id >= p.total:
				p.s.publisher.Own([]int{id}, nil, nil)
			case elsewhere:
				p.s.log.Info("another node serves a shard whose events are in the spool: it has them replayed", "shard_id", id, "other", node)
				p.s.publisher.Disown([]int{id})
			}
		}
	}
}

// pinnedElsewhere names the node that serves the pool which this one is pinned to; empty: nobody else does, or it is not pinned.
func (p *placement) pinnedElsewhere() (node string) {
	pinned := p.s.cfg.Pool.ID
	if pinned == nil || p.isEnding() {
		return ""
	}
	for _, l := range p.node.Status().Leases {
		if l.Pool == *pinned && !l.Mine {
			return l.Node
		}
	}
	return ""
}
