package audit

import (
	"fmt"
	"testing"
	"time"

	"drover/system/gatewaysim"
)

// second is an instant of these tests.
func second(s float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(s * float64(time.Second)))
}

// leased is the value of a lease.
func leased(node string, epoch uint64) []byte {
	return fmt.Appendf(nil, `{"version":1,"node":"%s","process":"P","attempt":"%d","epoch":%d}`, node, epoch, epoch)
}

func TestHolders_says_who_held_a_pool_and_what_it_cannot_know(t *testing.T) {
	h := &holders{pools: map[int]*history{}, claimed: func(r leaseRecord) time.Time {
		if r.Attempt == "30" {
			return second(21)
		}
		return time.Time{}
	}}
	h.hear("pool.3", leased("a", 0), 10, second(1))
	h.hear("pool.3", leased("a", 10), 11, second(2))
	h.hear("pool.3", leased("a", 10), 11, second(2)) // told again
	h.hear("pool.3", nil, 12, second(4))             // given back
	h.hear("pool.3", leased("b", 0), 13, second(5))
	h.hear("pool.3", leased("b", 13), 14, second(6))
	h.hear("pool.3", leased("a", 19), 20, second(9)) // its beginning was not heard
	h.hear("pool.3", leased("a", 19), 18, second(8)) // old news
	h.hear("other", leased("c", 1), 1, second(0))
	h.hear("pool.4", leased("c", 5), 7, second(3)) // neither was this one's
	h.hear("pool.6", leased("a", 0), 3, second(10))
	h.hear("pool.6", leased("b", 30), 33, second(25)) // nor this one's, but it was seen to ask
	tests := []struct {
		pool   int
		at     float64
		node   string
		unsure bool
	}{
		{3, 0.5, "", false},
		{3, 1, "a", false},
		{3, 3.9, "a", false},
		{3, 4, "", false},
		{3, 5, "b", false},
		{3, 6, "b", false},
		{3, 7, "b", true},
		{3, 9, "a", false},
		{3, 99, "a", false},
		{4, 2, "", true},
		{4, 3, "c", false},
		{5, 3, "", false},
		{6, 10, "a", false},
		{6, 20, "a", true},
		{6, 21, "b", false},
		{6, 26, "b", false},
	}
	for _, tt := range tests {
		if node, sure := h.whose(tt.pool, second(tt.at)); node != tt.node || sure == tt.unsure {
			t.Errorf("pool %d at %g: got %q (sure: %t), want %q", tt.pool, tt.at, node, sure, tt.node)
		}
	}
	if all, late := h.moves(time.Time{}), h.moves(second(6)); all != 3 || late != 2 {
		t.Errorf("got %d moves, and %d since second 6, want 3 and 2", all, late)
	}
}

func TestUnleased_finds_a_second_node_that_publishes_for_a_pool(t *testing.T) {
	whose := func(pool int, at time.Time) (string, bool) {
		switch {
		case pool != 2:
			return "", true
		case at.Before(second(4)):
			return "a", true
		case at.Before(second(5)):
			return "a", false
		}
		return "b", true
	}
	tests := []struct {
		name string
		p    published
		want Nodes
	}{
		{"the holder", published{node: 0, shard: 8, at: second(1)}, Nodes{Published: 1}},
		{"the next holder", published{node: 1, shard: 11, at: second(6)}, Nodes{Published: 1}},
		{"the former holder", published{node: 0, shard: 9, at: second(5)}, Nodes{Published: 1, Unleased: 1}},
		{"the next holder too soon", published{node: 1, shard: 9, at: second(3)}, Nodes{Published: 1, Unleased: 1}},
		{"what it had in hand", published{node: 0, shard: 9, at: second(5), inHand: true}, Nodes{Published: 1, InHand: 1}},
		{"nobody knows", published{node: 1, shard: 9, at: second(4.5)}, Nodes{Published: 1, Unsure: 1}},
		{"nobody's pool", published{node: 0, shard: 12, at: second(1)}, Nodes{Published: 1, Unleased: 1}},
		{"no shard", published{node: 0, shard: -1, at: second(1)}, Nodes{Published: 1, Unleased: 1}},
	}
	for _, tt := range tests {
		var got Nodes
		found := unleased([]published{tt.p}, []string{"a", "b"}, whose, &got)
		if got != tt.want || len(found) != tt.want.Unleased {
			t.Errorf("%s: got %+v and %v, want %+v", tt.name, got, found, tt.want)
		}
	}
}

func TestHasty_finds_IDENTIFYs_of_one_key_that_come_too_soon(t *testing.T) {
	identify := func(shard int, at ...float64) gatewaysim.ConnRecord {
		c := gatewaysim.ConnRecord{ShardID: shard, Frames: []gatewaysim.Frame{{Op: 1, At: second(0)}}}
		for _, s := range at {
			c.Frames = append(c.Frames, gatewaysim.Frame{Op: 2, At: second(s)})
		}
		return c
	}
	tests := []struct {
		name    string
		conns   []gatewaysim.ConnRecord
		want    int
		closest float64
	}{
		{"none", nil, 0, 0},
		{"other keys at once", []gatewaysim.ConnRecord{identify(0, 1), identify(1, 1), identify(7, 1)}, 0, 0},
		{"one key in turn", []gatewaysim.ConnRecord{identify(8, 6.25), identify(0, 1)}, 0, 5.25},
		{"a grain", []gatewaysim.ConnRecord{identify(8, 5.9995), identify(0, 1)}, 0, 4.9995},
		{"one key too soon", []gatewaysim.ConnRecord{identify(8, 5.99), identify(0, 1)}, 1, 4.99},
		{"one shard again", []gatewaysim.ConnRecord{identify(3, 1), identify(3, 2, 9)}, 1, 1},
		{"nobody knows which shard", []gatewaysim.ConnRecord{identify(-1, 1), identify(-1, 1)}, 0, 0},
	}
	for _, tt := range tests {
		found, closest := hasty(tt.conns, 8)
		if len(found) != tt.want || closest != time.Duration(tt.closest*float64(time.Second)) {
			t.Errorf("%s: got %v, closest %v, want %d and %g s", tt.name, found, closest, tt.want, tt.closest)
		}
	}
}
