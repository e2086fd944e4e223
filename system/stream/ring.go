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
}

// slot is the home of one event. gen counts the uses and the sends of the slot, so that an
// acknowledgement of an earlier one is told apart.
type slot struct {
	state state
	gen   uint32
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

	id      string
	own     bool   // a life-cycle event: without Drover-Seq
	subject string // with the prefix
	body    *buffer
	data    int // bytes of Discord's d
	bytes   int // of the body as it was accepted

	taken  time.Time // by Publish
	sentAt time.Time // last
	sends  int
	shrink bool // the stream takes no message of this size
}

func newRing(window int) *ring { return &ring{slots: make([]slot, window)} }

// used is how many slots cannot take a new event.
func (r *ring) used() int { return int(r.head - r.tail) }

func (r *ring) at(pos uint64) *slot { return &r.slots[pos%uint64(len(r.slots))] }

// push adds an event behind all others. The ring must not be full.
func (r *ring) push(it item) {
	s := r.at(r.head)
	s.state, s.item = waiting, it
	s.gen++ // an acknowledgement of the slot's former event must not match
	r.head++
	r.live++
}

// send takes the next event that waits, marks it as sent and returns what identifies this send.
// ok is false where nothing waits. Until the acknowledgement for token, the item is the sender's.
func (r *ring) send(now time.Time) (token uint64, it *item, ok bool) {
	for ; r.next < r.head; r.next++ {
		s := r.at(r.next)
		if s.state != waiting { // acknowledged late, after the rewind
			continue
		}
		s.state = sent
		s.gen++
		s.sentAt = now
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
}

// ack frees the event that token identifies and returns it. An earlier send of the event, or of the
// slot's former event, does not match: ok is false.
func (r *ring) ack(token uint64) (it item, ok bool) {
	s := r.find(token)
	if s == nil {
		return item{}, false
	}
	if s.state == sent {
		r.flying--
	}
	it = s.item
	s.state, s.item = acked, item{}
	r.live--
	for r.tail < r.head && r.at(r.tail).state == acked {
		r.at(r.tail).state = free
		r.tail++
	}
	r.next = max(r.next, r.tail)
	return it, true
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

// oldest returns the slot at the tail, or nil where everything is acknowledged.
func (r *ring) oldest() *slot {
	if r.tail == r.head {
		return nil
	}
	return r.at(r.tail)
}
