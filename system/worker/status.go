package worker

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Status is what a worker is at the moment.
type Status struct {
	Live    bool     // it can make progress; an outage of NATS or of the database does not change that
	Ready   bool     // it works: NATS, the stream and the database are there
	Reasons []string // what is missing, in words

	NATSConnected     bool
	DatabaseConnected bool
	InHand            int    // messages that are being worked on or wait for it here
	Pending           uint64 // stored events that no worker was given yet; of a moment ago
	Unacked           int    // events that workers were given and have not acknowledged; of a moment ago
}

// stuckAfter is how long a transaction may be under way, with NATS and database there, before the process calls itself
// stuck.
const stuckAfter = 2 * time.Minute

// watch is what is known of the consumer. Any goroutine may use it.
type watch struct {
	mu      sync.Mutex
	cons    jetstream.Consumer // nil: not reading
	last    jetstream.Consumer // the newest that there was
	err     error              // why not
	behind  error              // why what is read changes nothing; nil: it does
	pending uint64
	unacked int
	idle    time.Time // when nothing was in hand last, or something was finished
	done    int64
	news    chan struct{} // capacity 1: there is a consumer now
}

func (s *watch) attached(cons jetstream.Consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cons = cons
	if cons == nil {
		return
	}
	s.last, s.err = cons, nil
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// behindBy notes why what is read changes nothing, and reports whether that is news.
func (s *watch) behindBy(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := err != nil && s.behind == nil
	s.behind = err
	return news
}

// busy notes that something is in hand again: how long it takes counts from now on, whenever somebody asked last.
func (s *watch) busy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = time.Now()
}

// trouble notes why the stream is not read, and reports whether that is news.
func (s *watch) trouble(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := err != nil && (s.err == nil || s.err.Error() != err.Error())
	s.err = err
	return news
}

// Status is the worker at the moment. Any goroutine may call it; it does not block.
func (w *Worker) Status() Status {
	open, why := w.gate.err()
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	s := Status{
		Live: true, NATSConnected: w.o.Broker.Connected(), DatabaseConnected: open && why == nil,
		InHand: int(w.hand.Load()), Pending: w.state.pending, Unacked: w.state.unacked,
	}
	now := time.Now()
	if s.InHand == 0 || !s.NATSConnected || !s.DatabaseConnected || w.finished.Load() != w.state.done {
		w.state.idle, w.state.done = now, w.finished.Load()
	} else if stuck := now.Sub(w.state.idle); stuck > stuckAfter {
		s.Live = false
		s.Reasons = append(s.Reasons, fmt.Sprintf("NATS and the database answer, but no event was finished for %v", stuck.Round(time.Second)))
	}
	if !s.NATSConnected {
		s.Reasons = append(s.Reasons, "NATS is not connected")
	}
	switch {
	case why != nil:
		s.Reasons = append(s.Reasons, fmt.Sprintf("the database: %v", why))
	case !open:
		s.Reasons = append(s.Reasons, "the database has not answered yet")
	}
	if w.state.cons == nil {
		reason := "the stream is not read yet"
		if w.state.err != nil {
			reason = w.state.err.Error()
		}
		s.Reasons = append(s.Reasons, reason)
	}
	if w.state.behind != nil {
		s.Reasons = append(s.Reasons, w.state.behind.Error())
	}
	s.Ready = len(s.Reasons) == 0
	return s
}
