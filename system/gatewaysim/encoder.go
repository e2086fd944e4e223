package gatewaysim

import (
	"bytes"
	"strconv"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/zlib"
)

// encoder turns dispatches and payloads into WebSocket frames and writes them
// in batches. It belongs to one connection's writer goroutine.
type encoder struct {
	c    *conn
	buf  []byte // frames not yet written
	pay  []byte // the payload being rendered
	comp compressor
	cut  uint64 // state of the choice where messages are split
}

// payloadZlibAbove is the size from which payload compression is used.
const payloadZlibAbove = 1024

func newEncoder(c *conn) *encoder { return &encoder{c: c, cut: mix(c.srv.opts.Seed, uint64(c.id))} }

// release gives up the buffers, so that a dead connection holds no memory.
func (o *encoder) release() { o.buf, o.pay, o.comp = nil, nil, nil }

// event renders and frames one dispatch.
func (o *encoder) event(e *event) {
	o.pay = appendDispatch(o.pay[:0], o.c.srv.world, e)
	o.payload(o.pay)
	if cap(o.pay) > 1<<20 {
		o.pay = nil // a giant guild came by
	}
}

// payload frames one JSON payload the way the connection asked for.
func (o *encoder) payload(p []byte) {
	c := o.c
	c.mu.Lock()
	split := c.split
	c.mu.Unlock()
	if c.mode == "none" {
		if c.payloadZlib.Load() && len(p) >= payloadZlibAbove {
			var z bytes.Buffer
			w := zlib.NewWriter(&z)
			_, _ = w.Write(p) // into memory
			_ = w.Close()
			o.fragments(ws.OpBinary, z.Bytes(), split)
			return
		}
		o.fragments(ws.OpText, p, split)
		return
	}
	if o.comp == nil {
		o.comp = newCompressor(c.mode, c.srv.opts.ZstdWindow)
	}
	z := o.comp.compress(p)
	// Only zlib-stream marks the end of a payload, so only it may be split
	// over messages.
	if c.mode == "zlib-stream" && split.Messages > 1 {
		o.pieces(z, split.Messages, func(piece []byte, _, _ bool) { o.fragments(ws.OpBinary, piece, split) })
		return
	}
	o.fragments(ws.OpBinary, z, split)
}

// fragments writes one message, in as many WebSocket fragments as the fault wants.
func (o *encoder) fragments(op ws.OpCode, p []byte, split SplitFault) {
	if split.Fragments <= 1 {
		o.frame(op, true, p)
		return
	}
	o.pieces(p, split.Fragments, func(piece []byte, first, last bool) {
		kind := ws.OpContinuation
		if first {
			kind = op
		}
		o.frame(kind, last, piece)
	})
}

// pieces cuts p at n-1 arbitrary places, which differ from call to call and
// come to stand at every position in time, also inside the flush marker.
func (o *encoder) pieces(p []byte, n int, f func(piece []byte, first, last bool)) {
	first := true
	for ; n > 1 && len(p) > 1; n-- {
		o.cut = mix(o.cut, 1)
		at := 1 + int(o.cut%uint64(len(p)-1))
		if o.cut>>60 == 0 { // now and then inside the last four bytes
			at = max(1, len(p)-1-int(o.cut>>32&3))
		}
		f(p[:at], first, false)
		p, first = p[at:], false
	}
	f(p, first, true)
}

// frame appends one WebSocket frame; servers do not mask.
func (o *encoder) frame(op ws.OpCode, fin bool, p []byte) {
	b0 := byte(op)
	if fin {
		b0 |= 0x80
	}
	n := len(p)
	switch {
	case n < 126:
		o.buf = append(o.buf, b0, byte(n))
	case n < 1<<16:
		o.buf = append(o.buf, b0, 126, byte(n>>8), byte(n))
	default:
		o.buf = append(o.buf, b0, 127, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	o.buf = append(o.buf, p...)
}

// flushFull writes if a batch is full.
func (o *encoder) flushFull() bool { return len(o.buf) < batchBytes || o.flush() }

// flush writes all frames with one call. It returns false if the connection is broken.
func (o *encoder) flush() bool {
	if len(o.buf) == 0 {
		return true
	}
	n, err := o.c.nc.Write(o.buf)
	o.c.srv.count.bytes.Add(int64(n))
	o.buf = o.buf[:0]
	if cap(o.buf) > 4*batchBytes {
		o.buf = nil
	}
	return err == nil
}

// appendDispatch renders e as op 0.
func appendDispatch(dst []byte, w *world, e *event) []byte {
	dst = append(dst, `{"t":"`...)
	dst = append(dst, e.name()...)
	dst = append(dst, `","s":`...)
	dst = strconv.AppendInt(dst, e.seq, 10)
	dst = append(dst, `,"op":0,"d":`...)
	dst = appendData(dst, w, e)
	return append(dst, '}')
}
