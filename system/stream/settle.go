package stream

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// settler takes acknowledged events out of the window, as many at a time as have come: the locks that Publish
// needs too are taken once for all of them. Most it gets from below nats.go, on the goroutine that reads the connection (see
// wire). What comes through nats.go, all on a connection with TLS and refusals on any, has a goroutine of its own.
type settler struct {
	acks chan *nats.Msg
	// hears serialises the goroutine that reads the connection with Close, after which it must not tell anybody anything.
	hears sync.Mutex
}

// tally is what one goroutine settles at a time.
type tally struct {
	batch   []answer
	settled []settled
}

// answer is one acknowledgement, or refusal, as it came.
type answer struct {
	lane   *lane
	token  uint64
	stored uint64
	err    error
}

// settled is an event that is out of the window, and who must be told.
type settled struct {
	item
	lane   *lane
	stored uint64
}

// settleBatch bounds for how long Publish waits while acknowledgements are counted.
const settleBatch = 64

// acksRoom is enough for every answer that can be under way: of all lanes, to the newest send and to one before it.
// What came beyond that nats.go would drop, and the acknowledgement's time-out would find out.
func acksRoom(window int) int { return 2 * messages.Streams * window }

// settling settles what comes through nats.go. It ends with done.
func (p *Publisher) settling() {
	var t tally
	for {
		select {
		case <-p.done:
			return
		case m := <-p.settler.acks:
			p.gather(&t, m)
		}
		p.settleAll(&t)
	}
}

// gather reads m and what has come behind it.
func (p *Publisher) gather(t *tally, m *nats.Msg) {
	for {
		if a, ok := p.answer([]byte(m.Subject[len(p.inbox):]), m.Data, m.Header.Get("Status")); ok {
			t.batch = append(t.batch, a)
		}
		if len(t.batch) == settleBatch {
			return
		}
		select {
		case m = <-p.settler.acks:
		default:
			return
		}
	}
}

// listen has the connection's acknowledgements brought here, until deafen.
func (p *Publisher) listen() {
	p.b.gate.ear.Store(&ear{
		inbox: p.inbox,
		hear:  func(token, data []byte) (answer, bool) { return p.answer(token, data, "") },
		settle: func(t *tally) {
			p.settler.hears.Lock()
			defer p.settler.hears.Unlock()
			if p.isClosed() {
				t.batch = t.batch[:0]
				return
			}
			p.settleAll(t)
		},
	})
}

// deafen returns when nothing is brought here any more.
func (p *Publisher) deafen() {
	if e := p.b.gate.ear.Load(); e != nil && e.inbox == p.inbox {
		p.b.gate.ear.CompareAndSwap(e, nil)
	}
	p.settler.hears.Lock()
	defer p.settler.hears.Unlock()
}

func (p *Publisher) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// answer reads one answer. ok is false for what is none: nobody but us knows the inbox.
func (p *Publisher) answer(token, data []byte, status string) (a answer, ok bool) {
	of, ok := parseToken(token)
	if !ok || of&1 >= uint64(len(p.lanes)) {
		return a, false
	}
	a.lane, a.token = p.lanes[of&1], of>>1
	a.stored, a.err = parseAck(data, status)
	return a, true
}

// appendToken writes a send's token at the end of its reply subject, and parseToken reads it.
func appendToken(dst []byte, token uint64) []byte { return strconv.AppendUint(dst, token, 36) }

func parseToken(text []byte) (token uint64, ok bool) {
	if len(text) == 0 || len(text) > 12 { // 12 digits fit for sure, and a token has fewer
		return 0, false
	}
	for _, d := range text {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'z':
			d -= 'a' - 10
		default:
			return 0, false
		}
		token = token*36 + uint64(d)
	}
	return token, true
}

// settleAll takes what was acknowledged out of the windows, unless it was sent again since.
func (p *Publisher) settleAll(t *tally) {
	all := t.settled[:0]
	var touched [messages.Streams]bool
	refusals := false
	p.mu.Lock()
	for i := range t.batch {
		a := &t.batch[i]
		if a.err != nil {
			refusals = true
			continue
		}
		all = append(all, settled{lane: a.lane, stored: a.stored})
		s := &all[len(all)-1]
		if !a.lane.ring.ack(a.token, a.stored, &s.item) {
			all = all[:len(all)-1]
			continue
		}
		p.account(s)
		touched[a.lane.stream] = true
	}
	idle := p.roomMade(touched)
	p.mu.Unlock()
	now := time.Now()
	for i := range all {
		p.tell(&all[i], now)
		all[i] = settled{}
	}
	if idle != nil {
		close(idle) // after everybody was told: the last checkpoints are written next
	}
	if refusals {
		for _, a := range t.batch {
			if a.err != nil {
				p.refused(a.lane, a.token, a.err)
			}
		}
	}
	clear(t.batch)
	t.batch, t.settled = t.batch[:0], all
}

