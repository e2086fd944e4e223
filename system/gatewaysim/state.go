package gatewaysim

import (
	"sort"
	"sync/atomic"
	"time"
)

type counters struct {
	restGateway, restBot, restUnauthorized                    atomic.Int64
	dialsBase, dialsResume, refused                           atomic.Int64
	identifies, identifiesRefused, tokenResets                atomic.Int64
	resumes, resumed, resumesRefused, overflows, replayed     atomic.Int64
	heartbeats, heartbeatsMissed, acks                        atomic.Int64
	sessionsEnded, expired, violations                        atomic.Int64
	dispatches, bytes                                         atomic.Int64
	commands, presenceSpam, memberRequests, membersRateLimits atomic.Int64
}

func (c *counters) dial(kind HostKind) {
	if kind == HostResume {
		c.dialsResume.Add(1)
	} else {
		c.dialsBase.Add(1)
	}
}

// Counts are totals since the start.
type Counts struct {
	RESTGateway       int64 `json:"rest_gateway"`
	RESTGatewayBot    int64 `json:"rest_gateway_bot"`
	RESTUnauthorized  int64 `json:"rest_unauthorized"`
	DialsBase         int64 `json:"dials_base"`
	DialsResume       int64 `json:"dials_resume"`
	DialsRefused      int64 `json:"dials_refused"`
	Identifies        int64 `json:"identifies"`         // IDENTIFY messages received
	IdentifiesRefused int64 `json:"identifies_refused"` // over the limit of their key
	TokenResets       int64 `json:"token_resets"`
	Resumes           int64 `json:"resumes"` // RESUME messages received
	Resumed           int64 `json:"resumed"`
	ResumesRefused    int64 `json:"resumes_refused"`
	Overflows         int64 `json:"overflows"` // RESUMEs that came too late for the replay buffer
	Replayed          int64 `json:"replayed"`
	Heartbeats        int64 `json:"heartbeats"`
	HeartbeatsMissed  int64 `json:"heartbeats_missed"` // connections ended for want of one
	Acks              int64 `json:"acks"`
	SessionsEnded     int64 `json:"sessions_ended"`
	SessionsExpired   int64 `json:"sessions_expired"`
	Violations        int64 `json:"violations"`
	Dispatches        int64 `json:"dispatches"` // written to sockets, replays included
	Bytes             int64 `json:"bytes"`      // written to sockets
	Commands          int64 `json:"commands"`   // ops 3, 4, 8, 31, 43 received
	PresenceSpam      int64 `json:"presence_spam"`
	TrafficMade       int64 `json:"traffic_made"`
	TrafficHeldBack   int64 `json:"traffic_held_back"` // events not made because the client lagged
}

// State is what the server sees now. It holds no token.
type State struct {
	APIURL      string         `json:"api_url"`
	ResumeURL   string         `json:"resume_url"`
	Guilds      int            `json:"guilds"`
	Rate        float64        `json:"rate"`
	Budget      Budget         `json:"session_start_limit"`
	Counts      Counts         `json:"counts"`
	Faults      []string       `json:"faults"` // waiting for their occasion
	Sessions    []SessionState `json:"sessions"`
	Connections []ConnState    `json:"connections"` // open ones
	Violations  []Violation    `json:"violations"`
}

// SessionState is one live session.
type SessionState struct {
	ID        string `json:"id"`
	ShardID   int    `json:"shard_id"`
	Shards    int    `json:"shards"`
	Intents   uint64 `json:"intents"`
	Connected bool   `json:"connected"`
	Ready     bool   `json:"ready"` // READY was dispatched
	Seq       int64  `json:"seq"`
	Unsent    int64  `json:"unsent"`
	Oldest    int64  `json:"oldest"` // the oldest sequence that can be replayed
	Capacity  int    `json:"capacity"`
	Guilds    int    `json:"guilds"`
	Resumes   int    `json:"resumes"`
	LostFor   int64  `json:"lost_for_ms"` // since its connection ended, 0 while connected
}

