package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// ErrClosed is returned by what was called on, or waited in, a closed Broker or Publisher.
var ErrClosed = errors.New("stream: closed")

// PublisherOptions are what a Publisher tells others, and where it puts what the window has no room for. No
// function may block; each may be nil. Window and times are the Broker's Options.
type PublisherOptions struct {
	// OnTrouble is called once when publishing stopped by itself: an acknowledgement said no or did
	// not come, or the connection changed. Replay makes it go on.
	OnTrouble func(error)
	// OnAck is called for each acknowledged event, on the goroutine that received the acknowledgement.
	OnAck func(Ack)
	// OnRetry is called after events were sent again: how many, and why.
	OnRetry func(n int, err error)
	// OnOversize is called when an event's data was replaced by its size.
	OnOversize func(kind *messages.Kind, shardID int, bytes int)

	// Spool takes what the window has no room for; nil: Publish waits instead. The Publisher closes it.
	Spool *Spool
	// Fenced says that shards come and go (Own, Disown).
	Fenced bool
	// Shed lists Discord's names of the events that may be dropped when the spool is full.
	Shed []string
	// OnShed is called for each event that was dropped.
	OnShed func(kind *messages.Kind, shardID int)
	// OnShedGap is called when what was dropped of a session is declared by a shard.gap.
	OnShedGap func(shardID int)
	// OnDelivered is called for each acknowledged event that is worth a span: that is sampled, that took Slow or longer since its
	// frame was read, or that was sent more than once. On the goroutine of OnAck, before it. It is also called for each event that
	// is dropped, by whoever publishes it.
	OnDelivered func(messages.Delivery)
	Slow        time.Duration // 0: none is slow
	// OnLate is called for an interaction that is published after more than lateAfter.
	OnLate func(shardID int, age time.Duration)
}

// Ack tells of an event that is stored.
type Ack struct {
	Kind    *messages.Kind
	ShardID int
	Seq     int64         // Discord's; of one of drover's own events 0
	At      time.Time     // when the acknowledgement was counted
	Took    time.Duration // from Event.Read until then
}

// Publisher is the bounded window of unacknowledged events, one lane for each stream, and the way
// through the spool for what it has no room for. Publish feeds it from any goroutine; Pause and Replay are
// for the one who controls it. It begins paused: Replay opens it.
type Publisher struct {
	b     *Broker
	o     PublisherOptions
	shed  map[string]bool
	began time.Time
	inbox string // prefix of the reply subjects; what follows is a send's token
	sub   *nats.Subscription

	replays chan struct{} // holds one token: the right to replay
	done    chan struct{} // closed by Close
	owned   sync.WaitGroup
	settler settler
	toFeed  chan struct{} // holds at most one token: the feeder has something to look at
	toSpool chan struct{} // the same for the spooler

	// sendLock serialises the sends, so that the window's order is the connection's.
	sendLock sync.Mutex
	epoch    uint64 // of the connection that Replay opened
	max      int    // bytes of header and payload that its server takes
	send     sender

	fences fences

	notes sync.Mutex // serialises what is noted of drops; before mu

	mu         sync.Mutex // after sendLock
	lanes      [messages.Streams]*lane
	sheds      map[string]*messages.Shed // what was dropped and is not declared yet, by session
	telling    map[string]messages.Shed  // what is declared by a shard.gap that is not stored yet, by session
	told       []string                  // sessions whose gap is stored: their notes go
	subjects   map[*messages.Kind]string
	idle       chan struct{} // closed when nothing is unacknowledged; nil where nobody waits
	paused     bool
	replaying  bool
	damage     error // why the spool cannot be read; nil: it can
	rescuing   bool  // Spill puts all that is unacknowledged into the spool
	closed     bool
	cause      error                   // why what was sent is unknown; nil after a mere Pause
	stopReplay context.CancelCauseFunc // of the newest Replay
	fault      error                   // what went wrong during a replay
	progress   chan struct{}           // holds at most one token: something was acknowledged, or fault was set
}

// NewPublisher returns a paused Publisher on b. What an earlier process left in the spool comes first. Close
// it before b.
func NewPublisher(b *Broker, o PublisherOptions) *Publisher {
	p := &Publisher{
		b: b, o: o,
		shed:     make(map[string]bool, len(o.Shed)),
		began:    time.Now(),
		settler:  settler{acks: make(chan *nats.Msg, acksRoom(b.opts.Window))},
		inbox:    b.nc.NewInbox() + ".",
		replays:  make(chan struct{}, 1),
		done:     make(chan struct{}),
		toFeed:   make(chan struct{}, 1),
		toSpool:  make(chan struct{}, 1),
		sheds:    make(map[string]*messages.Shed),
		telling:  make(map[string]messages.Shed),
		subjects: make(map[*messages.Kind]string),
		fences:   fences{shards: make(map[int]messages.Fence), stored: make(map[string]reach), waited: make(map[int]struct{})},
		paused:   true,
		progress: make(chan struct{}, 1),
	}
	for _, name := range o.Shed {
		p.shed[name] = true
	}
	for s := range p.lanes {
		p.lanes[s] = newLane(messages.Stream(s), b.opts)
	}
	var err error
	if p.sub, err = b.nc.ChanSubscribe(p.inbox+"*", p.settler.acks); err != nil {
		p.closed = true // b is closed: Publish and Replay say so
		p.closeSpool()
		return p
	}
	p.listen()
	p.owned.Go(p.settling) // these end with done; Close waits for them
	p.owned.Go(p.watch)
	if o.Spool != nil {
		p.inherit()
		p.owned.Go(p.spooling)
		p.owned.Go(p.feeding)
	}
	return p
}

