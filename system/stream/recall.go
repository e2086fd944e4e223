package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// LastSeq returns the sequence number of the newest event in a stream, 0 where there is none or no stream.
func (b *Broker) LastSeq(ctx context.Context, s messages.Stream) (uint64, error) {
	name := b.StreamName(s)
	info, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("stream: read %s: %w", name, b.clean(err))
	}
	return info.CachedInfo().State.LastSeq, nil
}

// StoredSince calls fn for each event that a stream holds behind the sequence number after, in order, with the values of
// its headers Nats-Msg-Id and Drover-Seq; the latter is empty for drover's own events. It reads no payloads. A stream that
// ends before after is another one than the caller remembers, and is read from its beginning. gone counts events behind
// after that were stored and are not there any more, since they were too old or too many.
func (b *Broker) StoredSince(
	ctx context.Context, s messages.Stream, after uint64, fn func(id, seq string, stored uint64),
) (gone uint64, err error) {
	name := b.StreamName(s)
	stream, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("stream: read %s: %w", name, b.clean(err))
	}
	state := stream.CachedInfo().State
	if after > state.LastSeq {
		after = 0
	}
	first := max(after+1, state.FirstSeq) // an empty stream's first is behind its last
	gone = first - after - 1
	if state.Msgs == 0 || first > state.LastSeq {
		return gone, nil
	}
	return gone, b.readHeaders(ctx, stream, first, fn)
}

// readHeaders reads a stream from first to what is its end now.
func (b *Broker) readHeaders(ctx context.Context, stream jetstream.Stream, first uint64, fn func(id, seq string, stored uint64)) error {
	name, state := stream.CachedInfo().Config.Name, stream.CachedInfo().State
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 30 * time.Second, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return fmt.Errorf("stream: read %s: %w", name, b.clean(err))
	}
	defer b.forgetConsumer(ctx, stream, consumer)
	if consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	msgs, err := consumer.Messages(jetstream.PullMaxMessages(2048), jetstream.PullHeartbeat(time.Second),
		jetstream.PullExpiry(10*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("stream: read %s: %w", name, b.clean(err))
	}
	defer msgs.Stop()
	for {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("stream: read %s: %w", name, b.clean(err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("stream: read %s: %w", name, b.clean(err))
		}
		h := m.Headers()
		fn(h.Get(messages.HeaderID), h.Get(messages.HeaderSeq), meta.Sequence.Stream)
		if meta.NumPending == 0 || meta.Sequence.Stream >= state.LastSeq {
			return nil
		}
	}
}

// forgetConsumer spares the server the wait until the consumer is taken for inactive.
func (b *Broker) forgetConsumer(ctx context.Context, s jetstream.Stream, c jetstream.Consumer) {
	if err := s.DeleteConsumer(ctx, c.CachedInfo().Name); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.log.Debug("consumer not deleted", "err", b.clean(err))
	}
}

// recall finds out what of the unknown is stored, where JetStream's duplicate window may have forgotten it: the
// window alone would let it in twice. It runs while the Publisher is paused.
func (p *Publisher) recall(ctx context.Context) error {
	for s, l := range p.lanes {
		made := p.b.madeAt(messages.Stream(s))
		p.mu.Lock()
		if !l.made.IsZero() && !l.made.Equal(made) {
			l.ring.moved()
			if p.o.Spool != nil {
				p.mu.Unlock()
				err := p.o.Spool.resetMark(l.stream, 0) // or the next process would look behind what it searches
				p.mu.Lock()
				if err != nil {
					p.b.log.Warn("the spool keeps a position in a stream that is gone", "stream", l.stream.String(), "err", err)
				}
			}
		}
		l.made = made
		p.mu.Unlock()
		want, suspects, err := p.unknown(l)
		if err != nil {
			return err
		}
		if len(want) == 0 {
			continue
		}
		found := make(map[string]uint64)
		began := time.Now()
		after, company := p.Stored()[s], false
		gone, err := p.b.StoredSince(ctx, l.stream, after, func(id, _ string, stored uint64) {
			if want[id] {
				found[id] = stored
			} else {
				company = true
			}
		})
		if err != nil {
			return err
		}
		p.mu.Lock()
		l.ring.company = l.ring.company || company // what is gone may be the other's as well
		p.infer(l, found, after, gone)
		p.mu.Unlock()
		p.b.log.Info("read back what is stored: the duplicate window may have forgotten it",
			"stream", l.stream.String(), "unknown", len(want), "stored", len(found), "took", time.Since(began))
		p.confirm(l, found, suspects)
	}
	return nil
}

// infer adds to found what was stored and has aged out of the stream meanwhile, so that nobody can read it back. What
// was sent first was stored first: where nobody else publishes into the stream, so many of the oldest were stored as are
// gone. In company it cannot be known, and an event that is stored twice is better than one that is lost. The caller holds mu.
func (p *Publisher) infer(l *lane, found map[string]uint64, after, gone uint64) {
	var sentOnce []string
	for pos := l.ring.tail; pos < l.ring.head; pos++ {
		if l.ring.at(pos).state == acked {
			return // stored before one that came before it: then the order says nothing
		}
		if s := l.ring.at(pos); s.sends > 0 && (s.state == sent || s.state == waiting) {
			sentOnce = append(sentOnce, s.id)
		}
	}
	if !l.ring.alone() || gone == 0 || gone > uint64(len(sentOnce)) {
		return
	}
	for i, id := range sentOnce[:gone] {
		found[id] = after + 1 + uint64(i)
	}
	p.b.log.Info("events whose acknowledgement is missing have aged out of the stream: they were stored",
		"stream", l.stream.String(), "events", gone)
}

// unknown returns the ids of a lane's events that may be stored and may be too old for the duplicate window, and up to
// which record of an earlier process they reach.
func (p *Publisher) unknown(l *lane) (want map[string]bool, suspects uint64, err error) {
	want = make(map[string]bool)
	p.mu.Lock()
	old := false
	if s := l.ring.oldest(); s != nil && s.sends > 0 {
		old = p.clock()-s.firstSent > p.b.duplicates(l.stream)/2
	}
	for pos := l.ring.tail; old && pos < l.ring.head; pos++ {
		if s := l.ring.at(pos); s.sends > 0 && (s.state == sent || s.state == waiting) {
			want[s.id] = true
		}
	}
	suspects, after := l.suspects, l.loaded
	p.mu.Unlock()
	for after < suspects {
		batch, err := p.o.Spool.read(l.stream, after, spoolBatch, spoolBatchBytes)
		if err != nil {
			return nil, 0, fmt.Errorf("stream: read the spool: %w", err)
		}
		for _, r := range batch {
			if r.index <= suspects {
				want[r.id] = true
			}
			after = r.index
		}
		if len(batch) == 0 {
			break
		}
	}
	return want, suspects, nil
}

// confirm acknowledges what was found, at once or when the feeder comes to it.
func (p *Publisher) confirm(l *lane, found map[string]uint64, suspects uint64) {
	p.mu.Lock()
	for pos := l.ring.tail; pos < l.ring.head; pos++ {
		s := l.ring.at(pos)
		if s.state != sent && s.state != waiting {
			continue
		}
		if stored, ok := found[s.id]; ok {
			delete(found, s.id)
			p.settle(l, s, stored)
			p.mu.Lock()
		}
	}
	if suspects > 0 {
		l.known, l.suspects = found, 0
	}
	p.mu.Unlock()
}
