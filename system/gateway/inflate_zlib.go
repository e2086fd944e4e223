package gateway

import (
	"bytes"
	"errors"
)

// zlibInflater undoes zlib-stream: one zlib stream over the whole connection, in which each payload
// ends with a sync flush (Discord, "Transport Compression").
//
// A sync flush ends the block at a whole byte. So all that goes from one payload to the next is the
// window of 32 KB, which is what a connection keeps; it grows with what comes. That is why it decodes by
// itself (RFC 1951): flate.Reader of Go and of klauspost/compress keep their tables and a whole window
// for each stream, and can come to the end of their input in a state that they call final.
type zlibInflater struct {
	most   int    // bytes of one payload: maxInflated, less in tests
	buf    []byte // bytes of the payload that is not complete yet
	headed bool   // the header of the stream was read
	back   window
	out    output
	err    error // sticky
}

// syncMarker ends each payload.
const syncMarker = "\x00\x00\xff\xff"

var errZlib = errors.New("gateway: inflate: zlib: corrupt data")

// Inflate implements Inflater.
func (z *zlibInflater) Inflate(msg []byte) ([]byte, error) {
	z.out.release()
	if z.err != nil {
		return nil, z.err
	}
	payload, err := z.inflate(msg)
	if err != nil {
		z.free()
		z.err = err
	}
	return payload, err
}

func (z *zlibInflater) inflate(msg []byte) ([]byte, error) {
	buf, err := gather(z.buf, msg)
	if err != nil {
		return nil, err
	}
	// The marker may be split over messages, so it is looked for in what has gathered.
	if !bytes.HasSuffix(buf, []byte(syncMarker)) {
		z.buf = keepAll(z.buf, buf)
		return nil, nil
	}
	in := buf
	if !z.headed {
		if len(in) < 2 || in[0]&0x0f != 8 || in[0]>>4 > 7 || in[1]&0x20 != 0 || (int(in[0])<<8|int(in[1]))%31 != 0 {
			return nil, errors.New("gateway: inflate: zlib: no zlib header")
		}
		z.headed = true
		z.back.begin(1 << (in[0]>>4 + 8))
		in = in[2:]
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	z.out.begin(len(buf))
	d := deflated{in: in, s: s, back: &z.back, out: &z.out, most: z.most}
	if err := d.inflate(); err != nil {
		return nil, err
	}
	z.buf = keep(z.buf)
	payload := z.out.payload()
	z.back.add(payload)
	return payload, nil
}

// Rest gives back what the last payload stood in; it is not valid any more. To be called before the next message is waited
// for; Inflate does it in any case.
func (z *zlibInflater) Rest() { z.out.release() }

// free gives back all memory.
func (z *zlibInflater) free() {
	z.out.release()
	z.buf, z.back = nil, window{}
}

// Close implements Inflater.
func (z *zlibInflater) Close() {
	z.free()
	z.err = errClosed
}
