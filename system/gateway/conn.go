package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// Limits of one connection. Discord documents none for what it sends; messages over 1 MiB are
// ordinary, 17 MB were seen.
const (
	maxMessage   = 64 << 20         // bytes of one message as received; over it the connection ends
	keepBuffer   = 256 << 10        // bytes; a larger buffer of a message is not used again
	growStep     = 1 << 20          // bytes; a large frame is trusted as far as it has arrived
	writeTimeout = 5 * time.Second  // for one frame; a peer that does not read is dead
	closeTimeout = time.Second      // for the peer's close frame, before TCP is dropped
	dialTimeout  = 10 * time.Second // TCP, TLS and the upgrade together
)

// Conn is one WebSocket connection to the gateway.
//
// One goroutine may call Read; Write and Close may be called from any. Every error of Read or Write
// is final for the connection.
type Conn struct {
	net     net.Conn
	in      *intake
	inflate Inflater // nil without transport compression

	frame []byte // the message that is read, where it does not fit into the intake's buffer; else nil

	wire, inflated int // bytes of messages since Counted; the reader's

	closing atomic.Bool // set by Close: data that still arrives is discarded
	write   sync.Mutex  // one frame at a time
	out     []byte      // the frame being written, masked; guarded by write
}

// DialOptions say where to and how. The zero value of a field is its default.
type DialOptions struct {
	URL       string // complete, as GatewayURL makes it
	Compress  string // zlib-stream, zstd-stream or none; as in URL, and by default what URL says
	UserAgent string
	// NetDial opens the TCP connection; nil is net.Dialer. Tests pass a pipe.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	TLS     *tls.Config   // for wss; nil verifies against the system's roots
	Timeout time.Duration // default 10 s
}

