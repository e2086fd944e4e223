// Package web serves what a node shows over HTTP: health, readiness, metrics, its shards as JSON and
// the status page.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"drover/messages"
)

// Server is the node's HTTP server: Listen, then Serve. Status and Metrics are called from many goroutines.
type Server struct {
	o        Options
	listener net.Listener
	live     *live         // of this node; nil without a status page
	herd     *live         // of all nodes; the same
	rings    *rings        // what the charts show; the same
	asking   chan struct{} // one for each request that asks other nodes at the moment: each is a question to all of them
	probes   http.Handler  // what NewProbes serves instead of the node's routes; else nil
}

// Options configure New.
type Options struct {
	Addr string // host:port; an empty host listens everywhere, port 0 takes a free one

	// Status answers what the node is at the moment. It must return when ctx ends, which is after
	// statusDeadline: an answer that comes later is worth as much as none.
	Status func(ctx context.Context) (messages.NodeStatus, error)
	// Traffic is the part of it that the page has a history of. It must not block. nil: Status is asked instead, which lists
	// every shard.
	Traffic func() messages.Traffic
	Metrics http.Handler // of /metrics
	// Cluster answers what all nodes of the bot are and serve. It must return when ctx ends. nil: there is no other node.
	Cluster func(ctx context.Context) (messages.ClusterStatus, error)

	// Sample measures every shard, for the charts, into the memory of into where that has room. It must return when ctx ends; at an error
	// into belongs to it. nil: Status is asked instead.
	Sample func(ctx context.Context, into []messages.ShardSample) ([]messages.ShardSample, error)
	// History is what one of this node's shards remembers; nil where it is not this node's. It must return when ctx ends. nil: nobody
	// remembers anything.
	History func(ctx context.Context, shardID int) (*messages.ShardHistory, error)
	// Remote is a shard that another node serves; found is false where none does. It must return when ctx ends. nil: there is no other.
	Remote func(ctx context.Context, shardID int) (detail messages.ShardDetail, found bool, err error)
	// Address is where another node's HTTP can be reached, host:port; empty: not known. nil: nobody knows any.
	Address func(node string) string

	// Node, Version and PoolID are told by /health and /ready when Status does not answer.
	Node, Version string
	PoolID        *int // the pinned pool, or nil

	Log *slog.Logger // nil discards

	tick time.Duration // how often the page is brought up to date; 0: every second
	step time.Duration // of the charts; 0: stepLength
}

// Limits of the server. All requests are small and without a body.
const (
	statusDeadline = 2 * time.Second
	headerTimeout  = 5 * time.Second  // too low: slow links fail; too high: idle sockets pile up
	answerTimeout  = 30 * time.Second // for a whole answer; /live extends it with every write
	idleTimeout    = 2 * time.Minute  // above the 15 to 60 s of the usual scrapers and probes
	stopTimeout    = 3 * time.Second  // for answers under way when the server stops
	maxHeader      = 16 << 10
	maxBody        = 1 << 10
)

// ListenError says that an address could not be taken. The caller knows which key of the configuration it came from.
type ListenError struct {
	Addr string
	Err  error
}

func (e *ListenError) Error() string { return fmt.Sprintf("web: listen on %s: %v", e.Addr, e.Err) }

// Unwrap returns the cause, as net.Listen gave it.
func (e *ListenError) Unwrap() error { return e.Err }

// New makes a server that does not listen yet. Status and Metrics are required.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.tick == 0 {
		o.tick = time.Second
	}
	s := &Server{o: o, rings: newRings(o.step, time.Now()), asking: make(chan struct{}, maxAsking)}
	s.live = newLive(o.tick, s.snapshot)
	s.live.rings = s.rings
	s.live.traffic = o.Traffic
	s.herd = newLive(herdTicks*o.tick, s.herdSnapshot)
	s.herd.lazy = true
	return s
}

// Listen takes the address; a *ListenError says that it is not to be had. Whoever listens must Serve.
func (s *Server) Listen() error {
	l, err := net.Listen("tcp", s.o.Addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without the address, which ListenError names
		}
		return &ListenError{Addr: s.o.Addr, Err: err}
	}
	s.listener = l
	return nil
}

// Addr is the address in use, with the port that was taken; before Listen, the configured one.
func (s *Server) Addr() string {
	if s.listener == nil {
		return s.o.Addr
	}
	return s.listener.Addr().String()
}

// Serve answers requests until ctx ends, then lets those under way finish for at most stopTimeout. It
// returns nil after such an end. Call it once, after Listen.
func (s *Server) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	// The live goroutine ends with running, the stopper with ctx or after Serve has failed. Serve waits for both.
	running, end := context.WithCancel(ctx)
	defer end()
	var owned sync.WaitGroup
	if s.live != nil {
		owned.Go(func() { s.live.run(running) })
		owned.Go(func() { s.herd.run(running) })
		owned.Go(func() { newSampler(s).run(running) })
	}
	owned.Go(func() {
		<-running.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			_ = server.Close() // who has not finished by now is cut off
		}
	})
	err := server.Serve(s.listener)
	end()
	owned.Wait()
	if ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("web: serve: %w", err)
	}
	return nil
}

// handler is the whole of the routes. ServeMux answers other methods with 405 and other paths with 404.
func (s *Server) handler() http.Handler {
	if s.probes != nil {
		return http.MaxBytesHandler(guard(s.probes), maxBody)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /ready", s.ready)
	mux.HandleFunc("GET /api/v1/shards", s.shards)
	mux.Handle("GET /metrics", s.o.Metrics)
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /shards/{id}", s.shardPage)
	mux.HandleFunc("GET /api/v1/shards/{id}", s.shardJSON)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("shard") {
			s.shardLive(w, r)
			return
		}
		if live, ok := s.scoped(w, r); ok {
			live.serve(w, r)
		}
	})
	for _, name := range assets {
		mux.Handle("GET /"+name, asset(name))
	}
	return http.MaxBytesHandler(guard(mux), maxBody)
}

// policy lets the page load its own scripts, style sheet and icon, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard puts the security headers on every answer.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // assets set their own
		next.ServeHTTP(w, r)
	})
}

// status asks the node, for at most statusDeadline.
func (s *Server) status(ctx context.Context) (messages.NodeStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	status, err := s.o.Status(ctx)
	if err != nil {
		return messages.NodeStatus{}, fmt.Errorf("web: status: %w", err)
	}
	return status, nil
}
