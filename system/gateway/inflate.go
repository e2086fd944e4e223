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
	ErrWindow = errors.New("gateway: inflate: zstd window is over the limit of 1 MiB")
	errClosed = errors.New("gateway: inflate: closed")
)

// Limits. Discord documents none; payloads of 17 MB have been seen.
const (
	maxCompressed = 64 << 20  // bytes of one payload on the wire
	maxInflated   = 256 << 20 // bytes of one payload; bounds what a bomb of 64 MiB can do
	maxWindow     = 1 << 20   // bytes of history that a zstd frame may ask for. With 1,000 sessions each MiB is a GB
	keepInflated  = 16 << 10  // bytes; larger buffers of split messages are given back after their payload
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

// scratch is what a decoder needs for the length of one message. Shared, for one for each connection
// would be most of its memory.
type scratch struct {
	// in is a block, with bytes before and behind it, so that loads of 8 bytes need no check.
	in [inFront + maxBlock + slack]byte
	// literals of a block; copies move 16 bytes at a time.
	literals [maxBlock + slack]byte
	weights  weights
	codes    deflateCodes
	lengths  [128]deflateEntry // of the code that describes codes
}

// inFront is more than a sequence can take beyond the begin of its bit stream before that is noticed.
const inFront = 32

var scratches = sync.Pool{New: func() any { return new(scratch) }}

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

// keepAll is the content of old after gather made buf of it and a message.
func keepAll(old, buf []byte) []byte {
	if len(old) == 0 {
		return append(old, buf...)
	}
	return buf
}

// keep empties buf, and gives it back if it has become large.
func keep(buf []byte) []byte {
	if cap(buf) > keepInflated {
		return nil
	}
	return buf[:0]
}
