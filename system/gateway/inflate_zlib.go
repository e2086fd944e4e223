package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
)

// zlibInflater undoes zlib-stream: one zlib stream over the whole connection, in which each payload
// ends with a sync flush (Discord, "Transport Compression"). It takes about 40 KB.
type zlibInflater struct {
	most   int    // bytes of one payload: maxInflated, less in tests
	buf    []byte // bytes of the payload that is not complete yet
	left   int    // leading bytes of buf that belong to the payload before
	out    []byte // the last payload
	in     bytes.Reader
	stream io.ReadCloser // of flate; nil before the first payload
	err    error         // sticky
}

// syncMarker ends each payload.
const syncMarker = "\x00\x00\xff\xff"

// maxMarker is the most that can be unread once all output is out: the end of a block in up to 15
// bits, the header of the empty block, padding, and the marker.
const maxMarker = 8

func (z *zlibInflater) Inflate(msg []byte) ([]byte, error) {
	if z.err != nil {
		return nil, z.err
	}
	buf, err := gather(z.buf, msg)
	if err != nil {
		z.err = err
		return nil, err
	}
	// The marker may be split over messages, so it is looked for in what has gathered; but not in
	// what was left of the payload before, which ends with it too.
	if !bytes.HasSuffix(buf[z.left:], []byte(syncMarker)) {
		z.buf = keepAll(z.buf, buf)
		return nil, nil
	}
	z.out = emptied(z.out)
	if z.err = z.inflate(buf); z.err != nil {
		return nil, z.err
	}
	rest := buf[len(buf)-z.in.Len():]
	z.left = len(rest)
	z.buf = keep(z.buf, rest)
	z.in.Reset(nil) // the caller's message is not ours after the call
	return z.out, nil
}

// keepAll is keep for a buffer that has gathered: buf is z.buf grown, or the caller's message.
func keepAll(old, buf []byte) []byte {
	if len(old) == 0 {
		return append(old, buf...)
	}
	return buf
}

func (z *zlibInflater) inflate(buf []byte) error {
	if z.stream == nil {
		if len(buf) < 2 || buf[0]&0x0f != 8 || buf[1]&0x20 != 0 || (int(buf[0])<<8|int(buf[1]))%31 != 0 {
			return fmt.Errorf("gateway: inflate: zlib: no zlib header")
		}
		buf = buf[2:]
		z.in.Reset(buf)
		z.stream = flate.NewReader(&z.in)
	} else {
		z.in.Reset(buf)
	}
	step := scratches.Get().(*scratch)
	defer scratches.Put(step)
	for z.in.Len() > 0 {
		n, err := z.stream.Read(step[:])
		if len(z.out)+n > z.most {
			return ErrTooBig
		}
		z.out = append(z.out, step[:n]...)
		if err != nil {
			return fmt.Errorf("gateway: inflate: zlib: %w", noEOF(err))
		}
		// flate hands out data when its window is full or at the marker. When the window fills with
		// the payload's last byte the marker is still unread, and to read on would be to run out of
		// input, which is final in flate. So the marker is left for the next payload. Once in 33,000.
		if left := z.in.Len(); left > 0 && left <= maxMarker && complete(z.out) {
			break
		}
	}
	return nil
}

// noEOF gives the end of a stream that never ends a name of its own.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// complete reports whether b is one whole JSON object.
func complete(b []byte) bool {
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return false
	}
	s := scanner{b: b}
	i = s.container(i)
	return i >= 0 && space(b, i) == len(b)
}

func (z *zlibInflater) Close() { *z = zlibInflater{err: errClosed} }
