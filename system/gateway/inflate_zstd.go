package gateway

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// zstdInflater undoes zstd-stream: one zstd frame over the whole connection that never ends, flushed
// after each payload; each message is one payload (Discord, "Transport Compression").
//
// The decoder works without goroutines (concurrency 1), where a Read returns the output of exactly
// one block and asks for no input beyond that block. It must never ask for more than there is, for
// its errors are final. So the blocks of a message are counted first, from their headers alone.
//
// The decoder takes the window that the server asked for plus three blocks of 128 KiB: 0.57 MB with a
// window of 128 KiB, 1.5 MB with one of 1 MiB. Where many shards share little memory zlib-stream is
// the better choice.
type zstdInflater struct {
	most  int    // bytes of one payload: maxInflated, less in tests
	buf   []byte // begins where the decoder stands
	seen  int    // leading bytes of buf that walk has passed: blocks without output
	state zstdState
	out   []byte // the last payload
	in    input
	dec   *zstd.Decoder // nil before the first payload
	err   error         // sticky
}

// zstdState is where between two blocks a stream stands.
type zstdState struct {
	inFrame  bool
	checksum bool // four bytes follow the frame's last block
}

var errClosed = errors.New("gateway: inflate: closed")

func (z *zstdInflater) Inflate(msg []byte) ([]byte, error) {
	if z.err != nil {
		return nil, z.err
	}
	buf, err := gather(z.buf, msg)
	if err != nil {
		z.err = err
		return nil, err
	}
	state, filled, whole, err := walk(z.state, buf, z.seen)
	if err != nil {
		z.err = err
		return nil, err
	}
	if !whole { // the message ends within a block, which Discord's do not
		z.buf = keepAll(z.buf, buf)
		return nil, nil
	}
	z.out = emptied(z.out)
	if z.err = z.inflate(buf, filled); z.err != nil {
		return nil, z.err
	}
	z.state = state
	z.seen = len(buf) - z.in.off
	z.buf = keep(z.buf, buf[z.in.off:])
	z.in.b = nil // the caller's message is not ours after the call
	if len(z.out) == 0 {
		return nil, nil
	}
	return z.out, nil
}

// inflate decodes buf up to filled at least, the end of the last block that has output.
func (z *zstdInflater) inflate(buf []byte, filled int) error {
	z.in = input{b: buf}
	if z.dec == nil {
		dec, err := zstd.NewReader(&z.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return fmt.Errorf("gateway: inflate: zstd: %w", err)
		}
		z.dec = dec
	}
	step := scratches.Get().(*scratch)
	defer scratches.Put(step)
	for z.in.off < filled {
		n, err := z.dec.Read(step[:])
		if len(z.out)+n > z.most {
			return ErrTooBig
		}
		z.out = append(z.out, step[:n]...)
		if err != nil {
			return fmt.Errorf("gateway: inflate: zstd: %w", noEOF(err))
		}
	}
	return nil
}

// Read implements io.Reader for the decoder.
func (in *input) Read(p []byte) (int, error) {
	if in.off == len(in.b) {
		return 0, io.EOF
	}
	n := copy(p, in.b[in.off:])
	in.off += n
	return n, nil
}

// walk goes over the blocks of b from b[i] on, which is between two blocks in the state s. whole is
// whether b ends between two blocks; only then the new state counts. filled is the end of the last
// block that has output.
func walk(s zstdState, b []byte, i int) (_ zstdState, filled int, whole bool, err error) {
	for i < len(b) {
		if !s.inFrame {
			n, checksum, err := frameHeader(b[i:])
			if n == 0 || err != nil {
				return s, 0, false, err
			}
			s = zstdState{inFrame: true, checksum: checksum}
			i += n
			continue
		}
		if len(b)-i < 3 {
			return s, 0, false, nil
		}
		head := int(b[i]) | int(b[i+1])<<8 | int(b[i+2])<<16
		last, kind, size := head&1 != 0, head>>1&3, head>>3
		i += 3
		if size > 128<<10 || kind == 3 {
			return s, 0, false, errors.New("gateway: inflate: zstd: bad block header")
		}
		hasOutput := size > 0
		if kind == 1 { // one byte, size times
			size = 1
		}
		if len(b)-i < size {
			return s, 0, false, nil
		}
		if kind == 2 { // no literals and no sequences, in the only form that encoders write
			hasOutput = size != 2 || b[i] != 0 || b[i+1] != 0
		}
		i += size
		if hasOutput {
			filled = i
		}
		if last {
			if s.checksum {
				i += 4
			}
			if i > len(b) {
				return s, 0, false, nil
			}
			s = zstdState{}
		}
	}
	return s, filled, true, nil
}

// frameHeader returns the length of the frame header that b begins with, 0 where b is too short.
func frameHeader(b []byte) (n int, checksum bool, err error) {
	var h zstd.Header
	err = h.Decode(b)
	if errors.Is(err, io.ErrUnexpectedEOF) && len(b) < zstd.HeaderMaxSize {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("gateway: inflate: zstd: %w", err)
	}
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	switch {
	case h.Skippable:
		return 0, false, errors.New("gateway: inflate: zstd: skippable frame")
	case window > maxWindow:
		return 0, false, ErrWindow
	}
	return h.HeaderSize, h.HasCheckSum, nil
}

func (z *zstdInflater) Close() {
	if z.dec != nil {
		z.dec.Close()
	}
	*z = zstdInflater{err: errClosed}
}