// settle is settleAll for one event that waits for no answer any more. The caller holds mu; settle unlocks it.
func (p *Publisher) settle(l *lane, slot *slot, stored uint64) {
	s := settled{lane: l, stored: stored}
	l.ring.finish(slot, stored, &s.item)
	p.account(&s)
	var touched [messages.Streams]bool
	touched[l.stream] = true
	idle := p.roomMade(touched)
	p.mu.Unlock()
	p.tell(&s, time.Now())
	if idle != nil {
		close(idle)
	}
}

// settleOne settles a send without an answer.
func (p *Publisher) settleOne(l *lane, token uint64) {
	p.mu.Lock()
	if s := l.ring.find(token); s != nil {
		p.settle(l, s, 0)
		return
	}
	p.mu.Unlock()
}

// account takes an event out of its lane's books. The caller holds mu; roomMade and tell follow.
func (p *Publisher) account(s *settled) {
	s.lane.bytes -= s.bytes
	if s.spooled {
		s.receipt = s.lane.disown(&s.item)
	}
}

// roomMade lets those go on who waited for an acknowledgement in these lanes. Who waits for all to be acknowledged does so
// on idle, which the caller closes if it is not nil. The caller holds mu.
func (p *Publisher) roomMade(in [messages.Streams]bool) (idle chan struct{}) {
	for s, l := range p.lanes {
		if !in[s] {
			continue
		}
		l.grant()
		if l.spilling {
			p.wake(p.toFeed)
		}
		if l.spilling && !l.copied && l.ring.bare == 0 {
			p.wake(p.toSpool) // nothing is left to copy: also where the disk takes none of it
		}
		if r := l.ring.record; l.loaded > l.removed && l.ring.live == 0 || r > l.removed && (r == l.disk || r-l.removed >= l.forgetful()) {
			p.wake(p.toSpool)
		}
		if p.replaying {
			p.signal()
		}
	}
	if p.idle != nil && p.empty() {
		idle, p.idle = p.idle, nil
	}
	return idle
}

// tell gives the buffer back and says that the event is stored. It runs without a lock and does not block.
func (p *Publisher) tell(s *settled, now time.Time) {
	s.body.release()
	if p.o.OnDelivered != nil {
		p.delivered(s, now)
	}
	if s.receipt != nil {
		s.receipt.Acked(s.lane.stream, s.seq, s.stored)
	}
	if p.o.OnAck != nil {
		a := Ack{Kind: s.kind, ShardID: s.shardID, Took: now.Sub(s.read), At: now}
		if !s.own {
			a.Seq = s.seq
		}
		p.o.OnAck(a)
	}
}

// delivered tells of an event that is worth a span.
func (p *Publisher) delivered(s *settled, now time.Time) {
	slow := p.o.Slow > 0 && now.Sub(s.read) >= p.o.Slow
	if s.trace == nil && s.sends < 2 && !slow {
		return
	}
	d := messages.Delivery{
		Kind: s.kind, ShardID: s.shardID, ID: s.id, Subject: s.subject,
		Read: s.read, Acked: now, Sends: s.sends, Spooled: s.spooled, Trace: s.trace,
	}
	if s.sends > 0 { // else an earlier process had it stored
		d.Sent = p.began.Add(s.firstSent)
	}
	if !s.own {
		d.Seq = s.seq
	}
	p.o.OnDelivered(d)
}

// refused stops publishing, unless the refusal is of a send that was repeated since.
func (p *Publisher) refused(l *lane, token uint64, err error) {
	p.mu.Lock()
	s := l.ring.find(token)
	if s == nil || s.state != sent {
		p.mu.Unlock()
		return
	}
	var no *AckError
	if errors.As(err, &no) && no.Code == errCodeTooLarge {
		s.shrink = true // the same rule as for the server's max_payload: the shard never stalls on it
	}
	p.mu.Unlock()
	p.trouble(err)
}

// trouble pauses and says so, or tells the running replay.
func (p *Publisher) trouble(err error) {
	p.mu.Lock()
	if p.closed || p.paused && !p.replaying {
		p.mu.Unlock()
		return
	}
	if p.replaying {
		if p.fault == nil {
			p.fault = err
		}
		p.signal()
		p.mu.Unlock()
		return
	}
	p.paused, p.cause = true, err
	p.mu.Unlock()
	if p.o.OnTrouble != nil {
		p.o.OnTrouble(err)
	}
}

// signal wakes the replay. The caller holds mu.
func (p *Publisher) signal() {
	select {
	case p.progress <- struct{}{}:
	default:
	}
}

// watch finds acknowledgements that do not come, and windows that stay full. It ends with done.
func (p *Publisher) watch() {
	tick := time.NewTicker(max(min(p.b.opts.AckTimeout/8, pausedPatience/2), time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		p.Flush() // nobody holds back for so long
		p.mu.Lock()
		now, late := p.clock(), false
		for _, l := range p.lanes {
			s := l.ring.oldest()
			late = late || !p.paused && s != nil && s.state == sent && now-s.sentAt > p.b.opts.AckTimeout
		}
		p.overflowing(time.Now())
		p.mu.Unlock()
		if late {
			p.trouble(ErrAckTimeout)
		}
	}
}
