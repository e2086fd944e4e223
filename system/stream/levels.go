package stream

import (
	"strings"
	"time"

	"drover/messages"
)

// Unacked is how many events wait for their acknowledgement, those in the spool included.
func (p *Publisher) Unacked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, l := range p.lanes {
		n += l.unacked()
	}
	return n
}

// Window is how many events of one stream may be unacknowledged before Publish blocks or the spool takes them.
func (p *Publisher) Window() int { return len(p.lanes[0].ring.slots) }

// Windows says how full the window of each stream is.
func (p *Publisher) Windows() []messages.Window {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]messages.Window, 0, len(p.lanes))
	for _, l := range p.lanes {
		out = append(out, messages.Window{
			Stream: strings.ToLower(l.stream.String()), Limit: len(l.ring.slots), Used: l.ring.used() + l.reserved, Bytes: l.bytes, Waiting: len(l.waiters),
		})
	}
	return out
}

// OldestUnacked is for how long the oldest unacknowledged event has been in the window; 0 where
// there is none. It grows through an outage: judge it only while NATS has been connected.
func (p *Publisher) OldestUnacked() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var age time.Duration
	for _, l := range p.lanes {
		if s := l.ring.oldest(); s != nil {
			age = max(age, p.clock()-s.taken)
		}
	}
	return age
}

// Stored is for each stream a sequence number of the stream, behind which everything stands that is not acknowledged
// yet and stored all the same.
func (p *Publisher) Stored() [messages.Streams]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var stored [messages.Streams]uint64
	for s, l := range p.lanes {
		stored[s] = l.ring.stored
	}
	return stored
}

// Full reports that somebody waits and neither window nor spool takes anything.
func (p *Publisher) Full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if len(l.waiters) > 0 && (l.full != nil || p.o.Spool == nil && p.paused) {
			return true
		}
	}
	return false
}
