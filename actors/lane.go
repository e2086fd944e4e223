package actors

import "sort"

// lane is one stream's part of marks, which guards it.
type lane struct {
	floor int64    // everything up to it is done
	spool leftover // of an earlier process: above floor and below all others
	open  []region // by rising seq; from head on, the oldest that is not acknowledged and all after it
	head  int

	last   int64 // newest seq sent, or where the lane began
	before int64 // last, as it was before the newest sent
	newest int64 // the newest sent; 0: none, or it was taken back
	acked  bool  // newest is

	stored uint64 // position in the stream of the newest event of those that are acknowledged without a hole
}

// region is some events of one stream in flight.
type region struct {
	seq, upTo int64 // of the oldest and of the newest
	n, left   int32 // how many, and how many of them are not acknowledged
	stored    uint64
}

// leftover is what an earlier process left in the spool, one region that is not known one by one.
type leftover struct {
	last   int64
	left   int
	stored uint64
}

// With so many regions open an event joins the newest one, up to regionSize of them: when hundreds of thousands are in
// the spool, a mark that moves in steps is worth less than the memory.
const (
	maxRegions = 16384
	regionSize = 256
)

// mark is the acked mark. seen is the newest seq of either stream: what is not open below it is done.
func (l *lane) mark(seen int64) int64 {
	switch {
	case l.spool.left > 0:
		return l.floor
	case l.head < len(l.open):
		return l.open[l.head].seq - 1
	}
	return max(l.floor, seen)
}

// drained moves the floor when the spool's events are acknowledged.
func (l *lane) drained() {
	if l.spool.left > 0 {
		return
	}
	l.floor = max(l.floor, l.spool.last)
	l.stored = max(l.stored, l.spool.stored)
	l.spool = leftover{}
}

// push opens seq, above all before it. It is false for the newest once more.
func (l *lane) push(seq int64) bool {
	if seq == l.newest {
		l.split()
		return false
	}
	l.before, l.last = l.last, max(l.last, seq)
	l.newest, l.acked = seq, false
	if len(l.open)-l.head >= maxRegions {
		if r := &l.open[len(l.open)-1]; r.n < regionSize {
			r.upTo = seq
			r.n++
			r.left++
			return true
		}
	}
	l.add(seq)
	return true
}

func (l *lane) add(seq int64) {
	if l.head > 64 && l.head > len(l.open)/2 { // move what is in flight to the front of its array
		l.open = l.open[:copy(l.open, l.open[l.head:])]
		l.head = 0
	}
	l.open = append(l.open, region{seq: seq, upTo: seq, n: 1, left: 1})
}

// split takes the newest out of a region that it shares: sent twice, it may be acknowledged twice, which must count once.
func (l *lane) split() {
	if l.head == len(l.open) {
		return
	}
	r := &l.open[len(l.open)-1]
	if r.n == 1 || r.upTo != l.newest {
		return
	}
	r.upTo = l.before
	if !l.acked {
		r.n--
		r.left--
		l.add(l.newest)
	}
	l.advance()
}

// pop takes the newest back. It is false where it is not open.
func (l *lane) pop(seq int64) bool {
	if seq != l.newest || l.head == len(l.open) {
		return false
	}
	r := &l.open[len(l.open)-1]
	if r.upTo != seq {
		return false
	}
	if r.n == 1 {
		l.open = l.open[:len(l.open)-1]
	} else {
		r.upTo = l.before
		r.n--
		r.left--
	}
	l.last, l.newest = l.before, 0
	l.advance()
	return true
}

// ack counts an acknowledgement, unless it is of nothing that is open.
func (l *lane) ack(seq int64, stored uint64) {
	flight := l.open[l.head:]
	i := 0
	if len(flight) > 0 && flight[0].upTo < seq { // acknowledgements come nearly in order
		i = sort.Search(len(flight), func(i int) bool { return flight[i].upTo >= seq })
	}
	if i == len(flight) || seq < flight[i].seq || flight[i].left == 0 {
		return
	}
	if seq == l.newest {
		l.acked = true
	}
	flight[i].left--
	flight[i].stored = max(flight[i].stored, stored)
	l.advance()
}

// advance moves head over what is acknowledged.
func (l *lane) advance() {
	for l.head < len(l.open) && l.open[l.head].left == 0 {
		l.stored = max(l.stored, l.open[l.head].stored)
		l.head++
	}
	if l.head == len(l.open) {
		l.open, l.head = l.open[:0], 0
	}
}
