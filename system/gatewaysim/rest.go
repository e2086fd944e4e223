package gatewaysim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serveGateway answers GET /gateway, which needs no token.
func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	s.count.restGateway.Add(1)
	writeJSON(w, http.StatusOK, map[string]any{"url": "ws://" + s.base.hostPort(r.Host)})
}

// serveGatewayBot answers GET /gateway/bot. Discord documentation, "Get Gateway Bot".
func (s *Server) serveGatewayBot(w http.ResponseWriter, r *http.Request) {
	s.count.restBot.Add(1)
	if f, ok := s.faults.rest.take(time.Now()); ok {
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
		}
		switch f.Status {
		case http.StatusTooManyRequests:
			writeJSON(w, f.Status, map[string]any{"message": "You are being rate limited.", "retry_after": f.RetryAfter.Seconds(), "global": false})
		case http.StatusUnauthorized:
			unauthorized(w)
		default:
			writeJSON(w, f.Status, map[string]any{"message": http.StatusText(f.Status), "code": 0})
		}
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bot ")
	if !ok || !s.tokenOK(strings.TrimSpace(token)) {
		s.count.restUnauthorized.Add(1)
		unauthorized(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"url":                 "ws://" + s.base.hostPort(r.Host),
		"shards":              s.opts.Shards,
		"session_start_limit": s.Budget(),
	})
}

func unauthorized(w http.ResponseWriter) {
	writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "401: Unauthorized", "code": 0})
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, map[string]any{"message": "404: Not Found", "code": 0})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"message":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
