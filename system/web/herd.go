package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"drover/messages"
)

// memberView is a line of the table of nodes.
type memberView struct {
	Name, Addr, Version string
	Self                bool
	State, Class        string
	Pools, Shards       string
	Whole               bool // all its shards are ready
	Seen                string
	Rate, Latency       string // of its shards: all events, the median heartbeat
}

// herdTicks is how much rarer the page of all nodes is brought up to date than that of one: each time all nodes are asked.
const herdTicks = 2

// snapshot is this node, for its page.
func (s *Server) snapshot(ctx context.Context) (snapshot, error) {
	status, err := s.status(ctx)
	if err != nil {
		status = messages.NodeStatus{Node: s.o.Node, Version: s.o.Version, PoolID: s.o.PoolID}
	}
	return snapshot{NodeStatus: status, scopes: s.o.Cluster != nil}, err
}

// herdSnapshot is all nodes, for their page.
func (s *Server) herdSnapshot(ctx context.Context) (snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	c, err := s.o.Cluster(ctx)
	out := snapshot{NodeStatus: messages.NodeStatus{Node: s.o.Node, Version: s.o.Version}, cluster: &c, scopes: true}
	if err != nil {
		return out, fmt.Errorf("web: cluster: %w", err)
	}
	n := &out.NodeStatus
	n.Shards, n.ShardsTotal, n.Budget, n.Live = c.Shards, c.Total, c.Budget, true
	for i := range c.Shards {
		n.GuildsTotal += c.Shards[i].Guilds
		if c.Shards[i].State == messages.Ready {
			n.ShardsReady++
		}
	}
	n.Reasons = missing(&c, n.ShardsReady)
	n.IsReady = len(n.Reasons) == 0
	return out, nil
}

// missing says what somebody should look at in the cluster.
func missing(c *messages.ClusterStatus, ready int) (reasons []string) {
	if c.Away {
		reasons = append(reasons, "NATS' key-value store does not answer: nodes keep what they have, and nobody takes anything over")
	}
	if len(c.Free) > 0 {
		reasons = append(reasons, "nobody serves "+poolList(c.Free))
	}
	var silent []string
	for _, m := range c.Nodes {
		if !m.Answered {
			silent = append(silent, m.Name)
		}
	}
	if len(silent) > 0 {
		reasons = append(reasons, "no answer from "+strings.Join(silent, ", "))
	}
	if ready < c.Total {
		reasons = append(reasons, fmt.Sprintf("%d of %d shards are ready", ready, c.Total))
	}
	return reasons
}

// poolList names pools, not all of many.
func poolList(pools []int) string {
	const most = 8
	var names []string
	for _, p := range pools[:min(len(pools), most)] {
		names = append(names, fmt.Sprint(p))
	}
	text := "pool " + names[0]
	if len(names) > 1 {
		text = "pools " + strings.Join(names, ", ")
	}
	if len(pools) > most {
		text += fmt.Sprintf(" and %d more", len(pools)-most)
	}
	return text
}

// herd makes the view one of all nodes.
func (v *view) herd(of *snapshot, now time.Time) {
	c := of.cluster
	v.Uptime, v.Budget.OfThisNode = "", true
	total, ready, holder := map[string]int{}, map[string]int{}, map[int]string{}
	for i := range c.Shards {
		holder[c.Shards[i].Pool] = c.Shards[i].Node
		total[c.Shards[i].Node]++
		if c.Shards[i].State == messages.Ready {
			ready[c.Shards[i].Node]++
		}
	}
	for i := range v.Pools {
		v.Pools[i].Node = holder[v.Pools[i].ID]
	}
	for _, m := range c.Nodes {
		n := memberView{Name: m.Name, Addr: m.Addr, Version: m.Version, Self: m.Self, Pools: count(m.Pools), Seen: span(m.Seen) + " ago"}
		if m.Self {
			n.Seen = "now"
		}
		n.State, n.Class = memberState(&m)
		n.Shards, n.Whole = fmt.Sprintf("%d of %d", ready[m.Name], total[m.Name]), m.Answered && ready[m.Name] == total[m.Name]
		if !m.Answered {
			n.Shards = "–"
		}
		v.Nodes = append(v.Nodes, n)
	}
	v.Tiles = herdTiles(of, now)
}

// speeds adds to the lines of the nodes how many events they have, and how long their heartbeats take.
func (v *view) speeds(of *snapshot, rateOf func(id int) float32) {
	events, known, beats := map[string]float64{}, map[string]bool{}, map[string][]float64{}
	for i := range of.cluster.Shards {
		s := &of.cluster.Shards[i]
		if r := rateOf(s.ID); r == r {
			events[s.Node], known[s.Node] = events[s.Node]+float64(r), true
		}
		if s.HeartbeatLatencyMS > 0 {
			beats[s.Node] = append(beats[s.Node], s.HeartbeatLatencyMS)
		}
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		n.Rate, n.Latency = "–", "–"
		if known[n.Name] {
			n.Rate = rate(events[n.Name])
		}
		if all := beats[n.Name]; len(all) > 0 {
			slices.Sort(all)
			number, unit := latency(time.Duration(all[len(all)/2] * float64(time.Millisecond)))
			n.Latency = number + "\u00a0" + unit
		}
	}
}

func memberState(m *messages.MemberStatus) (text, class string) {
	switch {
	case !m.Answered:
		return "no answer", "bad"
	case m.Draining:
		return "draining", "wait"
	case !m.Ready:
		return "joining", "wait"
	}
	return "serving", "good"
}

func herdTiles(of *snapshot, now time.Time) []tile {
	s, c := &of.NodeStatus, of.cluster
	all := ready(s)
	if s.ShardsTotal == 0 {
		all.Note = "the bot has no shards yet"
	}
	guilds := guilds(s)
	guilds.Note = "on the shards of all nodes"
	nodes := tile{ID: "nodes", Label: "Nodes", Value: count(len(c.Nodes)), Note: "all of them answer", Bar: -1}
	if n := countOf(c.Nodes, func(m messages.MemberStatus) bool { return !m.Answered }); n > 0 {
		nodes.Note, nodes.Class = count(n)+" without an answer", "bad"
	} else if n := countOf(c.Nodes, func(m messages.MemberStatus) bool { return m.Draining }); n > 0 {
		nodes.Note, nodes.Class = count(n)+" draining", "wait"
	}
	held := 0
	for _, m := range c.Nodes {
		held += m.Pools
	}
	pools := tile{ID: "pools", Label: "Pools", Value: count(held), Unit: "of " + count(held+len(c.Free)), Note: "each served by one node", Bar: -1}
	if len(c.Free) > 0 {
		pools.Note, pools.Class = "nobody serves "+poolList(c.Free), "bad"
	}
	return []tile{all, nodes, pools, guilds, budget(s, now)}
}

func countOf(nodes []messages.MemberStatus, ok func(messages.MemberStatus) bool) (n int) {
	for _, m := range nodes {
		if ok(m) {
			n++
		}
	}
	return n
}
