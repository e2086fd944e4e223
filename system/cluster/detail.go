package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// shard is what a node answers who asks for one shard. It stands on the subject of all shards, which nodes may ask on already:
// a subject of its own would have every operator change the accounts of NATS.
func (c *Control) shard(ctx context.Context, id int) (any, error) {
	if c.o.Shard == nil {
		return nil, errNotMeant
	}
	detail, found, err := c.o.Shard(ctx, id)
	if err == nil && !found {
		return nil, errNotMeant
	}
	return detail, err
}

// Shard is one shard with its history, from the node that serves it; found is false where none has said so within wait. Nodes of
// before this question answer with the list of their shards, which is passed over.
func (o *Operator) Shard(ctx context.Context, id int, wait time.Duration) (detail messages.ShardDetail, found bool, err error) {
	inbox := o.nc.NewInbox()
	sub, err := o.nc.SubscribeSync(inbox)
	if err != nil {
		return detail, false, fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is closed: gone anyway
	question, err := json.Marshal(order{Shard: id, Detail: true})
	if err != nil {
		return detail, false, err
	}
	if err := o.nc.PublishRequest(controlSubject(o.prefix, controlShards), inbox, question); err != nil {
		return detail, false, fmt.Errorf("cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var failed error // of a node that could not look
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			return detail, false, ErrNobody
		}
		if err != nil {
			return detail, false, failed // nobody has it, or who has it is slow
		}
		if len(m.Data) > 0 && m.Data[0] == '[' {
			continue
		}
		switch err := answered(m, &detail); {
		case err != nil:
			failed = err
		case detail.ID == id && detail.Node != "":
			return detail, true, nil
		}
	}
}
