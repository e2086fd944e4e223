package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// FollowOptions say what Follow delivers.
type FollowOptions struct {
	Filter Filter
	// All begins with the oldest event that is stored, Since with the oldest that is younger; with
	// neither, Follow delivers what is stored from now on.
	All   bool
	Since time.Duration
	// Waiting is called when a stream does not exist yet; Follow waits for it. It may be nil.
	Waiting func(stream string)
}

// Message is one stored event.
type Message struct {
	Stream    messages.Stream
	StreamSeq uint64 // its sequence number in the stream
	Subject   string // with the prefix
	ID        string // header Nats-Msg-Id
	Event     string // header Drover-Event: Discord's t
	Seq       string // header Drover-Seq: "<session>:<sequence>"; empty for life-cycle events

	Raw      []byte // the envelope as it is stored: it may hold an interaction's token
	Envelope Envelope
	Err      error // why Raw is no envelope; then Envelope is empty

	Stored   time.Time // by JetStream
	Received time.Time // by us
}

// Envelope is the decoded form of what drover publishes (contract §3). It may hold a token in Data.
type Envelope struct {
	ID        string          `json:"event_id"`
	Type      string          `json:"event_type"`
	ShardID   int             `json:"shard_id"`
	Timestamp int64           `json:"timestamp"` // Unix ms
	GuildID   *string         `json:"guild_id"`
	ChannelID *string         `json:"channel_id"`
	UserID    *string         `json:"user_id"`
	Data      json.RawMessage `json:"data"`
}

// recheck is how often Follow looks for a stream that is not there.
const recheck = 500 * time.Millisecond

// Follow calls fn for each message of both streams that matches, one at a time; within a stream in
// the stream's order, and across a reconnect. It returns nil when ctx ends, fn's error when fn fails, and an
// error where NATS refuses for good. fn may keep the Message.
func (b *Broker) Follow(ctx context.Context, o FollowOptions, fn func(Message) error) error {
	if err := o.Filter.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var (
		turn sync.Mutex // fn is called by one goroutine at a time
		wg   sync.WaitGroup
	)
	for s := range messages.Stream(messages.Streams) {
		subjects, wanted := o.Filter.subjects(b, s)
		if !wanted {
			continue
		}
		f := &follower{b: b, o: o, stream: s, subjects: subjects, began: began, fn: func(m Message) error {
			turn.Lock()
			defer turn.Unlock()
			if ctx.Err() != nil {
				return nil // the other stream's goroutine has failed, or the caller wants no more
			}
			return fn(m)
		}}
		wg.Go(func() { // ends with ctx; Follow waits for it
			if err := f.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	var ended *followError
	if errors.As(context.Cause(ctx), &ended) {
		return ended.err
	}
	return nil
}

// followError tells an error of ours from the caller's cause.
type followError struct{ err error }

func (e *followError) Error() string { return e.err.Error() }

// follower follows one stream. One goroutine uses it.
type follower struct {
	b        *Broker
	o        FollowOptions
	stream   messages.Stream
	subjects []string
	began    time.Time
	fn       func(Message) error

	next uint64    // sequence number to go on with; 0: the options say where to begin
	made time.Time // of the stream; another time is another stream
	told bool      // the stream was missing
}

func (f *follower) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := f.b.WaitConnected(ctx); err != nil {
			return nil
		}
		err := f.follow(ctx)
		var ended *followError
		if errors.As(err, &ended) {
			return ended
		}
		if errors.Is(err, ErrNoJetStream) || errors.Is(err, ErrClosed) {
			return &followError{err}
		}
		if err != nil && ctx.Err() == nil {
			f.b.log.Debug("following again", "stream", f.b.StreamName(f.stream), "err", err)
		}
		sleep(ctx, recheck)
	}
	return nil
}

// follow delivers until something ends it.
func (f *follower) follow(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, f.b.opts.AckTimeout)
	defer cancel()
	name := f.b.StreamName(f.stream)
	s, err := f.b.js.Stream(asking, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !f.told && f.o.Waiting != nil {
			f.o.Waiting(name)
		}
		f.told = true
		return nil
	}
	if err != nil {
		return f.b.streamError(jetstream.StreamConfig{Name: name}, jetstream.StreamConfig{}, err)
	}
	cons, err := s.CreateConsumer(asking, f.config(s.CachedInfo()))
	if err != nil {
		return fmt.Errorf("stream: follow %s: %w", name, f.b.clean(err))
	}
	msgs, err := cons.Messages(jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(10*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("stream: follow %s: %w", name, f.b.clean(err))
	}
	defer msgs.Stop()
	for delivery := uint64(1); ; delivery++ {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("stream: follow %s: %w", name, f.b.clean(err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("stream: follow %s: %w", name, f.b.clean(err))
		}
		if meta.Sequence.Consumer != delivery {
			return fmt.Errorf("stream: follow %s: a message is missing", name)
		}
		f.next = meta.Sequence.Stream + 1
		if err := f.deliver(m, meta); err != nil {
			return &followError{err}
		}
	}
}

// config begins where the options say, or goes on after an interruption. It is no ordered consumer of
// nats.go's: that one goes on by itself with the old sequence number when the stream was made again.
func (f *follower) config(info *jetstream.StreamInfo) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		FilterSubjects: f.subjects, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 30 * time.Second,
		MemoryStorage: true, Replicas: 1,
	}
	again := !f.made.IsZero() && !f.made.Equal(info.Created)
	f.made = info.Created
	switch {
	case again, f.told && f.next == 0: // a stream that was not there when we began holds only what is new
		f.next = 1
	case f.next > 0 || f.o.Since > 0:
	case f.o.All:
		f.next = 1
	default:
		// Not DeliverNew: an interruption before the first message would skip what came meanwhile.
		f.next = info.State.LastSeq + 1
	}
	if f.next == 0 {
		begin := f.began.Add(-f.o.Since)
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &begin
		return c
	}
	c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, f.next
	return c
}

func (f *follower) deliver(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
	h := m.Headers()
	out := Message{
		Stream: f.stream, StreamSeq: meta.Sequence.Stream, Subject: m.Subject(),
		ID: h.Get(messages.HeaderID), Event: h.Get(messages.HeaderEvent), Seq: h.Get(messages.HeaderSeq),
		Raw: m.Data(), Stored: meta.Timestamp, Received: time.Now(),
	}
	if err := json.Unmarshal(out.Raw, &out.Envelope); err != nil {
		out.Envelope, out.Err = Envelope{}, fmt.Errorf("stream: no envelope: %w", err)
	}
	if !f.o.Filter.matches(&out.Envelope) {
		return nil
	}
	return f.fn(out)
}
