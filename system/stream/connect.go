package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// Options say where NATS is and what the streams on it look like. Connect checks them.
type Options struct {
	// URL is one server or a comma-separated list: nats://, tls://, ws:// or wss://, with the port
	// 4222 where none is given. It may hold user:password@ or token@. Not used where Server is set.
	URL string
	// Server is the embedded server to connect to, without a socket.
	Server *Embedded
	// Name is what NATS shows of this connection: "drover <node>".
	Name string
	// Inbox is what subjects begin with that we are answered on, so that a user can have an inbox that no other may read. Empty:
	// _INBOX, as all clients have it.
	Inbox string

	// Credentials; what the URL holds comes second to them. At most one of User (with Password),
	// Token, CredsFile and NKeyFile.
	User, Password, Token string
	CredsFile             string // a .creds file: JWT and seed
	NKeyFile              string // a file that holds an NKey seed
	TLS                   TLSOptions

	Prefix           string // of subjects (p.events.…) and streams (p_EVENTS); [A-Za-z0-9_-]*
	Events, Commands StreamOptions

	// Window is how many events may be unacknowledged; default 4096. Too low and the round trip
	// bounds the rate (rate = window / round trip); too high and an outage costs memory.
	Window int
	// WindowBytes bounds the same by size; default 64 MiB. One event always fits.
	WindowBytes int
	// AckTimeout is how long the oldest event may wait for its acknowledgement before all
	// are sent again; default 4 s. Too low and a slow disk causes replays; too high and a dead
	// connection is noticed late.
	AckTimeout time.Duration

	Log   *slog.Logger // default: none
	Hooks Hooks
}

// Hooks tell of changes. They are called on NATS' goroutines and must not block; each may be nil.
type Hooks struct {
	Connected func()      // connected for the first time or again
	Lost      func(error) // not connected any more, or the first attempt failed
	Closed    func(error) // closed for good, although nobody called Close: the server refuses what we do
	// Refused tells that NATS does not let us publish or subscribe to a subject; once for each.
	Refused func(*RefusedError)
	// Made tells that a stream was created. again: it had existed before, so its events are gone.
	Made func(stream messages.Stream, again bool)
}

// Defaults of Options.
const (
	DefaultWindow      = 4096
	DefaultWindowBytes = 64 << 20
	DefaultAckTimeout  = 4 * time.Second
)

// Every 5 s a ping, and two may be missing: a black hole is noticed within 15 s at rest, and by the
// acknowledgement's time-out when events flow.
const (
	pingInterval = 5 * time.Second
	maxPingsOut  = 2
)

// Broker is one connection to NATS. It reconnects by itself for ever. Any goroutine may use it.
type Broker struct {
	opts Options
	nc   *nats.Conn
	js   jetstream.JetStream
	gate gate
	log  *slog.Logger
	redact

	connected chan struct{} // closed when Connect is done: no hook is called before
	settingUp chan struct{} // capacity 1: held by the one EnsureStreams that is at work

	closing atomic.Bool // Close was called
	refused refusals
	up      atomic.Bool // connected, as nats.go last told; its own word is behind a lock that it holds while it dials and waits for a greeting

	mu      sync.Mutex
	there   chan struct{}               // closed while up; another one after each loss
	lastErr error                       // why there is no connection; nil while there is one
	told    time.Time                   // when lastErr was last logged
	made    [messages.Streams]time.Time // when the stream was made, as the server says; zero: not seen yet
}

// Connect begins to connect and returns after the first attempt, whether it succeeded or not: the
// attempts go on until Close. An error means that no attempt can ever succeed: a bad URL, a missing
// or unreadable file, credentials that contradict one another. ctx bounds nothing but that.
func Connect(ctx context.Context, o Options) (*Broker, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("stream: connect: %w", err)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Broker{opts: o, log: o.Log, redact: newRedact(o), connected: make(chan struct{}), there: make(chan struct{}), settingUp: make(chan struct{}, 1)}
	defer close(b.connected)
	options, err := b.natsOptions()
	if err != nil {
		return nil, err
	}
	b.nc, err = options.Connect()
	if err != nil {
		return nil, fmt.Errorf("stream: connect: %w", b.clean(err))
	}
	b.js, err = jetstream.New(b.nc)
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("stream: connect: %w", b.clean(err))
	}
	return b, nil
}

// Connected reports whether NATS is reachable now. It never waits.
func (b *Broker) Connected() bool { return b.up.Load() }

// setUp takes in what nats.go tells.
func (b *Broker) setUp(now bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.up.Swap(now) == now:
	case now:
		close(b.there)
	default:
		b.there = make(chan struct{})
	}
}

