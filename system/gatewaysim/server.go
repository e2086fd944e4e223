package gatewaysim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is one simulated Discord. All methods are safe for concurrent use.
//
// Lock order: Server.mu, then session.mu, then conn.mu; none of them is held
// over a read or a write of a socket.
type Server struct {
	opts  Options
	log   *slog.Logger
	world *world
	base  *host
	res   *host
	pipe  *Pipe // nil on real sockets

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // readers, writers, traffic, timers' work

	traffic *traffic
	surging surging
	stamps  stamps
	count   counters

	mu         sync.Mutex
	started    bool
	closed     bool
	rnd        *rand.Rand
	conns      map[*conn]struct{}
	nextConn   int
	sessions   map[string]*session
	ledger     []*session // every session that ever was, with Options.Record
	records    []*ConnRecord
	violations []Violation
	gate       identifyGate
	token      string          // the one that is accepted; "" any
	revoked    map[string]bool // reset by a spent budget
	life       time.Duration
	faults     faultSet
	timers     map[*time.Timer]struct{}
}

// New makes a server; it listens after Start, Serve or StartPipe. It panics if
// o breaks a rule: call o.Check first where o comes from outside.
func New(o Options) *Server {
	if err := o.Check(); err != nil {
		panic(err)
	}
	o = o.withDefaults()
	s := &Server{
		opts: o, log: o.Log, world: newWorld(o.Seed, o.Guilds),
		rnd:      rand.New(rand.NewPCG(o.Seed, 0x5eed)),
		conns:    map[*conn]struct{}{},
		sessions: map[string]*session{},
		token:    o.Token,
		revoked:  map[string]bool{},
		life:     o.SessionLife,
		timers:   map[*time.Timer]struct{}{},
	}
	s.world.guildBytes = o.GuildBytes
	s.gate = newIdentifyGate(o)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.base = newHost(HostBase, s.baseRoutes(), s.log)
	s.res = newHost(HostResume, s.resumeRoutes(), s.log)
	s.traffic = newTraffic(s)
	return s
}

// Start listens on addr (host:port; port 0 picks one) and, for the resume host,
// on another free port of the same host.
func (s *Server) Start(addr string) error {
	hostname, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("gatewaysim: listen address %q: %w", addr, err)
	}
	return s.StartOn(addr, net.JoinHostPort(hostname, "0"))
}

// ListenError says which of the two hosts could not listen.
type ListenError struct {
	Host HostKind
	Addr string
	Err  error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("gatewaysim: listen on %s for the %s host: %v", e.Addr, e.Host, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// StartOn listens on the two addresses given. Errors are *ListenError.
func (s *Server) StartOn(base, resume string) error {
	bln, bagain, err := listenTCP(base)
	if err != nil {
		return &ListenError{HostBase, base, err}
	}
	rln, ragain, err := listenTCP(resume)
	if err != nil {
		bln.Close()
		return &ListenError{HostResume, resume, err}
	}
	return s.start(bln, bagain, rln, ragain)
}

// Serve serves on the caller's listeners until ctx ends, then closes the server
// and returns nil.
func (s *Server) Serve(ctx context.Context, base, resume net.Listener) error {
	again := func(ln net.Listener) func() (net.Listener, error) {
		addr := ln.Addr()
		return func() (net.Listener, error) { return net.Listen(addr.Network(), addr.String()) }
	}
	if err := s.start(base, again(base), resume, again(resume)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	s.Close()
	return nil
}

func (s *Server) start(base net.Listener, bagain func() (net.Listener, error), res net.Listener, ragain func() (net.Listener, error)) error {
	s.mu.Lock()
	if s.started || s.closed {
		s.mu.Unlock()
		base.Close()
		res.Close()
		return errors.New("gatewaysim: start: the server was started before")
	}
	s.started = true
	s.mu.Unlock()
	if err := errors.Join(s.base.open(base, bagain), s.res.open(res, ragain)); err != nil {
		return err
	}
	// Ends with s.ctx; Close waits for it.
	s.wg.Go(func() { s.traffic.run(s.ctx) })
	s.log.Info("simulator listening", "base", base.Addr().String(), "resume", res.Addr().String())
	return nil
}

// APIURL is what a bot takes as its API address, http://host:port/api/v10.
func (s *Server) APIURL() string { return "http://" + s.base.hostPort("") + "/api/v10" }

// ControlURL is the root of the control API, http://host:port/control.
func (s *Server) ControlURL() string { return "http://" + s.base.hostPort("") + "/control" }

// GatewayURL is the WebSocket address of the base host, without a query.
func (s *Server) GatewayURL() string { return "ws://" + s.base.hostPort("") }

// ResumeURL is the WebSocket address of the resume host as READY gives it.
func (s *Server) ResumeURL() string { return s.resumeURL("") }

func (s *Server) resumeURL(asked string) string {
	u := "ws://" + s.res.hostPort(asked)
	switch s.opts.ResumeURLForm {
	case "slash":
		return u + "/"
	case "query":
		return u + "/?v=10&encoding=json"
	}
	return u
}

// Close drops every connection without a close frame, ends all sessions and
// waits for all goroutines. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	conns := s.connList()
	for t := range s.timers {
		t.Stop()
	}
	clear(s.timers)
	s.mu.Unlock()
	s.cancel()
	s.base.close()
	s.res.close()
	for _, c := range conns {
		c.drop()
	}
	if s.pipe != nil {
		s.pipe.close()
	}
	s.wg.Wait()
}

// after runs f in d, unless the server is closed before. It is how every
// delayed thing here happens, so that Close leaves no timer behind.
func (s *Server) after(d time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.mu.Lock()
		_, live := s.timers[t]
		delete(s.timers, t)
		if live {
			s.wg.Add(1)
		}
		s.mu.Unlock()
		if live {
			defer s.wg.Done()
			f()
		}
	})
	s.timers[t] = struct{}{}
}

func (s *Server) connList() []*conn {
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

func (s *Server) sessionList() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for _, ses := range s.sessions {
		list = append(list, ses)
	}
	return list
}

func (s *Server) tokenOK(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == "" || s.revoked[token] {
		return false
	}
	return s.token == "" || token == s.token
}

func (s *Server) baseRoutes() http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"/api/v10", ""} {
		mux.HandleFunc("GET "+prefix+"/gateway", s.serveGateway)
		mux.HandleFunc("GET "+prefix+"/gateway/bot", s.serveGatewayBot)
	}
	s.controlRoutes(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.serveSocket(w, r, HostBase) })
	mux.HandleFunc("/", notFound)
	return mux
}

func (s *Server) resumeRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { s.serveSocket(w, r, HostResume) })
	mux.HandleFunc("/", notFound)
	return mux
}
