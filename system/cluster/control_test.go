package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// desk is a node's control, and what it was told.
type desk struct {
	mu        sync.Mutex
	restarted []int
}

func (d *desk) seen() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.restarted)
}

// control answers for n, whose pools have one shard each.
func (n *testNode) control(t *testing.T, prefix string) *desk {
	t.Helper()
	d := &desk{}
	c, err := StartControl(ControlOptions{
		JetStream: n.js, Prefix: prefix, Node: n.Node, Version: "test",
		Shards: func(context.Context) ([]messages.ShardStatus, error) {
			var list []messages.ShardStatus
			for _, pool := range n.pools() {
				list = append(list, messages.ShardStatus{ID: pool, Pool: pool, Node: n.o.Name, State: messages.Ready, Session: "abcdefgh"})
			}
			return list, nil
		},
		Restart: func(shardID int) { d.mu.Lock(); d.restarted = append(d.restarted, shardID); d.mu.Unlock() },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	if err := n.js.Conn().FlushTimeout(10 * time.Second); err != nil { // else a request may be faster than the subscriptions
		t.Fatal(err)
	}
	return d
}

func TestControl_shows_moves_drains_and_restarts(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a.example", 4, func(o *NodeOptions) { o.Process = "p1" }), newTestNode(t, srv, "b", 4)
	a.run(t)
	b.run(t)
	desks := map[string]*desk{"a.example": a.control(t, ""), "b": b.control(t, "")}
	spread(t, 4, a, b)
	_, js := srv.connect()
	o := NewOperator(js, "")

	var v View
	eventually(t, "a view of both", func() bool {
		var err error
		v, err = o.Cluster(t.Context())
		return err == nil && len(v.Members) == 2 && !slices.ContainsFunc(v.Pools, func(p PoolView) bool { return p.Node == "" })
	})
	if len(v.Pools) != 4 || v.Members[0].Name != "a.example" || v.Members[1].Pools != 2 || v.Pools[0].Epoch == 0 || v.Pools[0].Planned == "" {
		t.Errorf("got %+v, want two nodes with two pools each", v)
	}
	shards, err := o.Shards(t.Context(), 2, 5*time.Second)
	if err != nil || len(shards) != 4 || shards[3].ID != 3 || shards[0].State != messages.Ready {
		t.Errorf("got %+v, %v, want the shards of both nodes by id", shards, err)
	}

	if err := o.Restart(t.Context(), shards[2].Node, 2); err != nil || !slices.Equal(desks[shards[2].Node].seen(), []int{2}) {
		t.Errorf("got %v and restarted %v, want shard 2", err, desks[shards[2].Node].seen())
	}
	if err := o.Restart(t.Context(), "b", 77); err == nil || !strings.Contains(err.Error(), "node b does not serve shard 77") {
		t.Errorf("got %v, want a shard that is not there named", err)
	}

	from := v.Pools[0].Node
	to := map[string]string{"a.example": "b", "b": "a.example"}[from]
	if _, err := o.Move(t.Context(), 0, to); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]*testNode{"a.example": a, "b": b}
	eventually(t, "pool 0 moves", func() bool { return slices.Contains(nodes[to].pools(), 0) })
	if _, err := o.Move(t.Context(), 0, "nobody"); err == nil || !strings.Contains(err.Error(), `no live node is called "nobody"`) {
		t.Errorf("got %v, want the node that is not there named", err)
	}

	if _, err := o.Drain(t.Context(), "a.example"); err != nil {
		t.Fatal(err)
	}
	spread(t, 4, b)
	eventually(t, "the drained node is seen as such", func() bool {
		v, err := o.Cluster(t.Context())
		return err == nil && v.Members[0].Draining && v.Members[1].Pools == 4
	})
	if _, err := o.Drain(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "nobody else is there") {
		t.Errorf("the last node: got %v, want it refused", err)
	}
	if got := len(b.pools()); got != 4 {
		t.Errorf("got %d pools at the last node, want all", got)
	}
}

func TestControl_says_what_would_be_done_and_does_nothing(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	// Their names have one subject.
	a, b := newTestNode(t, srv, "a.b", 2, func(o *NodeOptions) { o.Process = "p1" }), newTestNode(t, srv, "a_b", 2)
	a.run(t)
	b.run(t)
	for _, n := range []*testNode{a, b} {
		n.control(t, "")
	}
	spread(t, 2, a, b)
	pool, other := a.pools()[0], b.pools()[0]
	_, js := srv.connect()
	o := NewOperator(js, "")
	eventually(t, "both know of both", func() bool {
		steps, err := o.WouldMove(t.Context(), pool, "a_b")
		return err == nil && len(steps) == 2 && slices.Contains(steps, Step{pool, "a.b", "a_b"}) && slices.Contains(steps, Step{other, "a_b", "a.b"})
	})
	if steps, err := o.WouldDrain(t.Context(), "a_b"); err != nil || !slices.Equal(steps, []Step{{other, "a_b", "a.b"}}) {
		t.Errorf("got %v, %v, want the pool of the node that was named", steps, err)
	}
	if a.Status().Draining || b.Status().Draining || len(a.Status().Prefer) > 0 {
		t.Error("it was done")
	}
	if _, err := o.Drain(t.Context(), "a_b"); err != nil {
		t.Fatal(err)
	}
	spread(t, 2, a)
	if a.Status().Draining || !b.Status().Draining {
		t.Error("the wrong one is drained")
	}
}

func TestOperator_asks_again_where_the_one_that_was_asked_stands_still(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a := newTestNode(t, srv, "a", 1)
	a.run(t)
	a.control(t, "")
	spread(t, 1, a)
	nc, js := srv.connect()
	asked := make(chan struct{}, 100)
	for range 4 { // NATS gives most questions to one of these
		if _, err := nc.QueueSubscribe(controlSubject("", controlCluster), "q", func(*nats.Msg) { asked <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	o := NewOperator(js, "")
	for len(asked) == 0 {
		if v, err := o.Cluster(t.Context()); err != nil || len(v.Members) != 1 {
			t.Fatalf("got %+v, %v, want the view of the one that lives", v, err)
		}
	}
}

func TestOperator_says_that_nobody_is_there(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	_, js := srv.connect()
	n := newTestNode(t, srv, "a", 1)
	n.control(t, "other") // another bot
	o := NewOperator(js, "")
	if _, err := o.Cluster(t.Context()); !errors.Is(err, ErrNobody) {
		t.Errorf("got %v, want ErrNobody", err)
	}
	if _, err := o.Shards(t.Context(), 1, 5*time.Second); !errors.Is(err, ErrNobody) {
		t.Errorf("got %v, want ErrNobody", err)
	}
	if v, err := NewOperator(js, "other").Cluster(t.Context()); err != nil || v.Node != "a" {
		t.Errorf("got %+v, %v, want the other bot's node", v, err)
	}
}

// Anybody with rights on the subjects may send anything.
func TestControl_refuses_what_is_no_order(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	n := newTestNode(t, srv, "a", 1)
	n.control(t, "")
	nc, _ := srv.connect()
	for _, data := range []string{"garbage", `{"pool":"x"}`, `{"pool":` + strings.Repeat("1", 2*maxOrder) + `}`} {
		m, err := nc.Request("drover.control.move", []byte(data), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := answered(m, nil); err == nil || !strings.Contains(err.Error(), "no JSON of an order") {
			t.Errorf("%.20q: got %v, want it refused", data, err)
		}
	}
	if m, err := nc.Request("drover.control.move", []byte(`{"pool":-1,"node":"a"}`), 5*time.Second); err != nil || answered(m, nil) == nil {
		t.Errorf("got %v and no refusal of pool -1", err)
	}
}
