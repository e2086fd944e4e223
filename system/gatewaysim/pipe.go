package gatewaysim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Pipe is a network in memory with two names on it, the base and the resume
// host of one server. Its connections are net.Pipes, so that clients and server
// can run inside a testing/synctest bubble. Safe for concurrent use.
type Pipe struct {
	mu     sync.Mutex
	hosts  map[string]*pipeListener
	closed bool
}

// Names of the two hosts on a Pipe.
const (
	PipeBaseHost   = "gateway.sim:80"
	PipeResumeHost = "resume.sim:80"
)

// StartPipe starts the server on a network of its own. Make it inside the
// bubble that uses it.
func (s *Server) StartPipe() (*Pipe, error) {
	p := &Pipe{hosts: map[string]*pipeListener{}}
	listen := func(addr string) func() (net.Listener, error) {
		return func() (net.Listener, error) { return p.listen(addr) }
	}
	base, _ := p.listen(PipeBaseHost) // a new Pipe has every name free
	res, _ := p.listen(PipeResumeHost)
	s.pipe = p
	return p, s.start(base, listen(PipeBaseHost), res, listen(PipeResumeHost))
}

// Dial connects to one of the two hosts: use it as a NetDial or DialContext.
// Other names fail as an unknown host does, shut hosts refuse.
func (p *Pipe) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if h, port, err := net.SplitHostPort(addr); err == nil && port == "" {
		addr = net.JoinHostPort(h, "80")
	} else if err != nil {
		addr = net.JoinHostPort(addr, "80")
	}
	p.mu.Lock()
	ln := p.hosts[addr]
	p.mu.Unlock()
	if ln == nil {
		if addr == PipeBaseHost || addr == PipeResumeHost {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}}
	}
	client, server := net.Pipe()
	select {
	case ln.incoming <- server:
		return client, nil
	case <-ln.done:
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	}
}

// HTTPClient returns a client for REST on this network. It keeps no connection
// open between requests.
func (p *Pipe) HTTPClient() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: p.Dial, DisableKeepAlives: true}}
}

func (p *Pipe) listen(addr string) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.hosts[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: "pipe", Err: syscall.EADDRINUSE}
	}
	ln := &pipeListener{pipe: p, addr: pipeAddr(addr), incoming: make(chan net.Conn), done: make(chan struct{})}
	p.hosts[addr] = ln
	return ln, nil
}

func (p *Pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

type pipeListener struct {
	pipe     *Pipe
	addr     pipeAddr
	incoming chan net.Conn
	once     sync.Once
	done     chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.incoming:
		return nc, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "pipe", Err: net.ErrClosed}
	}
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

func (l *pipeListener) Close() error {
	err := errors.New("gatewaysim: pipe: listener closed twice")
	l.once.Do(func() {
		err = nil
		close(l.done)
		l.pipe.mu.Lock()
		delete(l.pipe.hosts, string(l.addr))
		l.pipe.mu.Unlock()
	})
	return err
}
