package gateway

import (
	"encoding/binary"
	"errors"
)

// zstdInflater undoes zstd-stream: one zstd frame over the whole connection that never ends, flushed
// after each payload; each message is one payload (Discord, "Transport Compression").
//
// It decodes by itself (RFC 8878), because a connection is to keep what it needs between two messages
// and nothing else: the window that the server asked for, as far as it is filled, and 18 KB of tables.
// What a block needs while it is decoded is shared by all connections. klauspost/compress, which the
// tests hold it against, keeps 0.45 MB more for each stream, whatever its options.
type zstdInflater struct {
	most   int    // bytes of one payload: maxInflated, less in tests
	buf    []byte // a message that ends within a block
	frame  zstdFrame
	ahead  zstdFrame // as it will be behind the first passed bytes of buf, which are whole blocks
	passed int
	block  *zstdTables // nil before the first compressed block
	back   window
	out    output
	err    error // sticky
}

// zstdFrame is where between two blocks a stream stands.
type zstdFrame struct {
	open     bool // within a frame
	checksum bool // four bytes follow the frame's last block
	window   int  // bytes
	content  int  // bytes that are still to come; below 0: the header does not say
}

const (
	maxBlock     = 128 << 10 // bytes of a block, compressed and regenerated
	leastWindow  = 1 << 10
	magic        = 0xFD2FB528
	magicSkipped = 0x184D2A50 // to …5F
)

var errZstd = errors.New("gateway: inflate: zstd: corrupt data")

