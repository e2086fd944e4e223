package actors

import (
	"slices"
	"strings"
	"sync"
	"time"

	"drover/messages"
	"drover/system/gateway"
)

// past is what a shard remembers of itself for its page. It lives as long as the node has the shard, over all restarts. At
// rest, after a connection and a session, it takes 290 bytes (TestPast_is_small_at_rest measures it); it never has more than
// maxLines lines of 48 bytes and their texts. Nothing of it is touched by an event: the shard writes on transitions only.
type past struct {
	mu     sync.Mutex // held for moments; alone
	began  int64      // Unix ms
	lines  []line     // a ring once it has maxLines
	oldest int
	closes []tally
	code   uint16 // of the close that the next line is about
	bad    bool   // nobody asked for what the next line is about

	sessions, resumes, identifies, dials, lost int32
}

// line is one line of the history.
type line struct {
	at, until int64 // Unix ms
	text      string
	session   [8]byte
	code      uint16
	times     uint16
	state     uint8 // index in messages.AllStates
	bad       bool
}

// tally counts one close code.
type tally struct {
	code  uint16
	count uint32
	last  int64
}

// The bounds of a history. Too few lines, and the cause of an hour's trouble is gone; lines that repeat are counted, not kept.
const (
	maxLines  = 48
	maxCloses = 12  // codes that are told apart
	maxText   = 240 // bytes of a line's text: errors of proxies may be pages
)

func newPast() *past { return &past{began: time.Now().UnixMilli()} }

// add appends a line. A dial that fails again and again is one line, with the tries between: an outage of hours must not
// push out what came before it.
func (p *past) add(state messages.State, text, session string, bad bool) {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	now := time.Now().UnixMilli()
	l := line{at: now, text: text, times: 1, state: uint8(max(slices.Index(messages.AllStates, state), 0))}
	copy(l.session[:], session)
	p.mu.Lock()
	defer p.mu.Unlock()
	l.code, l.bad = p.code, p.bad || bad
	p.code, p.bad = 0, false
	if last := p.last(1); last != nil && state == messages.Disconnected && l.bad { // after "connecting"
		if before := p.last(2); before != nil && p.stateOf(last) == messages.Connecting && last.text == "" && before.repeats(&l) {
			before.until, before.times, before.text = now, min(before.times, 1<<16-2)+1, l.text
			p.drop()
			return
		}
	}
	p.append(l)
}

// repeats reports that m says the same as l did.
func (l *line) repeats(m *line) bool {
	return undigited(l.text) == undigited(m.text) && l.state == m.state && l.bad == m.bad && l.code == m.code && l.session == m.session
}

// undigited is a text without its numbers: the port that a dial came from, and the address that a name led to, are others at each try.
func undigited(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

func (p *past) append(l line) {
	if len(p.lines) < maxLines {
		if len(p.lines) == cap(p.lines) {
			p.lines = slices.Grow(p.lines, 4) // by little: most shards never have more
		}
		p.lines = append(p.lines, l)
		return
	}
	p.lines[p.oldest] = l
	p.oldest = (p.oldest + 1) % maxLines
}

// last is the nth line from the end; nil where there are fewer. The lock is held.
func (p *past) last(n int) *line {
	if n > len(p.lines) {
		return nil
	}
	return &p.lines[(p.oldest+len(p.lines)-n)%len(p.lines)]
}

// drop forgets the newest line. The lock is held.
func (p *past) drop() {
	newest := (p.oldest + len(p.lines) - 1) % len(p.lines)
	if p.oldest > 0 { // the ring is whole: lay it straight
		p.lines = slices.Concat(p.lines[p.oldest:], p.lines[:p.oldest])
		p.oldest, newest = 0, len(p.lines)-1
	}
	p.lines = p.lines[:newest]
}

func (p *past) stateOf(l *line) messages.State { return messages.AllStates[l.state] }

// ended counts the end of a connection, or of a try to get one. The line about it follows with the report.
func (p *past) ended(e gateway.Down) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad = !wished(e)
	switch {
	case e.Reason == gateway.DownDial:
		p.dials++
	case e.Reason == gateway.DownClosed && e.CloseCode > 0:
		p.code = uint16(e.CloseCode)
		p.close(p.code)
	case p.bad:
		p.lost++
	}
}

func (p *past) close(code uint16) {
	now := time.Now().UnixMilli()
	for i := range p.closes {
		if c := &p.closes[i]; c.code == code || c.code == 0 {
			c.count, c.last = c.count+1, now
			return
		}
	}
	if len(p.closes) == maxCloses-1 {
		code = 0 // and all that follow
	}
	p.closes = append(p.closes, tally{code, 1, now})
}

// up counts a session that begins or goes on.
func (p *past) up(resumed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if resumed {
		p.resumes++
		return
	}
	p.sessions++
}

func (p *past) identified() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.identifies++
}

// history is a copy for whoever asks.
func (p *past) history() *messages.ShardHistory {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := &messages.ShardHistory{
		Began: time.UnixMilli(p.began), Events: make([]messages.ShardEvent, 0, len(p.lines)), Closes: make([]messages.CloseCount, 0, len(p.closes)),
		Sessions: int(p.sessions), Resumes: int(p.resumes), Identifies: int(p.identifies), Dials: int(p.dials), Lost: int(p.lost),
	}
	for n := 1; n <= len(p.lines); n++ {
		l := p.last(n)
		e := messages.ShardEvent{At: time.UnixMilli(l.at), Times: int(l.times), State: p.stateOf(l), Text: l.text, Code: int(l.code), Error: l.bad}
		if l.session != [8]byte{} {
			e.Session = string(l.session[:])
		}
		if l.times > 1 {
			e.Until = time.UnixMilli(l.until)
		}
		h.Events = append(h.Events, e)
	}
	for _, c := range p.closes {
		meaning := "codes beyond those above"
		if c.code != 0 {
			meaning = gateway.CloseName(int(c.code))
		}
		h.Closes = append(h.Closes, messages.CloseCount{Code: int(c.code), Meaning: meaning, Count: int(c.count), Last: time.UnixMilli(c.last)})
	}
	return h
}

// bereft notes that the session is lost: what Discord sent meanwhile is too.
func (s *shard) bereft(session, reason string) {
	text := "session lost: events may be missing"
	if reason != gateway.GapSessionLost {
		text += " (" + reason + ")"
	}
	s.carried.past.add(s.session.State(), text, messages.ShortSession(session), true)
}

// chronicle puts a transition into the shard's history: next is what it becomes. Latency alone is none.
func (s *shard) chronicle(next *messages.ShardStatus, note string) {
	moved := next.State != s.status.State
	if !moved && note == "" {
		return
	}
	if moved && note == "" && next.State == messages.Disconnected { // a dial that failed: not worth a notice of the node
		note = next.LastError
	}
	s.carried.past.add(next.State, note, next.Session, false)
}

// sample measures every shard, in no order. It reads what the shards publish in atomics, and allocates nothing where into
// has room.
func (h *health) sample(into []messages.ShardSample) []messages.ShardSample {
	into = into[:0]
	for id, s := range h.shards {
		into = append(into, messages.ShardSample{
			ID: id, Seq: s.live.Received(), Latency: s.status.HeartbeatLatencyMS, Ready: s.status.State == messages.Ready,
		})
	}
	return into
}

// history is what a shard remembers of itself; nil where this node does not serve it.
func (h *health) history(shardID int) *messages.ShardHistory {
	if s := h.shards[shardID]; s != nil {
		return s.live.History()
	}
	return nil
}
