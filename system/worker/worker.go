package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/store"
)

// Worker reads the stream of events and keeps the tables in step. New makes it, Run runs it once; Status may be called from any goroutine
// meanwhile.
type Worker struct {
	o       Options
	durable string              // with the prefix
	source  jetstream.JetStream // where the stream of events is
	types   map[string]string
	gate    *gate
	lanes   []*lane
	inHand  sync.WaitGroup // jobs that a lane or its queue holds; only Run's goroutine adds to it

	hand     atomic.Int64 // how many messages are in hand
	finished atomic.Int64 // how many were, and other steps that show that work goes on
	room     *room        // for what is in hand
	kept     atomic.Int64 // those that were in hand when the drain ran out of time
	state    watch
	every    time.Duration // how often the consumer is asked how far it is
}

// Options are what a worker stands on. New checks them.
type Options struct {
	Broker Broker
	Store  Store
	Meters Meters // nil counts nothing

	// Prefix is that of streams and subjects (streams.prefix).
	Prefix string
	// Durable is the name of the durable consumer, before the prefix; default "worker". Workers of one name share the
	// events; each name gets all of them.
	Durable string
	// APIPrefix is that of JetStream's API where another account exports the stream of events; "" asks our own. Behind it the
	// consumer is found and not made.
	APIPrefix string
	// Batch is how many events are asked for at once, and at most applied in one transaction, 1 to 10000; default 256. Too low: more
	// transactions. Too high: more events to give back when something fails.
	Batch int
	// Concurrency is how many communities are worked on at once, 1 to 1000; default 8. Too low: one large community holds
	// up others. Too high: more than the pool of connections serves.
	Concurrency int
	// InHandBytes bounds what is in hand; default 64 MiB. A single larger event has it to itself. Too low: lanes wait for events. Too
	// high: many member lists at once, as when a node starts, need more memory than there is.
	InHandBytes int64
	// AckWait is how long JetStream waits for an acknowledgement before it delivers again; default 30 s. Too low: a large transaction's events come again, for
	// nothing. Too high: what a killed worker held comes late.
	AckWait time.Duration
	Dead    DeadOptions
	// DrainTimeout bounds the end of Run after its context; default 20 s.
	DrainTimeout time.Duration

	Log *slog.Logger // nil discards
}

// Broker is the connection to NATS; *stream.Broker is one.
type Broker interface {
	JetStream() jetstream.JetStream
	// StreamName is the stream's real name, with the prefix.
	StreamName(messages.Stream) string
	Connected() bool
	// WaitConnected returns when NATS is reachable, with ctx's cause, or when the connection was closed.
	WaitConnected(ctx context.Context) error
}

// Store is the database; *store.Store is one. Errors are judged by store.ClassOf.
type Store interface {
	Apply(ctx context.Context, guildID uint64, changes []store.Change) ([]store.Outcome, error)
	MarkStale(ctx context.Context, g store.Gap, width int, progress func()) (int, error)
	Ping(ctx context.Context) error
	// Progress and SetProgress keep the position up to which a reader has dealt with its stream.
	Progress(ctx context.Context, name string) (int64, error)
	SetProgress(ctx context.Context, name string, position int64) error
}

// Meters counts. Any goroutine calls it; it must not block.
type Meters interface {
	Event(eventType, outcome string)         // an event was dealt with: applied, superseded, duplicate, dead or gap
	Retry(reason string, n int)              // events were given back to be delivered later: a store.Class, or "nats"
	Dead(reason string)                      // an event went to the dead letters: one of DeadReasons
	Applied(changes int, took time.Duration) // a transaction
	Stale(communities int)                   // communities were marked
}

type noMeters struct{}

func (noMeters) Event(string, string)       {}
func (noMeters) Retry(string, int)          {}
func (noMeters) Dead(string)                {}
func (noMeters) Applied(int, time.Duration) {}
func (noMeters) Stale(int)                  {}

// DefaultDurable is the default of Options.Durable.
const DefaultDurable = "worker"

var nameRule = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// New checks the options.
func New(o Options) (*Worker, error) {
	if o.Store == nil {
		return nil, errors.New("worker: a store is required")
	}
	w, err := newReader(o)
	if err != nil {
		return nil, err
	}
	w.every, w.gate, w.room = lookEvery, newGate(w.o.Store, w.o.Log), newRoom(w.o.InHandBytes)
	w.state.news = make(chan struct{}, 1)
	for _, t := range Types {
		w.types[w.subject("events."+t)] = t
	}
	for range w.o.Concurrency {
		w.lanes = append(w.lanes, newLane(w))
	}
	return w, nil
}

