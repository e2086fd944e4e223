package gatewaysim

import (
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// outFrame is something to send that is no dispatch of the session.
type outFrame struct {
	op      ws.OpCode // for whole frames
	payload []byte
	whole   bool // sent as it is, one frame with op; else as a payload, compressed if the connection is
}

const (
	batchBytes  = 64 << 10
	batchEvents = 64
	// closeWait bounds the closing handshake: flushing what is queued and
	// waiting for the client's close frame.
	closeWait = time.Second
)

// writeLoop is the only writer of c's socket. It ends when c is dropped, or
// when the closing handshake is over, and drops c.
func (c *conn) writeLoop() {
	defer c.drop()
	out := newEncoder(c)
	defer out.rest()
	events := make([]event, 0, batchEvents)
	var ctl []outFrame
	for {
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
		for {
			w := c.takeWork(ctl)
			ctl, events = w.ctl, events[:0]
			out.begin(w.split)
			var held *hold
			if w.session != nil && w.closing == nil {
				events, held = w.session.take(c, events)
			}
			if len(ctl) == 0 && len(events) == 0 && w.closing == nil && held == nil {
				break
			}
			if !c.writeBatch(out, w, events) {
				return
			}
			if w.closing != nil {
				c.finish(out, w.closing)
				return
			}
			if held != nil && (!out.flush() || !c.writeHeld(out, held)) {
				return
			}
		}
		if !out.flush() {
			return
		}
		out.rest()
	}
}

// work is what the writer finds to do, and how.
type work struct {
	ctl     []outFrame
	session *session
	closing *closing
	split   SplitFault
}

// takeWork empties the queue of control frames; spent becomes the new one.
func (c *conn) takeWork(spent []outFrame) work {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(spent)
	w := work{c.ctl, c.session, c.closing, c.split}
	c.ctl = spent[:0]
	return w
}

func (c *conn) writeBatch(out *encoder, w work, events []event) bool {
	for _, f := range w.ctl {
		if f.whole {
			out.frame(f.op, true, f.payload)
		} else {
			out.payload(f.payload)
		}
		if !out.flushFull() {
			return false
		}
	}
	for i := range events {
		if events[i].kind == kindVoid {
			continue
		}
		out.event(&events[i])
		if c.srv.opts.Stamp {
			out.stamp(w.session.shardID, events[i].seq)
		}
		if !out.flushFull() {
			return false
		}
	}
	c.srv.count.dispatches.Add(int64(len(events)))
	return true
}

// finish sends the close frame and waits a little for the client's.
func (c *conn) finish(out *encoder, end *closing) {
	out.frame(ws.OpClose, true, ws.NewCloseFrameBody(ws.StatusCode(end.code), end.reason))
	if !out.flush() {
		return
	}
	t := time.NewTimer(closeWait)
	defer t.Stop()
	select {
	case <-c.readDone:
	case <-c.gone:
	case <-t.C:
	}
}

// wakeUp tells the writer that there is work. It never blocks.
func (c *conn) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// push queues f. A client that lets hundreds of answers pile up is dropped.
func (c *conn) push(f outFrame) {
	c.mu.Lock()
	full := len(c.ctl) >= maxControl
	if !full && c.closing == nil {
		c.ctl = append(c.ctl, f)
	}
	c.mu.Unlock()
	if full {
		c.drop()
		return
	}
	c.wakeUp()
}

// control queues a payload without t and s; d is JSON.
func (c *conn) control(op int, d string) {
	b := append([]byte(`{"t":null,"s":null,"op":`), strconv.Itoa(op)...)
	b = append(append(append(b, `,"d":`...), d...), '}')
	c.push(outFrame{payload: b})
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing != nil
}

// protest closes with code because the client broke a rule, and notes it.
func (c *conn) protest(code int, reason string) {
	c.srv.violate(c, reason)
	c.close(code, reason)
}

// close ends the connection with a close frame. The session, if the code does
// not end it, can be resumed at once.
func (c *conn) close(code int, reason string) {
	c.mu.Lock()
	if c.closing != nil {
		c.mu.Unlock()
		return
	}
	c.closing = &closing{code, reason}
	ses := c.session
	c.mu.Unlock()
	// Frees a writer that is stuck in a client that does not read.
	_ = c.nc.SetWriteDeadline(time.Now().Add(closeWait))
	c.srv.mu.Lock()
	if c.rec != nil && c.rec.ServerCode == 0 && c.rec.ClientCode == 0 {
		c.rec.ServerCode, c.rec.Reason = code, reason
	}
	c.srv.mu.Unlock()
	if ses != nil {
		ses.mu.Lock()
		mine := ses.conn == c
		ses.mu.Unlock()
		if mine && closeEndsSession(code) {
			c.srv.endSession(ses, "close "+strconv.Itoa(code))
		}
		ses.detach(c)
	}
	c.wakeUp()
}

// drop ends the connection at once and without a close frame, unless one was
// sent before. The session stays resumable. It may be called twice.
func (c *conn) drop() {
	c.once.Do(func() {
		close(c.gone)
		c.mu.Lock()
		ses := c.session
		if c.beat != nil {
			c.beat.Stop()
		}
		c.mu.Unlock()
		c.nc.Close()
		if ses != nil {
			ses.detach(c)
		}
		c.srv.mu.Lock()
		c.rec.Closed = time.Now()
		c.srv.mu.Unlock()
	})
}
