package gatewaysim

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gobwas/ws"
)

// Target chooses connections. The zero value is all of them.
type Target struct {
	Shard   *int   // the shard that the connection identified as or resumed
	Session string // the whole session id
}

// All is every open connection, One the connections of one shard.
var All Target

// One is the Target of one shard.
func One(shardID int) Target { return Target{Shard: &shardID} }

func (t Target) all() bool { return t.Shard == nil && t.Session == "" }

// RESTFault is what GET /gateway/bot answers instead.
type RESTFault struct {
	Status     int
	RetryAfter time.Duration // sent as a header if above 0
}

// DialMode is how a WebSocket dial is refused.
type DialMode string

// The ways to refuse. DialRefuse closes the listener: on the base host REST and
// the control API go with it until the time is over.
const (
	DialReset  DialMode = "reset"  // TCP reset in place of the handshake
	Dial503    DialMode = "503"    // the edge answers 503
	DialHang   DialMode = "hang"   // no answer until the client gives up
	DialRefuse DialMode = "refuse" // connection refused
)

// Answer is what IDENTIFY or RESUME gets instead of its due.
type Answer string

// The answers; AnswerInvalid ends the session, AnswerResumable keeps it.
const (
	AnswerInvalid   Answer = "invalid"   // op 9 false
	AnswerResumable Answer = "resumable" // op 9 true
	AnswerSilence   Answer = "silence"   // nothing, while heartbeats are answered
	AnswerDrop      Answer = "drop"      // 1006: the connection goes without a close frame
	AnswerClose     Answer = "close"     // a close frame with Code
)

// AnswerFault is an Answer with its close code.
type AnswerFault struct {
	Answer Answer
	Code   int // for AnswerClose
}

// ReadyFault changes the READYs to come.
type ReadyFault struct {
	Delay time.Duration // IDENTIFY is accepted, READY comes so much later
	Shard *[2]int       // what READY says instead of the shard asked for
}

// SplitFault cuts payloads into pieces at arbitrary places.
type SplitFault struct {
	Messages  int // WebSocket messages per payload; zlib-stream only, as with Discord
	Fragments int // WebSocket fragments per message; any mode
}

// CloseAll closes the target's connections with code and returns how many. The
// session ends with codes that end it at Discord (4001, 4003–4007, 4009, …).
func (s *Server) CloseAll(t Target, code int, reason string) int {
	return s.each(t, func(c *conn) { c.close(code, reason) })
}

// Drop ends the target's connections without a close frame (1006).
func (s *Server) Drop(t Target) int { return s.each(t, (*conn).drop) }

// Reconnect sends op 7. Discord closes some seconds later; here the client is
// left to it.
func (s *Server) Reconnect(t Target) int {
	return s.each(t, func(c *conn) { c.control(opReconnect, "null") })
}

// Invalidate sends op 9 on running sessions; resumable false ends them.
func (s *Server) Invalidate(t Target, resumable bool) int {
	return s.each(t, func(c *conn) {
		ses := c.ownSession()
		if resumable || ses == nil {
			c.control(opInvalidSession, fmt.Sprint(resumable))
			return
		}
		c.control(opInvalidSession, "false")
		ses.detach(c)
		s.endSession(ses, "invalidated")
		c.mu.Lock()
		c.session = nil
		c.mu.Unlock()
	})
}

// RequestHeartbeat sends op 1.
func (s *Server) RequestHeartbeat(t Target) int {
	return s.each(t, func(c *conn) { c.control(opHeartbeat, "null") })
}

// DropAcks switches the answers to heartbeats off or on again, for the target's
// connections, and for those to come if the target is all.
func (s *Server) DropAcks(t Target, drop bool) int {
	if t.all() {
		s.faults.dropAcks.Store(drop)
	}
	return s.each(t, func(c *conn) {
		c.mu.Lock()
		c.dropAcks = drop
		c.mu.Unlock()
	})
}

// SilentEdge upgrades the next connections and then says nothing, not even HELLO.
func (s *Server) SilentEdge(l Limit) { s.faults.silentEdge.set(struct{}{}, l) }

// ReconnectHello sends op 7 in place of HELLO on the next connections.
func (s *Server) ReconnectHello(l Limit) { s.faults.reconnectHello.set(struct{}{}, l) }

// RefuseDials refuses WebSocket dials to one host. DialRefuse closes the
// listener for l.For, which the base host needs (nobody could end it by HTTP).
func (s *Server) RefuseDials(kind HostKind, mode DialMode, l Limit) error {
	if mode != DialRefuse {
		s.faults.dial(kind).set(mode, l)
		return nil
	}
	h := s.base
	if kind == HostResume {
		h = s.res
	} else if l.For <= 0 {
		return errors.New("gatewaysim: refuse dials: the base host needs a duration, for it carries the control API")
	}
	h.shut()
	if l.For > 0 {
		s.after(l.For, func() {
			if err := h.openAgain(); err != nil {
				s.log.Error("host stays shut", "err", err)
			}
		})
	}
	return nil
}

// AllowDials undoes RefuseDials.
func (s *Server) AllowDials(kind HostKind) error {
	s.faults.dial(kind).clear()
	if kind == HostResume {
		return s.res.openAgain()
	}
	return s.base.openAgain()
}

// NextReady changes the READYs of the next IDENTIFYs.
func (s *Server) NextReady(f ReadyFault, l Limit) { s.faults.ready.set(f, l) }

