package gatewaysim

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// conn is one WebSocket. Its reader goroutine (serveSocket) owns what stands
// under "reader", its writer goroutine the socket's output; mu guards the rest.
type conn struct {
	srv      *Server
	id       int
	host     HostKind
	name     string // Host header
	mode     string // "none", "zlib-stream", "zstd-stream"
	nc       net.Conn
	rd       *bufio.Reader
	rec      *ConnRecord   // fields guarded by srv.mu
	gone     chan struct{} // closed by drop
	once     sync.Once     // drop
	readDone chan struct{} // closed when the reader is through
	wake     chan struct{} // room for one: the writer has work

	stirred bool // the traffic goroutine's: it has yet to wake the writer

	// reader
	sends       []time.Time // sliding log of the last minute
	presences   []time.Time // of the last 20 s
	payloadZlib atomic.Bool // asked for in IDENTIFY ("Payload Compression"); the writer reads it

	mu       sync.Mutex
	ctl      []outFrame
	session  *session
	dropAcks bool
	closing  *closing // set once
	beat     *time.Timer
	grace    time.Duration // without a heartbeat
	split    SplitFault
}

// closing is how a connection is to end.
type closing struct {
	code   int
	reason string
}

// maxControl bounds the answers that wait for a client that does not read.
const maxControl = 512

// readLoop takes frames until the client closes, breaks a rule or is dropped.
func (c *conn) readLoop() {
	var message []byte
	var started bool
	buf := make([]byte, maxClientBytes)
	for {
		h, err := ws.ReadHeader(c.rd)
		if err != nil {
			return
		}
		if bad := !h.Masked || h.Rsv != 0 || h.OpCode.IsControl() && (h.Length > 125 || !h.Fin); bad {
			c.broken()
			return
		}
		if h.Length+int64(len(message)) > maxClientBytes {
			c.protest(closeDecode, "payload larger than 4096 bytes")
			c.drain() // unread input would turn our close frame into a reset
			return
		}
		if _, err := io.ReadFull(c.rd, buf[:h.Length]); err != nil {
			return
		}
		ws.Cipher(buf[:h.Length], h.Mask, 0)
		switch h.OpCode {
		case ws.OpPing:
			c.push(outFrame{op: ws.OpPong, payload: append([]byte(nil), buf[:h.Length]...), whole: true})
		case ws.OpPong:
		case ws.OpClose:
			c.clientClosed(buf[:h.Length])
			return
		case ws.OpText, ws.OpContinuation, ws.OpBinary:
			if started != (h.OpCode == ws.OpContinuation) {
				c.broken()
				return
			}
			if h.OpCode == ws.OpBinary {
				c.protest(closeDecode, "binary message")
				continue
			}
			message = append(message, buf[:h.Length]...)
			if started = !h.Fin; !started {
				c.received(message)
				message = message[:0]
			}
		default:
			c.broken()
			return
		}
	}
}

// broken ends a connection whose framing cannot be followed any more.
func (c *conn) broken() {
	c.close(1002, "protocol error")
	c.drain()
}

// drain reads and forgets until the connection is dropped, which the writer
// does soon after its close frame.
func (c *conn) drain() { _, _ = io.Copy(io.Discard, c.rd) }

// received handles one whole message.
func (c *conn) received(message []byte) {
	if c.isClosing() {
		return // only the client's close frame is of interest now
	}
	now := time.Now()
	if !c.mayReceive(now) {
		c.protest(closeRateLimited, "more than 120 messages in 60 s")
		return
	}
	if !utf8.Valid(message) {
		c.protest(closeDecode, "payload is not UTF-8")
		return
	}
	c.handle(now, message)
}

// mayReceive keeps the sliding log of 120 messages per 60 s.
func (c *conn) mayReceive(now time.Time) bool {
	cut := 0
	for cut < len(c.sends) && now.Sub(c.sends[cut]) >= sendWindow {
		cut++
	}
	c.sends = append(c.sends[:0], c.sends[cut:]...)
	c.sends = append(c.sends, now)
	return len(c.sends) <= sendsPerWindow
}

// clientClosed handles the client's close frame: 1000 and 1001 end the session,
// every other code keeps it. The echo of our own close says nothing.
func (c *conn) clientClosed(payload []byte) {
	code := 1005
	if len(payload) >= 2 {
		n, _ := ws.ParseCloseFrameData(payload)
		code = int(n)
	}
	c.mu.Lock()
	ours, ses := c.closing != nil, c.session
	c.mu.Unlock()
	if ours {
		return
	}
	c.srv.mu.Lock()
	c.rec.ClientCode = code
	c.srv.mu.Unlock()
	if ses != nil && (code == 1000 || code == 1001) {
		ses.mu.Lock()
		mine := ses.conn == c
		ses.mu.Unlock()
		if mine {
			c.srv.endSession(ses, "closed by the client")
		}
	}
	echo := code
	if !validCloseCode(code) {
		echo = 1000
	}
	c.close(echo, "")
}
