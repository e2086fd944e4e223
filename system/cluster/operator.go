package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"drover/messages"
)

// Operator asks the nodes of a bot, and tells them what to do. One goroutine may use it.
type Operator struct {
	nc     *nats.Conn
	prefix string
}

// ErrNobody means that no node of the bot answered.
var ErrNobody = errors.New("no drover node answers on this NATS: is one running, and is the stream prefix the same?")

// NewOperator returns an operator over js' connection. prefix is streams.prefix.
func NewOperator(js jetstream.JetStream, prefix string) *Operator {
	return &Operator{nc: js.Conn(), prefix: prefix}
}

// Cluster is what one of the nodes knows of all.
func (o *Operator) Cluster(ctx context.Context) (View, error) {
	var v View
	err := o.ask(ctx, controlCluster, order{}, &v)
	return v, err
}

// Shards are those of all nodes, by id; a shard that moves may be missing, or be there twice. It waits until every ready member has answered, at
// most for wait.
func (o *Operator) Shards(ctx context.Context, nodes int, wait time.Duration) ([]messages.ShardStatus, error) {
	inbox := o.nc.NewInbox()
	sub, err := o.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is closed: gone anyway
	if err := o.nc.PublishRequest(controlSubject(o.prefix, controlShards), inbox, nil); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var all []messages.ShardStatus
	for answers := 0; answers < nodes; answers++ {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			if answers > 0 {
				break // the rest is slow, or gone
			}
			return nil, nobody(err)
		}
		var list []messages.ShardStatus
		if err := answered(m, &list); err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b messages.ShardStatus) int { return a.ID - b.ID })
	return all, nil
}

// Move writes down that a pool should be served by a node; an empty name takes that back. It returns what changes hands for that.
func (o *Operator) Move(ctx context.Context, pool int, node string) (steps []Step, err error) {
	err = o.ask(ctx, controlMove, order{Pool: pool, Node: node}, &steps)
	return steps, err
}

// WouldMove tells what Move would do, and does nothing.
func (o *Operator) WouldMove(ctx context.Context, pool int, node string) (steps []Step, err error) {
	err = o.ask(ctx, controlMove, order{Pool: pool, Node: node, Dry: true}, &steps)
	return steps, err
}

// Drain has a node hand all its pools over. It does not wait for that. A node whose pools nobody would serve refuses.
func (o *Operator) Drain(ctx context.Context, node string) (steps []Step, err error) {
	err = o.ask(ctx, controlDrain+"."+token(node), order{Node: node}, &steps)
	return steps, err
}

// WouldDrain tells what Drain would do, and does nothing.
func (o *Operator) WouldDrain(ctx context.Context, node string) (steps []Step, err error) {
	err = o.ask(ctx, controlDrain+"."+token(node), order{Node: node, Dry: true}, &steps)
	return steps, err
}

// Restart has the shard of a node connect again.
func (o *Operator) Restart(ctx context.Context, node string, shardID int) error {
	return o.ask(ctx, controlRestart+"."+token(node), order{Node: node, Shard: shardID}, nil)
}

func (o *Operator) ask(ctx context.Context, subject string, request order, into any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	inbox := o.nc.NewInbox()
	sub, err := o.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that is closed: gone anyway
	for {
		if err := o.nc.PublishRequest(controlSubject(o.prefix, subject), inbox, data); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		waiting, cancel := context.WithTimeout(ctx, askAgain)
		m, err := sub.NextMsgWithContext(waiting)
		cancel()
		switch {
		case err == nil:
			return answered(m, into)
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return nobody(err)
		}
	}
}

// askAgain is after how long a question is asked again. NATS gives one that any node may answer to one of them, and that one may stand still, or
// have been killed a moment ago. All that is asked for can be asked for twice. Too low: a busy node works for nothing. Too high: the operator waits.
const askAgain = time.Second

func nobody(err error) error {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return ErrNobody
	}
	return fmt.Errorf("cluster: %w", err)
}

// answered reads an answer, or why there is none.
func answered(m *nats.Msg, into any) error {
	if m.Header.Get("Status") == "503" {
		return ErrNobody
	}
	if why := m.Header.Get(micro.ErrorHeader); why != "" {
		return errors.New(why)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("cluster: an answer that cannot be read: %w", err)
	}
	return nil
}
