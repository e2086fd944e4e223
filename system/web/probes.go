package web

import (
	"log/slog"
	"net/http"
)

// Probes are what a process without shards shows: health, readiness and metrics, with bodies of its own.
type Probes struct {
	Addr string // as in Options

	// Health and Ready return whether it is so, and the JSON body that says it. Any goroutine calls them; they must not block.
	Health, Ready func() (ok bool, body any)
	Metrics       http.Handler // of /metrics

	Log *slog.Logger // nil discards
}

// NewProbes makes a server that does not listen yet, without API and status page. All but Log is required.
func NewProbes(p Probes) *Server {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: Options{Addr: p.Addr, Log: p.Log}}
	answer := func(ask func() (bool, any)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			ok, body := ask()
			s.json(w, r, ok, body)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", answer(p.Health))
	mux.HandleFunc("GET /ready", answer(p.Ready))
	mux.Handle("GET /metrics", p.Metrics)
	s.probes = mux
	return s
}
