package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"drover/messages"
)

// view is the page in words and numbers, ready for the template.
type view struct {
	Node, Version, Uptime string
	Badge, BadgeClass     string   // the state of the whole in one or two words
	Reasons               []string // what is missing for readiness
	Silent                string   // why all this is old; empty: it is current

	Scope  string // node or cluster
	Scopes bool   // there is another page

	Tiles   []tile
	Budget  budgetView
	Charts  []chartView // none on the page of all nodes
	Nodes   []memberView
	States  []stateView
	Trouble []shardView // shards that somebody should look at, worst first
	More    int         // of them, not shown
	Pools   []poolView
	Types   []typeView
	Others  string // what Types leaves out
	Notices []noticeView
}

// stateView is a line of the legend.
type stateView struct {
	Name, Class, Letter string
	Count               string
	None                bool
}

// shardView is a line of the table of troubles.
type shardView struct {
	ID, Pool     int
	Name, Class  string
	For, Session string
	Restarts     string
	Error        string
	worst        int
}

// poolView is a pool and the grid of its shards.
type poolView struct {
	ID    int
	Node  string // that serves it, on the page of all nodes
	Range string // "shards 0–24"
	Ready string // "24 of 25 ready"
	Whole bool   // all are ready
	Size  string // class of the squares: large, medium or small, by the number of shards on the node
	Cells []cellView
}

// Name is the id of the pool's element.
func (p *poolView) Name() string { return fmt.Sprintf("pool-%d", p.ID) }

func (p *poolView) equal(q *poolView) bool {
	return p.ID == q.ID && p.Node == q.Node && p.Ready == q.Ready && p.Size == q.Size && slices.Equal(p.Cells, q.Cells)
}

// cellView is the square of a shard. It says nothing that changes with every event.
type cellView struct {
	ID            int
	Class, Letter string
	Title         string
	Query         string // that keeps the scope
}

type typeView struct {
	Name, Rate, Total string
	Share             int // percent of the busiest
}

type noticeView struct {
	At        time.Time
	Who, Text string
	Shard     string // path of its page; empty: the node itself
}

// patience is how long a shard may be on its way up before it counts as trouble.
const patience = 2 * time.Minute

// The limits of the lists.
const (
	maxTrouble = 8
	maxTypes   = 12
	maxNotices = 12
)

// order is how urgent a state is, for the table of troubles.
var order = map[messages.State]int{
	messages.Halted: 0, messages.Disconnected: 1, messages.Resuming: 2, messages.Connecting: 3, messages.Identifying: 4, messages.Ready: 5,
}

func newView(of *snapshot, h *history, now time.Time) *view {
	s, v := &of.NodeStatus, newHead(of, now)
	v.Budget = newBudget(&s.Budget, now)
	v.shards(s, now)
	if of.cluster != nil {
		v.herd(of, now)
		return v
	}
	v.Tiles = tiles(s, h, now)
	v.types(s, h)
	for _, n := range s.Notices[:min(len(s.Notices), maxNotices)] {
		who, page := "node", ""
		if n.ShardID >= 0 {
			who, page = fmt.Sprintf("shard %d", n.ShardID), fmt.Sprintf("/shards/%d", n.ShardID)
		}
		v.Notices = append(v.Notices, noticeView{n.At.UTC(), who, n.Text, page})
	}
	return v
}

// newHead is what all pages have in common.
func newHead(of *snapshot, now time.Time) *view {
	s := &of.NodeStatus
	v := &view{Node: s.Node, Version: s.Version, Uptime: span(now.Sub(s.Started)), Reasons: s.Reasons, Scope: "node", Scopes: of.scopes}
	if of.cluster != nil {
		v.Scope = "cluster"
	}
	switch {
	case !s.Live:
		v.Badge, v.BadgeClass = "Stuck", "bad"
	case s.IsReady:
		v.Badge, v.BadgeClass = "Ready", "good"
		v.Reasons = nil
	default:
		v.Badge, v.BadgeClass = "Not ready", "wait"
	}
	return v
}

// silence marks the view as one of the past: the node does not answer since at.
func (v *view) silence(at time.Time) {
	v.Badge, v.BadgeClass, v.Reasons = "No answer", "bad", nil
	v.Silent = "The node's actors did not answer within 2 s."
	if v.Scope == "cluster" {
		v.Silent = "The nodes cannot be asked: NATS does not answer."
	}
	if !at.IsZero() {
		v.Silent += " What you see is from " + at.UTC().Format("15:04:05") + " UTC."
	}
}

