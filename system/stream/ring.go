package stream

import (
	"time"

	"drover/messages"
)

// ring holds the unacknowledged events in the order in which they are published. Positions count
// up for ever; position p lives in slot p % len(slots).
//
//	tail ≤ next ≤ head: [tail, next) was sent, [next, head) waits, head is free.
//
// A slot is reused only when everything before it is acknowledged too. The zero value is useless:
// newRing. No goroutine may use a ring without its owner's lock.
type ring struct {
	slots            []slot
	tail, next, head uint64
	live             int // not acknowledged
	flying           int // sent since the last rewind and not acknowledged
	bare             int // not acknowledged and not in the spool: a kill would take them

	// Of the events that the tail has passed: they and all before them are acknowledged.
	stored uint64 // sequence number of the newest in its stream
	record uint64 // index of the newest in the spool; 0: none of them was there
	// company: between their positions in the stream there were others, so somebody else publishes into it too.
	company bool
	passed  int // events of this ring that went by with a position
}

// slot is the home of one event. gen counts the uses and the sends of the slot, so that an
// acknowledgement of an earlier one is told apart.
type slot struct {
	state  state
	gen    uint32
	record uint64 // index in the spool, which forgets it when the tail has passed; 0: not there
	stored uint64 // sequence number in the stream, once acknowledged
	item
}

type state uint8

const (
	free state = iota
	waiting
	sent
	acked
)

// item is an event until its acknowledgement. Its header values are made anew for each send.
type item struct {
	kind    *messages.Kind
	shardID int
	session string
	seq     int64
	read    time.Time
	receipt messages.Receipt
	fence   messages.Fence
	trace   *messages.Trace // nil: not sampled

	id      string
	own     bool   // one of drover's own events: without Drover-Seq
	subject string // with the prefix
	body    *buffer
	data    int // bytes of Discord's d
	bytes   int // of the body as it was accepted

	taken     time.Duration // by Publish; this and the next two by the Publisher's clock
	firstSent time.Duration
	sentAt    time.Duration // last
	sends     int
	shrink    bool // the stream takes no message of this size
	spooled   bool // loaded from the spool: its lane knows the receipt
}

func newRing(window int) *ring { return &ring{slots: make([]slot, window)} }

// used is how many slots cannot take a new event.
func (r *ring) used() int { return int(r.head - r.tail) }

func (r *ring) at(pos uint64) *slot { return &r.slots[pos%uint64(len(r.slots))] }

// push adds an event behind all others; record is its index in the spool, or 0. The ring must not be full.
func (r *ring) push(it *item, record uint64) {
	s := r.at(r.head)
	s.state, s.item, s.record, s.stored = waiting, *it, record, 0
	s.gen++ // an acknowledgement of the slot's former event must not match
	r.head++
	r.live++
	if record == 0 {
		r.bare++
	}
}

// send takes the next event that waits, marks it as sent and returns what identifies this send.
// ok is false where nothing waits. Until the acknowledgement for token, the item is the sender's.
func (r *ring) send(now time.Duration) (token uint64, it *item, ok bool) {
	for ; r.next < r.head; r.next++ {
		s := r.at(r.next)
		if s.state != waiting { // acknowledged late, after the rewind
			continue
		}
		s.state = sent
		s.gen++
		s.sentAt = now
		if s.sends == 0 {
			s.firstSent = now
		}
		s.sends++
		r.flying++
		i := r.next % uint64(len(r.slots))
		r.next++
		return i<<32 | uint64(s.gen), &s.item, true
	}
	return 0, nil, false
}

// rewind makes everything unacknowledged wait again, in its old order.
func (r *ring) rewind() {
	for pos := r.tail; pos < r.next; pos++ {
		if s := r.at(pos); s.state == sent {
			s.state = waiting
		}
	}
	r.next = r.tail
	r.flying = 0
	if messages.Sabotaged(messages.RetryOutOfOrder) {
		r.reverse()
	}
}

// reverse is the sabotage that an audit must notice.
func (r *ring) reverse() {
	for a, b := r.tail, r.head; a+1 < b; a++ {
		b--
		if x, y := r.at(a), r.at(b); x.state == waiting && y.state == waiting {
			x.item, y.item = y.item, x.item
		}
	}
}

// ack frees the event that token identifies, and puts it where it is told. An earlier send of the event, or of the
// slot's former event, does not match: ok is false.
func (r *ring) ack(token, stored uint64, into *item) (ok bool) {
	s := r.find(token)
	if s == nil {
		return false
	}
	r.finish(s, stored, into)
	return true
}

// finish takes an event that is not acknowledged out of its slot, which is reused once the tail has passed it.
func (r *ring) finish(s *slot, stored uint64, into *item) {
	if s.state == sent {
		r.flying--
	}
	if s.record == 0 {
		r.bare--
	}
	*into = s.item
	s.state, s.item, s.stored = acked, item{}, stored
	r.live--
	for r.tail < r.head && r.at(r.tail).state == acked {
		t := r.at(r.tail)
		t.state = free
		if t.stored > 0 {
			r.company = r.company || r.passed > 0 && t.stored != r.stored+1
			r.stored = t.stored
			r.passed++
		}
		r.record = max(r.record, t.record)
		r.tail++
	}
	r.next = max(r.next, r.tail)
}

// spooled notes that an event that is not acknowledged stands in the spool now.
func (r *ring) spooled(s *slot, record uint64) {
	s.record = record
	r.bare--
}

// find returns the slot whose newest send is token's and is not acknowledged, or nil.
func (r *ring) find(token uint64) *slot {
	i := token >> 32
	if i >= uint64(len(r.slots)) {
		return nil
	}
	s := &r.slots[i]
	if s.gen != uint32(token) || s.state != sent && s.state != waiting {
		return nil
	}
	return s
}

// alone reports that many events of this ring each followed the one before it in the stream: as far as anybody can know,
// nobody else publishes into it.
func (r *ring) alone() bool { return r.passed >= enoughAlone && !r.company }

// enoughAlone is how many events must have been seen for that.
const enoughAlone = 16

// moved forgets the position in a stream that was made again, and counts from 1.
func (r *ring) moved() { r.stored, r.passed = 0, 0 }

// oldest returns the slot at the tail, or nil where everything is acknowledged.
func (r *ring) oldest() *slot {
	if r.tail == r.head {
		return nil
	}
	return r.at(r.tail)
}
