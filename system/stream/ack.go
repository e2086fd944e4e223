package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrAckTimeout means that JetStream did not acknowledge an event in time.
var ErrAckTimeout = errors.New("stream: no acknowledgement in time")

// ErrNoStream means that no stream took a published event: it was deleted, or died with its server.
var ErrNoStream = errors.New("stream: no stream took the event")

// AckError is JetStream's refusal of an event.
type AckError struct {
	Stream      string
	Code        int // JetStream's error code, like 10077
	Description string
}

func (e *AckError) Error() string {
	return fmt.Sprintf("stream: %s refused the event: %s (code %d)", e.Stream, e.Description, e.Code)
}

// errCodeTooLarge: the stream's own max_msg_size is below the message's size.
const errCodeTooLarge = 10054

// pubAck is JetStream's answer to a publish.
type pubAck struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Error     *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// parseAck reads an answer: where the event stands in its stream, and whether it stood there before. The common
// form is read in place; anything else by encoding/json.
func parseAck(m *nats.Msg) (stored uint64, duplicate bool, err error) {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return 0, false, ErrNoStream
		}
		return 0, false, errors.New("stream: an empty acknowledgement")
	}
	if stored, duplicate, ok := quickAck(m.Data); ok {
		return stored, duplicate, nil
	}
	var a pubAck
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return 0, false, fmt.Errorf("stream: acknowledgement: %w", err)
	}
	switch {
	case a.Error != nil:
		return 0, false, &AckError{Stream: a.Stream, Code: a.Error.Code, Description: a.Error.Description}
	case a.Stream == "" || a.Seq == 0:
		return 0, false, errors.New("stream: an acknowledgement without stream or sequence")
	}
	return a.Seq, a.Duplicate, nil
}

// quickAck reads {"stream":"EVENTS","seq":12} and {"stream":"EVENTS","seq":12,"duplicate":true}, also
// with a space after a comma and with a domain between.
func quickAck(b []byte) (stored uint64, duplicate, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return 0, false, false
	}
	end := bytes.IndexByte(b, '"')
	if end <= 0 || bytes.IndexByte(b[:end], '\\') >= 0 {
		return 0, false, false
	}
	b = bytes.TrimLeft(b[end+1:], ", ")
	b, ok = bytes.CutPrefix(b, []byte(`"seq":`))
	if !ok {
		return 0, false, false
	}
	digits := 0
	for digits < len(b) && digits < 19 && b[digits] >= '0' && b[digits] <= '9' {
		stored = stored*10 + uint64(b[digits]-'0')
		digits++
	}
	if stored == 0 || b[0] == '0' {
		return 0, false, false
	}
	switch string(b[digits:]) {
	case `}`:
		return stored, false, true
	case `,"duplicate":true}`, `,"duplicate": true}`, `, "duplicate": true}`:
		return stored, true, true
	}
	return 0, false, false
}

// onAck frees the slot that the answer names. It runs on the subscription's goroutine, alone, and
// does not block.
func (p *Publisher) onAck(m *nats.Msg) {
	token, err := strconv.ParseUint(m.Subject[len(p.inbox):], 36, 64)
	if err != nil || token&1 >= uint64(len(p.lanes)) {
		return // nobody but us knows the inbox
	}
	l := p.lanes[token&1]
	token >>= 1
	stored, duplicate, err := parseAck(m)
	if err != nil {
		p.refused(l, token, err)
		return
	}
	p.complete(l, token, stored, duplicate)
}

// complete takes the event of this send out of the window, unless it was sent again since.
func (p *Publisher) complete(l *lane, token, stored uint64, duplicate bool) {
	p.mu.Lock()
	it, ok := l.ring.ack(token, stored)
	if !ok {
		p.mu.Unlock()
		return
	}
	p.settle(l, it, stored, duplicate)
}

// settle does what follows from an acknowledgement. The caller holds mu; settle unlocks it.
func (p *Publisher) settle(l *lane, it item, stored uint64, duplicate bool) {
	l.bytes -= it.bytes
	l.grant()
	receipt := it.receipt
	if it.spooled {
		receipt = l.disown(&it)
	}
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
	if p.idle != nil && p.empty() {
		close(p.idle)
		p.idle = nil
	}
	p.mu.Unlock()
	it.body.release()
	if receipt != nil {
		receipt.Acked(l.stream, it.seq, stored)
	}
	if p.o.OnAck != nil {
		a := Ack{Kind: it.kind, ShardID: it.shardID, Took: time.Since(it.read)}
		if !it.own {
			a.Seq = it.seq
		}
		p.o.OnAck(a)
	}
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
		p.mu.Lock()
		now, late := time.Now(), false
		for _, l := range p.lanes {
			s := l.ring.oldest()
			late = late || !p.paused && s != nil && s.state == sent && now.Sub(s.sentAt) > p.b.opts.AckTimeout
		}
		p.overflowing(now)
		p.mu.Unlock()
		if late {
			p.trouble(ErrAckTimeout)
		}
	}
}