func (v *view) shards(s *messages.NodeStatus, now time.Time) {
	counts := map[messages.State]int{}
	size := "large"
	switch n := len(s.Shards); {
	case n > 300:
		size = "small"
	case n > 100:
		size = "medium"
	}
	query := ""
	if v.Scope == "cluster" {
		query = "?scope=cluster"
	}
	pools := map[int]*poolView{}
	for _, shard := range byID(s.Shards) {
		counts[shard.State]++
		p := pools[shard.Pool]
		if p == nil {
			p = &poolView{ID: shard.Pool, Size: size}
			pools[shard.Pool] = p
		}
		p.Cells = append(p.Cells, newCell(&shard, query))
		if troubled(&shard, now) {
			v.Trouble = append(v.Trouble, newTrouble(&shard, now))
		}
	}
	for _, state := range messages.AllStates {
		n := counts[state]
		v.States = append(v.States, stateView{Name: string(state), Class: class(state), Letter: letter(state), Count: count(n), None: n == 0})
	}
	slices.SortStableFunc(v.Trouble, func(a, b shardView) int { return cmp.Compare(a.worst, b.worst) })
	if len(v.Trouble) > maxTrouble {
		v.More, v.Trouble = len(v.Trouble)-maxTrouble, v.Trouble[:maxTrouble]
	}
	for _, p := range pools {
		p.sum()
		v.Pools = append(v.Pools, *p)
	}
	slices.SortFunc(v.Pools, func(a, b poolView) int { return cmp.Compare(a.ID, b.ID) })
}

func (p *poolView) sum() {
	ready := 0
	for _, c := range p.Cells {
		if c.Class == class(messages.Ready) {
			ready++
		}
	}
	first, last := p.Cells[0].ID, p.Cells[len(p.Cells)-1].ID
	p.Range = fmt.Sprintf("shards %d–%d", first, last)
	if first == last {
		p.Range = fmt.Sprintf("shard %d", first)
	}
	p.Whole = ready == len(p.Cells)
	p.Ready = fmt.Sprintf("%d of %d ready", ready, len(p.Cells))
	if p.Whole {
		p.Ready = fmt.Sprintf("all %d ready", ready)
	}
}

func newCell(s *messages.ShardStatus, query string) cellView {
	c := cellView{ID: s.ID, Class: class(s.State), Letter: letter(s.State), Query: query}
	parts := []string{fmt.Sprintf("Shard %d: %s", s.ID, s.State), plural(s.Guilds, "guild")}
	if s.Restarts > 0 {
		parts = append(parts, plural(s.Restarts, "restart"))
	}
	if s.State != messages.Ready && s.LastError != "" {
		parts = append(parts, s.LastError)
	}
	c.Title = strings.Join(parts, " · ")
	return c
}

// troubled tells a shard that has a problem from one that is merely on its way up.
func troubled(s *messages.ShardStatus, now time.Time) bool {
	switch s.State {
	case messages.Ready:
		return false
	case messages.Halted, messages.Disconnected:
		return true
	}
	return s.LastError != "" || now.Sub(s.Since) > patience
}

func newTrouble(s *messages.ShardStatus, now time.Time) shardView {
	t := shardView{
		ID: s.ID, Pool: s.Pool, Name: string(s.State), Class: class(s.State), Session: s.Session, Error: s.LastError,
		Restarts: count(s.Restarts), worst: order[s.State],
	}
	if !s.Since.IsZero() {
		t.For = span(now.Sub(s.Since))
	}
	return t
}

// class is the CSS class of a state, and letter what its square says to those who do not see colours; ready is the
// rule and says nothing.
func class(s messages.State) string {
	if _, known := order[s]; known {
		return string(s)
	}
	return string(messages.Disconnected)
}

func letter(s messages.State) string {
	if s == messages.Ready || s == "" {
		return ""
	}
	return strings.ToUpper(string(s[:1]))
}

func (v *view) types(s *messages.NodeStatus, h *history) {
	type row struct {
		name  string
		rate  float64
		total uint64
	}
	rows := make([]row, 0, len(s.Traffic.ByType))
	for name, total := range s.Traffic.ByType {
		rows = append(rows, row{name, h.rateOf(name), total})
	}
	// By total, not by rate: a table that is sorted anew every second cannot be read.
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.name, b.name)) })
	for i, r := range rows {
		if i == maxTypes {
			break
		}
		share := int(r.total * 100 / max(rows[0].total, 1))
		v.Types = append(v.Types, typeView{r.name, rate(r.rate), count(r.total), share})
	}
	if len(rows) > maxTypes {
		var rest uint64
		for _, r := range rows[maxTypes:] {
			rest += r.total
		}
		v.Others = fmt.Sprintf("and %s with %s events", plural(len(rows)-maxTypes, "more type"), count(rest))
	}
}
