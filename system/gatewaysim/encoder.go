package gatewaysim

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/zlib"
)

// encoder turns dispatches and payloads into WebSocket frames and writes them
// in batches. It belongs to one connection's writer goroutine.
type encoder struct {
	c        *conn
	*scratch // nil while it rests
	comp     compressor
	cut      uint64     // state of the choice where messages are split
	split    SplitFault // as it was when the batch began
	draw     rendering  // kept from event to event, for it would be an allocation each
	runs     []stampRun // of the dispatches in buf, with Options.Stamp
}

// scratch is what an encoder needs while it works. Of a thousand connections few
// work at a time, so they share.
type scratch struct {
	buf []byte // frames not yet written
	pay []byte // the payload being rendered
}

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, batchBytes+8<<10)} }}

// payloadZlibAbove is the size from which payload compression is used.
const payloadZlibAbove = 1024

func newEncoder(c *conn) *encoder { return &encoder{c: c, cut: mix(c.srv.opts.Seed, uint64(c.id))} }

// begin makes the encoder ready to work. It may be called twice.
func (o *encoder) begin(split SplitFault) {
	o.split = split
	if o.scratch == nil {
		o.scratch = scratches.Get().(*scratch)
		o.buf = o.buf[:0]
	}
}

// rest gives the buffers back until the next begin; buf must be flushed.
func (o *encoder) rest() {
	if o.scratch != nil {
		scratches.Put(o.scratch)
		o.scratch = nil
	}
}

// event renders and frames one dispatch.
func (o *encoder) event(e *event) {
	o.draw = newRendering(o.c.srv.world, e)
	o.pay = o.draw.dispatch(o.pay[:0])
	o.payload(o.pay)
	if cap(o.pay) > 1<<20 {
		o.pay = nil // a giant guild came by
	}
}

// stamp notes that the newest frame is that dispatch, for flush to time it.
func (o *encoder) stamp(shardID int, seq int64) {
	if last := len(o.runs) - 1; last >= 0 && o.runs[last].shard == int32(shardID) && o.runs[last].from+int64(o.runs[last].n) == seq {
		o.runs[last].n++
		return
	}
	o.runs = append(o.runs, stampRun{shard: int32(shardID), n: 1, from: seq})
}

// payload frames one JSON payload the way the connection asked for.
func (o *encoder) payload(p []byte) {
	c, split := o.c, o.split
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
	if len(o.runs) > 0 {
		o.c.srv.stamps.add(o.runs, time.Now())
		o.runs = o.runs[:0]
	}
	n, err := o.c.nc.Write(o.buf)
	o.c.srv.count.bytes.Add(int64(n))
	o.buf = o.buf[:0]
	if cap(o.buf) > 4*batchBytes {
		o.buf = make([]byte, 0, batchBytes+8<<10) // a giant guild came by
	}
	return err == nil
}

// appendDispatch renders e as op 0.
func appendDispatch(dst []byte, w *world, e *event) []byte {
	r := newRendering(w, e)
	return r.dispatch(dst)
}

func (r *rendering) dispatch(dst []byte) []byte {
	dst = append(dst, `{"t":"`...)
	dst = append(dst, r.e.name()...)
	dst = append(dst, `","s":`...)
	dst = strconv.AppendInt(dst, r.e.seq, 10)
	dst = append(dst, `,"op":0,"d":`...)
	dst = r.data(dst)
	return append(dst, '}')
}
