package gatewaysim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// resume handles op 6. Discord documentation, "Resuming".
func (c *conn) resume(now time.Time, d json.RawMessage) {
	s := c.srv
	s.count.resumes.Add(1)
	var m struct {
		Token     string `json:"token"`
		SessionID string `json:"session_id"`
		Seq       *int64 `json:"seq"`
	}
	if err := json.Unmarshal(d, &m); err != nil || m.Seq == nil {
		c.protest(closeDecode, "RESUME cannot be decoded")
		return
	}
	if c.ownSession() != nil {
		c.protest(closeAlreadyAuth, "RESUME on a session")
		return
	}
	token := strings.TrimPrefix(m.Token, "Bot ")
	if !s.tokenOK(token) {
		c.close(closeAuthFailed, "Authentication failed.")
		return
	}
	s.mu.Lock()
	ses := s.sessions[m.SessionID]
	if ses != nil {
		c.rec.ShardID, c.rec.Session = ses.shardID, ses.id
	}
	s.mu.Unlock()
	if a, ok := s.faults.resume.take(now); ok {
		if a.Answer == AnswerInvalid && ses != nil {
			s.endSession(ses, "invalidated at RESUME") // before the client knows and resumes again
		}
		if !c.answerInstead(a) {
			return
		}
	}
	if ses == nil {
		c.refuseResume("unknown session")
		return
	}
	if token != ses.token {
		c.close(closeAuthFailed, "Authentication failed.")
		return
	}
	c.attach(now, ses, *m.Seq)
}

// attach gives ses to c and replays, if the sequence allows it.
func (c *conn) attach(now time.Time, ses *session, seq int64) {
	s := c.srv
	ses.mu.Lock()
	newest := ses.log.next - 1
	switch {
	case ses.dead:
		ses.mu.Unlock()
		c.refuseResume("the session has ended")
		return
	case now.Before(ses.bricked):
		ses.mu.Unlock()
		c.drop()
		return
	case seq > newest || seq < 0:
		ses.mu.Unlock()
		s.violate(c, fmt.Sprintf("RESUME with seq %d, the newest is %d", seq, newest))
		s.count.resumesRefused.Add(1)
		s.endSession(ses, "invalid sequence")
		c.close(closeInvalidSeq, "Invalid seq.")
		return
	case seq+1 < ses.log.first:
		oldest := ses.log.first
		ses.mu.Unlock()
		s.count.overflows.Add(1)
		s.endSession(ses, fmt.Sprintf("replay buffer starts at %d, asked for %d", oldest, seq+1))
		c.refuseResume("replay buffer overflow")
		return
	}
	old := ses.conn
	ses.conn = c
	ses.unholdLocked()
	ses.cursor = seq + 1
	ses.resumes++
	replayed := ses.log.next - ses.cursor
	ses.addLocked(event{kind: kindRaw, raw: &rawEvent{"RESUMED", []byte(`{"_trace":["[\"gateway-sim\",{\"micros\":11}]"]}`)}})
	ses.mu.Unlock()
	if old != nil {
		// Discord throws the older connection out; the session lives on in c.
		old.close(closeSessionInvalid, "Session is no longer valid.")
	}
	s.count.resumed.Add(1)
	s.count.replayed.Add(replayed)
	s.log.Info("session resumed", "shard_id", ses.shardID, "session", short(ses.id), "seq", seq)
	c.adopt(ses)
	s.retarget()
	c.wakeUp()
}

// refuseResume answers op 9 false. The connection may go on with IDENTIFY.
func (c *conn) refuseResume(reason string) {
	c.srv.count.resumesRefused.Add(1)
	c.srv.log.Info("resume refused", "reason", reason)
	c.control(opInvalidSession, "false")
}
