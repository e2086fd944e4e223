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
	stale   atomic.Bool // targets must be found anew
}

const (
	trafficTick  = 5 * time.Millisecond // between two bursts at high rates
	trafficBurst = 100 * time.Millisecond
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
	for {
		rate := t.currentRate()
		var due <-chan time.Time // never, at rate 0
		if rate > 0 {
			wait := max(trafficTick, time.Duration((1-t.debt)/rate*float64(time.Second)))
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
		t.made.Add(1)
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
	p := tg.list[t.rnd.IntN(len(tg.list))]
	k := p.mix.draw(t.rnd.Uint64())
	e := event{kind: k, seed: t.rnd.Uint64(), at: at, flags: background}
	shard := 0
	if !kinds[k].direct {
		e.guild = p.guilds[t.rnd.IntN(len(p.guilds))]
	}
	if !p.ses.offer(e) {
		return false
	}
	for n, group := range tg.groups {
		if !kinds[k].direct {
			shard = shardOf(t.srv.world.guildID(e.guild), n)
		}
		for _, ses := range group[shard] {
			if ses != p.ses && k.allowed(ses.intents) {
				ses.offer(e)
			}
		}
	}
	return true
}
