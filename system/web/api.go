package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"drover/messages"
)

// healthAnswer is the body of /health.
type healthAnswer struct {
	Status  string `json:"status"` // "ok", or a sentence
	Version string `json:"version"`
	PoolID  *int   `json:"pool_id"`
	Node    string `json:"node"`
}

// readyAnswer is the body of /ready.
type readyAnswer struct {
	Ready         bool     `json:"ready"`
	PoolID        *int     `json:"pool_id"`
	ShardsTotal   int      `json:"shards_total"`
	ShardsReady   int      `json:"shards_ready"`
	NATSConnected bool     `json:"nats_connected"`
	GuildsTotal   int      `json:"guilds_total"`
	Reasons       []string `json:"reasons"` // empty when ready
}

// silent is what the endpoints say when Status gave no answer.
const silent = "the node's actors did not answer within 2 s"

// health answers 200 while the process can make progress. An outage of Discord or NATS is none of its business.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	status, err := s.status(r.Context())
	answer := healthAnswer{Status: "ok", Version: status.Version, PoolID: status.PoolID, Node: status.Node}
	switch {
	case err != nil:
		s.o.Log.WarnContext(r.Context(), "health: no status", "err", err)
		answer = healthAnswer{Status: silent, Version: s.o.Version, PoolID: s.o.PoolID, Node: s.o.Node}
	case !status.Live:
		answer.Status = "stuck: an actor or the publisher makes no progress"
		if len(status.Stuck) > 0 {
			answer.Status = "stuck: " + strings.Join(status.Stuck, "; ")
		}
	}
	s.json(w, r, answer.Status == "ok", answer)
}

// ready answers 200 when the node does its work, else 503 with what is missing.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	status, err := s.status(r.Context())
	answer := readyAnswer{
		Ready: status.IsReady, PoolID: status.PoolID, ShardsTotal: status.ShardsTotal, ShardsReady: status.ShardsReady,
		NATSConnected: status.NATSConnected, GuildsTotal: status.GuildsTotal, Reasons: status.Reasons,
	}
	if err != nil {
		s.o.Log.WarnContext(r.Context(), "ready: no status", "err", err)
		answer = readyAnswer{PoolID: s.o.PoolID, Reasons: []string{silent}}
	}
	if answer.Reasons == nil {
		answer.Reasons = []string{}
	}
	s.json(w, r, answer.Ready, answer)
}

// shards lists the shards by id: of this node, or of all. Where this node is the whole cluster that it knows of, both scopes answer alike.
func (s *Server) shards(w http.ResponseWriter, r *http.Request) {
	scope := r.URL.Query().Get("scope")
	if scope != "" && scope != "node" && scope != "cluster" {
		http.Error(w, badScope, http.StatusBadRequest)
		return
	}
	if scope == "cluster" && s.o.Cluster != nil {
		ctx, cancel := context.WithTimeout(r.Context(), statusDeadline)
		defer cancel()
		all, err := s.o.Cluster(ctx)
		if err != nil {
			s.o.Log.WarnContext(r.Context(), "shards: the other nodes were not asked", "err", err)
			http.Error(w, "the other nodes cannot be asked: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		s.json(w, r, true, byID(all.Shards))
		return
	}
	status, err := s.status(r.Context())
	if err != nil {
		s.o.Log.WarnContext(r.Context(), "shards: no status", "err", err)
		http.Error(w, silent, http.StatusServiceUnavailable)
		return
	}
	s.json(w, r, true, byID(status.Shards))
}

// byID is a sorted copy, never nil: Status may hand out what it shares with others.
func byID(shards []messages.ShardStatus) []messages.ShardStatus {
	sorted := append([]messages.ShardStatus{}, shards...)
	slices.SortFunc(sorted, func(a, b messages.ShardStatus) int { return cmp.Compare(a.ID, b.ID) })
	return sorted
}

// json writes body with 200 where ok, else with 503.
func (s *Server) json(w http.ResponseWriter, r *http.Request, ok bool, body any) {
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.o.Log.DebugContext(r.Context(), "answer not written", "err", err)
	}
}
