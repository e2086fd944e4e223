package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// ErrClosed is returned by what was called on, or waited in, a closed Broker or Publisher.
var ErrClosed = errors.New("stream: closed")

// PublisherOptions are what a Publisher tells others. No function may block; each may be nil.
// Window and times are the Broker's Options.
type PublisherOptions struct {
	// OnTrouble is called once when publishing stopped by itself: an acknowledgement said no or did
	// not come, or the connection changed. Replay makes it go on.
	OnTrouble func(error)
	// OnAck is called for each acknowledged event; took: from Event.Read. duplicate: JetStream had it.
	OnAck func(kind *messages.Kind, shardID int, took time.Duration, duplicate bool)
	// OnRetry is called after events were sent again: how many, and why.
	OnRetry func(n int, err error)
	// OnOversize is called when an event's data was replaced by its size.
	OnOversize func(kind *messages.Kind, shardID int, bytes int)
}

// Publisher is the bounded window of unacknowledged events. Publish feeds it from any goroutine;
// Pause and Replay are for the one who controls it. It begins paused: Replay opens it.
type Publisher struct {
	b     *Broker
	o     PublisherOptions
	inbox string // prefix of the reply subjects; what follows is a send's token
	sub   *nats.Subscription

	replays chan struct{} // holds one token: the right to replay
	done    chan struct{} // closed by Close
	watched chan struct{} // closed when watch has ended

	// sendLock serialises the sends, so that the window's order is the connection's.
	sendLock sync.Mutex
	epoch    uint64 // of the connection that Replay opened
	max      int    // bytes of header and payload that its server takes
	dispatch message
	own      message
	scratch  []byte

	mu         sync.Mutex // after sendLock
	ring       *ring
	subjects   map[*messages.Kind]string
	reserved   int // slots promised to Publish calls that encode
	bytes      int // promised or in use
	waiters    []*waiter
	idle       chan struct{} // closed when nothing is unacknowledged; nil where nobody waits
	paused     bool
	replaying  bool
	closed     bool
	cause      error                   // why what was sent is unknown; nil after a mere Pause
	stopReplay context.CancelCauseFunc // of the newest Replay
	fault      error                   // what went wrong during a replay
	progress   chan struct{}           // holds at most one token: something was acknowledged, or fault was set
}

// waiter is a Publish call for which there was no room. Whoever closes granted has reserved it.
type waiter struct {
	bytes   int
	granted chan struct{}
	closed  bool // not granted: the Publisher was closed
}

// message is one nats.Msg that is used for every send, with its header map and values. A new map
// per event would cost three allocations more; this is the cheapest way that nats.go offers, as
// it takes headers in no other form. See BenchmarkSend.
type message struct {
	nats.Msg
	id, event, seq []string
}

func newMessage(withSeq bool) message {
	m := message{id: make([]string, 1), event: make([]string, 1), seq: make([]string, 1)}
	m.Header = nats.Header{messages.HeaderID: m.id, messages.HeaderEvent: m.event}
	if withSeq {
		m.Header[messages.HeaderSeq] = m.seq
	}
	return m
}

// NewPublisher returns a paused Publisher on b. Close it before b.
func NewPublisher(b *Broker, o PublisherOptions) *Publisher {
	p := &Publisher{
		b: b, o: o,
		inbox:    nats.NewInbox() + ".",
		replays:  make(chan struct{}, 1),
		done:     make(chan struct{}),
		watched:  make(chan struct{}),
		dispatch: newMessage(true),
		own:      newMessage(false),
		ring:     newRing(b.opts.Window),
		subjects: make(map[*messages.Kind]string),
		paused:   true,
		progress: make(chan struct{}, 1),
	}
	var err error
	if p.sub, err = b.nc.Subscribe(p.inbox+"*", p.onAck); err != nil {
		p.closed = true // b is closed: Publish and Replay say so
		close(p.watched)
		return p
	}
	// The window bounds what can be pending; a limit of nats.go's would drop acknowledgements.
	_ = p.sub.SetPendingLimits(-1, -1)
	go p.watch() // ends with done; Close waits for it
	return p
}

// Publish takes ev into the window and sends it, unless the Publisher is paused: then Replay will.
// It blocks while the window is full and returns ctx's cause, ErrClosed, or nil, after which
// the event is the Publisher's and ev's slices are the caller's again. Events of one goroutine keep
// their order.
func (p *Publisher) Publish(ctx context.Context, ev *messages.Event) error {
	room := len(ev.Data) + len(ev.Extra) + 320 // the envelope's other fields
	if err := p.reserve(ctx, room); err != nil {
		return err
	}
	it := item{
		kind: ev.Kind, shardID: ev.ShardID, session: ev.Session, seq: ev.Seq, read: ev.Read, receipt: ev.Receipt,
		id: ev.EventID(), own: ev.ID != "", data: len(ev.Data), body: newBuffer(room),
	}
	it.body.b = ev.AppendEnvelope(it.body.b, it.id)
	it.bytes = len(it.body.b)

	p.sendLock.Lock()
	err := p.push(it, room)
	p.sendLock.Unlock()
	if err != nil {
		p.trouble(err)
	}
	return nil
}

