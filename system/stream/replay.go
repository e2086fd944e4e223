package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// Pause stops sending. Publish still takes events until the window is full. Replay makes it go on.
// It need not be called after a lost connection: nothing is sent on the next one before Replay.
func (p *Publisher) Pause() {
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
}

// Replay makes everything certain again: it waits for the connection, makes sure of the streams,
// sends all unacknowledged events again in their order and under their ids, and opens
// the Publisher when those are acknowledged. It goes on until that has worked, or returns ctx's cause or
// ErrClosed: then the Publisher stays paused. Calls wait for one another.
func (p *Publisher) Replay(ctx context.Context) error {
	select {
	case p.replays <- struct{}{}:
		defer func() { <-p.replays }()
	case <-p.done:
		return ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.mu.Lock()
	p.stopReplay = cancel
	if p.closed {
		cancel(ErrClosed)
	}
	p.paused = true
	cause := p.cause
	p.mu.Unlock()
	if cause != nil { // a lost connection has been told already
		p.b.log.Warn("publishing paused", "unacked", p.Unacked(), "err", cause)
	}
	again, began, told := 0, time.Now(), time.Time{}
	for attempt := 0; ; attempt++ {
		n, err := p.attempt(ctx, cause)
		again += n
		if n > 0 && p.o.OnRetry != nil {
			p.o.OnRetry(n, cause)
		}
		if err == nil {
			if cause != nil || again > 0 {
				p.b.log.Info("publishing resumed", "again", again, "took", time.Since(began))
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.mu.Lock()
		p.cause, cause = err, err
		p.mu.Unlock()
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			p.b.log.Warn("publishing is still paused", "unacked", p.Unacked(), "err", err)
		}
		wait := delay(attempt)
		if errors.Is(err, errFenced) {
			wait = fencePatience
		}
		if !sleep(ctx, wait) {
			return context.Cause(ctx)
		}
	}
}

// attempt is one try of Replay; again: events that were sent once more.
func (p *Publisher) attempt(ctx context.Context, cause error) (again int, err error) {
	if err := p.b.WaitConnected(ctx); err != nil {
		return 0, err
	}
	asking, cancel := context.WithTimeout(ctx, p.b.opts.AckTimeout)
	defer cancel()
	if err := p.b.EnsureStreams(asking); err != nil {
		if asking.Err() != nil && ctx.Err() == nil {
			// Connected, and no answer: a black hole. Not waiting for the pings saves 10 s.
			_ = p.b.nc.ForceReconnect()
		}
		return 0, err
	}
	p.mu.Lock()
	fenced := p.fenced()
	p.mu.Unlock()
	if fenced {
		return 0, errFenced
	}
	if err := p.recall(ctx); err != nil {
		return 0, err
	}
	return p.resend(ctx, flight(cause, p.Window()))
}

// flight is how many events may be unacknowledged while they are sent again. After a refusal it is
// one: the server may take a later event that is smaller or luckier, and that would change the order.
func flight(cause error, window int) int {
	var no *AckError
	if errors.As(cause, &no) {
		return 1
	}
	return min(window, 256)
}

// resend sends all that waits, at most limit at a time, until what was in the window when it began is
// acknowledged and the rest is on its way. Then it opens the Publisher.
func (p *Publisher) resend(ctx context.Context, limit int) (again int, err error) {
	lost := p.b.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer p.b.nc.RemoveStatusListener(lost)
	goals, err := p.begin()
	if err != nil {
		return 0, err
	}
	defer func() {
		p.mu.Lock()
		p.replaying = false
		p.mu.Unlock()
	}()
	timeout := time.NewTimer(p.b.opts.AckTimeout)
	defer timeout.Stop()
	for {
		open, n, err := p.burst(goals, limit)
		again += n
		if open || err != nil {
			return again, err
		}
		select {
		case <-p.progress:
			timeout.Reset(p.b.opts.AckTimeout)
		case <-timeout.C:
			return again, ErrAckTimeout
		case <-lost:
			return again, errReconnected
		case <-ctx.Done():
			return again, context.Cause(ctx)
		}
	}
}

// begin binds the sends to the connection of now and makes the windows wait for them again. goals are the
// positions behind what must be acknowledged before the Publisher opens.
func (p *Publisher) begin() (goals [messages.Streams]uint64, err error) {
	p.sendLock.Lock()
	defer p.sendLock.Unlock()
	// If this epoch is over before the last send, that send fails. So all are on one connection.
	epoch := p.b.gate.epoch.Load()
	if !p.b.nc.IsConnected() {
		return goals, errReconnected
	}
	p.max = int(p.b.nc.MaxPayload())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replaying, p.fault = true, nil
	if p.cause == nil && p.epoch == epoch {
		return goals, nil // only Pause: what was sent is on its way, on a connection that lives
	}
	p.epoch = epoch
	for s, l := range p.lanes {
		l.ring.rewind()
		goals[s] = l.ring.head
	}
	return goals, nil
}

// burst sends what may be sent now, interactions first, and counts what was sent before. open: everything was, and
// the Publisher is open. Otherwise it must wait for acknowledgements. It holds sendLock throughout, so that
// Publish cannot add events for ever while the last ones are sent.
func (p *Publisher) burst(goals [messages.Streams]uint64, limit int) (open bool, again int, err error) {
	p.sendLock.Lock()
	defer p.sendLock.Unlock()
	defer p.Flush() // before anything is waited for
	for {
		p.mu.Lock()
		if p.fault != nil {
			defer p.mu.Unlock()
			return false, again, p.fault
		}
		l, token, it, rest := p.next(goals, limit)
		if l == nil {
			if !rest {
				p.paused, p.replaying, p.cause = false, false, nil
				p.wake(p.toFeed)
			}
			p.mu.Unlock()
			return !rest, again, nil
		}
		p.mu.Unlock()
		if it.sends > 1 {
			again++
		}
		if err := p.transmit(l, token, it, true); err != nil {
			return false, again, err
		}
	}
}

// next takes what a replay sends next. Without a lane there is nothing to send now, and rest says whether there is
// something to wait for. The caller holds mu.
func (p *Publisher) next(goals [messages.Streams]uint64, limit int) (l *lane, token uint64, it *item, rest bool) {
	certain, flying := true, 0
	for s, l := range p.lanes {
		certain = certain && l.ring.tail >= goals[s] // the past is: the rest is ordinary publishing
		flying += l.ring.flying
	}
	if !certain && flying >= limit {
		return nil, 0, nil, true
	}
	for _, s := range feedOrder {
		l := p.lanes[s]
		if token, it, ok := l.ring.send(p.clock()); ok {
			return l, token, it, true
		}
	}
	return nil, 0, nil, !certain
}

// delay is the wait after a failed attempt to connect or to replay, attempts counted from 0: 50 ms
// at first, doubling up to 2 s, half of it random so that a fleet does not come back in one instant.
func delay(attempt int) time.Duration {
	d := min(50*time.Millisecond<<min(max(attempt, 0), 6), 2*time.Second)
	return d/2 + rand.N(d/2)
}

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