// newReader is a worker as far as it concerns the stream.
func newReader(o Options) (*Worker, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Worker{o: o, durable: o.Durable, source: o.Broker.JetStream(), types: map[string]string{}}
	if o.Prefix != "" {
		w.durable = o.Prefix + "_" + o.Durable
	}
	if o.APIPrefix != "" {
		var err error
		if w.source, err = jetstream.NewWithAPIPrefix(w.source.Conn(), o.APIPrefix); err != nil {
			return nil, fmt.Errorf("worker: API prefix %q: %w", o.APIPrefix, err)
		}
	}
	return w, nil
}

func (o *Options) check() error {
	for _, d := range []struct {
		value *int
		or    int
	}{{&o.Batch, 256}, {&o.Concurrency, 8}} {
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if o.InHandBytes == 0 {
		o.InHandBytes = 64 << 20
	}
	if o.AckWait == 0 {
		o.AckWait = 30 * time.Second
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 20 * time.Second
	}
	if o.Durable == "" {
		o.Durable = DefaultDurable
	}
	if o.Meters == nil {
		o.Meters = noMeters{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Broker == nil:
		return errors.New("worker: a broker is required")
	case !nameRule.MatchString(o.Durable) || o.Prefix != "" && !nameRule.MatchString(o.Prefix):
		return fmt.Errorf("worker: durable %q, prefix %q: letters, digits, _ and - only", o.Durable, o.Prefix)
	case o.Batch < 1 || o.Batch > 10_000:
		return fmt.Errorf("worker: batch: %d is not between 1 and 10000", o.Batch)
	case o.Concurrency < 1 || o.Concurrency > 1000:
		return fmt.Errorf("worker: concurrency: %d is not between 1 and 1000", o.Concurrency)
	case o.InHandBytes < 1:
		return fmt.Errorf("worker: in hand: %d bytes is below 1", o.InHandBytes)
	case o.AckWait < 100*time.Millisecond:
		return fmt.Errorf("worker: ack wait: %v is below 100ms", o.AckWait)
	}
	return o.Dead.check()
}

// subject is the real subject of one of the contract's.
func (w *Worker) subject(s string) string {
	if w.o.Prefix == "" {
		return s
	}
	return w.o.Prefix + "." + s
}

// ErrKept says that Run's drain ran out of time with events in hand. They are delivered again, and nothing is lost or applied twice.
var ErrKept = errors.New("worker: the drain ran out of time")

// Run works until ctx ends, then finishes what is in hand within DrainTimeout. It returns nil when all of that was
// acknowledged or given back, else an error that wraps ErrKept; an error of another kind says that NATS refuses for good.
func (w *Worker) Run(ctx context.Context) error {
	// Work goes on after ctx, for as long as the drain may take.
	working, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	stop := context.AfterFunc(ctx, func() {
		w.gate.leave() // nobody waits for the database any more
		late := time.AfterFunc(w.o.DrainTimeout, func() { cut(ErrKept) })
		context.AfterFunc(working, func() { late.Stop() })
	})
	defer stop()

	var owned sync.WaitGroup
	for _, l := range w.lanes {
		owned.Go(func() { l.run(working) }) // ends when its queue is closed
	}
	looking, blind := context.WithCancel(working)
	owned.Go(func() { w.gate.probe(looking) })
	owned.Go(func() { w.look(looking) })
	w.gate.shut(nil, false) // until the database was reached once

	err := w.consume(ctx, working)
	for _, l := range w.lanes {
		close(l.jobs)
	}
	w.inHand.Wait()
	if w.o.Broker.Connected() { // else what was acknowledged comes again, as duplicates
		flushing, done := context.WithTimeout(working, 2*time.Second)
		_ = w.o.Broker.JetStream().Conn().FlushWithContext(flushing)
		done()
	}
	blind()
	owned.Wait()
	if kept := w.kept.Load(); err == nil && kept > 0 {
		err = fmt.Errorf("%w after %v with %d events in hand: they will be delivered again", ErrKept, w.o.DrainTimeout, kept)
	}
	return err
}

// again is how long to wait before NATS is asked again for what was not there. Too low floods a server without
// streams; too high delays the start.
const again = 500 * time.Millisecond

// errNoStream means that no node has made the streams yet.
var errNoStream = errors.New("worker: there is no stream")

// errReconnected means that NATS was connected anew, and that streams and consumer have to be looked at again.
var errReconnected = errors.New("worker: NATS was connected anew")

// consume reads from the durable consumer until ctx ends, over everything that NATS does.
func (w *Worker) consume(ctx, working context.Context) error {
	for ctx.Err() == nil {
		if err := w.o.Broker.WaitConnected(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("worker: nats: %w", err)
		}
		made, cons, err := w.attach(ctx)
		if err == nil {
			w.state.attached(cons)
			err = w.read(ctx, working, made, cons)
			w.state.attached(nil)
		}
		if ctx.Err() != nil {
			return nil
		}
		switch news := w.state.trouble(err); {
		case errors.Is(err, errReconnected):
			continue
		case news && errors.Is(err, errNoStream):
			w.o.Log.Info("waiting for the stream, which drover run makes", "stream", w.o.Broker.StreamName(messages.Events))
		case news:
			w.o.Log.Warn("not reading the stream; trying again", "err", err)
		}
		sleep(ctx, again)
	}
	return nil
}

// read takes messages and hands them to the lanes until ctx ends, when it takes what has come already, or until
// the consumer fails.
func (w *Worker) read(ctx, working context.Context, made time.Time, cons jetstream.Consumer) error {
	msgs, err := cons.Messages(jetstream.PullMaxMessages(w.o.Batch), jetstream.PullExpiry(10*time.Second),
		jetstream.PullHeartbeat(time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("worker: pull: %w", err)
	}
	defer msgs.Stop()
	defer context.AfterFunc(ctx, msgs.Drain)()
	// Behind a new connection there may be another stream, with a consumer that another worker has made: positions would be
	// those of the old one.
	connection := w.connection()
	for {
		m, err := msgs.Next()
		if w.connection() != connection {
			if err == nil {
				_ = m.Nak()
			}
			giveBack(msgs)
			return errReconnected
		}
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return nil
		}
		if err != nil { // no heartbeat, for example: of a server, or of a process, that stood still for two seconds
			giveBack(msgs)
			return fmt.Errorf("worker: next message: %w", err)
		}
		w.take(working, made, m)
	}
}

// giveBack returns what has come and nobody will take: else it came again only after AckWait.
func giveBack(msgs jetstream.MessagesContext) {
	msgs.Drain()
	for m, err := msgs.Next(); err == nil; m, err = msgs.Next() {
		_ = m.Nak()
	}
}

// connection numbers the connections to NATS.
func (w *Worker) connection() uint64 { return w.o.Broker.JetStream().Conn().Stats().Reconnects }

// take hands one message to its guild's lane. A gap concerns many communities: it waits until everything before it
// is done, and everything after it waits for it.
func (w *Worker) take(working context.Context, made time.Time, m jetstream.Msg) {
	j := &job{msg: m, since: time.Now()}
	meta, err := m.Metadata()
	if err != nil {
		return // no message of a consumer's: nobody waits for an acknowledgement
	}
	j.seq, j.delivered, j.position = meta.Sequence.Stream, meta.NumDelivered, store.Position(made, meta.Sequence.Stream)
	typ, known := w.types[m.Subject()]
	if !known {
		typ = strings.TrimPrefix(m.Subject(), w.subject("events."))
	}
	j.event, j.err = decode(typ, m.Data())
	j.event.typ = typ
	j.event.change.Position = j.position
	w.room.enter(j.size()) // lanes make room, also at the end
	if w.hand.Load() == 0 {
		w.state.busy()
	}
	w.inHand.Add(1)
	w.hand.Add(1)
	lane := w.lanes[mix(j.event.guildID)%uint64(len(w.lanes))]
	if j.err == nil && j.event.gap != nil {
		w.inHand.Done() // not in a lane
		w.inHand.Wait()
		w.inHand.Add(1)
		j.event.gap.Position = j.position
		lane.gap(working, j)
		return
	}
	lane.jobs <- j
}

// mix spreads guild ids, whose low bits are counters of a machine, over the lanes.
func mix(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	return n ^ n>>33
}

// sleep waits for d or for ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
