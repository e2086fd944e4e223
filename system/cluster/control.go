package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"drover/messages"
)

// Control answers operators, by NATS requests and not over a port: so the accounts of NATS decide who may ask. It is a service in the
// sense of NATS' "micro", which its own tools list.
type Control struct {
	o       ControlOptions
	service micro.Service
	stop    context.CancelFunc
	busy    sync.WaitGroup // drains that were asked for
	life    context.Context
}

// ControlOptions are what a Control speaks for.
type ControlOptions struct {
	JetStream jetstream.JetStream
	Prefix    string // streams.prefix; empty: drover
	Node      *Node
	Version   string
	// Shards are those of this node.
	Shards func(context.Context) ([]messages.ShardStatus, error)
	// Shard is one of them with its history; found is false where it is not this node's. nil: nobody can ask.
	Shard func(ctx context.Context, shardID int) (detail messages.ShardDetail, found bool, err error)
	// Restart has a shard of this node connect again. It does not wait.
	Restart func(shardID int)
}

// The subjects of a bot's control, behind its prefix. What ends with a node's name is for that one; of the others any node answers but for
// shards, where all do.
const (
	controlCluster = "control.cluster"
	controlShards  = "control.shards"
	controlMove    = "control.move"
	controlDrain   = "control.drain"
	controlRestart = "control.restart"
)

// View is the cluster as a node knows it.
type View struct {
	Node    string       `json:"node"` // which one says so
	Away    bool         `json:"store_away"`
	Members []MemberView `json:"members"`
	Pools   []PoolView   `json:"pools"`
}

// MemberView is a node.
type MemberView struct {
	Name     string  `json:"name"`
	Addr     string  `json:"addr"`
	Version  string  `json:"version"`
	Capacity int     `json:"capacity"`
	Pinned   *int    `json:"pinned_pool,omitempty"`
	Pools    int     `json:"pools"`
	Ready    bool    `json:"ready"`
	Draining bool    `json:"draining"`
	Seen     float64 `json:"seen_s"` // since its last sign of life
}

// PoolView is a pool: who serves it, and who should.
type PoolView struct {
	Pool      int     `json:"pool"`
	Node      string  `json:"node"` // empty: nobody
	Epoch     uint64  `json:"epoch"`
	Remaining float64 `json:"remaining_s"`
	Planned   string  `json:"planned"`
	Wished    string  `json:"wished,omitempty"` // where somebody moved it to
}

// order is a request of an operator.
type order struct {
	Pool  int    `json:"pool"`
	Node  string `json:"node"` // where to; of drain and restart who is meant, since two names may have one subject
	Shard int    `json:"shard"`
	Dry   bool   `json:"dry_run"` // tell what would be done, and do nothing
	// Detail asks, on the subject of all shards, for the one of Shard with its history. Only the node that serves it answers.
	Detail bool `json:"detail,omitempty"`
}

// errNotMeant has a node leave the answer to another one.
var errNotMeant = errors.New("another node is meant")

// maxOrder bounds what is read of a request.
const maxOrder = 1024

