package stream

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
)

// hearing takes a publisher's acknowledgements out of what a NATS server sends, and leaves the rest to nats.go. It
// reads just enough of the protocol to know where an operation ends. What is no plain NATS protocol, since TLS or a
// WebSocket begins, is left to nats.go for good: deaf.
//
// The goroutine that reads the connection is the only user, but for plain.
type hearing struct {
	ears *atomic.Pointer[ear] // of the publisher that listens, which may change; nil in it: nobody
	buf  []byte
	r, w int  // buf[r:w] is read and not looked at yet
	rest int  // bytes of an operation that are nats.go's and still to come
	line bool // the same up to the end of the line

	over error // nats.go must connect again

	deaf  atomic.Bool
	tally tally
}

// ear is who hears acknowledgements.
type ear struct {
	inbox string // prefix of the subjects of its acknowledgements
	// hear reads one; ok is false for what is none. settle takes those that were read.
	hear   func(token, data []byte) (a answer, ok bool)
	settle func(*tally)
}

// heardAtOnce is the size of the buffer in bytes: some hundred acknowledgements.
const heardAtOnce = 32 << 10

// maxAck bounds an operation that is looked at as a whole. An acknowledgement is far smaller; what is larger is nats.go's.
const maxAck = 4 << 10

// plain reports that everything so far was NATS' protocol as it stands on the wire. Any goroutine may call it.
func (h *hearing) plain() bool { return !h.deaf.Load() }

// read implements Read on what c brings.
func (h *hearing) read(c net.Conn, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	if h.buf == nil {
		h.buf = make([]byte, heardAtOnce)
	}
	for {
		if n = h.sift(b); n > 0 {
			return n, nil
		}
		if h.over != nil {
			return 0, h.over
		}
		if h.r == h.w {
			h.r, h.w = 0, 0
		} else if h.r > 0 { // the beginning of an operation
			h.r, h.w = 0, copy(h.buf, h.buf[h.r:h.w])
		}
		n, err = c.Read(h.buf[h.w:])
		h.w += n
		if n == 0 && err != nil {
			if n = copy(b, h.buf[h.r:h.w]); n > 0 { // half an operation, before the end
				h.r += n
				return n, nil
			}
			return 0, err
		}
	}
}

// sift takes acknowledgements out of what is read, puts what is nats.go's into b, and returns how much that is. With
// 0 it needs more.
func (h *hearing) sift(b []byte) (n int) {
	e := h.ears.Load()
	if e != nil {
		defer func() {
			if len(h.tally.batch) > 0 {
				e.settle(&h.tally)
			}
		}()
	}
	for h.r < h.w && n < len(b) {
		if h.rest == 0 && !h.line && !h.deaf.Load() {
			if h.next(e) {
				return n
			}
			continue
		}
		piece := h.buf[h.r:h.w]
		switch {
		case h.deaf.Load():
		case h.line:
			if end := bytes.IndexByte(piece, '\n'); end >= 0 {
				piece = piece[:end+1]
			}
		default:
			piece = piece[:min(h.rest, len(piece))]
		}
		took := copy(b[n:], piece)
		if h.line {
			h.line = piece[took-1] != '\n'
		} else if !h.deaf.Load() {
			h.rest -= took
		}
		h.r += took
		n += took
	}
	return n
}

// next looks at the operation that begins at r: an acknowledgement is taken, of anything else it is found how far it
// goes. more is true where too little is there to tell.
func (h *hearing) next(e *ear) (more bool) {
	op := h.buf[h.r:h.w]
	switch op[0] {
	case 'M', 'H': // MSG and HMSG, whose line ends with the size of what follows
	case '-': // -ERR
		if len(op) < len(tooLarge) && bytes.HasPrefix(tooLarge, op) {
			return true
		}
		if bytes.HasPrefix(op, tooLarge) {
			h.over = errTooLarge
			return true
		}
		h.line = true
		return false
	case 'I', 'P', '+': // INFO, PING, PONG and +OK
		h.line = true
		return false
	default:
		h.deaf.Store(true)
		return false
	}
	end := bytes.IndexByte(op[:min(len(op), maxAck)], '\n')
	if end < 0 {
		if len(op) >= maxAck {
			h.deaf.Store(true)
		}
		return len(op) < maxAck
	}
	size, ok := sizeOf(op[:end])
	if !ok {
		h.deaf.Store(true)
		return false
	}
	whole := end + 1 + size + 2
	if op[0] == 'M' && e != nil && whole <= maxAck {
		if token, mine := cutToken(op[:end], e.inbox); mine {
			if len(op) < whole {
				return true
			}
			if a, ok := e.hear(token, op[end+1:end+1+size]); ok {
				h.tally.batch = append(h.tally.batch, a)
				h.r += whole
				if len(h.tally.batch) == settleBatch {
					e.settle(&h.tally)
				}
				return false
			}
		}
	}
	h.rest = whole
	return false
}

// nats.go closes itself for good over this one. The server's limit is another one than it said; after the next dial it says so.
var tooLarge = []byte("-ERR 'Maximum Payload")

var errTooLarge = errors.New("stream: the server takes less in one message than it said")

// cutToken finds what follows inbox in the subject of a line "MSG <subject> <sid> <size>".
func cutToken(line []byte, inbox string) (token []byte, ok bool) {
	const op = len("MSG ")
	if len(line) < op+len(inbox) || string(line[op:op+len(inbox)]) != inbox {
		return nil, false
	}
	rest := line[op+len(inbox):]
	end := bytes.IndexByte(rest, ' ')
	if end < 0 {
		return nil, false
	}
	return rest[:end], true
}

// sizeOf reads the number at the end of a line of MSG or HMSG.
func sizeOf(line []byte) (size int, ok bool) {
	line = bytes.TrimRight(line, "\r")
	at := bytes.LastIndexByte(line, ' ') + 1
	if at == 0 || at == len(line) || len(line)-at > 9 {
		return 0, false
	}
	for _, d := range line[at:] {
		if d < '0' || d > '9' {
			return 0, false
		}
		size = size*10 + int(d-'0')
	}
	return size, true
}
