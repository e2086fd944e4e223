package gatewaysim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// identifyGate keeps the two limits on IDENTIFY: one per key and 5 s, and the
// daily total. Server.mu guards it.
type identifyGate struct {
	every       time.Duration
	concurrency int
	total       int
	used        int
	since       time.Time // first IDENTIFY of the running day, zero: none
	last        map[int]time.Time
	countAll    bool
}

const identifyDay = 24 * time.Hour

type verdict uint8

const (
	identifyOK verdict = iota
	identifyTooSoon
	identifySpent
)

func newIdentifyGate(o Options) identifyGate {
	return identifyGate{every: o.IdentifyEvery, concurrency: o.MaxConcurrency, total: o.DailyTotal, countAll: o.CountRefused, last: map[int]time.Time{}}
}

func (g *identifyGate) roll(now time.Time) {
	if !g.since.IsZero() && now.Sub(g.since) >= identifyDay {
		g.since, g.used = time.Time{}, 0
	}
}

// take judges an IDENTIFY of shardID that arrived now.
func (g *identifyGate) take(now time.Time, shardID int) verdict {
	g.roll(now)
	key := shardID % g.concurrency
	last, ok := g.last[key]
	soon := ok && now.Sub(last) < g.every
	if soon && !g.countAll {
		return identifyTooSoon
	}
	if g.used >= g.total {
		return identifySpent
	}
	if g.since.IsZero() {
		g.since = now
	}
	g.used++
	if soon {
		return identifyTooSoon
	}
	g.last[key] = now
	return identifyOK
}

// Budget is session_start_limit of /gateway/bot.
type Budget struct {
	Total          int   `json:"total"`
	Remaining      int   `json:"remaining"`
	ResetAfter     int64 `json:"reset_after"` // milliseconds
	MaxConcurrency int   `json:"max_concurrency"`
}

// Budget is what /gateway/bot reports now.
func (s *Server) Budget() Budget {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, now := &s.gate, time.Now()
	g.roll(now)
	b := Budget{Total: g.total, Remaining: max(0, g.total-g.used), MaxConcurrency: g.concurrency}
	if !g.since.IsZero() {
		b.ResetAfter = (identifyDay - now.Sub(g.since)).Milliseconds()
	}
	return b
}

// identify handles op 2. Discord documentation, "Identifying".
func (c *conn) identify(now time.Time, d json.RawMessage) {
	s := c.srv
	s.count.identifies.Add(1)
	var id struct {
		Token      string          `json:"token"`
		Properties json.RawMessage `json:"properties"`
		Intents    *uint64         `json:"intents"`
		Shard      *[2]int         `json:"shard"`
		Compress   bool            `json:"compress"`
		Presence   json.RawMessage `json:"presence"`
	}
	if err := json.Unmarshal(d, &id); err != nil || len(id.Properties) == 0 || id.Properties[0] != '{' {
		c.protest(closeDecode, "IDENTIFY cannot be decoded")
		return
	}
	if c.ownSession() != nil {
		c.protest(closeAlreadyAuth, "second IDENTIFY")
		return
	}
	token := strings.TrimPrefix(id.Token, "Bot ")
	if !s.tokenOK(token) {
		c.close(closeAuthFailed, "Authentication failed.")
		return
	}
	shard := [2]int{0, 1}
	if id.Shard != nil {
		shard = *id.Shard
	}
	if code, reason := s.refusal(id.Intents, shard); code != 0 {
		c.close(code, reason)
		return
	}
	s.mu.Lock()
	c.rec.ShardID = shard[0]
	v := s.gate.take(now, shard[0])
	s.mu.Unlock()
	switch v {
	case identifyTooSoon:
		s.count.identifiesRefused.Add(1)
		s.violate(c, fmt.Sprintf("IDENTIFY of shard %d less than %v after the last of its key", shard[0], s.opts.IdentifyEvery))
		c.control(opInvalidSession, "false")
		return
	case identifySpent:
		s.violate(c, "IDENTIFY with a spent daily budget")
		s.resetToken(token)
		c.close(closeAuthFailed, "Authentication failed.")
		return
	}
	if a, ok := s.faults.identify.take(now); ok && !c.answerInstead(a) {
		return
	}
	c.payloadZlib.Store(id.Compress && c.mode == "none")
	c.begin(now, token, *id.Intents, shard)
}