// StartControl begins to answer. Stop ends it.
func StartControl(o ControlOptions) (*Control, error) {
	service, err := micro.AddService(o.JetStream.Conn(), micro.Config{
		Name: "drover", Version: "1.0.0", Description: "a drover node: " + o.Node.o.Name,
		Metadata: map[string]string{"node": o.Node.o.Name, "drover_version": o.Version},
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: control: %w", err)
	}
	c := &Control{o: o, service: service}
	c.life, c.stop = context.WithCancel(context.Background())
	name := token(o.Node.o.Name)
	for _, e := range []struct {
		name, subject string
		all           bool // every node answers
		do            func(order) (any, error)
	}{
		{"cluster", controlCluster, false, func(order) (any, error) { return c.view(), nil }},
		{"shards", controlShards, true, c.shards},
		{"move", controlMove, false, c.move},
		{"drain", controlDrain + "." + name, true, c.drain},
		{"restart", controlRestart + "." + name, true, c.restart},
	} {
		options := []micro.EndpointOpt{micro.WithEndpointSubject(controlSubject(o.Prefix, e.subject))}
		if e.all {
			options = append(options, micro.WithEndpointQueueGroupDisabled())
		}
		if err := service.AddEndpoint(e.name, answering(e.do), options...); err != nil {
			c.Stop()
			return nil, fmt.Errorf("cluster: control: %w", err)
		}
	}
	return c, nil
}

// Stop ends it. A drain that was asked for goes on, and ends with the node.
func (c *Control) Stop() {
	_ = c.service.Stop() // fails only where the connection is gone
	c.stop()
	c.busy.Wait()
}

// answering reads an order and sends what comes of it, or why nothing does.
func answering(do func(order) (any, error)) micro.Handler {
	return micro.HandlerFunc(func(req micro.Request) {
		var o order
		if data := req.Data(); len(data) > maxOrder || len(data) > 0 && json.Unmarshal(data, &o) != nil {
			_ = req.Error("400", "the request is no JSON of an order", nil) // who asked is gone otherwise
			return
		}
		answer, err := do(o)
		if errors.Is(err, errNotMeant) {
			return
		}
		if err != nil {
			_ = req.Error("409", err.Error(), nil)
			return
		}
		_ = req.RespondJSON(answer)
	})
}

func (c *Control) view() View {
	s := c.o.Node.Status()
	v := View{Node: s.Node, Away: s.Away, Members: []MemberView{}, Pools: make([]PoolView, c.o.Node.o.Pools)}
	for _, m := range s.Members {
		v.Members = append(v.Members, MemberView{
			Name: m.Name, Addr: m.Addr, Version: m.Version, Capacity: m.Capacity, Pinned: m.Pinned, Pools: m.Pools, Ready: m.Ready,
			Draining: m.Draining, Seen: m.Seen.Seconds(),
		})
	}
	for pool := range v.Pools {
		v.Pools[pool] = PoolView{Pool: pool, Planned: s.Plan[pool], Wished: s.Prefer[pool]}
	}
	for _, l := range s.Leases {
		p := &v.Pools[l.Pool]
		p.Node, p.Epoch, p.Remaining = l.Node, l.Epoch, l.Remaining.Seconds()
	}
	return v
}

func (c *Control) shards(o order) (any, error) {
	ctx, cancel := context.WithTimeout(c.life, answerTime)
	defer cancel()
	if o.Detail {
		return c.shard(ctx, o.Shard)
	}
	list, err := c.o.Shards(ctx)
	if list == nil {
		list = []messages.ShardStatus{}
	}
	return list, err
}

// answerTime is for how long a node's own actors are waited for.
const answerTime = 2 * time.Second

func (c *Control) move(o order) (any, error) {
	if o.Dry {
		return stepsOf(c.o.Node.WouldMove(o.Pool, o.Node))
	}
	ctx, cancel := context.WithTimeout(c.life, answerTime)
	defer cancel()
	return stepsOf(c.o.Node.Move(ctx, o.Pool, o.Node))
}

func stepsOf(steps []Step, err error) (any, error) {
	if steps == nil {
		steps = []Step{}
	}
	return steps, err
}

func (c *Control) drain(o order) (any, error) {
	if o.Node != c.o.Node.o.Name {
		return nil, errNotMeant
	}
	steps, err := c.o.Node.WouldDrain()
	if err == nil && !o.Dry {
		c.busy.Go(func() { // ends when all is handed over, or with Stop
			ctx, cancel := context.WithTimeout(c.life, c.o.Node.o.LeaveTimeout)
			defer cancel()
			c.o.Node.Drain(ctx)
		})
	}
	return stepsOf(steps, err)
}

func (c *Control) restart(o order) (any, error) {
	if o.Node != c.o.Node.o.Name {
		return nil, errNotMeant
	}
	ctx, cancel := context.WithTimeout(c.life, answerTime)
	defer cancel()
	list, err := c.o.Shards(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s.ID == o.Shard {
			c.o.Restart(o.Shard)
			return struct{}{}, nil
		}
	}
	return nil, fmt.Errorf("node %s does not serve shard %d", c.o.Node.o.Name, o.Shard)
}

func controlSubject(prefix, subject string) string {
	if prefix == "" {
		prefix = "drover"
	}
	return prefix + "." + subject
}

// token makes one token of a subject of a node's name.
func token(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '.' || r == '*' || r == '>' || r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, name)
}
