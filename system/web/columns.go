package web

import (
	"slices"
	"time"

	"drover/messages"
)

// columns are all shards in a form that is small to send and quick to read: a thousand shards are 37 KB the first time, and
// then only the columns that have changed are sent, some 15 KB every two seconds while each shard has events. A nil column has not changed. All of them are by id.
type columns struct {
	ID       []int          `json:"id,omitempty"`
	Pool     []int          `json:"pool,omitempty"`
	Node     []int          `json:"node,omitempty"` // index in Nodes
	Nodes    []string       `json:"nodes,omitempty"`
	State    []byte         `json:"-"`               // letters: see letterOf
	States   string         `json:"state,omitempty"` // State as text
	Since    []int64        `json:"since,omitempty"` // Unix seconds; 0: not known
	Latency  []int          `json:"latency,omitempty"`
	Rate     []int          `json:"rate,omitempty"` // tenths of an event per second; -1: not known
	Last     []int64        `json:"last,omitempty"` // Unix seconds of the newest dispatch; 0: none, or not known
	Guilds   []int          `json:"guilds,omitempty"`
	Restarts []int          `json:"restarts,omitempty"`
	Errors   map[int]string `json:"errors,omitempty"` // by id, of shards that are not ready
	Now      int64          `json:"now"`              // the node's clock, Unix ms
}

// letterOf is a state's letter in columns; the script has the same ones.
func letterOf(s messages.State) byte {
	switch s {
	case messages.Ready:
		return '.'
	case "":
		return 'd'
	}
	if _, known := order[s]; !known {
		return 'd'
	}
	return s[0]
}

// newColumns takes the shards of a snapshot apart. rate is a shard's events per second.
func newColumns(of *snapshot, rate func(id int) float32, now time.Time) *columns {
	shards := byID(of.Shards)
	n := len(shards)
	c := &columns{
		ID: make([]int, n), Pool: make([]int, n), Node: make([]int, n), State: make([]byte, n), Since: make([]int64, n), Latency: make([]int, n),
		Rate: make([]int, n), Last: make([]int64, n), Guilds: make([]int, n), Restarts: make([]int, n), Errors: map[int]string{}, Now: now.UnixMilli(),
	}
	nodes := map[string]int{}
	for i := range shards {
		s := &shards[i]
		node, ok := nodes[s.Node]
		if !ok {
			node = len(nodes)
			nodes[s.Node], c.Nodes = node, append(c.Nodes, s.Node)
		}
		c.ID[i], c.Pool[i], c.Node[i], c.State[i] = s.ID, s.Pool, node, letterOf(s.State)
		c.Since[i], c.Last[i] = unix(s.Since), unix(s.LastDispatch)
		c.Latency[i] = int(s.HeartbeatLatencyMS*10 + 0.5)
		c.Guilds[i], c.Restarts[i], c.Rate[i] = s.Guilds, s.Restarts, -1
		if r := rate(s.ID); r == r {
			c.Rate[i] = int(r*10 + 0.5)
		}
		if s.State != messages.Ready && s.LastError != "" {
			c.Errors[s.ID] = s.LastError
		}
	}
	c.States = string(c.State)
	return c
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// change is what of c differs from before; nil where nothing does.
func (c *columns) change(before *columns) *columns {
	if before == nil || !slices.Equal(c.ID, before.ID) {
		return c
	}
	d := &columns{Now: c.Now}
	any := false
	differ := func(same bool, set func()) {
		if !same {
			set()
			any = true
		}
	}
	differ(slices.Equal(c.Pool, before.Pool), func() { d.Pool = c.Pool })
	differ(slices.Equal(c.Node, before.Node) && slices.Equal(c.Nodes, before.Nodes), func() { d.Node, d.Nodes = c.Node, c.Nodes })
	differ(c.States == before.States, func() { d.States = c.States })
	differ(slices.Equal(c.Since, before.Since), func() { d.Since = c.Since })
	differ(slices.Equal(c.Latency, before.Latency), func() { d.Latency = c.Latency })
	differ(slices.Equal(c.Rate, before.Rate), func() { d.Rate = c.Rate })
	differ(slices.Equal(c.Last, before.Last), func() { d.Last = c.Last })
	differ(slices.Equal(c.Guilds, before.Guilds), func() { d.Guilds = c.Guilds })
	differ(slices.Equal(c.Restarts, before.Restarts), func() { d.Restarts = c.Restarts })
	if !any {
		return nil
	}
	d.Errors = c.Errors // with any other: the text of an error changes with the state or since
	return d
}

// pulse computes how many events per second each shard has, from one status to the next, while somebody looks.
type pulse struct {
	times  []time.Time // newest last, bounded
	totals []map[int]int64
	seqs   map[int]int64
}

// beats is over how many statuses a rate is the mean: calm to look at, yet honest within seconds.
const beats = 5

// add takes in a status.
func (p *pulse) add(now time.Time, shards []messages.ShardStatus) {
	if n := len(p.times); n > 0 && !now.After(p.times[n-1]) {
		return
	}
	seqs, totals := make(map[int]int64, len(shards)), make(map[int]int64, len(shards))
	for i := range shards {
		s := &shards[i]
		seqs[s.ID] = s.SeqReceived
		if before, ok := p.seqs[s.ID]; ok {
			totals[s.ID] = p.total(s.ID) + since(before, s.SeqReceived)
		}
	}
	p.seqs = seqs
	p.times, p.totals = append(p.times, now), append(p.totals, totals)
	if len(p.times) > beats+1 {
		p.times, p.totals = slices.Delete(p.times, 0, 1), slices.Delete(p.totals, 0, 1)
	}
}

func (p *pulse) total(id int) int64 {
	if n := len(p.totals); n > 0 {
		return p.totals[n-1][id]
	}
	return 0
}

// rate is a shard's events per second of late; unknown before it was seen twice.
func (p *pulse) rate(id int) float32 {
	n := len(p.times)
	if n < 2 {
		return unknown
	}
	to, ok := p.totals[n-1][id]
	if !ok {
		return unknown
	}
	for i := range n - 1 {
		from, ok := p.totals[i][id]
		if !ok && i < n-2 {
			continue // it came later; before it was counted it had none
		}
		return float32(float64(to-from) / p.times[n-1].Sub(p.times[i]).Seconds())
	}
	return unknown
}
