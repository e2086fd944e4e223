package audit

import (
	"crypto/sha256"
	"fmt"
	"sort"
	"time"

	"drover/messages"
)

// Sent is one dispatch that the simulator made and drover has to publish, whether a client could ever
// read it or not.
type Sent struct {
	Session string
	Seq     int64
	Shard   int
	T       string // Discord's name
	At      time.Time
	D       func() []byte // the bytes of d
}

// Stored is one event that a stream took.
type Stored struct {
	Stream    messages.Stream
	Life      int    // 0 for the first stream of that name, 1 for the one that was made after its death, and so on
	StreamSeq uint64 // rising within a life

	ID, EnvelopeID string // header and envelope: the same
	T, Type        string // header Drover-Event, event_type
	Session        string // of Drover-Seq; empty for drover's own events
	Seq            int64
	Shard          int
	At             time.Time // when it was stored

	Sum    [sha256.Size]byte // of data
	Data   []byte            // data itself where drover puts members in front of Discord's
	Broken string            // why this is no event of the contract; empty otherwise
}

// Kind is what can be wrong with an event.
type Kind string

// The kinds of findings. Declared and Repeated are none of drover's faults: the first is what a gap is
// for, the second what a memory stream that died with its duplicate window does.
const (
	Lost      Kind = "lost"      // sent, not stored, and no gap says so
	Declared  Kind = "declared"  // sent, not stored, and a shard.gap says so
	Twice     Kind = "twice"     // stored more than once
	Repeated  Kind = "repeated"  // stored in a memory stream that died, and again in the one made after it
	Reordered Kind = "reordered" // stored after a later event of its session in the same stream
	Altered   Kind = "altered"   // stored with another id, name or data than Discord's
	Unknown   Kind = "unknown"   // stored, and never sent
)

// What several nodes can do wrong between them. Compare does not look for it.
const (
	Unleased Kind = "unleased" // sent to NATS by a node that did not hold the lease of the shard's pool
	Hasty    Kind = "hasty"    // an IDENTIFY less than 5 s after another one of its key
)

// Kinds lists them.
var Kinds = []Kind{Lost, Declared, Twice, Repeated, Reordered, Altered, Unknown}

// Finding is one event with which something is wrong.
type Finding struct {
	Kind    Kind   `json:"kind"`
	Session string `json:"session"` // empty for drover's own events
	Seq     int64  `json:"seq"`
	Shard   int    `json:"shard_id"`
	T       string `json:"event"`
	Note    string `json:"note,omitempty"`
}

func (f Finding) String() string {
	text := fmt.Sprintf("%s: shard %d, session %.8s, seq %d, %s", f.Kind, f.Shard, f.Session, f.Seq, f.T)
	if f.Note != "" {
		text += " (" + f.Note + ")"
	}
	return text
}

// Comparison is the result of Compare.
type Comparison struct {
	Sent, Stored int // dispatches; stored at least once
	Findings     []Finding
}

// Count is how many findings of a kind there are.
func (c Comparison) Count(k Kind) int {
	n := 0
	for _, f := range c.Findings {
		if f.Kind == k {
			n++
		}
	}
	return n
}

// Compare holds what was sent against what was stored. stored is in the order in which each stream
// holds it; gaps are what drover declared; shed are the types that a gap of reason "shed" may excuse.
// It changes nothing of its arguments.
func Compare(sent []Sent, stored []Stored, gaps []Gap, shed []string) Comparison {
	c := &comparing{gaps: gaps, shed: shed, sent: make(map[key]*Sent, len(sent)), first: map[key]*Stored{}, own: map[string]*Stored{}, newest: map[lane]int64{}}
	for i := range sent {
		c.sent[key{sent[i].Session, sent[i].Seq}] = &sent[i]
	}
	for i := range stored {
		c.look(&stored[i])
	}
	for i := range sent {
		if _, ok := c.first[key{sent[i].Session, sent[i].Seq}]; !ok {
			c.missing(&sent[i])
		}
	}
	sort.SliceStable(c.findings, func(i, j int) bool { return rank(c.findings[i].Kind) < rank(c.findings[j].Kind) })
	return Comparison{Sent: len(sent), Stored: len(c.first), Findings: c.findings}
}

// comparing is a Compare at work.
type comparing struct {
	gaps []Gap
	shed []string

	sent     map[key]*Sent
	first    map[key]*Stored    // the first copy of each dispatch
	own      map[string]*Stored // the first copy of each of drover's own events, by id
	newest   map[lane]int64
	findings []Finding
}

// lane is what keeps an order.
type lane struct {
	session string
	stream  messages.Stream
}

// look judges one stored event.
func (c *comparing) look(s *Stored) {
	if s.Broken != "" {
		c.found(Altered, s, s.Broken)
	}
	if s.Session == "" {
		if was, ok := c.own[s.ID]; ok {
			c.found(c.again(was, s), s, s.ID)
			return
		}
		c.own[s.ID] = s
		return
	}
	k := key{s.Session, s.Seq}
	d, ok := c.sent[k]
	if !ok {
		c.found(Unknown, s, "")
		return
	}
	if was, ok := c.first[k]; ok {
		c.found(c.again(was, s), s, fmt.Sprintf("%s %d and %d", s.Stream, was.StreamSeq, s.StreamSeq))
		return
	}
	c.first[k] = s
	l := lane{s.Session, s.Stream}
	if s.Seq < c.newest[l] {
		c.found(Reordered, s, fmt.Sprintf("after %d", c.newest[l]))
	}
	c.newest[l] = max(c.newest[l], s.Seq)
	if why := altered(d, s); why != "" {
		c.found(Altered, s, why)
	}
}

// again tells a double that drover could have prevented from one that died with the stream's window.
func (c *comparing) again(was, s *Stored) Kind {
	if was.Life != s.Life {
		for _, g := range c.gaps {
			if g.Reason == StreamLost && g.Shard == s.Shard && !was.At.After(g.to().Add(slack)) {
				return Repeated
			}
		}
	}
	return Twice
}

// missing judges one dispatch that was not stored.
func (c *comparing) missing(d *Sent) {
	f := Finding{Kind: Lost, Session: d.Session, Seq: d.Seq, Shard: d.Shard, T: d.T}
	for _, g := range c.gaps {
		if g.covers(d, c.shed) {
			f.Kind, f.Note = Declared, g.Reason
			break
		}
	}
	c.findings = append(c.findings, f)
}

func (c *comparing) found(k Kind, s *Stored, note string) {
	c.findings = append(c.findings, Finding{Kind: k, Session: s.Session, Seq: s.Seq, Shard: s.Shard, T: s.T, Note: note})
}

// rank puts what is worst first.
func rank(k Kind) int {
	for i, kind := range Kinds {
		if kind == k {
			return i
		}
	}
	return len(Kinds)
}
