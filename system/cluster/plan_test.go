package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// planCase is a random cluster.
type planCase struct {
	members []Planned
	pools   int
	now     map[int]string
	prefer  []Preference
}

func randomPlan(rnd *rand.Rand) planCase {
	c := planCase{pools: 1 + rnd.IntN(40), now: map[int]string{}}
	weighted := rnd.IntN(2) == 0
	for i := range 1 + rnd.IntN(8) {
		m := Planned{ID: fmt.Sprintf("p%d", i), Name: fmt.Sprintf("node-%d", i), Weight: 1}
		if weighted {
			m.Weight = 1 + rnd.IntN(4)
		}
		m.Draining = rnd.IntN(8) == 0
		if rnd.IntN(10) == 0 {
			pool := rnd.IntN(c.pools)
			m.Pinned = &pool
		}
		c.members = append(c.members, m)
	}
	for p := range c.pools {
		if rnd.IntN(3) > 0 {
			c.now[p] = fmt.Sprintf("p%d", rnd.IntN(len(c.members)+2)) // some are gone
		}
		if rnd.IntN(10) == 0 {
			c.prefer = append(c.prefer, Preference{p, fmt.Sprintf("node-%d", rnd.IntN(len(c.members)+1))})
		}
	}
	rnd.Shuffle(len(c.prefer), func(i, j int) { c.prefer[i], c.prefer[j] = c.prefer[j], c.prefer[i] })
	return c
}

// anyone are the members that may have any pool, and the pools that are nobody's by pin.
func (c planCase) anyone() (free map[string]Planned, open []int) {
	free = map[string]Planned{}
	pinned := map[int]bool{}
	for _, m := range c.members {
		if m.Draining {
			continue
		}
		if m.Pinned == nil {
			free[m.ID] = m
		} else {
			pinned[*m.Pinned] = true
		}
	}
	for p := range c.pools {
		if !pinned[p] {
			open = append(open, p)
		}
	}
	return free, open
}

const planSeeds = 400

func eachPlan(t *testing.T, check func(t *testing.T, rnd *rand.Rand, c planCase, plan map[int]string)) {
	t.Helper()
	for seed := range uint64(planSeeds) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		c := randomPlan(rnd)
		check(t, rnd, c, Plan(c.members, c.pools, c.now, c.prefer))
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, c)
		}
	}
}

func TestPlan_gives_every_pool_to_one_who_may_have_it_within_the_bound(t *testing.T) {
	eachPlan(t, func(t *testing.T, _ *rand.Rand, c planCase, plan map[int]string) {
		free, open := c.anyone()
		load, sum := map[string]int{}, 0
		for _, m := range free {
			sum += m.Weight
		}
		for _, p := range open {
			if _, ok := free[plan[p]]; !ok && len(free) > 0 {
				t.Errorf("pool %d: got %q, want one that may have it", p, plan[p])
			}
			load[plan[p]]++
		}
		for id, m := range free {
			low, high := len(open)*m.Weight/sum, (len(open)*m.Weight+sum-1)/sum
			if load[id] < low || load[id] > high {
				t.Errorf("%s: got %d pools, want %d to %d", id, load[id], low, high)
			}
		}
		for _, m := range c.members {
			if m.Draining && slices.Contains(slices.Collect(maps.Values(plan)), m.ID) {
				t.Errorf("%s is draining and gets a pool", m.ID)
			}
		}
	})
}

func TestPlan_is_the_same_for_any_order_of_its_input(t *testing.T) {
	eachPlan(t, func(t *testing.T, rnd *rand.Rand, c planCase, plan map[int]string) {
		other := slices.Clone(c.members)
		rnd.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		if diff := cmp.Diff(plan, Plan(other, c.pools, c.now, c.prefer)); diff != "" {
			t.Error(diff)
		}
	})
}

