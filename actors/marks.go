package actors

import (
	"sort"
	"sync"
	"sync/atomic"

	"drover/messages"
)

// marks follows one session's acknowledgements: the acked mark is the highest sequence number up to which every event
// is stored in its stream, or needed no storing. What is up to the mark may be forgotten; the rest
// Discord must replay.
//
// The read goroutine calls sent and skip, in rising order; NATS' goroutine calls Acked, in any.
type marks struct {
	mark atomic.Int64

	mu     sync.Mutex
	open   []entry // by rising seq; from head on, the oldest that is not acknowledged and all after it
	head   int
	last   int64 // newest seq seen, published or not
	before int64 // last, as it was before the newest sent
}

// entry is an event in flight.
type entry struct {
	seq  int64
	done bool
}

// newMarks returns the marks of a session of which everything up to seq is done.
func newMarks(seq int64) *marks {
	m := &marks{last: seq}
	m.mark.Store(seq)
	return m
}

// sent records that seq is about to be handed to the window. Once more for the newest changes nothing: a panic
// kept it from being told whether the window took it.
func (m *marks) sent(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.open); n > m.head && m.open[n-1].seq == seq {
		return
	}
	if m.head > 64 && m.head > len(m.open)/2 { // move what is in flight to the front of its array
		m.open = m.open[:copy(m.open, m.open[m.head:])]
		m.head = 0
	}
	m.before, m.last = m.last, seq
	m.open = append(m.open, entry{seq: seq})
}

// unsent takes the newest sent back: the window did not take it.
func (m *marks) unsent(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.open); n > m.head && m.open[n-1].seq == seq {
		m.open, m.last = m.open[:n-1], m.before
		m.advance()
	}
}

// skip records a sequence number that is never published: it counts as done once all before it are.
func (m *marks) skip(seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, seq)
	m.advance()
}

// Acked implements messages.Receipt.
func (m *marks) Acked(_ messages.Stream, seq int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	flight := m.open[m.head:]
	i := 0
	if len(flight) > 0 && flight[0].seq != seq { // acknowledgements come nearly in order
		i = sort.Search(len(flight), func(i int) bool { return flight[i].seq >= seq })
	}
	if i < len(flight) && flight[i].seq == seq {
		flight[i].done = true
	}
	m.advance()
}

// acked returns the mark. Any goroutine may call it.
func (m *marks) acked() int64 { return m.mark.Load() }

// advance moves head over what is done, and the mark with it.
func (m *marks) advance() {
	for m.head < len(m.open) && m.open[m.head].done {
		m.head++
	}
	if m.head == len(m.open) {
		m.open, m.head = m.open[:0], 0
		m.mark.Store(m.last)
		return
	}
	m.mark.Store(m.open[m.head].seq - 1)
}
