package gatewaysim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// HostKind tells the two names of the gateway apart.
type HostKind string

// The base host answers REST, /control and WebSockets; the resume host, which
// READY names, only WebSockets.
const (
	HostBase   HostKind = "base"
	HostResume HostKind = "resume"
)

// host is one listener with its HTTP server. It can be shut and opened again
// while the server runs. Safe for concurrent use.
type host struct {
	kind    HostKind
	handler http.Handler
	srv     *http.Server
	serving sync.WaitGroup // one per open listener

	mu     sync.Mutex
	ln     net.Listener // nil while shut
	addr   net.Addr
	reopen func() (net.Listener, error)
	closed bool
}

func newHost(kind HostKind, h http.Handler, log *slog.Logger) *host {
	return &host{
		kind: kind, handler: h,
		srv: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			IdleTimeout:       time.Minute,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}
}

// open starts serving ln. reopen makes a listener on the same address later.
func (h *host) open(ln net.Listener, reopen func() (net.Listener, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		ln.Close()
		return http.ErrServerClosed
	}
	h.ln, h.addr, h.reopen = ln, ln.Addr(), reopen
	// Ends when ln is closed, by shut or close; close waits for it.
	h.serving.Go(func() { _ = h.srv.Serve(ln) })
	return nil
}

// shut closes the listener: dials are refused as if nobody listened.
func (h *host) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ln != nil {
		h.ln.Close()
		h.ln = nil
	}
}

// openAgain undoes shut.
func (h *host) openAgain() error {
	h.mu.Lock()
	if h.closed || h.ln != nil || h.reopen == nil {
		h.mu.Unlock()
		return nil
	}
	reopen := h.reopen
	h.mu.Unlock()
	ln, err := reopen()
	if err != nil {
		return fmt.Errorf("gatewaysim: open the %s host again: %w", h.kind, err)
	}
	err = h.open(ln, reopen)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (h *host) close() {
	h.mu.Lock()
	h.closed = true
	if h.ln != nil {
		h.ln.Close()
		h.ln = nil
	}
	h.mu.Unlock()
	h.srv.Close()
	h.serving.Wait()
}

// hostPort is the address for URLs. A listener on all interfaces has no name of
// its own: then the name under which the client asked is used.
func (h *host) hostPort(asked string) string {
	h.mu.Lock()
	addr := h.addr
	h.mu.Unlock()
	if addr == nil {
		return ""
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	name, _, err := net.SplitHostPort(asked)
	if err != nil {
		name = asked
	}
	if name == "" {
		name = "127.0.0.1"
	}
	return net.JoinHostPort(name, fmt.Sprint(tcp.Port))
}

func listenTCP(addr string) (net.Listener, func() (net.Listener, error), error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	same := ln.Addr().String()
	return ln, func() (net.Listener, error) { return lc.Listen(context.Background(), "tcp", same) }, nil
}
