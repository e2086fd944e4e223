package stream

import (
	"math/bits"
	"sync"
)

// buffer holds one encoded envelope from Publish to the acknowledgement.
type buffer struct{ b []byte }

// Buffers come in sizes of powers of two, each with a pool of its own, so that one out of a pool never has to
// grow. What is larger than the largest is not kept: one GUILD_CREATE of some MB must not stay for ever.
const (
	smallestBuffer = 10 // 1 KiB, as a power of two
	largestBuffer  = 17 // 128 KiB
)

var buffers [largestBuffer - smallestBuffer + 1]sync.Pool

// newBuffer returns an empty buffer with room for n bytes.
func newBuffer(n int) *buffer {
	size := max(bits.Len(uint(max(n, 1)-1)), smallestBuffer)
	if size > largestBuffer {
		return &buffer{make([]byte, 0, n)}
	}
	if b, ok := buffers[size-smallestBuffer].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 1<<size)}
}

// release gives the buffer back. Nobody may use it any more.
func (b *buffer) release() {
	size := bits.Len(uint(cap(b.b))) - 1 // it may have grown, and never shrunk
	if size < smallestBuffer || size > largestBuffer {
		return
	}
	b.b = b.b[:0]
	buffers[size-smallestBuffer].Put(b)
}
