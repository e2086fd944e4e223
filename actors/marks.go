package actors

import (
	"math"
	"slices"
	"sync"
	"time"

	"drover/messages"
)

// marks follows one session's acknowledgements. The acked mark of a stream is the highest sequence number up to which
// every event of that stream is stored; events of the other stream, and those that needed no storing, count as done.
// What is up to its stream's mark may be forgotten. The rest Discord must replay.
//
// The read goroutine calls sent and skip, in rising order; NATS' goroutine calls Acked, in any. An acknowledgement of an
// earlier session reaches that one's marks.
type marks struct {
	session string    // Discord's whole id
	number  uint64    // the session's, as the tracker counts
	begun   time.Time // READY of the shard's first session ever, which may be another one; zero: in an earlier process
	settled func()    // called when nothing is held any more; must not block; may be nil
	before  *marks    // of the newest session before of which something was open when this one began; nil: nothing was

	former    [messages.Streams]former // what an earlier process left; set before the shard starts
	spooledAt time.Time                // when the newest of it in the spool was read; zero: there is nothing

	// An event touches what follows and its own lane, and little else of marks: of a thousand sessions none is in the processor's
	// cache.
	restored bool // there was an earlier process: former counts
	mu       sync.Mutex
	seen     int64 // newest sequence number of all, published or not
	prior    int64 // seen, as it was before the newest sent
	lanes    [messages.Streams]lane

	held     int // of drover's own events: not acknowledged
	adopting bool
}

// former is what an earlier process had done of a stream's events.
type former struct {
	acked  int64
	upTo   int64   // acknowledged, or in the spool and so on their way
	beyond []int64 // stored, above acked; rising
}

// newMarks returns the marks of a session of which everything up to seq is done. stored says behind which positions of
// the streams everything else of it will stand.
func newMarks(session string, number uint64, seq int64, stored [messages.Streams]uint64) *marks {
	m := &marks{session: session, number: number, seen: seq, prior: seq}
	for s := range m.lanes {
		m.lanes[s] = lane{floor: seq, last: seq, stored: stored[s]}
	}
	return m
}

// restoreMarks returns the marks of an earlier process's session. adopt follows.
func restoreMarks(c *messages.Checkpoint, number uint64) *marks {
	m := newMarks(c.Session, number, c.Seq(), c.Stored)
	m.restored, m.adopting = true, true
	for s := range m.lanes {
		m.lanes[s].floor = c.Acked[s]
		beyond := slices.Clone(c.Beyond[s])
		slices.Sort(beyond)
		m.former[s] = former{acked: c.Acked[s], upTo: c.Acked[s], beyond: beyond}
	}
	return m
}

// adopt takes over what the spool has of the session. Acknowledgements of it may have come before.
func (m *marks) adopt(found [messages.Streams]messages.Spooled) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.adopting = false
	for s := range m.lanes {
		l, last := &m.lanes[s], found[s].Last
		m.former[s].upTo = max(m.former[s].upTo, last)
		l.spool.last = last
		l.spool.left += found[s].Left
		l.drained()
		if found[s].At.After(m.spooledAt) {
			m.spooledAt = found[s].At
		}
	}
}

// done reports whether a replayed event needs no publishing: it is stored, or on its way from the spool.
func (m *marks) done(stream messages.Stream, seq int64) bool {
	if !m.restored {
		return false
	}
	f := &m.former[stream]
	if seq <= f.upTo {
		return true
	}
	_, found := slices.BinarySearch(f.beyond, seq)
	return found
}

// sent records that seq is about to be handed to the window. Once more for the newest changes nothing: a panic
// kept it from being told whether the window took it.
func (m *marks) sent(stream messages.Stream, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lanes[stream].push(seq) {
		m.prior, m.seen = m.seen, max(m.seen, seq)
	}
}

// unsent takes the newest sent back: the window did not take it.
func (m *marks) unsent(stream messages.Stream, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lanes[stream].pop(seq) {
		m.seen = m.prior
	}
}

