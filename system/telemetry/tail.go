package telemetry

import (
	"sync"
	"time"

	"drover/messages"
)

// tail bounds the spans of the tail rule: when NATS comes back, everything is slow at once. What is beyond the bound is not forgotten,
// but summed up, and recorded together after summing. Any goroutine may use it.
type tail struct {
	mu     sync.Mutex
	second int64
	n      int
	rest   summary
}

// tailRate is how many spans a second the tail rule makes. Too low: one stall hides the next. Too high: they push the sampled ones out
// of the exporter's queue, which takes 2,048.
const tailRate = 100

// summing is how long events are summed up for one span.
const summing = time.Second

// summary is what a span tells of the events that have none of their own.
type summary struct {
	events, retried, shed int
	slowest               time.Duration
	from, to              time.Time // the first frame read, the last acknowledgement
}

// admit tells whether an event has a span of its own. Otherwise record will be called with the sum, on a timer's goroutine.
func (t *tail) admit(d *messages.Delivery, record func(summary)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := d.Acked.Unix(); s > t.second { // acknowledgements of two streams may cross a second out of order
		t.second, t.n = s, 0
	}
	t.n++
	if t.n <= tailRate {
		return true
	}
	if t.rest.events == 0 {
		time.AfterFunc(summing, func() { t.flush(record) }) // once flush was called, there may be nothing left
	}
	t.rest.add(d)
	return false
}

// flush has what is summed up recorded.
func (t *tail) flush(record func(summary)) {
	t.mu.Lock()
	rest := t.rest
	t.rest = summary{}
	t.mu.Unlock()
	if rest.events > 0 {
		record(rest)
	}
}

func (s *summary) add(d *messages.Delivery) {
	if s.events == 0 || d.Read.Before(s.from) {
		s.from = d.Read
	}
	if d.Acked.After(s.to) {
		s.to = d.Acked
	}
	s.events++
	s.slowest = max(s.slowest, d.Acked.Sub(d.Read))
	switch {
	case d.Shed:
		s.shed++
	case d.Sends > 1:
		s.retried++
	}
}
