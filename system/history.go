package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover/messages"
	"drover/system/cluster"
)

// sample measures every shard of this node, for the charts of its page.
func (s *System) sample(ctx context.Context, into []messages.ShardSample) ([]messages.ShardSample, error) {
	answer, err := s.askHealth(ctx, messages.SampleQuery{Into: into})
	if err != nil || answer == nil {
		return nil, err
	}
	return answer.([]messages.ShardSample), nil
}

// history is what one of this node's shards remembers; nil where this node does not serve it.
func (s *System) history(ctx context.Context, shardID int) (*messages.ShardHistory, error) {
	answer, err := s.askHealth(ctx, messages.HistoryQuery{ShardID: shardID})
	if err != nil || answer == nil {
		return nil, err
	}
	return answer.(*messages.ShardHistory), nil
}

// askHealth asks health through root; nil before there are actors.
func (s *System) askHealth(ctx context.Context, query any) (any, error) {
	root := s.root.Load()
	if root == nil {
		return nil, nil
	}
	limit := 2 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	answer, err := s.actors.Root.RequestFuture(root, query, limit).Result()
	if err != nil {
		return nil, fmt.Errorf("the node's actors do not answer within %v: %w", limit.Round(time.Millisecond), err)
	}
	return answer, nil
}

// remoteShard is a shard that another node serves.
func (s *System) remoteShard(ctx context.Context, shardID int) (messages.ShardDetail, bool, error) {
	if s.placement.Load() == nil {
		return messages.ShardDetail{}, false, nil // there are no others, or nobody knows them yet
	}
	if !s.broker.Connected() {
		return messages.ShardDetail{}, false, errors.New("NATS is away")
	}
	return cluster.NewOperator(s.broker.JetStream(), s.cfg.Streams.Prefix).Shard(ctx, shardID, allTime)
}

// addressOf is where another node's HTTP can be reached; empty where that is of no use to others.
func (s *System) addressOf(node string) string {
	if p := s.placement.Load(); p != nil {
		for _, m := range p.node.Status().Members {
			if m.Name == node {
				return reachable(m.Addr)
			}
		}
	}
	return ""
}