// Err says why there is no connection, in words without secrets; nil while there is one. It never waits.
func (b *Broker) Err() error {
	if b.up.Load() {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lastErr == nil {
		return errors.New("stream: not connected to NATS yet")
	}
	return b.lastErr
}

// Refused is what NATS does not let us do, as far as we have tried lately.
func (b *Broker) Refused() []*RefusedError { return b.refused.standing(time.Now()) }

// WaitConnected returns when NATS is reachable, with ctx's cause, or with ErrClosed.
func (b *Broker) WaitConnected(ctx context.Context) error {
	changed := b.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer b.nc.RemoveStatusListener(changed)
	for {
		var told <-chan struct{} // nil while there is no connection
		switch b.nc.Status() {
		case nats.CONNECTED:
			b.mu.Lock()
			told = b.there
			b.mu.Unlock()
		case nats.CLOSED:
			return ErrClosed
		}
		select {
		case <-told: // who waited finds Connected true
			return nil
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Server names the server of the connection, for logs: without user, password or token. It is empty
// while there is none.
func (b *Broker) Server() string {
	if b.opts.Server != nil {
		return "embedded"
	}
	u, err := url.Parse(b.nc.ConnectedUrl())
	if err != nil {
		return ""
	}
	u.User = nil // nats.go's own redaction leaves a token in
	return u.String()
}

// JetStream is the connection's JetStream, for what is kept beside the streams.
func (b *Broker) JetStream() jetstream.JetStream { return b.js }

// Close ends the connection. What the Publisher holds stays unacknowledged: Drain it before.
func (b *Broker) Close() {
	b.closing.Store(true)
	b.setUp(false)
	b.nc.Close()
}

func (b *Broker) natsOptions() (nats.Options, error) {
	n := nats.GetDefaultOptions()
	n.Name = b.opts.Name
	n.RetryOnFailedConnect = true
	n.MaxReconnect = -1
	n.ReconnectBufSize = -1 // nothing may be sent behind the replay's back
	n.PingInterval, n.MaxPingsOut = pingInterval, maxPingsOut
	n.Timeout = dialTimeout
	n.FlusherTimeout = b.opts.AckTimeout // a full socket must not hold senders for longer
	n.ReconnectOnFlusherError = true
	n.IgnoreAuthErrorAbort = true // credentials may be put right on the server while we wait
	n.CustomReconnectDelayCB = func(rounds int) time.Duration { return delay(rounds - 1) }
	n.ConnectedCB = b.onConnected
	n.ReconnectedCB = b.onConnected
	n.DisconnectedErrCB = b.onLost
	n.ReconnectErrCB = b.onLost
	n.ClosedCB = b.onClosed
	n.AsyncErrorCB = b.onError
	n.InboxPrefix = b.opts.Inbox
	if err := b.opts.credentials(&n); err != nil {
		return n, err
	}
	if b.opts.Server != nil {
		n.InProcessServer = &pipeDialer{gate: &b.gate, server: b.opts.Server, timeout: b.opts.AckTimeout}
		return n, nil
	}
	n.CustomDialer = &dialer{gate: &b.gate, net: net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}, timeout: b.opts.AckTimeout}
	var err error
	if n.Servers, err = servers(b.opts.URL); err != nil {
		return n, err
	}
	return n, b.opts.TLS.apply(&n)
}

func (b *Broker) onConnected(*nats.Conn) {
	<-b.connected
	b.mu.Lock()
	b.lastErr = nil
	b.mu.Unlock()
	b.setUp(!b.closing.Load())
	b.log.Info("nats connected", "server", b.Server())
	if b.opts.Hooks.Connected != nil {
		b.opts.Hooks.Connected()
	}
}

// onError hears of what a server or nats.go complains about while the connection lives.
func (b *Broker) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	<-b.connected
	refused, news := b.refused.note(err.Error(), time.Now())
	switch {
	case refused == nil:
		b.log.Warn("nats reported an error", "err", b.clean(err))
	case news: // once: each request that is tried again is refused again
		b.log.Error("nats refuses a subject", "action", refused.action(), "subject", refused.Subject, "err", refused)
		if b.opts.Hooks.Refused != nil {
			b.opts.Hooks.Refused(refused)
		}
	}
}

// onLost hears of the loss and of every failed attempt after it. Only the first is told to the
// hook; another reason is logged, at most every 10 s.
func (b *Broker) onLost(nc *nats.Conn, err error) {
	<-b.connected
	if errors.Is(err, errBusy) {
		return // of an attempt to connect again: the loss was told before
	}
	b.setUp(false)
	if nc.IsClosed() {
		return
	}
	b.refused.clear()
	switch {
	case err == nil:
		err = errors.New("the connection was closed")
	case errors.Is(err, nats.ErrAuthorization):
		err = errors.New("the server refuses these credentials")
	}
	err = fmt.Errorf("stream: connection to NATS: %w", b.clean(err))
	b.mu.Lock()
	known := b.lastErr
	b.lastErr = err
	tell := known == nil || known.Error() != err.Error() && time.Since(b.told) > 10*time.Second
	if tell {
		b.told = time.Now()
	}
	b.mu.Unlock()
	if tell {
		b.log.Warn("nats unreachable", "err", err)
	}
	if known == nil && b.opts.Hooks.Lost != nil {
		b.opts.Hooks.Lost(err)
	}
}

// onClosed hears that nats.go has given up. It does so over an error that it takes for a mistake of ours.
func (b *Broker) onClosed(nc *nats.Conn) {
	<-b.connected
	b.setUp(false)
	if b.closing.Load() || b.opts.Hooks.Closed == nil {
		return
	}
	err := nc.LastError()
	if err == nil {
		err = nats.ErrConnectionClosed
	}
	b.opts.Hooks.Closed(fmt.Errorf("stream: connection to NATS closed for good: %w", b.clean(err)))
}

var prefixRule = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

func (o *Options) check() error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = DefaultWindowBytes
	}
	if o.AckTimeout == 0 {
		o.AckTimeout = DefaultAckTimeout
	}
	switch {
	case o.Window < 1:
		return fmt.Errorf("stream: window: %d is below 1", o.Window)
	case o.WindowBytes < 1:
		return fmt.Errorf("stream: window bytes: %d is below 1", o.WindowBytes)
	case o.AckTimeout < 0:
		return fmt.Errorf("stream: ack timeout: %v is negative", o.AckTimeout)
	case !prefixRule.MatchString(o.Prefix):
		return fmt.Errorf("stream: prefix: %q may hold letters, digits, '_' and '-' only", o.Prefix)
	}
	return errors.Join(o.Events.check(messages.Events), o.Commands.check(messages.Commands))
}