// refusal is the fatal close code that an IDENTIFY earns, 0 if none.
func (s *Server) refusal(intents *uint64, shard [2]int) (int, string) {
	switch {
	case intents == nil || *intents&^intentsKnown != 0:
		return closeInvalidIntents, "Invalid intent(s)."
	case *intents&s.deniedPrivileged() != 0:
		return closeDisallowed, "Disallowed intent(s)."
	case shard[1] < 1 || shard[0] < 0 || shard[0] >= shard[1] || shard[1] > 1<<20:
		return closeInvalidShard, "Invalid shard."
	case s.opts.ShardMultiple > 1 && shard[1]%s.opts.ShardMultiple != 0:
		return closeInvalidShard, "Invalid shard."
	case s.world.guilds()/shard[1] > s.opts.MaxGuildsPerShard || len(s.world.slice(shard[0], shard[1])) > s.opts.MaxGuildsPerShard:
		return closeShardingRequired, "Sharding required."
	}
	return 0, ""
}

// begin makes the session and dispatches READY, now or when a fault lets it.
func (c *conn) begin(now time.Time, token string, intents uint64, shard [2]int) {
	s := c.srv
	guilds := s.world.slice(shard[0], shard[1])
	keep := s.opts.replayCapacity(len(guilds))
	s.mu.Lock()
	ses := &session{
		srv: s, id: s.newSessionID(), token: token, shardID: shard[0], shards: shard[1], intents: intents,
		host: c.name, made: now, keep: keep, backlog: min(max(keep/2, 64), 4096), log: newEventLog(), cursor: 1, guilds: guilds, conn: c,
	}
	s.sessions[ses.id] = ses
	if s.opts.Record {
		s.ledger = append(s.ledger, ses)
	}
	c.rec.Session = ses.id
	s.mu.Unlock()
	if !c.adopt(ses) {
		return
	}
	hold := int(s.faults.holdGuilds.Load())
	f, ok := s.faults.ready.take(now)
	if !ok {
		f = ReadyFault{}
	}
	if f.Shard != nil {
		shard = *f.Shard
	}
	s.log.Info("session started", "shard_id", ses.shardID, "session", short(ses.id))
	if f.Delay > 0 {
		s.after(f.Delay, func() { ses.ready(shard, hold) })
		return
	}
	ses.ready(shard, hold)
}

// adopt makes c speak for ses, unless c is already going down: then the session
// is left as if the connection had just been lost.
func (c *conn) adopt(ses *session) bool {
	c.mu.Lock()
	c.session = ses
	ending := c.closing != nil
	c.mu.Unlock()
	select {
	case <-c.gone:
		ending = true
	default:
	}
	if ending {
		ses.detach(c)
	}
	return !ending
}

// resetToken is what Discord does when the daily total is exceeded: the token
// is void and every session of the bot ends.
func (s *Server) resetToken(token string) {
	s.mu.Lock()
	s.revoked[token] = true
	if s.token != "" {
		s.revoked[s.token] = true
	}
	conns := s.connList()
	s.mu.Unlock()
	s.count.tokenResets.Add(1)
	s.log.Warn("daily identify budget exceeded, token reset")
	for _, ses := range s.sessionList() {
		s.mu.Lock()
		s.revoked[ses.token] = true
		s.mu.Unlock()
		s.endSession(ses, "token reset")
	}
	for _, c := range conns {
		c.close(closeAuthFailed, "Authentication failed.")
	}
}

// newSessionID needs s.mu.
func (s *Server) newSessionID() string {
	var b [16]byte
	for i := range b {
		b[i] = byte(s.rnd.Uint32())
	}
	return hex.EncodeToString(b[:])
}
