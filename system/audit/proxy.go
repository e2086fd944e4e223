package audit

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// proxy stands between drover and NATS and is the network's bad day: it cuts connections, swallows what
// is said in one direction or both for a while as a dead link does (TCP repeats it afterwards), and adds
// latency. Any goroutine may use it.
type proxy struct {
	l      net.Listener
	target string
	tap    *tap           // writes down what is published through it; nil: nobody does
	wg     sync.WaitGroup // accepting and copying goroutines; close waits for them

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	held   direction
	freed  chan struct{} // closed when held changes
	delay  time.Duration // of each piece, in each direction
	cuts   int           // how often everything was cut: what was read before is thrown away
	closed bool
}

// direction is a set of ways through the proxy.
type direction uint8

const (
	events direction = 1 << iota // from drover to NATS
	acks                         // from NATS to drover
	both   = events | acks
)

func (d direction) String() string {
	switch d {
	case events:
		return "events held back"
	case acks:
		return "acknowledgements held back"
	case both:
		return "a dead network"
	}
	return "an open network"
}

// newProxy listens on a free port until close. tap may be nil.
func newProxy(target string, tap *tap) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("audit: proxy: %w", err)
	}
	p := &proxy{l: l, target: target, tap: tap, conns: map[net.Conn]struct{}{}, freed: make(chan struct{})}
	p.wg.Go(p.accept) // ends with close
	return p, nil
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) }) // ends when either side ends, or with cut
	}
}

// serve connects c with the target. A dead link connects nobody.
func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	defer p.drop(c)
	cuts, ok := p.pass(events, -1)
	if !ok {
		return
	}
	s, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		return
	}
	defer s.Close()
	if !p.keep(s) {
		return
	}
	defer p.drop(s)
	var back sync.WaitGroup
	back.Go(func() { p.copy(c, s, acks, cuts, reading(s)) })
	if p.tap == nil {
		p.copy(s, c, events, cuts, reading(c))
	} else {
		a := newAhead()
		back.Go(func() { a.read(c, p.tap.connection()) })
		p.copy(s, c, events, cuts, a.next)
		a.close()
	}
	back.Wait()
}

// copy carries bytes until one of both sides ends. What it has read when everything is cut it forgets.
func (p *proxy) copy(dst, src net.Conn, way direction, cuts int, next func() ([]byte, error)) {
	defer dst.Close()
	defer src.Close()
	for {
		b, err := next()
		if len(b) > 0 {
			if _, ok := p.pass(way, cuts); !ok {
				return
			}
			if _, err := dst.Write(b); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// reading returns what gives c's next bytes, which are good until the one after them.
func reading(c net.Conn) func() ([]byte, error) {
	buf := make([]byte, 64<<10)
	return func() ([]byte, error) {
		n, err := c.Read(buf)
		return buf[:n], err
	}
}

// pass waits until that way is open, and says whether nothing was cut since cuts; -1: whenever.
func (p *proxy) pass(way direction, cuts int) (now int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.delay; d > 0 {
		p.mu.Unlock()
		time.Sleep(d) // latency itself, and not a wait for anything
		p.mu.Lock()
	}
	if cuts < 0 {
		cuts = p.cuts
	}
	for p.held&way != 0 && p.cuts == cuts && !p.closed {
		freed := p.freed
		p.mu.Unlock()
		<-freed
		p.mu.Lock()
	}
	return p.cuts, p.cuts == cuts && !p.closed
}

// hold stops what goes these ways, or lets it go on: nothing is lost by that alone.
func (p *proxy) hold(ways direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = ways
	p.wake()
}

// slow adds latency to each way.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// cut ends all connections. What was held back is lost with them.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts++
	for c := range p.conns {
		_ = c.Close()
	}
	p.wake()
}

// close ends the proxy.
func (p *proxy) close() {
	_ = p.l.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
	p.wg.Wait()
}

// wake lets those who wait look again. The caller holds mu.
func (p *proxy) wake() {
	close(p.freed)
	p.freed = make(chan struct{})
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
