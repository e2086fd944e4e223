package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// forecaster knows nodes a and b with two pools each, and c, which is pinned to pool 4.
func forecaster(prefer ...Preference) *Node {
	n := NewNode(NodeOptions{Name: "a", Process: "a1", Pools: 5})
	now := time.Now()
	pin := 4
	for _, m := range []member{
		{name: "a", process: "a1", capacity: 1, pinned: unpinned, ready: true},
		{name: "b", process: "b1", capacity: 1, pinned: unpinned, ready: true},
		{name: "c", process: "c1", capacity: 1, pinned: pin, ready: true},
		{name: "d", process: "d1", capacity: 1, pinned: unpinned},
		{name: "e", process: "e1", capacity: 1, pinned: unpinned, ready: true, draining: true},
		{name: "b", process: "b0", capacity: 1, pinned: unpinned, ready: true, draining: true}, // whom b1 has succeeded
	} {
		n.members.rows[m.key()] = &row[member]{record: m, seen: now}
	}
	for pool, process := range []string{"a1", "a1", "b1", "b1", "c1"} {
		n.leases.rows[poolKey(pool)] = &row[leaseRow]{record: leaseRow{leaseRecord{Node: process[:1], Process: process}, pool}, seen: now}
	}
	n.prefer = prefer
	return n
}

func TestWouldMove_names_what_changes_hands_and_says_why_it_cannot(t *testing.T) {
	for _, c := range []struct {
		pool   int
		node   string
		prefer []Preference
		want   string
	}{
		{0, "a", nil, "[]"},
		{0, "", nil, "[]"},
		{0, "b", nil, "[{0 a b} {3 b a}]"},                              // b has its share: another one makes room
		{0, "b", []Preference{{3, "b"}}, "[{0 a b} {2 b a}]"},           // not what was moved there, where there is anything else
		{0, "b", []Preference{{2, "b"}, {3, "b"}}, "[{0 a b} {2 b a}]"}, // else the oldest
		{5, "b", nil, "there is no pool 5: pools are 0 to 4"},
		{0, "x", nil, `no live node is called "x": there are a, b, c, d, e`},
		{0, "c", nil, "node c serves pool 4 only"},
		{0, "d", nil, "node d takes no pool now"},
		{0, "e", nil, "node e is draining"},
		{4, "b", nil, "pool 4 is that of node c, which is pinned to it"},
	} {
		n := forecaster(c.prefer...)
		steps, err := n.WouldMove(c.pool, c.node)
		got := fmt.Sprint(steps)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("pool %d to %q with %v: got %q, want %q", c.pool, c.node, c.prefer, got, c.want)
		}
		if !slices.Equal(n.prefer, c.prefer) {
			t.Errorf("pool %d to %q: it was done", c.pool, c.node)
		}
	}
}

func TestWouldDrain_tells_where_pools_go_and_refuses_where_nobody_is(t *testing.T) {
	n := forecaster()
	if steps, err := n.WouldDrain(); err != nil || fmt.Sprint(steps) != "[{0 a b} {1 a b}]" {
		t.Errorf("got %v, %v, want both pools at the other node", steps, err)
	}
	delete(n.members.rows, "b.b1")
	if steps, err := n.WouldDrain(); err == nil || !strings.Contains(err.Error(), "nobody else is there to serve what node a has") {
		t.Errorf("the last one: got %v, %v, want it refused", steps, err)
	}
}
