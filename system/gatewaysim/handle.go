package gatewaysim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// hello starts the life of a connection.
func (c *conn) hello() {
	interval := c.srv.heartbeat()
	c.control(opHello, fmt.Sprintf(`{"heartbeat_interval":%d,"_trace":["[\"gateway-sim\",{\"micros\":0.0}]"]}`, interval.Milliseconds()))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return
	}
	// An interval changed later is for later connections.
	c.grace = time.Duration(float64(interval) * c.srv.opts.HeartbeatGrace)
	c.beat = time.AfterFunc(c.grace, func() { // drop stops it
		c.srv.count.heartbeatsMissed.Add(1)
		c.protest(c.srv.opts.HeartbeatCloseCode, "no heartbeat")
	})
}

// handle is the reader's table of contents: one client payload.
func (c *conn) handle(now time.Time, message []byte) {
	var f struct {
		Op *int            `json:"op"`
		D  json.RawMessage `json:"d"`
	}
	if err := json.Unmarshal(message, &f); err != nil || f.Op == nil {
		c.record(now, -1, message)
		c.protest(closeDecode, "payload cannot be decoded")
		return
	}
	c.record(now, *f.Op, message)
	ses := c.ownSession()
	switch *f.Op {
	case opHeartbeat:
		c.heartbeat(f.D, ses)
	case opIdentify:
		c.identify(now, f.D)
	case opResume:
		c.resume(now, f.D)
	case opPresence, opVoiceState, opRequestMembers, opSoundboard, opChannelInfo:
		if ses == nil {
			c.protest(closeNotAuthenticated, fmt.Sprintf("op %d before IDENTIFY or RESUME", *f.Op))
			return
		}
		c.command(now, ses, *f.Op, f.D)
	default:
		c.protest(closeUnknownOp, fmt.Sprintf("unknown op %d", *f.Op))
	}
}

// ownSession is the session that c speaks for, nil before IDENTIFY or RESUME
// and after the session was invalidated.
func (c *conn) ownSession() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

func (c *conn) heartbeat(d json.RawMessage, ses *session) {
	c.srv.count.heartbeats.Add(1)
	c.mu.Lock()
	drop := c.dropAcks
	if c.beat != nil {
		c.beat.Reset(c.grace)
	}
	c.mu.Unlock()
	c.checkBeat(d, ses)
	if drop || c.srv.faults.dropAcks.Load() {
		return
	}
	c.srv.count.acks.Add(1)
	c.control(opHeartbeatAck, "null")
}

// checkBeat notes a heartbeat whose d no faithful client sends. Discord does
// not care, so the connection goes on.
func (c *conn) checkBeat(d json.RawMessage, ses *session) {
	if d = bytes.TrimSpace(d); len(d) == 0 || string(d) == "null" {
		return
	}
	seq, err := strconv.ParseInt(string(d), 10, 64)
	if err != nil {
		c.srv.violate(c, "heartbeat d is neither a sequence nor null")
		return
	}
	if ses == nil {
		return // before RESUME the client may already send its seq
	}
	ses.mu.Lock()
	next, dead := ses.log.next, ses.dead
	ses.mu.Unlock()
	if seq >= next && !dead {
		c.srv.violate(c, fmt.Sprintf("heartbeat d is %d, the newest sequence is %d", seq, next-1))
	}
}

// record keeps what the client sent.
func (c *conn) record(now time.Time, op int, message []byte) {
	s := c.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	c.rec.Ops[op]++
	if !s.opts.Record {
		if len(c.rec.Ops) > keptFrames { // a client that counts through the ops
			delete(c.rec.Ops, op)
		}
		if len(c.rec.Frames) >= keptFrames {
			c.rec.Frames = append(c.rec.Frames[:0], c.rec.Frames[1:]...)
		}
	}
	c.rec.Frames = append(c.rec.Frames, Frame{Op: op, At: now, Payload: bytes.Clone(message)})
}

// violate notes that the client did what the protocol forbids.
func (s *Server) violate(c *conn, what string) {
	s.count.violations.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.violations) < keptViolations || s.opts.Record {
		s.violations = append(s.violations, Violation{At: time.Now(), Conn: c.id, ShardID: c.rec.ShardID, What: what})
	}
}

func (s *Server) heartbeat() time.Duration {
	if d := time.Duration(s.faults.heartbeat.Load()); d > 0 {
		return d
	}
	return s.opts.Heartbeat
}
