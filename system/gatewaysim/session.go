package gatewaysim

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"
)

// session is one server-side stream of events. It outlives connections.
// Safe for concurrent use; mu guards what stands below it.
type session struct {
	srv     *Server
	id      string
	token   string
	shardID int
	shards  int
	intents uint64
	host    string // the name under which the client reached us, for READY
	made    time.Time
	keep    int // replay capacity
	backlog int // unsent events above which traffic holds back

	mu       sync.Mutex
	log      eventLog
	conn     *conn // nil while nobody is connected
	cursor   int64 // next sequence that conn will send
	hold     *hold // conn's, for events not yet sent
	surgeEnd int64 // the log keeps all it has until cursor is here
	guilds   []uint32
	active   bool // READY was dispatched
	dead     bool
	bricked  time.Time // until then every RESUME ends in a bare drop
	lost     time.Time // when conn was lost
	detached int       // generation of the life timer
	resumes  int
	all      []event // every dispatch, with Options.Record
	heldBack int64
}

// add dispatches e to the session and says whether it could: a dead session
// takes nothing, and nothing comes before READY.
func (ses *session) add(e event) bool {
	ses.mu.Lock()
	ok, c := ses.active && ses.addLocked(e), ses.conn
	ses.mu.Unlock()
	if c != nil {
		c.wakeUp()
	}
	return ok
}

func (ses *session) addLocked(e event) bool {
	if ses.dead {
		return false
	}
	e.seq = ses.log.next
	if e.at == 0 {
		e.at = time.Now().UnixMilli()
	}
	if ses.intents&intentMessageContent == 0 {
		e.flags |= noContent
	}
	if ses.intents&intentGuildPresences != 0 {
		e.flags |= presences
	}
	ses.log.add(e)
	if ses.srv.opts.Record && e.kind != kindVoid {
		ses.all = append(ses.all, e)
	}
	ses.trimLocked()
	return true
}

// offer is add for traffic: it refuses while the client lags behind, so that a
// slow reader slows the traffic down and loses nothing.
// The connection that it returns has to be woken for it, if any.
func (ses *session) offer(e event) (bool, *conn) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if !ses.active || ses.conn != nil && ses.log.next-ses.cursor >= int64(ses.backlog) {
		ses.heldBack++
		return false, nil
	}
	return ses.addLocked(e), ses.conn
}

func (ses *session) trimLocked() {
	if ses.cursor < ses.surgeEnd {
		return // many more than are kept otherwise, and a RESUME must find them all
	}
	unsent := ses.log.next
	if ses.conn != nil {
		unsent = ses.cursor
	}
	ses.log.trim(ses.keep, unsent)
}

// take copies the next unsent events of c's session into dst[:0]. A connection
// that no longer owns the session gets none. Events that c is to hold end the
// copying; the hold is returned once all before them were taken.
func (ses *session) take(c *conn, dst []event) ([]event, *hold) {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	dst = dst[:0]
	if ses.conn != c || ses.dead {
		return dst, nil
	}
	upTo := ses.log.next
	if ses.hold != nil {
		upTo = ses.hold.first
	}
	for ses.cursor < upTo && len(dst) < cap(dst) {
		dst = append(dst, ses.log.at(ses.cursor))
		ses.cursor++
	}
	ses.trimLocked()
	if len(dst) == 0 {
		return dst, ses.hold
	}
	return dst, nil
}

// detach ends c's ownership. The session then lives for Server.life, and its
// events go on into the replay buffer.
func (ses *session) detach(c *conn) {
	ses.mu.Lock()
	if ses.conn != c {
		ses.mu.Unlock()
		return
	}
	ses.conn = nil
	ses.unholdLocked()
	ses.lost = time.Now()
	ses.detached++
	generation := ses.detached
	dead := ses.dead
	ses.trimLocked()
	ses.mu.Unlock()
	if dead {
		return
	}
	life := ses.srv.sessionLife()
	ses.srv.after(life, func() {
		ses.mu.Lock()
		expired := ses.conn == nil && ses.detached == generation && !ses.dead
		ses.mu.Unlock()
		if expired {
			ses.srv.count.expired.Add(1)
			ses.srv.endSession(ses, "expired")
		}
	})
}

