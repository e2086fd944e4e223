package gateway

import (
	"encoding/binary"
	"sync"
)

// output is the payload that an Inflater writes. Its buffer is borrowed from all connections' pool and
// given back before the next message is waited for, so that silent connections hold none.
type output struct {
	b    []byte // to its capacity, of which the first n bytes are the payload
	n    int
	base int // matches may not reach before it; what lies before is another frame's
	held *buffer
}

type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, leastOutput)} }}

const (
	leastOutput = 16 << 10
	// keepOutput bounds what a buffer in the pool may have. A GUILD_CREATE has up to some 100 KB.
	keepOutput = 512 << 10
	// slack is room behind a payload: copies move 16 bytes at a time and may write over its end.
	slack = 48
)

// begin borrows a buffer. wire is the size of the compressed message.
func (o *output) begin(wire int) {
	if o.held == nil {
		o.held = buffers.Get().(*buffer)
	}
	o.b, o.n, o.base = o.held.b, 0, 0
	if want := 4 * wire; want > len(o.b) {
		o.room(min(want, keepOutput-slack))
	}
}

func (o *output) payload() []byte { return o.b[:o.n:o.n] }

// release gives the buffer back; the payload is gone.
func (o *output) release() {
	if o.held == nil {
		return
	}
	if len(o.b) <= keepOutput {
		o.held.b = o.b
		buffers.Put(o.held)
	}
	*o = output{}
}

// room makes sure that n more bytes and the slack fit.
func (o *output) room(n int) {
	if need := o.n + n + slack; need > len(o.b) {
		grown := make([]byte, max(need, min(2*len(o.b), maxInflated+maxBlock+slack)))
		copy(grown, o.b[:o.n])
		o.b = grown
	}
}

func (o *output) append(p []byte) {
	o.room(len(p))
	o.n += copy(o.b[o.n:], p)
}

func (o *output) repeat(c byte, times int) {
	o.room(times)
	to := o.b[o.n : o.n+times]
	for i := range to {
		to[i] = c
	}
	o.n += times
}

// move16 copies 16 bytes from src[i:] to dst[t:], which must have them.
func move16(dst []byte, t int, src []byte, i int) {
	d, s := dst[t:t+16], src[i:i+16]
	a, b := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])
	binary.LittleEndian.PutUint64(d, a)
	binary.LittleEndian.PutUint64(d[8:], b)
}