// Inflate implements Inflater.
func (z *zstdInflater) Inflate(msg []byte) ([]byte, error) {
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

func (z *zstdInflater) inflate(msg []byte) ([]byte, error) {
	buf, err := gather(z.buf, msg)
	if err != nil {
		return nil, err
	}
	if len(z.buf) == 0 {
		z.ahead, z.passed = z.frame, 0
	}
	n, err := z.ahead.pass(buf[z.passed:])
	if err != nil {
		return nil, err
	}
	if z.passed += n; z.passed < len(buf) { // the message ends within a block, which Discord's do not
		z.buf = keepAll(z.buf, buf)
		return nil, nil
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	z.out.begin(len(buf))
	if err := z.blocks(buf, s); err != nil {
		return nil, err
	}
	z.buf = keep(z.buf)
	payload := z.out.payload()
	if len(payload) == 0 {
		return nil, nil
	}
	z.back.add(payload[z.out.base:])
	return payload, nil
}

// blocks decodes all of b, which pass went over.
func (z *zstdInflater) blocks(b []byte, s *scratch) error {
	for len(b) > 0 {
		if !z.frame.open {
			n, frame, err := zstdFrameHeader(b)
			if err != nil {
				return err
			}
			z.begin(frame)
			b = b[n:]
			continue
		}
		head := zstdBlockHeader(b)
		b = b[3:]
		largest := min(z.frame.window, maxBlock)
		from := z.out.n
		if head.size > largest {
			return errZstd
		}
		switch head.kind {
		case 0:
			z.out.append(b[:head.size])
		case 1:
			z.out.repeat(b[0], head.size)
		default:
			if z.block == nil {
				z.block = newZstdTables()
			}
			if err := z.block.decode(b[:head.size], s, z.frame.window, &z.back, &z.out); err != nil {
				return err
			}
		}
		made := z.out.n - from
		if made > largest {
			return errZstd
		}
		if z.out.n > z.most {
			return ErrTooBig
		}
		if z.frame.content >= 0 {
			if z.frame.content -= made; z.frame.content < 0 || head.last && z.frame.content > 0 {
				return errZstd
			}
		}
		b = b[head.wire():]
		if head.last {
			if z.frame.checksum {
				b = b[4:] // not checked: the connection is
			}
			z.frame = zstdFrame{}
		}
	}
	return nil
}

// begin opens a frame: it knows nothing of the one before. What this payload has of that one is no history.
func (z *zstdInflater) begin(frame zstdFrame) {
	z.frame = frame
	z.back.begin(frame.window)
	z.out.base = z.out.n
	if z.block != nil {
		z.block.reset()
	}
}

// zstdBlock is a block header.
type zstdBlock struct {
	last bool
	kind int // 0: raw, 1: one byte repeated, 2: compressed
	size int // bytes that follow, or times that the byte is repeated
}

func zstdBlockHeader(b []byte) zstdBlock {
	head := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
	return zstdBlock{last: head&1 != 0, kind: head >> 1 & 3, size: head >> 3}
}

// wire is the number of bytes that follow the header.
func (h zstdBlock) wire() int {
	if h.kind == 1 {
		return 1
	}
	return h.size
}

// pass goes over the whole blocks that b begins with, and returns how many bytes those are. b begins between two blocks, in
// the state f, which becomes that behind them.
func (f *zstdFrame) pass(b []byte) (passed int, err error) {
	for size := len(b); len(b) > 0; passed = size - len(b) {
		if !f.open {
			n, frame, err := zstdFrameHeader(b)
			if n == 0 || err != nil {
				return passed, err
			}
			*f, b = frame, b[n:]
			continue
		}
		if len(b) < 3 {
			return passed, nil
		}
		head := zstdBlockHeader(b)
		if head.size > maxBlock || head.kind == 3 {
			return passed, errors.New("gateway: inflate: zstd: bad block header")
		}
		n := 3 + head.wire()
		if head.last && f.checksum {
			n += 4
		}
		if len(b) < n {
			return passed, nil
		}
		if b = b[n:]; head.last {
			*f = zstdFrame{}
		}
	}
	return passed, nil
}

// zstdFrameHeader reads the frame header that b begins with and returns its length, 0 where b is too short.
func zstdFrameHeader(b []byte) (n int, frame zstdFrame, err error) {
	if len(b) < 5 {
		return 0, zstdFrame{}, nil
	}
	switch m := binary.LittleEndian.Uint32(b); {
	case m&^15 == magicSkipped:
		return 0, zstdFrame{}, errors.New("gateway: inflate: zstd: skippable frame")
	case m != magic:
		return 0, zstdFrame{}, errors.New("gateway: inflate: zstd: no frame header")
	}
	flags := b[4]
	single := flags&0x20 != 0
	contentBytes := []int{0, 2, 4, 8}[flags>>6]
	if single && contentBytes == 0 {
		contentBytes = 1
	}
	dictBytes := []int{0, 1, 2, 4}[flags&3]
	n = 5 + dictBytes + contentBytes
	if !single {
		n++
	}
	if len(b) < n {
		return 0, zstdFrame{}, nil
	}
	if flags&8 != 0 {
		return 0, zstdFrame{}, errors.New("gateway: inflate: zstd: reserved bit in the frame header")
	}
	for _, c := range b[n-contentBytes-dictBytes : n-contentBytes] {
		if c != 0 {
			return 0, zstdFrame{}, errors.New("gateway: inflate: zstd: frame with a dictionary")
		}
	}
	content := uint64(0)
	for i, c := range b[n-contentBytes : n] {
		content |= uint64(c) << (8 * i)
	}
	if contentBytes == 2 {
		content += 256
	}
	size := max(content, leastWindow) // of a single segment: the whole content is the window
	if !single {
		base := uint64(1) << (10 + b[5]>>3)
		size = base + base/8*uint64(b[5]&7)
	}
	if size > maxWindow {
		return 0, zstdFrame{}, ErrWindow
	}
	frame = zstdFrame{open: true, checksum: flags&4 != 0, window: int(size), content: -1}
	if contentBytes > 0 {
		if frame.content = int(content); frame.content < 0 {
			return 0, zstdFrame{}, errZstd
		}
	}
	return n, frame, nil
}

// Rest gives back what the last payload stood in; it is not valid any more. To be called before the next message is waited
// for; Inflate does it in any case.
func (z *zstdInflater) Rest() { z.out.release() }

// free gives back all memory.
func (z *zstdInflater) free() {
	z.out.release()
	z.buf, z.block, z.back = nil, nil, window{}
}

// Close implements Inflater.
func (z *zstdInflater) Close() {
	z.free()
	z.err = errClosed
}