// push puts it into the window and, when nothing stands against it, on the wire. The caller holds sendLock.
func (p *Publisher) push(it item, room int) error {
	it.taken = time.Now()
	p.mu.Lock()
	it.subject = p.subject(it.kind)
	p.reserved--
	p.bytes += it.bytes - room
	p.ring.push(it)
	if p.paused || p.closed {
		p.mu.Unlock()
		return nil
	}
	token, sending, _ := p.ring.send(it.taken)
	p.mu.Unlock()
	return p.transmit(token, sending)
}

// transmit puts one send on the wire. The caller holds sendLock.
func (p *Publisher) transmit(token uint64, it *item) error {
	m := &p.dispatch
	text := p.scratch[:0]
	if it.own {
		m = &p.own
	} else {
		text = messages.AppendSeq(text, it.session, it.seq)
	}
	split := len(text)
	text = append(text, p.inbox...)
	text = strconv.AppendUint(text, token, 36)
	p.scratch = text
	both := string(text) // one allocation for header value and reply subject
	m.id[0], m.event[0], m.seq[0] = it.id, it.kind.Name, both[:split]
	m.Subject, m.Reply = it.subject, both[split:]
	if it.shrink || len(it.body.b)+maxHeader > p.max {
		p.oversize(it)
	}
	m.Data = it.body.b

	if !p.b.gate.enter(p.epoch) {
		return errReconnected
	}
	err := p.b.nc.PublishMsg(&m.Msg)
	p.b.gate.leave()
	if err != nil {
		return fmt.Errorf("stream: publish: %w", p.b.clean(err))
	}
	return nil
}

var errReconnected = errors.New("stream: the connection to NATS is another one than before")

// maxHeader is more than the header block takes: 100 bytes of names and separators, an id of 36 bytes, the
// dispatch's name and the session. It counts towards the server's max_payload.
const maxHeader = 1 << 10

// oversize replaces the data by its size. Nothing before "data" can hold that word: the fields are
// ids, numbers and event types.
func (p *Publisher) oversize(it *item) {
	key := []byte(`,"data":`)
	at := bytes.Index(it.body.b, key)
	if at < 0 {
		return
	}
	b := newBuffer(at + 64)
	b.b = append(append(b.b, it.body.b[:at]...), key...)
	b.b = append(b.b, `{"drover_oversize":`...)
	b.b = append(strconv.AppendInt(b.b, int64(it.data), 10), `}}`...)
	if len(b.b) >= len(it.body.b) { // it is as small as it gets
		b.release()
		return
	}
	it.body.release()
	it.body = b
	if p.o.OnOversize != nil {
		p.o.OnOversize(it.kind, it.shardID, it.data)
	}
}

// subject returns the real subject of a kind. The caller holds mu.
func (p *Publisher) subject(k *messages.Kind) string {
	if p.b.opts.Prefix == "" {
		return k.Subject
	}
	if s, ok := p.subjects[k]; ok {
		return s
	}
	s := p.b.subject(k.Subject)
	if len(p.subjects) < 1024 { // kinds beyond the known ones are made anew each time
		p.subjects[k] = s
	}
	return s
}

// Unacked is how many events wait for their acknowledgement.
func (p *Publisher) Unacked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ring.live
}

// Window is how many events may be unacknowledged before Publish blocks.
func (p *Publisher) Window() int { return len(p.ring.slots) }

// OldestUnacked is for how long the oldest unacknowledged event has been in the window; 0 where
// there is none. It grows through an outage: judge it only while NATS has been connected.
func (p *Publisher) OldestUnacked() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.ring.oldest(); s != nil {
		return time.Since(s.taken)
	}
	return 0
}

// Drain returns nil when everything is acknowledged, and otherwise, when ctx ends or the Publisher
// is closed, an error that says how many events are not. Stop calling Publish before.
func (p *Publisher) Drain(ctx context.Context) error {
	p.mu.Lock()
	if p.ring.live+p.reserved == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	var why error
	select {
	case <-idle:
		return nil
	case <-p.done:
		why = ErrClosed
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	if n := p.Unacked(); n > 0 {
		return fmt.Errorf("stream: drain: %d events are not acknowledged: %w", n, why)
	}
	return nil
}

// Close ends the Publisher without waiting for acknowledgements. Blocked calls return ErrClosed. It
// may be called twice.
func (p *Publisher) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, w := range p.waiters {
		w.closed = true
		close(w.granted)
	}
	p.waiters = nil
	if p.stopReplay != nil {
		p.stopReplay(ErrClosed)
	}
	p.mu.Unlock()
	close(p.done)
	_ = p.sub.Unsubscribe() // fails only where the connection is closed
	<-p.watched
}
