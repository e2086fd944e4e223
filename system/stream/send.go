package stream

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// message is one nats.Msg that is used for every send, with its header map and values. A new map
// per event would cost three allocations more; this is the cheapest way that nats.go offers, as
// it takes headers in no other form. See BenchmarkSend.
type message struct {
	nats.Msg
	id, event, seq []string
}

func newMessage(withSeq bool) message {
	m := message{id: make([]string, 1), event: make([]string, 1), seq: make([]string, 1)}
	m.Header = nats.Header{messages.HeaderID: m.id, messages.HeaderEvent: m.event}
	if withSeq {
		m.Header[messages.HeaderSeq] = m.seq
	}
	return m
}

// lateAfter is how long after Discord's dispatch nobody waits for the answer to an interaction any more.
const lateAfter = 3 * time.Second

// transmit puts one send on the wire, where it may wait if more follows at once. The caller holds sendLock.
func (p *Publisher) transmit(l *lane, token uint64, it *item, more bool) error {
	m := &p.dispatch
	text := p.scratch[:0]
	if it.own {
		m = &p.own
	} else {
		text = messages.AppendSeq(text, it.session, it.seq)
	}
	split := len(text)
	text = append(text, p.inbox...)
	text = strconv.AppendUint(text, token<<1|uint64(l.stream), 36)
	p.scratch = text
	// Both are views of scratch and good until the next send: PublishMsg copies what it is given.
	both := unsafe.String(unsafe.SliceData(text), len(text))
	m.id[0], m.event[0], m.seq[0] = it.id, it.kind.Name, both[:split]
	m.Subject, m.Reply = it.subject, both[split:]
	if l.stream == messages.Commands && p.late(m, it) {
		defer delete(m.Header, messages.HeaderAge)
	}
	if it.shrink || len(it.body.b)+maxHeader > p.max {
		p.oversize(it)
	}
	m.Data = it.body.b

	if !p.b.gate.enter(p.epoch) {
		return errReconnected
	}
	p.b.gate.hold(more)
	err := p.b.nc.PublishMsg(&m.Msg)
	p.b.gate.leave()
	if err != nil {
		return fmt.Errorf("stream: publish: %w", p.b.clean(err))
	}
	if messages.Sabotaged(messages.AcksIgnored) {
		p.settleOne(l, token)
	}
	return nil
}

// late says in a header how old a late interaction is: its worker can no longer answer it in time, and should know.
func (p *Publisher) late(m *message, it *item) bool {
	age := time.Since(it.read)
	if age <= lateAfter {
		return false
	}
	m.Header[messages.HeaderAge] = []string{strconv.FormatInt(age.Milliseconds(), 10)}
	if it.sends == 1 && p.o.OnLate != nil {
		p.o.OnLate(it.shardID, age)
	}
	return true
}

var errReconnected = errors.New("stream: the connection to NATS is another one than before")

// maxHeader is more than the header block takes: 130 bytes of names and separators, an id of 36 bytes, the
// dispatch's name, the session and an age. It counts towards the server's max_payload.
const maxHeader = 1 << 10

// oversize replaces the data by its size. Nothing before "data" can hold that word: the fields are
// ids, numbers and event types.
func (p *Publisher) oversize(it *item) {
	key := []byte(`,"data":`)
	at := bytes.Index(it.body.b, key)
	if at < 0 {
		return
	}
	b := newBuffer(at + 64)
	b.b = append(append(b.b, it.body.b[:at]...), key...)
	b.b = append(b.b, `{"drover_oversize":`...)
	b.b = append(strconv.AppendInt(b.b, int64(it.data), 10), `}}`...)
	if len(b.b) >= len(it.body.b) { // it is as small as it gets
		b.release()
		return
	}
	it.body.release()
	it.body = b
	if p.o.OnOversize != nil {
		p.o.OnOversize(it.kind, it.shardID, it.data)
	}
}
