package gatewaysim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// surge is a number of dispatches that are encoded ahead, held in memory, and
// let go at one moment, so that the simulator has next to nothing to do while
// a client is measured. Its events are in their sessions' logs like any other:
// a connection that breaks loses its held bytes, not its events.
type surge struct {
	holds    []*hold
	encoded  bool        // Server.surging.mu
	released atomic.Bool // set before the writers are woken
}

// surging is the server's one surge.
type surging struct {
	mu      sync.Mutex
	current *surge // nil: none was made, or it is over
	count   uint64 // surges so far: each draws other events
}

// SurgeReport says what Surge holds.
type SurgeReport struct {
	Sessions int   `json:"sessions"`
	Events   int64 `json:"events"`
	Bytes    int64 `json:"bytes"` // on the wire: frames, compressed
}

const (
	// maxSurgeBytes bounds what a surge is estimated to take.
	maxSurgeBytes = 4 << 30
	// The wire bytes of an event, on the safe side: see BenchmarkTraffic. Log and
	// allocator take their part too.
	surgeEventPlain  = 1700
	surgeEventZipped = 500
)

// Surge makes that many events of the usual mix, spread evenly over the
// sessions that are READY and connected (the first ones get the remainder), and
// has every connection encode its share ahead, in its own compression context.
// It returns when all of it is held; Release lets it go.
//
// A session whose connection breaks before the release keeps its events for
// RESUME, which sends them without waiting; the report counts what is held. It
// is an error if nobody is there to surge at, if a surge is under way, and if
// it would take more than 4 GiB.
func (s *Server) Surge(events int64) (SurgeReport, error) {
	if events < 1 {
		return SurgeReport{}, fmt.Errorf("gatewaysim: surge: events is %d, want 1 or more", events)
	}
	g := &surge{}
	s.surging.mu.Lock()
	if err := s.surging.current.busy(); err != nil {
		s.surging.mu.Unlock()
		return SurgeReport{}, err
	}
	s.surging.current = g
	s.surging.count++
	seed := mix(s.opts.Seed, 0x5c46e+s.surging.count)
	s.surging.mu.Unlock()

	var report SurgeReport
	list, err := s.surgeTargets(events)
	var holds []*hold
	if err == nil {
		holds = s.hold(g, list, events, seed)
		for _, h := range holds {
			select {
			case <-h.filled: // by the connection's writer
				report.Sessions++
				report.Events += h.end - h.first
				report.Bytes += h.bytes
			case <-h.over: // at the latest when the connection is dropped
			}
		}
		if report.Sessions == 0 {
			err = errors.New("gatewaysim: surge: every connection was lost while it was encoded: see /control/state and try again")
		}
	}
	s.surging.mu.Lock()
	defer s.surging.mu.Unlock()
	if err != nil {
		s.surging.current = nil
		return SurgeReport{}, err
	}
	g.holds, g.encoded = holds, true
	return report, nil
}

// Release lets the held dispatches go: every connection writes its bytes as
// fast as its client takes them. It does not wait for that, and returns the time
// just before the first write was allowed. Without a held surge it is an error.
func (s *Server) Release() (time.Time, error) {
	s.surging.mu.Lock()
	defer s.surging.mu.Unlock()
	g := s.surging.current
	switch {
	case g == nil || g.encoded && g.over() || g.released.Load():
		return time.Time{}, errors.New("gatewaysim: release: nothing is held: make a surge first")
	case !g.encoded:
		return time.Time{}, errors.New("gatewaysim: release: the surge is still being encoded: wait for its answer")
	}
	at := time.Now()
	g.released.Store(true)
	for _, h := range g.holds {
		h.conn.wakeUp()
	}
	return at, nil
}

// busy says why no other surge may begin, if so. It needs surging.mu.
func (g *surge) busy() error {
	switch {
	case g == nil || g.encoded && g.over():
		return nil
	case g.released.Load():
		return errors.New("gatewaysim: surge: the last one is still being written: wait until unsent is 0 in /control/state")
	}
	return errors.New("gatewaysim: surge: one is held already: release it first")
}

func (g *surge) over() bool {
	for _, h := range g.holds {
		select {
		case <-h.over:
		default:
			return false
		}
	}
	return true
}

// surgeTargets lists the sessions that a surge goes to: those with a connection.
func (s *Server) surgeTargets(events int64) ([]target, error) {
	var list []target
	zipped := int64(0)
	for _, p := range s.findTargets().list {
		p.ses.mu.Lock()
		c := p.ses.conn
		p.ses.mu.Unlock()
		if c == nil || c.isClosing() {
			continue
		}
		list = append(list, p)
		if c.mode != "none" {
			zipped++
		}
	}
	if len(list) == 0 {
		return nil, errors.New("gatewaysim: surge: no session is connected and READY: start a bot and wait for its shards in /control/state")
	}
	zipped = events * zipped / int64(len(list))
	if estimate := zipped*surgeEventZipped + (events-zipped)*surgeEventPlain; estimate > maxSurgeBytes || events > maxSurgeBytes {
		return nil, fmt.Errorf("gatewaysim: surge: events is %d, which takes about %d MiB held, want at most %d MiB: make several smaller surges", events, estimate>>20, maxSurgeBytes>>20)
	}
	return list, nil
}

// hold puts each target's share into its session's log, marked to be held.
func (s *Server) hold(g *surge, list []target, events int64, seed uint64) []*hold {
	var holds []*hold
	n := int64(len(list))
	for i, p := range list {
		share := events / n
		if int64(i) < events%n {
			share++
		}
		if share == 0 {
			break
		}
		if h := p.hold(g, share, rand.New(rand.NewPCG(seed, uint64(i)))); h != nil {
			holds = append(holds, h)
		}
	}
	return holds
}

// hold draws n events for the session; nil if its connection went meanwhile.
func (p *target) hold(g *surge, n int64, rnd *rand.Rand) *hold {
	ses, at := p.ses, time.Now().UnixMilli()
	ses.mu.Lock()
	if ses.conn == nil || ses.dead {
		ses.mu.Unlock()
		return nil
	}
	h := &hold{surge: g, ses: ses, conn: ses.conn, first: ses.log.next, end: ses.log.next + n, filled: make(chan struct{}), over: make(chan struct{})}
	ses.hold, ses.surgeEnd = h, h.end
	for range n {
		ses.addLocked(p.draw(rnd, at))
	}
	ses.mu.Unlock()
	h.conn.wakeUp()
	return h
}