// Dial opens a connection and upgrades it. It returns when the upgrade is done, before HELLO. A refused
// upgrade is an error that names the HTTP status.
func Dial(ctx context.Context, o DialOptions) (*Conn, error) {
	if o.Compress == "" {
		o.Compress = compressOf(o.URL)
	}
	inflate, err := NewInflater(o.Compress)
	if err != nil {
		return nil, err
	}
	if o.Timeout <= 0 {
		o.Timeout = dialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	dialer := ws.Dialer{
		NetDial:   o.NetDial,
		TLSConfig: o.TLS,
		Header:    ws.HandshakeHeaderHTTP(http.Header{"User-Agent": {o.UserAgent}}),
	}
	conn, early, _, err := dialer.Dial(ctx, o.URL)
	if err != nil {
		if inflate != nil {
			inflate.Close()
		}
		return nil, fmt.Errorf("gateway: dial: %w", err)
	}
	c := &Conn{net: conn, inflate: inflate}
	var head []byte
	if early != nil { // HELLO came in the same packet as the upgrade
		head, _ = early.Peek(early.Buffered())
	}
	c.in = newIntake(conn, head, c.rest)
	if early != nil {
		ws.PutReader(early)
	}
	return c, nil
}

// Refused tells whether Dial failed because the server answered the upgrade with an HTTP status of its own.
func Refused(err error) bool {
	var status ws.StatusError
	return errors.As(err, &status)
}

// rester is an Inflater that can do without some of its memory while nothing comes. Rest says that the last payload is
// not needed any more.
type rester interface{ Rest() }

// frames are buffers of messages that are larger than an intake's.
var frames sync.Pool // of *[]byte

// rest gives back what nobody needs while the connection waits for its next message.
func (c *Conn) rest() {
	if len(c.frame) > 0 {
		return // between two fragments
	}
	if cap(c.frame) > 0 && cap(c.frame) <= keepBuffer {
		b := c.frame
		frames.Put(&b)
	}
	c.frame = nil
	if r, ok := c.inflate.(rester); ok {
		r.Rest()
	}
}

// Read returns the next whole payload, inflated: one JSON object. The bytes are valid until the next Read.
//
// The error is a *CloseError where the peer or the network ended the connection (1006 without a close
// frame). Any other error means that the peer sent what cannot be read; the connection is then
// already closed with 4000, so that the session can be resumed on a new one.
func (c *Conn) Read() ([]byte, error) {
	for {
		op, message, err := c.message()
		if err != nil {
			return nil, c.ended(err)
		}
		c.wire += len(message)
		if op == ws.OpText || c.inflate == nil {
			c.inflated += len(message)
			return message, nil
		}
		payload, err := c.inflate.Inflate(message)
		if err != nil {
			return nil, c.ended(fmt.Errorf("%w: %w", ErrInflate, err))
		}
		if payload != nil {
			c.inflated += len(payload)
			return payload, nil
		}
	}
}

// Counted tells how many bytes of messages were read since it was asked last: as they came, and inflated. Only the goroutine that
// reads may ask.
func (c *Conn) Counted() (wire, inflated int) {
	wire, inflated = c.wire, c.inflated
	c.wire, c.inflated = 0, 0
	return wire, inflated
}

// BeforeWait has f called before each wait for the network, by the goroutine that reads. It may be called although there is
// something to read, which nobody can tell of a connection with TLS. Call it before the first Read. f may block for a
// moment, but must not wait for whoever closes the Conn: Close waits for it.
func (c *Conn) BeforeWait(f func()) { c.in.waiting = f }

// ended gives the connection's last error its meaning and lets go of the socket.
func (c *Conn) ended(err error) error {
	var closed *CloseError
	if errors.As(err, &closed) || c.closing.Load() {
		c.drop()
	} else if errors.Is(err, errBroken) {
		c.drop()
		err = &CloseError{Code: 1006, Reason: err.Error(), Class: ClassOf(1006)}
	} else {
		c.Close(4000, "unreadable data")
	}
	if c.inflate != nil {
		c.inflate.Close()
		c.inflate = nil
	}
	c.in.release()
	return err
}

// ErrInflate says that the peer's compression cannot be undone: the connection is over, the session is not.
var ErrInflate = errors.New("gateway: corrupt compression")

// errBroken marks errors of the transport, in contrast to what the peer sent.
var errBroken = errors.New("gateway: connection lost")

// message reads one data message, over all its fragments, and answers control frames on the way.
func (c *Conn) message() (op ws.OpCode, _ []byte, _ error) {
	if cap(c.frame) > keepBuffer {
		c.frame = nil
	}
	c.frame = c.frame[:0]
	for {
		h, err := c.header()
		if err != nil {
			return 0, nil, err
		}
		if err := checkHeader(h, op, len(c.frame)); err != nil {
			return 0, nil, err
		}
		if h.OpCode.IsControl() {
			if err := c.control(h); err != nil {
				return 0, nil, err
			}
			continue
		}
		whole := op == 0 && h.Fin
		if op == 0 {
			op = h.OpCode
		}
		if c.closing.Load() {
			if err := c.in.discard(h.Length); err != nil {
				return 0, nil, fmt.Errorf("%w: %w", errBroken, err)
			}
			if h.Fin {
				op, c.frame = 0, c.frame[:0]
			}
			continue
		}
		if whole && h.Length <= readBuffer { // nearly every message: it needs no copy
			message, err := c.in.take(int(h.Length))
			if err != nil {
				return 0, nil, fmt.Errorf("%w: %w", errBroken, err)
			}
			return op, message, nil
		}
		if err := c.fill(int(h.Length)); err != nil {
			return 0, nil, err
		}
		if h.Fin {
			return op, c.frame, nil
		}
	}
}

// header reads the head of a frame (RFC 6455, section 5.2). It leaves the key of a masked one unread.
func (c *Conn) header() (h ws.Header, _ error) {
	b, err := c.in.peek(2)
	if err != nil {
		return h, fmt.Errorf("%w: %w", errBroken, err)
	}
	h.Fin, h.Rsv, h.OpCode = b[0]&0x80 != 0, b[0]>>4&7, ws.OpCode(b[0]&15)
	h.Masked, h.Length = b[1]&0x80 != 0, int64(b[1]&0x7f)
	size := 2
	switch h.Length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b, err = c.in.take(size); err != nil {
		return h, fmt.Errorf("%w: %w", errBroken, err)
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(b[2:])) // below 0 where the highest bit is set, which checkHeader sees
	}
	return h, nil
}

