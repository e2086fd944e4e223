package audit

import (
	"fmt"
	"slices"
	"time"

	"drover/system/gatewaysim"
)

// What several nodes must keep between them, judged over the whole plan and not at its end.

// Nodes is what came of a plan with several nodes beside its events.
type Nodes struct {
	Published int `json:"published"` // events that nodes sent to NATS, repetitions among them
	Unleased  int `json:"unleased"`  // of them, sent by a node that did not hold the pool's lease then
	InHand    int `json:"in_hand"`   // the same, in the first write of a process that had stood still
	Unsure    int `json:"unsure"`    // not judged: it was not heard who held the lease then
	Moves     int `json:"moves"`     // how often a pool went from one node to another

	Hasty   int     `json:"hasty"`              // IDENTIFYs less than 5 s after the one before them under their key
	Closest float64 `json:"closest_identify_s"` // the least time between two of one key; 0: there were no two
}

func (n *Nodes) String() string {
	pace := "no two IDENTIFYs of one key"
	if n.Closest > 0 {
		pace = fmt.Sprintf("IDENTIFYs of one key at least %.2f s apart", n.Closest)
	}
	return fmt.Sprintf("%s events were sent by nodes, %s of them without the pool's lease (and %s that a stopped process had in hand, %s not judged); "+
		"pools moved %d times; %s", grouped(int64(n.Published)), grouped(int64(n.Unleased)), grouped(int64(n.InHand)), grouped(int64(n.Unsure)), n.Moves, pace)
}

// judgeNodes looks at every event that was sent and at every IDENTIFY.
func (r *run) judgeNodes(stored []Stored) {
	if r.wiretap == nil {
		return
	}
	out := &Nodes{Moves: r.holders.moves(r.began)}
	r.result.Nodes = out
	names := make([]string, len(r.nodes))
	for i, n := range r.nodes {
		names[i] = n.name
	}
	sent := r.wiretap.all()
	found := unleased(sent, names, r.holders.whose, out)
	hasty, closest := hasty(r.sim.Connections(), r.world().MaxConcurrency)
	out.Hasty, out.Closest = len(hasty), closest.Seconds()
	for _, f := range slices.Concat(found, hasty) {
		if len(r.result.Examples) < examples {
			r.result.Examples = append(r.result.Examples, f)
		}
	}
	if out.Unleased > 0 {
		r.complain("%s: %s events were sent by a node that did not hold the pool's lease", Unleased, grouped(int64(out.Unleased)))
	}
	if out.Hasty > 0 {
		r.complain("%s: %d IDENTIFYs less than %v after another one of their key", Hasty, out.Hasty, identifySpacing)
	}
	if n := r.wiretap.unseen(stored); n > 0 {
		r.complain("it is not known who sent %s of the stored events: the audit is blind", grouped(int64(n)))
	}
	if out.Published == 0 {
		r.complain("nobody sent anything: the audit is blind")
	}
}

// unleased finds what was sent by a node that did not hold the lease, and counts into out.
func unleased(sent []published, names []string, whose func(pool int, at time.Time) (string, bool), out *Nodes) (found []Finding) {
	for _, p := range sent {
		out.Published++
		holder, sure := whose(p.shard/poolSize, p.at)
		switch {
		case holder == names[p.node]: // also where it is not sure: nobody else is known to have had it
		case !sure:
			out.Unsure++
		case p.inHand:
			out.InHand++
		default:
			out.Unleased++
			if holder == "" {
				holder = "nobody"
			}
			found = append(found, Finding{Kind: Unleased, Shard: p.shard, T: p.id, Note: fmt.Sprintf(
				"sent by %s at %s, when %s held pool %d", names[p.node], p.at.Format("15:04:05.000"), holder, p.shard/poolSize)})
		}
	}
	return found
}

// identifySpacing is what Discord asks for between two IDENTIFYs of one key; grain is what clocks and the reading of a socket
// may take from it.
const (
	identifySpacing = 5 * time.Second
	grain           = time.Millisecond
)

// hasty finds IDENTIFYs that came too soon, as Discord saw them come, and the least time between two of one key.
func hasty(conns []gatewaysim.ConnRecord, maxConcurrency int) (found []Finding, closest time.Duration) {
	type identify struct {
		shard int
		at    time.Time
	}
	byKey := map[int][]identify{}
	for _, c := range conns {
		for _, f := range c.Sent(2) {
			if c.ShardID >= 0 {
				key := c.ShardID % maxConcurrency
				byKey[key] = append(byKey[key], identify{c.ShardID, f.At})
			}
		}
	}
	for key, list := range byKey {
		slices.SortFunc(list, func(a, b identify) int { return a.at.Compare(b.at) })
		for i := 1; i < len(list); i++ {
			gap := list[i].at.Sub(list[i-1].at)
			if closest == 0 || gap < closest {
				closest = gap
			}
			if gap < identifySpacing-grain {
				found = append(found, Finding{Kind: Hasty, Shard: list[i].shard, T: "IDENTIFY", Note: fmt.Sprintf(
					"%v after that of shard %d, key %d", gap.Round(time.Millisecond), list[i-1].shard, key)})
			}
		}
	}
	return found, closest
}
