package gateway

import (
	"errors"
	"fmt"
	"sync"
)

// Inflater undoes the transport compression of one connection. It keeps the context over all
// messages, so it must see each of them once and in order, and must not be used for another
// connection. One goroutine may use it.
type Inflater interface {
	// Inflate takes one binary message. It returns the payload that the message completes, or nil
	// when more must come. The payload is valid until the next call.
	//
	// Every error is final: the context is out of step, and the connection must be closed with a
	// code that keeps the session. ErrTooBig and ErrWindow are among them.
	Inflate(msg []byte) (payload []byte, err error)
	// Close releases the memory. It may be called again.
	Close()
}

// Errors of an Inflater beyond corrupt data.
var (
	ErrTooBig = errors.New("gateway: inflate: message is over the limit of 64 MiB compressed or 256 MiB inflated")
	ErrWindow = errors.New("gateway: inflate: zstd window is over the limit of 8 MiB")
)

// Limits. Discord documents none; payloads of 17 MB have been seen.
const (
	maxCompressed = 64 << 20  // bytes of one payload on the wire
	maxInflated   = 256 << 20 // bytes of one payload; bounds what a bomb of 64 MiB can do
	maxWindow     = 8 << 20   // bytes of history that a zstd frame may ask for, for each connection
	keepInflated  = 64 << 10  // bytes; larger buffers are given back after their payload
)

// NewInflater returns the Inflater for a value of the gateway's query parameter compress. For "none"
// and "" there is none, and it is nil.
func NewInflater(compress string) (Inflater, error) {
	switch compress {
	case "zlib-stream":
		return &zlibInflater{most: maxInflated}, nil
	case "zstd-stream":
		return &zstdInflater{most: maxInflated}, nil
	case "none", "":
		return nil, nil
	}
	return nil, fmt.Errorf("gateway: inflate: unknown compression %q (known: zlib-stream, zstd-stream, none)", compress)
}

// scratch is what a decoder writes one step's output to, before it is appended to the payload. It is
// larger than the largest step (a zstd block, 128 KiB; flate's window, 32 KiB), so a step never
// fills it, and it is always clear that nothing is left in the decoder. Shared, for one for each
// connection would be most of its memory.
type scratch [128<<10 + 512]byte

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// input is what a decoder reads from. It has no more methods than flate and zstd need, since both
// take short cuts with readers that they know.
type input struct {
	b   []byte
	off int
}

// gather appends msg to buf; where buf is empty msg is taken as it is. The result is valid only
// during the present call: keep copies what must outlive it.
func gather(buf, msg []byte) ([]byte, error) {
	if len(buf)+len(msg) > maxCompressed {
		return nil, ErrTooBig
	}
	if len(buf) == 0 {
		return msg, nil
	}
	return append(buf, msg...), nil
}

// keep makes rest, which may alias the caller's message or buf itself, the content of buf.
func keep(buf, rest []byte) []byte {
	if len(rest) == 0 && cap(buf) > keepInflated {
		return nil
	}
	return append(buf[:0], rest...)
}

// emptied returns the output buffer for the next payload, given back if it has become large.
func emptied(out []byte) []byte {
	if cap(out) > keepInflated {
		return nil
	}
	return out[:0]
}