// Publish takes ev into its lane's window and sends it, unless the Publisher is paused: then Replay will. Where the
// window is full and stays so, ev goes to the spool. It blocks while neither has room, and returns ctx's cause,
// ErrClosed, or nil, after which the event is the Publisher's and ev's slices are the caller's again. Events
// of one goroutine keep their order within a stream.
func (p *Publisher) Publish(ctx context.Context, ev *messages.Event) error {
	l := p.lanes[ev.Kind.Stream]
	it := encode(ev)
	p.sendLock.Lock()
	taken, err := p.try(l, &it, ev.More)
	p.sendLock.Unlock()
	if !taken {
		p.Flush() // there may be room once that is acknowledged
		if dropped, err := p.await(ctx, l, ev, it.bytes); dropped || err != nil {
			it.body.release()
			return err
		}
		p.sendLock.Lock()
		err = p.push(l, &it, ev.More)
		p.sendLock.Unlock()
	}
	if err != nil {
		p.trouble(err)
	}
	return nil
}

// Flush sends what waits for more to follow (messages.Event.More).
func (p *Publisher) Flush() { p.b.gate.release() }

// FlushSoon sends it at once if nothing was sent for half a millisecond, and else together with what follows within that time.
func (p *Publisher) FlushSoon() { p.b.gate.releaseSoon() }

// encode makes an item of an event, whose slices are the caller's again.
func encode(ev *messages.Event) item {
	it := item{
		kind: ev.Kind, shardID: ev.ShardID, session: ev.Session, seq: ev.Seq, read: ev.Read, receipt: ev.Receipt, fence: ev.Fence, trace: ev.Trace,
		id: ev.EventID(), own: ev.ID != "", data: len(ev.Data),
		body: newBuffer(len(ev.Data) + len(ev.Extra) + 320), // the envelope's other fields
	}
	it.body.b = ev.AppendEnvelope(it.body.b, it.id)
	it.bytes = len(it.body.b)
	return it
}

// try puts it into the window if there is room now and nobody waits for it. The caller holds sendLock.
func (p *Publisher) try(l *lane, it *item, more bool) (taken bool, err error) {
	it.taken = p.clock()
	p.mu.Lock()
	if p.closed || !l.takes(it.bytes) {
		p.mu.Unlock()
		return false, nil
	}
	if len(l.waiters) > 0 {
		l.barge--
	}
	return true, p.launch(l, it, 0, it.taken, more)
}

// await waits until it is promised room for the event, unless it was dropped for want of any.
func (p *Publisher) await(ctx context.Context, l *lane, ev *messages.Event, room int) (dropped bool, err error) {
	for mayShed := p.shed[ev.Kind.Name] && ev.ID == ""; ; mayShed = false {
		full, err := p.reserve(ctx, l, room, mayShed)
		if err != nil || !full {
			return false, err
		}
		if p.drop(ev) {
			return true, nil
		}
	}
}

// push puts it where it belongs now that it has room: on the way to the spool, or into the window and, when nothing
// stands against it, on the wire. The caller holds sendLock.
func (p *Publisher) push(l *lane, it *item, more bool) error {
	it.taken = p.clock()
	p.mu.Lock()
	l.reserved--
	l.promised -= it.bytes
	if l.spilling {
		p.stage(l, it)
		p.mu.Unlock()
		return nil
	}
	return p.launch(l, it, 0, it.taken, more)
}

// launch puts it into the lane's window, where there is room, and sends it unless the Publisher is paused. The
// caller holds sendLock and mu; launch unlocks mu.
func (p *Publisher) launch(l *lane, it *item, record uint64, now time.Duration, more bool) error {
	it.subject = p.subject(it.kind)
	l.bytes += it.bytes
	l.ring.push(it, record)
	if p.paused || p.closed {
		p.mu.Unlock()
		return nil
	}
	token, sending, _ := l.ring.send(now)
	p.mu.Unlock()
	return p.transmit(l, token, sending, more)
}

// clock is how long the Publisher has been there. It costs half of what time.Now does.
func (p *Publisher) clock() time.Duration { return time.Since(p.began) }

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

// Drain returns nil when everything is acknowledged, and otherwise, when ctx ends or the Publisher
// is closed, an error that says how many events are not. Stop calling Publish before.
func (p *Publisher) Drain(ctx context.Context) error {
	p.mu.Lock()
	if p.empty() {
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

// empty reports that nothing is unacknowledged, nor about to be. The caller holds mu.
func (p *Publisher) empty() bool {
	for _, l := range p.lanes {
		if l.unacked()+l.reserved > 0 {
			return false
		}
	}
	return true
}

// Close ends the Publisher without waiting for acknowledgements. What is in the spool stays there. Blocked calls
// return ErrClosed. It may be called twice.
func (p *Publisher) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	for _, l := range p.lanes {
		for _, w := range l.waiters {
			w.closed = true
			close(w.granted)
		}
		l.waiters = nil
	}
	if p.stopReplay != nil {
		p.stopReplay(ErrClosed)
	}
	p.mu.Unlock()
	close(p.done)
	p.Flush() // watch does no more
	p.deafen()
	_ = p.sub.Unsubscribe() // fails only where the connection is closed
	p.owned.Wait()
	p.closeSpool()
}
