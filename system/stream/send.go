package stream

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"drover/messages"
)

// sender puts sends on the wire. Publisher.sendLock guards it.
type sender struct {
	head  []byte   // of the newest operation
	reply []byte   // subject for its acknowledgement
	msg   nats.Msg // the same for a connection that only nats.go can write to
}

// transmit puts one send on the wire, where it may wait if more follows at once. The caller holds sendLock.
func (p *Publisher) transmit(l *lane, token uint64, it *item, more bool) error {
	if it.fence != nil && !it.fence.Valid() {
		return errFenced
	}
	var age time.Duration
	if l.stream == messages.Commands {
		age = p.late(it)
	}
	if it.shrink || len(it.body.b)+maxHeader > p.max {
		p.oversize(it)
	}
	s := &p.send
	s.reply = appendToken(append(s.reply[:0], p.inbox...), token<<1|uint64(l.stream))

	if !p.b.gate.enter(p.epoch) {
		return errReconnected
	}
	err := p.put(it, age, more)
	p.b.gate.leave()
	if err != nil {
		return fmt.Errorf("stream: publish: %w", p.b.clean(err))
	}
	if messages.Sabotaged(messages.AcksIgnored) {
		p.settleOne(l, token)
	}
	return nil
}

// put writes one send below nats.go, or through it where it must be.
func (p *Publisher) put(it *item, age time.Duration, more bool) error {
	if w := p.b.gate.plain(); w != nil {
		head, size := p.send.operation(it, age)
		if size > p.max {
			return nats.ErrMaxPayload
		}
		return w.publish(head, it.body.b, more)
	}
	p.b.gate.hold(more)
	return p.b.nc.PublishMsg(p.send.message(it, age))
}

// operation makes the beginning of the protocol's HPUB, up to the body:
//
//	HPUB <subject> <reply> <bytes of the header> <bytes of header and body>\r\n<header>
//
// size is the last of these. The header's length is known before its text is made.
func (s *sender) operation(it *item, age time.Duration) (head []byte, size int) {
	const frame = len("NATS/1.0\r\n") + len("\r\n")
	header := frame + field(messages.HeaderID, len(it.id)) + field(messages.HeaderEvent, len(it.kind.Name))
	if !it.own {
		header += field(messages.HeaderSeq, len(it.session)+1+digits(it.seq))
	}
	if age > 0 {
		header += field(messages.HeaderAge, digits(age.Milliseconds()))
	}
	if it.trace != nil {
		header += field(messages.HeaderTrace, messages.TraceParentSize)
	}
	size = header + len(it.body.b)

	b := append(s.head[:0], "HPUB "...)
	b = append(append(b, it.subject...), ' ')
	b = append(append(b, s.reply...), ' ')
	b = append(strconv.AppendInt(b, int64(header), 10), ' ')
	b = append(strconv.AppendInt(b, int64(size), 10), "\r\nNATS/1.0\r\n"...)
	b = append(appendField(b, messages.HeaderID, it.id), "\r\n"...)
	b = append(appendField(b, messages.HeaderEvent, it.kind.Name), "\r\n"...)
	if !it.own {
		b = appendField(b, messages.HeaderSeq, it.session)
		b = append(b, ':')
		b = append(strconv.AppendInt(b, it.seq, 10), "\r\n"...)
	}
	if age > 0 {
		b = appendField(b, messages.HeaderAge, "")
		b = append(strconv.AppendInt(b, age.Milliseconds(), 10), "\r\n"...)
	}
	if it.trace != nil {
		b = append(it.trace.AppendParent(appendField(b, messages.HeaderTrace, "")), "\r\n"...)
	}
	s.head = append(b, "\r\n"...)
	return s.head, size
}

// field is how many bytes a header field takes.
func field(name string, value int) int { return len(name) + len(": ") + value + len("\r\n") }

// digits is how many bytes a number takes that is not negative.
func digits(n int64) int {
	count := 1
	for ; n >= 10; n /= 10 {
		count++
	}
	return count
}

// appendField appends a field without its end. What might end it early, or begin another one, becomes '_': a session's id
// is the peer's word.
func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	at := len(b)
	b = append(b, value...)
	for i, c := range b[at:] {
		if c < ' ' {
			b[at+i] = '_'
		}
	}
	return b
}

// message is the same for nats.go. It is good until the next one.
func (s *sender) message(it *item, age time.Duration) *nats.Msg {
	header := nats.Header{messages.HeaderID: {it.id}, messages.HeaderEvent: {it.kind.Name}}
	if !it.own {
		header[messages.HeaderSeq] = []string{string(messages.AppendSeq(nil, it.session, it.seq))}
	}
	if age > 0 {
		header[messages.HeaderAge] = []string{strconv.FormatInt(age.Milliseconds(), 10)}
	}
	if it.trace != nil {
		header[messages.HeaderTrace] = []string{string(it.trace.AppendParent(nil))}
	}
	s.msg = nats.Msg{Subject: it.subject, Reply: string(s.reply), Header: header, Data: it.body.b}
	return &s.msg
}

// late is how old an interaction is whose worker can no longer answer it in time, and should know; else 0.
func (p *Publisher) late(it *item) time.Duration {
	age := time.Since(it.read)
	if age <= lateAfter {
		return 0
	}
	if it.sends == 1 && p.o.OnLate != nil {
		p.o.OnLate(it.shardID, age)
	}
	return age
}

// lateAfter is how long after Discord's dispatch nobody waits for the answer to an interaction any more.
const lateAfter = 3 * time.Second

var errReconnected = errors.New("stream: the connection to NATS is another one than before")

// maxHeader is more than the header block takes: 200 bytes of names and separators, an id of 36 bytes, a trace context of 55, the
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
