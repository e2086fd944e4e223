package gatewaysim

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// traffic makes events at a rate and offers them to sessions. One goroutine
// runs it; the rate may be changed by any.
type traffic struct {
	srv     *Server
	rnd     *rand.Rand    // run's
	rate    atomic.Uint64 // math.Float64bits
	changed chan struct{} // room for one
	done    chan struct{} // closed when Options.Events have been made
	made    atomic.Int64
	held    atomic.Int64
	left    int64       // run's; -1: no end
	debt    float64     // run's: events due
	targets *targets    // run's
	stirred []*conn     // run's: have something to write since the last wake
	stale   atomic.Bool // targets must be found anew
}

const (
	// trafficTick is the time between two bursts. Discord does not send in bursts
	// of fifty, so it is fine up to fineRate; above, every wake-up should find a
	// few events for each connection.
	trafficTick   = 5 * time.Millisecond
	fineTick      = time.Millisecond
	fineRate      = 20_000
	trafficBurst  = 100 * time.Millisecond // what a late timer makes up for
	trafficStride = 256                    // events after which writers are woken within a burst
	smoothNap     = 20 * time.Microsecond  // with Options.Smooth; it takes about 75 µs
)

func newTraffic(s *Server) *traffic {
	t := &traffic{
		srv: s, rnd: rand.New(rand.NewPCG(s.opts.Seed, 0x7247)),
		changed: make(chan struct{}, 1), done: make(chan struct{}), left: -1, targets: &targets{},
	}
	if s.opts.Events > 0 {
		t.left = s.opts.Events
	}
	t.rate.Store(math.Float64bits(s.opts.Rate))
	return t
}

func (t *traffic) currentRate() float64 { return math.Float64frombits(t.rate.Load()) }

// SetRate changes the traffic to perSecond events a second; 0 stops it.
func (s *Server) SetRate(perSecond float64) {
	if !(perSecond >= 0) {
		perSecond = 0
	}
	s.traffic.rate.Store(math.Float64bits(min(perSecond, 10_000_000)))
	select {
	case s.traffic.changed <- struct{}{}:
	default:
	}
}

// TrafficDone is closed when the last of Options.Events was made. It is not
// necessarily sent by then.
func (s *Server) TrafficDone() <-chan struct{} { return s.traffic.done }

// run ends with ctx or with the last event.
func (t *traffic) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	last := time.Now()
	smooth := make(chan time.Time) // always due
	close(smooth)
	for {
		rate := t.currentRate()
		var due <-chan time.Time // never, at rate 0
		switch {
		case rate > 0 && t.srv.opts.Smooth:
			nap(max(smoothNap, min(trafficTick, time.Duration((1-t.debt)/rate*float64(time.Second)))))
			due = smooth
		case rate > 0:
			tick := fineTick
			if rate > fineRate {
				tick = trafficTick
			}
			wait := max(tick, time.Duration((1-t.debt)/rate*float64(time.Second)))
			timer.Reset(wait)
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-t.changed:
			last, t.debt = time.Now(), 0
			continue
		case <-due:
		}
		now := time.Now()
		t.debt += rate * now.Sub(last).Seconds()
		last = now
		// A late timer is made up for, a suspended process is not.
		t.debt = min(t.debt, max(1, rate*trafficBurst.Seconds()))
		if t.burst(now.UnixMilli()) {
			close(t.done)
			return
		}
	}
}

// burst makes the events that are due and says whether all are made.
func (t *traffic) burst(at int64) bool {
	defer t.wake()
	if t.stale.Swap(false) {
		t.targets = t.srv.findTargets()
	}
	tg := t.targets
	misses := 0
	for t.debt >= 1-1e-9 {
		if len(tg.list) == 0 {
			t.debt = 0 // nobody there: events for no session are none
			return false
		}
		t.debt--
		if !t.one(tg, at) {
			t.held.Add(1)
			if misses++; misses > 4*len(tg.list)+64 {
				t.debt = 0 // all clients lag: let them read
			}
			continue
		}
		misses = 0
		if t.made.Add(1)%trafficStride == 0 {
			t.wake()
		}
		if t.left > 0 {
			if t.left--; t.left == 0 {
				return true
			}
		}
	}
	return false
}

// one makes one event for a session drawn by lot, and for every other session
// that owns the same guild. It says whether the first took it.
func (t *traffic) one(tg *targets, at int64) bool {
	p := &tg.list[t.rnd.IntN(len(tg.list))]
	e := p.draw(t.rnd, at)
	if !t.offer(p.ses, e) {
		return false
	}
	if tg.apart {
		return true
	}
	direct, shard := kinds[e.kind].direct, 0
	for n, group := range tg.groups {
		if !direct {
			shard = shardOf(t.srv.world.guildID(e.guild), n)
		}
		for _, ses := range group[shard] {
			if ses != p.ses && e.kind.allowed(ses.intents) {
				t.offer(ses, e)
			}
		}
	}
	return true
}

// offer gives e to ses. The connection is woken at the end of the burst, so that
// it writes all that the burst has for it at once.
func (t *traffic) offer(ses *session, e event) bool {
	ok, c := ses.offer(e)
	if c != nil && !c.stirred {
		c.stirred = true
		t.stirred = append(t.stirred, c)
	}
	return ok
}

func (t *traffic) wake() {
	for i, c := range t.stirred {
		c.stirred = false
		c.wakeUp()
		t.stirred[i] = nil
	}
	t.stirred = t.stirred[:0]
}