// fill appends n bytes of the wire to the message. It believes the announced length only as far as
// bytes arrive, so that a lying header costs no memory.
func (c *Conn) fill(n int) error {
	if c.frame == nil {
		if b, ok := frames.Get().(*[]byte); ok {
			c.frame = (*b)[:0]
		}
	}
	for n > 0 {
		step := min(n, growStep)
		at := len(c.frame)
		if need := at + step; need > cap(c.frame) {
			grown := make([]byte, at, max(need, min(2*cap(c.frame), maxMessage), 4<<10))
			copy(grown, c.frame)
			c.frame = grown
		}
		c.frame = c.frame[:at+step]
		if err := c.in.read(c.frame[at:]); err != nil {
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		n -= step
	}
	return nil
}

func checkHeader(h ws.Header, op ws.OpCode, have int) error {
	switch {
	case h.Length < 0:
		return errors.New("gateway: frame: negative length")
	case h.Rsv != 0:
		return errors.New("gateway: frame: reserved bits set")
	case h.Masked:
		return errors.New("gateway: frame: masked by the server")
	case h.OpCode.IsControl() && (!h.Fin || h.Length > ws.MaxControlFramePayloadSize):
		return errors.New("gateway: frame: control frame too large or fragmented")
	case h.OpCode.IsControl():
		return nil
	case h.OpCode == ws.OpContinuation && op == 0, h.OpCode != ws.OpContinuation && op != 0, h.OpCode.IsReserved():
		return fmt.Errorf("gateway: frame: unexpected opcode %d", h.OpCode)
	case h.Length > maxMessage || int64(have)+h.Length > maxMessage:
		return fmt.Errorf("gateway: frame: %d bytes are over the limit of %d: %w", h.Length, maxMessage, ErrTooBig)
	}
	return nil
}

// control answers a ping and turns a close frame into a *CloseError. Pongs say nothing: the gateway's
// liveness is told by its own heartbeats.
func (c *Conn) control(h ws.Header) error {
	payload, err := c.in.take(int(h.Length))
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	switch h.OpCode {
	case ws.OpPing:
		if c.closing.Load() {
			return nil // nothing follows a close frame; the peer's is still to come
		}
		return c.writeFrame(ws.NewPongFrame(payload))
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		if len(payload) == 0 {
			code = 1005
		}
		return &CloseError{Code: int(code), Reason: reason, Class: ClassOf(int(code))}
	}
	return nil
}

// Write sends one payload as a text frame. It waits at most 5 s for a peer that does not read.
func (c *Conn) Write(payload []byte) error {
	return c.writeFrame(ws.NewTextFrame(payload))
}

func (c *Conn) writeFrame(f ws.Frame) error {
	c.write.Lock()
	defer c.write.Unlock()
	if c.closing.Load() && f.Header.OpCode != ws.OpClose {
		return net.ErrClosed
	}
	if !c.closing.Load() {
		_ = c.net.SetWriteDeadline(time.Now().Add(writeTimeout)) // an error shows at Write
	}
	return c.writeLocked(f)
}

func (c *Conn) writeLocked(f ws.Frame) error {
	w := sliceWriter{b: c.out[:0]}
	f = ws.MaskFrame(f) // a copy: the caller's payload stays as it is
	if err := ws.WriteFrame(&w, f); err != nil {
		return fmt.Errorf("gateway: write: %w", err)
	}
	c.out = w.b[:0]
	if cap(c.out) > 8<<10 {
		c.out = nil
	}
	if _, err := c.net.Write(w.b); err != nil {
		return fmt.Errorf("%w: write: %w", errBroken, err)
	}
	return nil
}

// sliceWriter gathers header and payload, so that a frame is one write and one packet.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// Close ends the connection with a close frame and returns at once; it may be called repeatedly. Data that still
// arrives is discarded. TCP is dropped when the peer's close frame came to the reader, at the
// latest after 1 s.
//
// The code decides what becomes of the session: 1000 and 1001 end it, every other keeps it for
// some minutes (Discord, "Initiating a Disconnect").
func (c *Conn) Close(code int, reason string) {
	if c.closing.Swap(true) {
		return
	}
	_ = c.net.SetWriteDeadline(time.Now().Add(closeTimeout)) // also wakes a Write that hangs
	// The timer owns the socket from here; the goroutine ends with the deadline above.
	time.AfterFunc(closeTimeout, c.drop)
	go func() {
		_ = c.writeFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
	}()
}

// drop lets go of the socket.
func (c *Conn) drop() { _ = c.net.Close() }
