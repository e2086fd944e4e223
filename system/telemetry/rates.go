package telemetry

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"drover/messages"
)

// rates remembers how long events took over the last minute, and how many there were in the last
// seconds. Recording takes no lock but at the turn of a slot; its memory is fixed.
type rates struct {
	began time.Time // monotonic; slots are counted from here
	lock  sync.Mutex
	slots [slots]slot
	marks [marks]mark // guarded by lock; a ring
	next  int
}

const (
	slotLength = 10 * time.Second
	slots      = 7 // six whole ones and the one that fills

	marks     = 8           // of at least markApart each
	markApart = time.Second // between two marks
)

// slot counts the latencies of one slotLength, by bucketOf.
type slot struct {
	turn   atomic.Int64 // number of the slotLength since began, plus 1; 0: never used
	counts [buckets]atomic.Uint32
}

// mark is a total at an instant, made when somebody asks for a rate.
type mark struct {
	at       time.Time
	received uint64
}

// Buckets grow by 1/8 of a power of two, so a quantile is at most 12.5 % too high. They begin at 1 µs
// and end at 2^27 µs, a bit more than two minutes.
const (
	perOctave = 8
	octaves   = 28
	buckets   = octaves * perOctave
)

func (r *rates) start(now time.Time) {
	r.began = now
	r.marks[0] = mark{at: now}
	r.next = 1
}

func (r *rates) record(now time.Time, took time.Duration) {
	turn := int64(now.Sub(r.began)/slotLength) + 1
	s := &r.slots[turn%slots]
	if s.turn.Load() != turn {
		r.turn(s, turn)
	}
	s.counts[bucketOf(took)].Add(1)
}

// turn empties a slot for its next use. An event counted at the same moment may be lost to the
// quantiles; nothing else depends on it.
func (r *rates) turn(s *slot, turn int64) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if s.turn.Load() >= turn {
		return
	}
	for i := range s.counts {
		s.counts[i].Store(0)
	}
	s.turn.Store(turn)
}

// quantiles returns the latencies that 50 % and 99 % of the last minute's events did not exceed; 0
// where there were none.
func (r *rates) quantiles(now time.Time) (p50, p99 time.Duration) {
	turn := int64(now.Sub(r.began)/slotLength) + 1
	var sum [buckets]uint64
	var total uint64
	for i := range r.slots {
		s := &r.slots[i]
		if t := s.turn.Load(); t == 0 || t <= turn-slots {
			continue
		}
		for b := range s.counts {
			n := uint64(s.counts[b].Load())
			sum[b] += n
			total += n
		}
	}
	return quantile(&sum, total, 50), quantile(&sum, total, 99)
}

func quantile(counts *[buckets]uint64, total, percent uint64) time.Duration {
	if total == 0 {
		return 0
	}
	rank := (total*percent + 99) / 100
	var seen uint64
	for b, n := range counts {
		if seen += n; seen >= rank {
			return upperBound(b)
		}
	}
	return upperBound(buckets - 1)
}

// bucketOf returns the bucket of a duration: for 8 µs and more the octave and its eighth, below that one per µs.
func bucketOf(took time.Duration) int {
	us := uint64(max(took, 0) / time.Microsecond)
	if us < perOctave {
		return int(us)
	}
	octave := bits.Len64(us) - 4 // 8…15 µs is octave 0
	b := (octave+1)*perOctave + int(us>>octave) - perOctave
	return min(b, buckets-1)
}

func upperBound(b int) time.Duration {
	if b < perOctave {
		return time.Duration(b+1) * time.Microsecond
	}
	octave := b/perOctave - 1
	return time.Duration((b%perOctave+perOctave+1)<<octave) * time.Microsecond
}

// perSecond returns the rate since the oldest mark of the last seconds, and leaves a mark.
func (r *rates) perSecond(now time.Time, received uint64) float64 {
	r.lock.Lock()
	defer r.lock.Unlock()
	oldest := r.marks[0]
	newest := r.marks[(r.next+marks-1)%marks]
	if since := now.Sub(newest.at); since > marks*markApart {
		oldest = newest // nobody asked for a while: the older marks say nothing of the last seconds
	} else {
		for i := range r.marks {
			m := r.marks[(r.next+i)%marks]
			if !m.at.IsZero() && now.Sub(m.at) <= (marks+2)*markApart {
				oldest = m
				break
			}
		}
	}
	if now.Sub(newest.at) >= markApart {
		r.marks[r.next] = mark{now, received}
		r.next = (r.next + 1) % marks
	}
	took := now.Sub(oldest.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(received-oldest.received) / took
}

// Traffic says what went through the node since it started, for the status page. Unacked is left to
// the caller, who knows the publisher.
func (m *Meters) Traffic() messages.Traffic {
	t := messages.Traffic{ByType: map[string]uint64{}}
	if m == nil {
		return t
	}
	m.lock.Lock()
	cells := m.cells[:len(m.cells):len(m.cells)]
	m.lock.Unlock()
	for _, c := range cells {
		n := uint64(c.n.Load())
		switch c.counter {
		case m.counters[eventsReceived]:
			t.Received += n
			t.ByType[c.name] += n
		case m.counters[eventsRouted]:
			t.Routed += n
		}
	}
	t.Failures = uint64(m.failures.n.Load())
	t.P50, t.P99 = m.rates.quantiles(time.Now())
	return t
}

// Rate returns the events received per second over about the last eight seconds. It measures from
// one call to the next, so it is meant for callers that ask at least every few seconds, like a terminal view;
// the first call after a long silence answers with the mean of that silence.
func (m *Meters) Rate() float64 {
	if m == nil {
		return 0
	}
	return m.rates.perSecond(time.Now(), m.Traffic().Received)
}
