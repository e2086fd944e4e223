package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Step is a pool that changes hands. An empty name is nobody's.
type Step struct {
	Pool int    `json:"pool"`
	From string `json:"from"`
	To   string `json:"to"`
}

// WouldMove tells which pools change hands if Move is asked for the same: besides the pool itself those that make room for it, since
// no node gets more than its share. An error says why Move would refuse it.
func (n *Node) WouldMove(pool int, node string) ([]Step, error) {
	if pool < 0 || pool >= n.o.Pools {
		return nil, fmt.Errorf("cluster: there is no pool %d: pools are 0 to %d", pool, n.o.Pools-1)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if node != "" {
		if err := n.mayMove(node); err != nil {
			return nil, err
		}
	}
	members := n.planning(time.Now(), false)
	steps, plan := n.steps(members, members, wished(n.prefer, pool, node))
	if to := n.nameOf(plan[pool]); node != "" && to != node {
		for _, m := range members {
			if m.ID == plan[pool] && m.Pinned != nil {
				return nil, fmt.Errorf("cluster: pool %d is that of node %s, which is pinned to it: choose another pool", pool, to)
			}
		}
		return nil, fmt.Errorf("cluster: node %s takes no pool now, it is joining or was passed over: try again in a moment", node)
	}
	return steps, nil
}

// WouldDrain tells where the pools of this node go if it is drained. An error names those that nobody would serve.
func (n *Node) WouldDrain() ([]Step, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	members := n.planning(time.Now(), false)
	without := slices.DeleteFunc(slices.Clone(members), func(m Planned) bool { return m.ID == n.o.Process })
	steps, _ := n.steps(members, without, n.prefer)
	var down []string
	for _, s := range steps {
		if s.To == "" {
			down = append(down, fmt.Sprint(s.Pool))
		}
	}
	if len(down) > 0 {
		return nil, fmt.Errorf("cluster: nobody else is there to serve what node %s has (pools %s): start another node first, or stop this one",
			n.o.Name, strings.Join(down, ", "))
	}
	return steps, nil
}

// steps compares the present plan with another one, which it returns as well. Node.mu is held.
func (n *Node) steps(members, others []Planned, prefer []Preference) (steps []Step, plan map[int]string) {
	holders := n.held(time.Now(), members)
	before := Plan(members, n.o.Pools, holders, n.prefer)
	plan = Plan(others, n.o.Pools, holders, prefer)
	for pool := range n.o.Pools {
		if plan[pool] == before[pool] {
			continue
		}
		from := holders[pool]
		if from == "" {
			from = before[pool]
		}
		steps = append(steps, Step{Pool: pool, From: n.nameOf(from), To: n.nameOf(plan[pool])})
	}
	return steps, plan
}