// skip records a sequence number that is not published: it counts as done once all before it are.
func (m *marks) skip(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = max(m.seen, seq)
}

// Acked implements messages.Receipt for the session's dispatches.
func (m *marks) Acked(stream messages.Stream, seq int64, stored uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &m.lanes[stream]
	if m.adopting || seq <= l.spool.last {
		l.spool.left--
		l.spool.stored = max(l.spool.stored, stored)
		if !m.adopting {
			l.drained()
		}
	} else {
		l.ack(seq, stored)
	}
}

// hold returns a receipt for one of drover's own events, and keeps point from being ok until it is acknowledged.
func (m *marks) hold() messages.Receipt {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held++
	return &held{of: m}
}

// held is the receipt of one own event.
type held struct {
	of   *marks
	done bool // guarded by of.mu
}

// Acked implements messages.Receipt.
func (h *held) Acked(messages.Stream, int64, uint64) {
	m := h.of
	m.mu.Lock()
	last := !h.done && m.held == 1
	if !h.done {
		h.done = true
		m.held--
	}
	m.mu.Unlock()
	if last && m.settled != nil {
		m.settled()
	}
}

// acked returns the lower one of the marks. Any goroutine may call it.
func (m *marks) acked() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	low := m.lanes[0].mark(m.seen)
	for s := range m.lanes {
		low = min(low, m.lanes[s].mark(m.seen))
	}
	return low
}

// reached is the sequence number up to which nothing of the session can be missing: it is acknowledged or in the spool.
// An event is written to the spool after all interactions that came before it, but not the other way round.
func (m *marks) reached() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.former[messages.Events]; f.upTo > f.acked {
		return max(f.upTo, m.lanes[messages.Events].mark(m.seen))
	}
	low := int64(math.MaxInt64)
	for s := range m.lanes {
		low = min(low, max(m.former[s].upTo, m.lanes[s].mark(m.seen)))
	}
	return low
}

// point returns what a checkpoint says of the streams. ok is false while it must not replace an older one: what tells
// consumers of that one's end is not stored yet. received is what the tracker had before: an acknowledgement may be faster
// than the read goroutine, and then its event does not count yet, since the guild set lacks it.
func (m *marks) point(received int64) (acked [messages.Streams]int64, stored [messages.Streams]uint64, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ok = m.held == 0 && !m.adopting
	for s := range m.lanes {
		l := &m.lanes[s]
		acked[s], stored[s] = l.mark(m.seen), l.stored
		if l.newest > received && acked[s] >= l.newest {
			acked[s] = l.newest - 1
			stored[s] = max(stored[s], 1) - 1 // it may be that event's
		}
	}
	return acked, stored, ok
}

// nothingOpen reports that every event of the stream is acknowledged, and received by the tracker.
func (m *marks) nothingOpen(stream messages.Stream, received int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &m.lanes[stream]
	return !m.adopting && l.spool.left == 0 && l.head == len(l.open) && l.newest <= received
}

// unsettled is m, or the newest of those before it, of which something is open; nil: nothing is. Discord's events of the
// shard's earlier sessions may be on their way as well.
func (m *marks) unsettled() *marks {
	for ; m != nil; m = m.before {
		if m.busy() {
			return m
		}
	}
	return nil
}

// open counts what unsettled looks for.
func (m *marks) open() (n int) {
	for ; m != nil; m = m.before {
		n += m.count()
	}
	return n
}

func (m *marks) busy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.lanes {
		if l := &m.lanes[s]; l.spool.left > 0 || l.head < len(l.open) {
			return true
		}
	}
	return false
}

func (m *marks) count() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.lanes {
		l := &m.lanes[s]
		n += max(l.spool.left, 0)
		for _, r := range l.open[l.head:] {
			n += int(r.left)
		}
	}
	return n
}

// remade forgets the positions in a stream that was made again, which counts from 1.
func (m *marks) remade(stream messages.Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &m.lanes[stream]
	l.stored, l.spool.stored = 0, 0
	for i := range l.open {
		l.open[i].stored = 0
	}
}