// AnswerIdentify answers IDENTIFYs that are within the limits with a.
func (s *Server) AnswerIdentify(a AnswerFault, l Limit) { s.faults.identify.set(a, l) }

// AnswerResume answers RESUMEs with a, whatever the session.
func (s *Server) AnswerResume(a AnswerFault, l Limit) { s.faults.resume.set(a, l) }

// answerInstead carries an AnswerFault out. It returns true if the message
// shall take its usual way (no answer is set).
func (c *conn) answerInstead(a AnswerFault) bool {
	switch a.Answer {
	case AnswerInvalid:
		c.control(opInvalidSession, "false")
	case AnswerResumable:
		c.control(opInvalidSession, "true")
	case AnswerSilence:
	case AnswerDrop:
		c.drop()
	case AnswerClose:
		c.close(a.Code, "")
	default:
		return true
	}
	return false
}

// Brick makes every RESUME of the target's sessions end in a bare drop for d,
// connected or not (api-docs #1619). Their life is not prolonged.
func (s *Server) Brick(t Target, d time.Duration) int {
	return s.eachSession(t, func(ses *session) bool {
		ses.mu.Lock()
		defer ses.mu.Unlock()
		ses.bricked = time.Now().Add(d)
		return true
	})
}

// Forget ends the target's sessions without telling anybody: a connected client
// goes on in silence, a RESUME gets op 9 false.
func (s *Server) Forget(t Target) int {
	return s.eachSession(t, func(ses *session) bool { s.endSession(ses, "forgotten"); return true })
}

// SetSessionLife changes how long sessions live that are lost from now on.
func (s *Server) SetSessionLife(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = d
}

// Corrupt sends input that no decoder accepts. An uncompressed connection gets
// a binary message instead.
func (s *Server) Corrupt(t Target) int {
	return s.each(t, func(c *conn) { c.push(outFrame{op: ws.OpBinary, payload: corruption(c.mode), whole: true}) })
}

// Garbage sends a well-framed payload that is not JSON.
func (s *Server) Garbage(t Target) int {
	return s.each(t, func(c *conn) { c.push(outFrame{payload: []byte(`{"op":0,"t":"MESSAGE_CREATE","s":`)}) })
}

// UnknownOp sends an op that nobody knows.
func (s *Server) UnknownOp(t Target, op int) int {
	return s.each(t, func(c *conn) { c.control(op, `{"new":true}`) })
}

// Duplicate sends the newest dispatch that was sent a second time.
func (s *Server) Duplicate(t Target) int {
	return s.each(t, func(c *conn) {
		ses := c.ownSession()
		if ses == nil {
			return
		}
		ses.mu.Lock()
		var e event
		for seq := min(ses.cursor, ses.log.next) - 1; seq >= ses.log.first && e.kind == kindVoid; seq-- {
			e = ses.log.at(seq)
		}
		ses.mu.Unlock()
		if e.kind != kindVoid {
			c.push(outFrame{payload: appendDispatch(nil, s.world, &e)})
		}
	})
}

// Jump leaves n sequence numbers out.
func (s *Server) Jump(t Target, n int) int {
	return s.eachSession(t, func(ses *session) bool {
		ok := false
		for range min(max(n, 0), 1<<16) {
			ok = ses.add(event{kind: kindVoid})
		}
		return ok
	})
}

// Split cuts payloads into pieces: on the target's connections, and on those to
// come if the target is all. The zero SplitFault ends it.
func (s *Server) Split(t Target, f SplitFault) int {
	if t.all() {
		s.faults.split.Store(nil)
		if f != (SplitFault{}) {
			s.faults.split.Store(&f)
		}
	}
	return s.each(t, func(c *conn) {
		c.mu.Lock()
		c.split = f
		c.mu.Unlock()
	})
}

// Dispatch sends t with the bytes of d, which must be JSON, to the target's
// sessions, connected or not, and returns how many took it. Sessions whose READY
// is still to come do not.
func (s *Server) Dispatch(t Target, name string, d []byte) (int, error) {
	if !json.Valid(d) {
		return 0, fmt.Errorf("gatewaysim: dispatch %s: d is not JSON", name)
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return 0, fmt.Errorf("gatewaysim: dispatch: %w", err)
	}
	raw := &rawEvent{string(quoted[1 : len(quoted)-1]), append([]byte(nil), d...)}
	return s.eachSession(t, func(ses *session) bool { return ses.add(event{kind: kindRaw, raw: raw}) }), nil
}

// each runs f for every open connection of the target, holding no lock.
func (s *Server) each(t Target, f func(*conn)) int {
	s.mu.Lock()
	var list []*conn
	for c := range s.conns {
		if (t.Shard == nil || c.rec.ShardID == *t.Shard) && (t.Session == "" || c.rec.Session == t.Session) {
			list = append(list, c)
		}
	}
	s.mu.Unlock()
	n := 0
	for _, c := range list {
		select {
		case <-c.gone: // on its way out
			continue
		default:
		}
		if !c.isClosing() {
			f(c)
			n++
		}
	}
	return n
}

// eachSession runs f for every live session of the target and counts where it
// had an effect.
func (s *Server) eachSession(t Target, f func(*session) bool) int {
	n := 0
	for _, ses := range s.sessionList() {
		if (t.Shard == nil || ses.shardID == *t.Shard) && (t.Session == "" || ses.id == t.Session) {
			if f(ses) {
				n++
			}
		}
	}
	return n
}