// listGuilds brings the guilds that traffic goes to up to date.
func (ses *session) listGuilds() {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	ses.guilds = ses.srv.world.slice(ses.shardID, ses.shards)
}

// owns says whether dispatches of that guild are this session's.
func (ses *session) owns(guildID uint64) bool { return shardOf(guildID, ses.shards) == ses.shardID }

// ready dispatches READY and the guilds.
func (ses *session) ready(shard [2]int, hold int) {
	srv := ses.srv
	// Under one lock with READY, so that a guild that comes or goes meanwhile is
	// either in it or dispatched after it.
	ses.mu.Lock()
	guilds := srv.world.slice(ses.shardID, ses.shards) // as they are now, not when IDENTIFY came
	type guildRef struct {
		ID          string `json:"id"`
		Unavailable bool   `json:"unavailable"`
	}
	refs := make([]guildRef, 0, len(guilds))
	if ses.intents&intentGuilds != 0 {
		for _, g := range guilds {
			refs = append(refs, guildRef{strconv.FormatUint(srv.world.guildID(g), 10), true})
		}
	}
	bot := strconv.FormatUint(srv.world.botID(), 10)
	d, err := json.Marshal(map[string]any{
		"v": 10, "session_id": ses.id, "resume_gateway_url": srv.resumeURL(ses.host),
		"session_type": "normal", "private_channels": []any{}, "relationships": []any{}, "user_settings": map[string]any{},
		"user":        map[string]any{"id": bot, "username": "drover-sim", "discriminator": "0", "bot": true, "verified": true, "mfa_enabled": true, "flags": 0, "avatar": nil, "email": nil, "global_name": nil},
		"shard":       shard,
		"guilds":      refs,
		"application": map[string]any{"id": bot, "flags": 565248},
		"_trace":      []string{`["gateway-sim",{"micros":0}]`},
	})
	if err != nil {
		panic(err) // plain values; cannot happen
	}
	ses.addLocked(event{kind: kindRaw, raw: &rawEvent{"READY", d}})
	ses.guilds, ses.active = guilds, true
	c := ses.conn
	ses.mu.Unlock()
	if c != nil {
		c.wakeUp()
	}
	if ses.intents&intentGuilds != 0 {
		load := guilds[:max(0, len(guilds)-hold)]
		ses.load(load, srv.opts.GuildSpread)
	}
	srv.retarget()
}

// load dispatches GUILD_CREATE for each guild, spread over that time.
func (ses *session) load(guilds []uint32, spread time.Duration) {
	if spread == 0 || len(guilds) < 2 {
		for _, g := range guilds {
			ses.addGuild(g)
		}
		return
	}
	step := spread / time.Duration(len(guilds))
	ses.addGuild(guilds[0])
	ses.srv.after(step, func() { ses.load(guilds[1:], spread-step) })
}

// addGuild dispatches what a load of guild g gives: the whole guild, or the
// news of its outage.
func (ses *session) addGuild(g uint32) {
	if ses.srv.world.out(g) {
		ses.add(event{kind: kindGuildOutage, guild: g})
		return
	}
	ses.add(event{kind: kindGuildCreate, guild: g, seed: mix(ses.srv.opts.Seed, uint64(g))})
}

// endSession makes the session unknown; a later RESUME of it gets op 9 false.
func (s *Server) endSession(ses *session, why string) {
	s.mu.Lock()
	if s.sessions[ses.id] == ses {
		delete(s.sessions, ses.id)
	}
	s.mu.Unlock()
	ses.mu.Lock()
	was := ses.dead
	ses.dead = true
	ses.unholdLocked()
	ses.log = newEventLog()
	ses.mu.Unlock()
	if !was {
		s.count.sessionsEnded.Add(1)
		s.log.Info("session ended", "shard_id", ses.shardID, "session", short(ses.id), "reason", why)
	}
	s.retarget()
}

func (s *Server) sessionLife() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

func short(id string) string { return id[:min(8, len(id))] }