// A cluster comes by any way of single steps to what was planned: what some have taken already moves nothing of the rest.
func TestPlan_is_kept_while_it_is_carried_out(t *testing.T) {
	eachPlan(t, func(t *testing.T, rnd *rand.Rand, c planCase, plan map[int]string) {
		now := maps.Clone(c.now)
		for _, p := range rnd.Perm(c.pools) {
			now[p] = plan[p]
			if plan[p] == "" {
				delete(now, p)
			}
			if rnd.IntN(8) == 0 || p == c.pools-1 {
				if diff := cmp.Diff(plan, Plan(c.members, c.pools, now, c.prefer)); diff != "" {
					t.Error(diff)
				}
			}
		}
		if diff := cmp.Diff(plan, Plan(c.members, c.pools, now, c.prefer)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPlan_moves_no_more_than_it_must(t *testing.T) {
	eachPlan(t, func(t *testing.T, _ *rand.Rand, c planCase, _ map[int]string) {
		plan := Plan(c.members, c.pools, c.now, nil)
		free, open := c.anyone()
		sum, extra := 0, len(open)
		for _, m := range free {
			sum += m.Weight
		}
		have, stay := map[string]int{}, 0
		for _, p := range open {
			have[c.now[p]]++
			if plan[p] == c.now[p] && plan[p] != "" {
				stay++
			}
		}
		// Everybody keeps its share rounded down; as many as the rest of the pools allows keep one more.
		most, more := 0, 0
		for id, m := range free {
			low := len(open) * m.Weight / sum
			extra -= low
			most += min(have[id], low)
			if have[id] > low && len(open)*m.Weight%sum != 0 {
				more++
			}
		}
		if len(free) > 0 {
			most += min(more, extra)
		}
		if stay != most {
			t.Errorf("got %d pools that stay, want %d", stay, most)
		}
	})
}

func TestPlan_a_node_that_joins_or_leaves_moves_its_share_only(t *testing.T) {
	for nodes := 1; nodes <= 8; nodes++ {
		for _, pools := range []int{1, 8, 24, 64} {
			var members []Planned
			for i := range nodes {
				members = append(members, Planned{ID: fmt.Sprint("p", i), Name: fmt.Sprint("node-", i), Weight: 1})
			}
			before := Plan(members, pools, nil, nil)
			joined := append(members, Planned{ID: "new", Name: "new", Weight: 1})
			after := Plan(joined, pools, before, nil)
			moves := 0
			for p := range pools {
				if after[p] != before[p] {
					moves++
					if after[p] != "new" {
						t.Errorf("%d nodes, %d pools: pool %d moved between two that stay", nodes, pools, p)
					}
				}
			}
			if most := (pools + nodes) / (nodes + 1); moves > most {
				t.Errorf("%d nodes, %d pools: a join moves %d, want at most %d", nodes, pools, moves, most)
			}
			left := Plan(members, pools, after, nil)
			for p := range pools {
				if after[p] != "new" && left[p] != after[p] {
					t.Errorf("%d nodes, %d pools: pool %d moved although its node stays", nodes, pools, p)
				}
			}
		}
	}
}

func TestPlan_cases(t *testing.T) {
	one, two := 1, 2
	node := func(name string) Planned { return Planned{ID: name + "1", Name: name, Weight: 1} }
	pin := func(m Planned, pool *int) Planned { m.Pinned = pool; return m }
	drain := func(m Planned) Planned { m.Draining = true; return m }
	tests := []struct {
		name    string
		members []Planned
		pools   int
		now     map[int]string
		prefer  []Preference
		want    map[int]string
	}{
		{name: "nobody", pools: 2, want: map[int]string{}},
		{name: "all are draining", members: []Planned{drain(node("a"))}, pools: 1, now: map[int]string{0: "a1"}, want: map[int]string{}},
		{
			name: "pinned pools go to the pinned, who get nothing else", pools: 3, now: map[int]string{1: "c1"},
			members: []Planned{pin(node("a"), &one), pin(node("b"), &two), node("c")}, want: map[int]string{0: "c1", 1: "a1", 2: "b1"},
		},
		{
			name: "of two pinned to one pool the holder keeps it", pools: 2, now: map[int]string{1: "b1"},
			members: []Planned{pin(node("a"), &one), pin(node("b"), &one)}, want: map[int]string{1: "b1"},
		},
		{
			name: "of two pinned to one pool one gets it", pools: 2,
			members: []Planned{pin(node("b"), &one), pin(node("a"), &one)}, want: map[int]string{1: "a1"},
		},
		{
			name: "a pin beyond the pools is ignored", pools: 1,
			members: []Planned{pin(node("a"), &one), node("b")}, want: map[int]string{0: "b1"},
		},
		{
			name: "what is preferred displaces what is there", pools: 2, now: map[int]string{0: "a1", 1: "b1"}, prefer: []Preference{{0, "b"}},
			members: []Planned{node("a"), node("b")}, want: map[int]string{0: "b1", 1: "a1"},
		},
		{
			name: "preferences of absent nodes are ignored", pools: 2, now: map[int]string{0: "a1", 1: "b1"}, prefer: []Preference{{0, "x"}},
			members: []Planned{node("a"), node("b")}, want: map[int]string{0: "a1", 1: "b1"},
		},
		{
			name: "beyond the share the newest preferences count", pools: 2, now: map[int]string{0: "a1", 1: "b1"},
			prefer:  []Preference{{1, "b"}, {0, "b"}},
			members: []Planned{node("a"), node("b")}, want: map[int]string{0: "b1", 1: "a1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Plan(test.members, test.pools, test.now, test.prefer)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkPlan_640_pools_over_40_nodes(b *testing.B) {
	var members []Planned
	for i := range 40 {
		members = append(members, Planned{ID: fmt.Sprint("p", i), Name: fmt.Sprint("node-", i), Weight: 1})
	}
	now := Plan(members, 640, nil, nil)
	for b.Loop() {
		Plan(members[:39], 640, now, nil)
	}
}