// ConnState is one open connection.
type ConnState struct {
	ID       int         `json:"id"`
	Host     HostKind    `json:"host"`
	Query    string      `json:"query"`
	Compress string      `json:"compress"`
	ShardID  int         `json:"shard_id"` // -1 before IDENTIFY or RESUME
	Session  string      `json:"session"`
	OpenMS   int64       `json:"open_ms"`
	Received map[int]int `json:"received"` // client messages by op
}

// Violation is something that a faithful client never does.
type Violation struct {
	At      time.Time `json:"at"`
	Conn    int       `json:"conn"`
	ShardID int       `json:"shard_id"`
	What    string    `json:"what"`
}

// Counts returns the counters alone; it is cheap.
func (s *Server) Counts() Counts {
	c := &s.count
	return Counts{
		RESTGateway: c.restGateway.Load(), RESTGatewayBot: c.restBot.Load(), RESTUnauthorized: c.restUnauthorized.Load(),
		DialsBase: c.dialsBase.Load(), DialsResume: c.dialsResume.Load(), DialsRefused: c.refused.Load(),
		Identifies: c.identifies.Load(), IdentifiesRefused: c.identifiesRefused.Load(), TokenResets: c.tokenResets.Load(),
		Resumes: c.resumes.Load(), Resumed: c.resumed.Load(), ResumesRefused: c.resumesRefused.Load(),
		Overflows: c.overflows.Load(), Replayed: c.replayed.Load(),
		Heartbeats: c.heartbeats.Load(), HeartbeatsMissed: c.heartbeatsMissed.Load(), Acks: c.acks.Load(),
		SessionsEnded: c.sessionsEnded.Load(), SessionsExpired: c.expired.Load(), Violations: c.violations.Load(),
		Dispatches: c.dispatches.Load(), Bytes: c.bytes.Load(),
		Commands: c.commands.Load(), PresenceSpam: c.presenceSpam.Load(),
		TrafficMade: s.traffic.made.Load(), TrafficHeldBack: s.traffic.held.Load(),
	}
}

// State returns a picture of everything, sessions by shard, connections by age.
func (s *Server) State() State {
	now := time.Now()
	st := State{
		APIURL: s.APIURL(), ResumeURL: s.ResumeURL(), Guilds: s.world.guilds(), Rate: s.traffic.currentRate(),
		Budget: s.Budget(), Counts: s.Counts(), Faults: s.faults.names(now),
		Sessions: []SessionState{}, Connections: []ConnState{}, Violations: s.Violations(),
	}
	for _, ses := range s.sessionList() {
		st.Sessions = append(st.Sessions, ses.state(now))
	}
	sort.Slice(st.Sessions, func(i, j int) bool {
		a, b := st.Sessions[i], st.Sessions[j]
		return a.ShardID < b.ShardID || a.ShardID == b.ShardID && a.ID < b.ID
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		ops := map[int]int{}
		for op, n := range c.rec.Ops {
			ops[op] = n
		}
		st.Connections = append(st.Connections, ConnState{
			ID: c.id, Host: c.host, Query: c.rec.Query, Compress: c.rec.Compress, ShardID: c.rec.ShardID,
			Session: c.rec.Session, OpenMS: now.Sub(c.rec.Opened).Milliseconds(), Received: ops,
		})
	}
	sort.Slice(st.Connections, func(i, j int) bool { return st.Connections[i].ID < st.Connections[j].ID })
	return st
}

func (ses *session) state(now time.Time) SessionState {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	st := SessionState{
		ID: ses.id, ShardID: ses.shardID, Shards: ses.shards, Intents: ses.intents, Connected: ses.conn != nil,
		Ready: ses.active, Seq: ses.log.next - 1, Oldest: ses.log.first, Capacity: ses.keep, Guilds: len(ses.guilds), Resumes: ses.resumes,
	}
	if ses.conn != nil {
		st.Unsent = ses.log.next - ses.cursor
	} else {
		st.LostFor = now.Sub(ses.lost).Milliseconds()
	}
	return st
}

// Violations lists what clients did against the protocol, oldest first; at most
// 256 of them without Options.Record.
func (s *Server) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Violation{}, s.violations...)
}
