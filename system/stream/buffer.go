package stream

import (
	"slices"
	"sync"
)

// maxPooled bounds what is kept: one GUILD_CREATE of some MB must not stay for ever.
const maxPooled = 128 << 10

// buffer holds one encoded envelope from Publish to the acknowledgement.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	b := buffers.Get().(*buffer)
	b.b = slices.Grow(b.b[:0], n)
	return b
}

func (b *buffer) release() {
	if cap(b.b) <= maxPooled {
		buffers.Put(b)
	}
}
