package stream

import (
	"context"
	"slices"
	"time"

	"drover/messages"
)

// lane is the way of one stream's events: the window of what may be in flight, and before it the
// way over the disk. Order is promised within a stream only, so the lanes know nothing of one another, and
// interactions overtake everything else. The Publisher's mu guards a lane.
type lane struct {
	stream   messages.Stream
	ring     *ring
	maxBytes int // of the events in the ring
	bytes    int // of the events in the ring

	reserved, promised int // slots and bytes promised to Publish calls that encode
	waiters            []*waiter
	barge              int // events that may go before the waiters, see grant

	made time.Time // of the stream that ring.stored belongs to
	overflow
}

// waiter is a Publish call for which there was no room. Whoever closes granted has reserved it, or says in
// one of the other fields why not.
type waiter struct {
	bytes    int
	mayShed  bool
	since    time.Time
	granted  chan struct{}
	closed   bool // the Publisher was closed
	overfull bool // the spool is full, and this event may be dropped
}

func newLane(s messages.Stream, o Options) *lane {
	l := &lane{stream: s, ring: newRing(o.Window), maxBytes: o.WindowBytes}
	l.owners, l.receipts = make(map[string]*owner), make(map[string]messages.Receipt)
	return l
}

// unacked counts what was taken and is not acknowledged.
func (l *lane) unacked() int { return l.ring.live + len(l.staged) + int(l.disk-l.loaded) }

// fits reports whether there is a slot and room, in the window or on the way to the spool; one event always has room.
func (l *lane) fits(room int) bool {
	if l.spilling {
		return len(l.staged)+l.reserved < len(l.ring.slots)/stageShare+1 &&
			(l.stagedBytes+l.promised == 0 || l.stagedBytes+l.promised+room <= l.maxBytes/stageShare)
	}
	return l.ring.used()+l.reserved < len(l.ring.slots) &&
		(l.bytes+l.promised == 0 || l.bytes+l.promised+room <= l.maxBytes)
}

// stageShare is which part of the window's size may wait in memory for the disk.
const stageShare = 4

// reserve promises a slot and room bytes to the caller, in the order of the calls. It returns ctx's
// cause or ErrClosed; or shed, where the event may be dropped and there is nowhere else to put it.
func (p *Publisher) reserve(ctx context.Context, l *lane, room int, mayShed bool) (shed bool, err error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return false, ErrClosed
	}
	if len(l.waiters) == 0 && l.fits(room) {
		l.reserved++
		l.promised += room
		p.mu.Unlock()
		return false, nil
	}
	if mayShed && l.spilling && l.full != nil {
		p.mu.Unlock()
		return true, nil
	}
	w := &waiter{bytes: room, mayShed: mayShed, since: time.Now(), granted: make(chan struct{})}
	l.waiters = append(l.waiters, w)
	p.mu.Unlock()
	select {
	case <-w.granted:
	case <-ctx.Done():
		p.mu.Lock()
		i := slices.Index(l.waiters, w)
		if i >= 0 {
			l.waiters = slices.Delete(l.waiters, i, i+1)
			l.grant() // the next may need less
			p.mu.Unlock()
			return false, context.Cause(ctx)
		}
		p.mu.Unlock() // granted or closed in the same instant: then so be it
	}
	if w.closed {
		return false, ErrClosed
	}
	return w.overfull, nil
}

// grant lets those in who have room now. With each, some events may come that find room without waiting: most often the
// next ones of the same shard. To park a goroutine and to wake it costs about as much as to publish an event.
func (l *lane) grant() {
	burst := 1
	if len(l.waiters) > 0 && !l.spilling && time.Since(l.waiters[0].since) < burstPatience {
		burst = min(maxBurst, max(1, len(l.ring.slots)/maxBurst))
	}
	l.barge = 0
	free := len(l.ring.slots) - l.ring.used() - l.reserved
	if !l.spilling && free < len(l.ring.slots)/32 {
		return // more acknowledgements are under way; each wake-up shall be worth it
	}
	n := 0
	for ; n < len(l.waiters) && l.fits(l.waiters[n].bytes) && (l.barge == 0 || free >= burst); n++ {
		w := l.waiters[n]
		l.reserved++
		l.promised += w.bytes
		l.barge += burst - 1
		free -= burst
		close(w.granted)
	}
	l.waiters = slices.Delete(l.waiters, 0, n) // there may be a thousand: move them once
}

// maxBurst is how many events may come with one that has waited. Too few cost wake-ups; too many make the others wait for
// longer, though never for longer than these take.
const maxBurst = 16

// burstPatience is how long somebody may have waited while others go before. It is well below busyPatience: a NATS that is
// slow with all shards in turn must not look like one that has stopped.
const burstPatience = busyPatience / 4

// takes reports whether an event finds room now, and may have it before those who wait.
func (l *lane) takes(room int) bool {
	return !l.spilling && (len(l.waiters) == 0 || l.barge > 0) && l.fits(room)
}

// shedWaiters sends those away whose events may be dropped: the spool is full.
func (l *lane) shedWaiters() {
	l.waiters = slices.DeleteFunc(l.waiters, func(w *waiter) bool {
		if w.mayShed {
			w.overfull = true
			close(w.granted)
		}
		return w.mayShed
	})
}
