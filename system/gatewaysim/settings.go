package gatewaysim

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// REST makes GET /gateway/bot fail.
func (s *Server) REST(f RESTFault, l Limit) error {
	if f.Status < 400 || f.Status > 599 {
		return fmt.Errorf("gatewaysim: rest fault: status %d, want 400 to 599 (%s)", f.Status, http.StatusText(f.Status))
	}
	s.faults.rest.set(f, l)
	return nil
}

// SetMaxConcurrency changes session_start_limit.max_concurrency; the spacing of
// the new keys starts afresh.
func (s *Server) SetMaxConcurrency(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.concurrency = max(1, n)
	clear(s.gate.last)
}

// SetBudget sets how many IDENTIFYs are left today; resetAfter above 0 also
// says when the day ends.
func (s *Server) SetBudget(remaining int, resetAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.used = s.gate.total - min(max(remaining, 0), s.gate.total)
	if resetAfter > 0 {
		s.gate.since = time.Now().Add(resetAfter - identifyDay)
	} else if s.gate.since.IsZero() {
		s.gate.since = time.Now()
	}
}

// SetToken makes token the only one accepted ("" any) and forgives a reset.
// Running sessions go on; their RESUME needs the token that they have.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
	clear(s.revoked)
}

// SetHeartbeat changes the interval in the HELLOs to come; 0 undoes it.
func (s *Server) SetHeartbeat(d time.Duration) { s.faults.heartbeat.Store(int64(d)) }

// DenyIntents switches privileged intents off: sessions that have them are
// closed with 4003, new IDENTIFYs that ask for them get 4014. 0 undoes it.
func (s *Server) DenyIntents(bits uint64) int {
	s.faults.denied.Store(bits & intentsPrivileged)
	return s.each(All, func(c *conn) {
		if ses := c.ownSession(); ses != nil && ses.intents&bits&intentsPrivileged != 0 {
			c.close(closeNotAuthenticated, "Not authenticated.")
		}
	})
}

// Clear ends every fault that waits for its occasion and opens both hosts.
func (s *Server) Clear() error {
	f := &s.faults
	f.rest.clear()
	f.reconnectHello.clear()
	f.silentEdge.clear()
	f.identify.clear()
	f.resume.clear()
	f.ready.clear()
	f.heartbeat.Store(0)
	f.denied.Store(0)
	s.DropAcks(All, false)
	s.Split(All, SplitFault{})
	s.HoldGuilds(0)
	s.SetSessionLife(s.opts.SessionLife)
	return errors.Join(s.AllowDials(HostBase), s.AllowDials(HostResume))
}
