package audit

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Result is what came of a plan, as --json prints it.
type Result struct {
	Plan     string  `json:"plan"`
	Sentence string  `json:"sentence"`
	Passed   bool    `json:"passed"`
	Seed     uint64  `json:"seed"`
	Shards   int     `json:"shards"`
	Rate     float64 `json:"rate"`

	Sent      int `json:"sent"`      // dispatches that drover had to publish
	Stored    int `json:"stored"`    // of them, at least once
	Lost      int `json:"lost"`      // silently
	Declared  int `json:"declared"`  // lost, and a gap says so
	Twice     int `json:"twice"`     // stored more than once
	Repeated  int `json:"repeated"`  // stored again in a memory stream that was made again
	Reordered int `json:"reordered"` // stored after a later one
	Altered   int `json:"altered"`   // stored with other bytes
	Unknown   int `json:"unknown"`   // stored and never sent

	Gaps       map[string]int `json:"gaps"`       // shard.gap events by reason
	Identifies int            `json:"identifies"` // spent; one per shard is the least
	Resumes    int            `json:"resumes"`
	Dials      int            `json:"dials_per_shard"` // of the shard that dialled most
	Exits      []string       `json:"exits"`           // how each drover process ended: an exit code, or "killed"
	Violations []string       `json:"violations"`      // what the simulator noted against the protocol

	Nodes *Nodes `json:"nodes"` // null: the plan has one node

	Faults    []Strike `json:"faults"`
	Toothless int      `json:"toothless"` // faults that struck when nothing was under way and something should have been
	Seconds   float64  `json:"seconds"`   // the whole plan

	Complaints []string  `json:"complaints"` // why it did not pass
	Examples   []Finding `json:"examples"`   // the first findings that count against drover
	Notes      []string  `json:"notes"`      // what the machine did not allow
	Logs       string    `json:"logs"`       // folder with drover's log; gone after a success
}

// Strike is one fault as it happened.
type Strike struct {
	Name    string `json:"name"`
	Unacked int    `json:"unacked"` // events that drover had read and JetStream had not acknowledged, as drover's metrics said it just before
	// Recovery is from the end of the fault until drover is ready and everything that was sent before that end is
	// acknowledged; 0 where the plan did not wait for it.
	Recovery float64 `json:"recovery_s"`
}

// Unacked is the smallest number of unacknowledged events at a fault.
func (r Result) Unacked() int {
	least := math.MaxInt
	for _, f := range r.Faults {
		least = min(least, f.Unacked)
	}
	if len(r.Faults) == 0 {
		return 0
	}
	return least
}

// Recovery is the longest recovery in seconds.
func (r Result) Recovery() float64 {
	most := 0.0
	for _, f := range r.Faults {
		most = max(most, f.Recovery)
	}
	return most
}

// examples is how many findings a Result shows.
const examples = 10

// judge compares, counts and decides.
func (r *run) judge() {
	out := &r.result
	stored, gaps, err := r.recorder.all()
	if err != nil {
		r.complain("the recorder ended: %v", err)
	}
	c := Compare(r.sent(), stored, gaps, shedTypes)
	out.Sent, out.Stored = c.Sent, c.Stored
	out.Lost, out.Declared, out.Twice, out.Repeated = c.Count(Lost), c.Count(Declared), c.Count(Twice), c.Count(Repeated)
	out.Reordered, out.Altered, out.Unknown = c.Count(Reordered), c.Count(Altered), c.Count(Unknown)
	for _, f := range c.Findings {
		if len(out.Examples) < examples && f.Kind != Declared && f.Kind != Repeated {
			out.Examples = append(out.Examples, f)
		}
	}
	for _, k := range []Kind{Lost, Twice, Reordered, Altered, Unknown} {
		if n := c.Count(k); n > 0 {
			r.complain("%s: %s", k, grouped(int64(n)))
		}
	}
	r.judgeNodes(stored)
	r.count(gaps)
	out.Seconds = since(r.began)
	out.Passed = len(out.Complaints) == 0
}

// count holds what the plan cost against what it may cost.
func (r *run) count(gaps []Gap) {
	out, counts, e := &r.result, r.sim.Counts(), r.plan.Expect
	out.Identifies, out.Resumes, out.Dials = int(counts.Identifies), int(counts.Resumes), r.dials()
	for _, v := range r.sim.Violations() {
		out.Violations = append(out.Violations, v.What)
	}
	if len(out.Violations) > 0 {
		r.complain("against Discord's protocol: %s", strings.Join(out.Violations[:min(3, len(out.Violations))], "; "))
	}
	want := r.o.Shards * (1 + e.Identifies)
	if e.Identifies == anything {
		want = r.o.Shards + int(counts.SessionsEnded)
	}
	if out.Identifies != want {
		r.complain("%d IDENTIFYs spent, want %d", out.Identifies, want)
	}
	if e.Dials > 0 && out.Dials > e.Dials {
		r.complain("%d dials of one shard, want at most %d", out.Dials, e.Dials)
	}
	if took := time.Duration(out.Recovery() * float64(time.Second)); e.Recovery > 0 && took > e.Recovery {
		r.complain("recovered after %v, want at most %v", took.Round(100*time.Millisecond), e.Recovery)
	}
	if out.Toothless > 0 {
		r.complain("toothless: %d of %d faults struck when nothing was unacknowledged", out.Toothless, len(out.Faults))
	}
	for _, text := range gapComplaints(gaps, e, r.o.Shards, out.Gaps) {
		r.complain("%s", text)
	}
	if lost := out.Gaps["session_lost"]; e.Identifies == anything && lost != int(counts.SessionsEnded) {
		r.complain("%d gaps session_lost, want %d: one for each session that Discord ended", lost, counts.SessionsEnded)
	}
}

// gapComplaints counts gaps by reason into byReason, and says where a shard declared too many or too few.
func gapComplaints(gaps []Gap, e Expect, shards int, byReason map[string]int) []string {
	type of struct {
		reason string
		shard  int
	}
	n := map[of]int{}
	for _, g := range gaps {
		n[of{g.Reason, g.Shard}]++
		byReason[g.Reason]++
	}
	var out []string
	for reason := range byReason {
		if _, ok := e.Gaps[reason]; !ok {
			out = append(out, fmt.Sprintf("%d gaps %s, want none", byReason[reason], reason))
		}
	}
	for reason, want := range e.Gaps {
		for shard := range shards {
			if got := n[of{reason, shard}]; got < want[0] || got > want[1] {
				out = append(out, fmt.Sprintf("shard %d declared %d gaps %s, want %d to %d", shard, got, reason, want[0], want[1]))
				break // one shard says enough
			}
		}
	}
	return out
}

// dials is how often the busiest shard dialled. Dials that ended before anybody said which shard it was are shared out.
func (r *run) dials() int {
	n := make([]int, r.o.Shards)
	nobody := int(r.sim.Counts().DialsRefused)
	for _, c := range r.sim.Connections() {
		if c.ShardID >= 0 && c.ShardID < len(n) {
			n[c.ShardID]++
		} else {
			nobody++
		}
	}
	most := 0
	for _, d := range n {
		most = max(most, d)
	}
	return most + (nobody+r.o.Shards-1)/r.o.Shards
}
