package gateway

import (
	"fmt"
	"time"
)

// pulse is the heartbeat of one connection. The zero value is a connection before HELLO.
type pulse struct {
	interval time.Duration
	due      time.Time // of the next op 1 of the cadence
	sent     time.Time // of the last one; zero before the first
	acked    bool      // sent was answered
	missing  int       // op 1 of the cadence in a row without op 11
	blocked  bool      // the reader stood still at some time since sent
	ticked   time.Time // last Tick
	asked    time.Time // when the op 1 went out that the next op 11 answers; zero: none is open
	latency  time.Duration
}

// start sets the cadence: the first op 1 at a random part of the interval, so that shards that
// connect together do not beat together ("Heartbeat Interval").
func (p *pulse) start(now time.Time, interval time.Duration, rnd float64) {
	*p = pulse{interval: interval, ticked: now}
	p.due = now.Add(time.Duration(rnd * float64(interval)))
}

func (p *pulse) isDue(now time.Time) bool { return p.interval > 0 && !now.Before(p.due) }

func (p *pulse) ack(now time.Time) {
	p.acked = true
	if !p.asked.IsZero() {
		p.latency = now.Sub(p.asked)
		p.asked = time.Time{}
	}
}

// watch is when the next Tick is wanted at the latest. It is shorter than the interval so that a
// machine that wakes from sleep finds out soon.
func (p *pulse) watch() time.Time { return p.ticked.Add(max(p.interval/4, time.Second)) }

// slept reports whether far more time went by since the last Tick than should have: the machine was
// suspended, and the server has given up the connection. Linux' monotonic clock stands still
// meanwhile, so the wall clock is asked as well.
func (p *pulse) slept(now time.Time) bool {
	if p.interval == 0 {
		return false
	}
	limit := max(2*p.interval, 2*time.Second)
	return now.Sub(p.ticked) > limit || wall(now).Sub(wall(p.ticked)) > limit
}

// beat judges the connection by what came since the last op 1, and sends the next one.
func (s *Session) beat(now time.Time) {
	p := &s.pulse
	// Any message is life, not only op 11: it may be queued behind a burst of dispatches. While we
	// are the ones not reading, silence proves nothing.
	if !p.sent.IsZero() && !p.blocked {
		if !p.acked && !s.heard.After(p.sent) {
			s.lose(now, loss{reason: DownZombie, err: errZombie})
			return
		}
		p.missing++
		if p.acked {
			p.missing = 0
		}
		if p.missing == 2 {
			s.emit(Alarm{Text: fmt.Sprintf("heartbeats go unanswered for %v, though other messages come", 2*p.interval)})
		}
	}
	p.sent, p.acked, p.blocked = now, false, false
	for !p.due.After(now) { // a fixed cadence: a late Tick does not move the ones after it
		p.due = p.due.Add(p.interval)
	}
	p.asked = time.Time{} // an op 1 that was not answered by now says nothing about latency
	s.heartbeat(now)
}

// heartbeat sends an op 1: by cadence, or because the server asked for one. The latter moves neither
// the cadence nor its judgement.
func (s *Session) heartbeat(now time.Time) {
	if s.pulse.asked.IsZero() {
		s.pulse.asked = now
	}
	s.emit(Send{Payload: AppendHeartbeat(nil, s.m.Resume.Seq), Op: OpHeartbeat})
}

// wall strips the monotonic reading, so that differences are those of the wall clock.
func wall(t time.Time) time.Time { return t.Round(0) }

func later(a, b time.Time) time.Time {
	if wall(b).After(a) {
		return wall(b)
	}
	return a
}

// earliest returns the first of the times that are not zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
