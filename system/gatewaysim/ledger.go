package gatewaysim

import (
	"bytes"
	"crypto/sha256"
	"sort"
	"time"
)

// SessionLedger is everything that one session ever dispatched, also what no
// client read. Only with Options.Record.
type SessionLedger struct {
	SessionID string
	ShardID   int
	Shards    int
	Made      time.Time
	Resumes   int
	Ended     bool       // expired, closed or invalidated
	Dispatch  []Dispatch // by rising sequence; a jump made by a fault leaves a hole
}

// Dispatch is one op 0 payload.
type Dispatch struct {
	Seq     int64
	T       string
	At      time.Time // when it was made, to the millisecond
	Traffic bool      // made by the traffic, not by the protocol or a fault

	world *world
	event event
}

// D renders the payload's d: the same bytes at every call, and as they were sent.
func (d Dispatch) D() []byte { return appendData(nil, d.world, &d.event) }

// Sum is the SHA-256 of D.
func (d Dispatch) Sum() [sha256.Size]byte { return sha256.Sum256(d.D()) }

// Ledger returns all sessions that ever were, by age. It is empty without
// Options.Record. The dispatches are a snapshot.
func (s *Server) Ledger() []SessionLedger {
	s.mu.Lock()
	sessions := append([]*session{}, s.ledger...)
	s.mu.Unlock()
	list := make([]SessionLedger, 0, len(sessions))
	for _, ses := range sessions {
		ses.mu.Lock()
		l := SessionLedger{SessionID: ses.id, ShardID: ses.shardID, Shards: ses.shards, Made: ses.made, Resumes: ses.resumes, Ended: ses.dead}
		events := append([]event{}, ses.all...)
		ses.mu.Unlock()
		l.Dispatch = make([]Dispatch, len(events))
		for i := range events {
			e := events[i]
			l.Dispatch[i] = Dispatch{Seq: e.seq, T: e.name(), At: time.UnixMilli(e.at), Traffic: e.flags&background != 0, world: s.world, event: e}
		}
		list = append(list, l)
	}
	return list
}

// LedgerSummary counts one session's dispatches by type.
type LedgerSummary struct {
	SessionID string         `json:"session"`
	ShardID   int            `json:"shard_id"`
	Shards    int            `json:"shards"`
	Ended     bool           `json:"ended"`
	Resumes   int            `json:"resumes"`
	Newest    int64          `json:"newest_seq"`
	Count     int            `json:"dispatches"`
	Types     map[string]int `json:"types"`
}

// LedgerSummary sums Ledger up.
func (s *Server) LedgerSummary() []LedgerSummary {
	list := []LedgerSummary{}
	for _, l := range s.Ledger() {
		sum := LedgerSummary{SessionID: l.SessionID, ShardID: l.ShardID, Shards: l.Shards, Ended: l.Ended, Resumes: l.Resumes, Count: len(l.Dispatch), Types: map[string]int{}}
		for _, d := range l.Dispatch {
			sum.Types[d.T]++
			sum.Newest = d.Seq
		}
		list = append(list, sum)
	}
	return list
}

// Frame is one client message.
type Frame struct {
	Op      int // -1: it could not be decoded
	At      time.Time
	Payload []byte // with the token in IDENTIFY and RESUME: never to be logged
}

// ConnRecord is one connection that was accepted, open or ended.
type ConnRecord struct {
	ID         int
	Host       HostKind
	URL        string // as dialled
	Query      string
	Compress   string
	Opened     time.Time
	Closed     time.Time // zero while open
	ShardID    int       // -1 before IDENTIFY or RESUME
	Session    string
	ServerCode int // close code that we sent, 0: none
	Reason     string
	ClientCode int // close code that the client sent first, 0: none
	Ops        map[int]int
	Frames     []Frame // all with Options.Record, else the newest 16
}

// Sent returns the client's messages with that op.
func (r ConnRecord) Sent(op int) []Frame {
	var list []Frame
	for _, f := range r.Frames {
		if f.Op == op {
			list = append(list, f)
		}
	}
	return list
}

// Connections returns the records of all connections by age; about the
// newest thousand without Options.Record. They are copies.
func (s *Server) Connections() []ConnRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]ConnRecord, 0, len(s.records))
	for _, r := range s.records {
		c := *r
		c.Ops = map[int]int{}
		for op, n := range r.Ops {
			c.Ops[op] = n
		}
		c.Frames = make([]Frame, len(r.Frames))
		for i, f := range r.Frames {
			c.Frames[i] = Frame{f.Op, f.At, bytes.Clone(f.Payload)}
		}
		list = append(list, c)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}
