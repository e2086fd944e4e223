package stream

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// gate keeps a publish that was meant for one connection from reaching the next one. nats.go
// reconnects by itself and tells of it later, on another goroutine. Without the gate, a new event
// could go out on the new connection before the unacknowledged ones of the old are sent again.
//
// Each dial has a number, the epoch. A sender enters with the epoch that it knows; a dial counts up
// first and then fails if a sender is inside. So either the sender sees the new epoch, or the dial
// is tried again a moment later, when the sender has met the closed connection. Any goroutine may
// use a gate.
type gate struct {
	epoch   atomic.Uint64
	sending atomic.Int32
	wire    atomic.Pointer[wire] // of the newest dial that succeeded; nil before the first
	ear     atomic.Pointer[ear]  // who gets what is acknowledged on it; nil: nats.go alone
}

// enter reports whether epoch is still the newest dial. If so, leave must follow.
func (g *gate) enter(epoch uint64) bool {
	g.sending.Add(1)
	if g.epoch.Load() == epoch {
		return true
	}
	g.sending.Add(-1)
	return false
}

func (g *gate) leave() { g.sending.Add(-1) }

// open makes a new connection the one that sends are gathered on.
func (g *gate) open(c net.Conn, timeout time.Duration) *wire {
	w := &wire{Conn: c, timeout: timeout, hearing: hearing{ears: &g.ear}}
	g.wire.Store(w)
	return w
}

// plain returns the connection for a sender that has entered, if it can be written to below nats.go; else nil.
func (g *gate) plain() *wire {
	if w := g.wire.Load(); w != nil && w.hearing.plain() {
		return w
	}
	return nil
}

// hold says for a sender that has entered whether its event may wait for another that follows at once.
func (g *gate) hold(more bool) {
	if w := g.wire.Load(); w != nil {
		w.hold(more)
	}
}

// release sends what waits for more.
func (g *gate) release() {
	if w := g.wire.Load(); w != nil {
		w.release()
	}
}

// releaseSoon sends it now, or with what follows within a breath.
func (g *gate) releaseSoon() {
	if w := g.wire.Load(); w != nil {
		w.releaseSoon()
	}
}

var errBusy = errors.New("stream: a publish still belongs to the connection before")

// dialing begins a new epoch.
func (g *gate) dialing() error {
	g.epoch.Add(1)
	if g.sending.Load() > 0 {
		return errBusy
	}
	return nil
}

// dialer dials external servers. nats.go calls it, under its own lock.
type dialer struct {
	gate    *gate
	net     net.Dialer
	timeout time.Duration // for a write
}

func (d *dialer) Dial(network, addr string) (net.Conn, error) {
	if err := d.gate.dialing(); err != nil {
		return nil, err
	}
	c, err := d.net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return d.gate.open(c, d.timeout), nil
}

// pipeDialer dials an embedded server.
type pipeDialer struct {
	gate    *gate
	server  nats.InProcessConnProvider
	timeout time.Duration // for a write
}

func (d *pipeDialer) InProcessConn() (net.Conn, error) {
	if err := d.gate.dialing(); err != nil {
		return nil, err
	}
	c, err := d.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	return d.gate.open(c, d.timeout), nil
}

const dialTimeout = 2 * time.Second
