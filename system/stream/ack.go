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

// parseAck reads an answer. The common form is read in place; anything else by encoding/json.
func parseAck(m *nats.Msg) (duplicate bool, err error) {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return false, ErrNoStream
		}
		return false, errors.New("stream: an empty acknowledgement")
	}
	if duplicate, ok := quickAck(m.Data); ok {
		return duplicate, nil
	}
	var a pubAck
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return false, fmt.Errorf("stream: acknowledgement: %w", err)
	}
	switch {
	case a.Error != nil:
		return false, &AckError{Stream: a.Stream, Code: a.Error.Code, Description: a.Error.Description}
	case a.Stream == "" || a.Seq == 0:
		return false, errors.New("stream: an acknowledgement without stream or sequence")
	}
	return a.Duplicate, nil
}

// quickAck reads {"stream":"EVENTS","seq":12} and {"stream":"EVENTS","seq":12,"duplicate":true}, also
// with a space after a comma and with a domain between.
func quickAck(b []byte) (duplicate, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return false, false
	}
	end := bytes.IndexByte(b, '"')
	if end <= 0 || bytes.IndexByte(b[:end], '\\') >= 0 {
		return false, false
	}
	b = bytes.TrimLeft(b[end+1:], ", ")
	b, ok = bytes.CutPrefix(b, []byte(`"seq":`))
	if !ok {
		return false, false
	}
	digits := 0
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits == 0 || b[0] == '0' {
		return false, false
	}
	switch string(b[digits:]) {
	case `}`:
		return false, true
	case `,"duplicate":true}`, `,"duplicate": true}`, `, "duplicate": true}`:
		return true, true
	}
	return false, false
}

// onAck frees the slot that the answer names. It runs on the subscription's goroutine, alone, and
// does not block.
func (p *Publisher) onAck(m *nats.Msg) {
	token, err := strconv.ParseUint(m.Subject[len(p.inbox):], 36, 64)
	if err != nil {
		return // nobody but us knows the inbox
	}
	duplicate, err := parseAck(m)
	if err != nil {
		p.refused(token, err)
		return
	}
	now := time.Now()
	p.mu.Lock()
	it, ok := p.ring.ack(token)
	if ok {
		p.bytes -= it.bytes
		p.grant()
		if p.replaying {
			p.signal()
		}
		if p.idle != nil && p.ring.live+p.reserved == 0 {
			close(p.idle)
			p.idle = nil
		}
	}
	p.mu.Unlock()
	if !ok {
		return // of a send that was repeated since
	}
	it.body.release()
	if it.receipt != nil {
		it.receipt.Acked(it.kind.Stream, it.seq)
	}
	if p.o.OnAck != nil {
		p.o.OnAck(it.kind, it.shardID, now.Sub(it.read), duplicate)
	}
}

// refused stops publishing, unless the refusal is of a send that was repeated since.
func (p *Publisher) refused(token uint64, err error) {
	p.mu.Lock()
	s := p.ring.find(token)
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

// watch finds acknowledgements that do not come. It ends with done.
func (p *Publisher) watch() {
	defer close(p.watched)
	tick := time.NewTicker(max(p.b.opts.AckTimeout/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		s := p.ring.oldest()
		late := !p.paused && s != nil && s.state == sent && time.Since(s.sentAt) > p.b.opts.AckTimeout
		p.mu.Unlock()
		if late {
			p.trouble(ErrAckTimeout)
		}
	}
}
