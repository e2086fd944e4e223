package gateway

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// intake is the receiving side of a connection. It holds a buffer only while something is in it: most sessions of a
// large node wait most of the time, and a buffer for each would be a third of the node's memory.
//
// What peek and take return is valid until the next call of any method. One goroutine may use an intake.
type intake struct {
	conn    net.Conn
	rest    func() // called before it waits with nothing unread
	waiting func() // called before it waits, and where it might; nil: nobody needs to know

	buf      *[readBuffer]byte // nil while it waits
	from, to int               // what of buf is unread

	// A TCP connection can be waited for without a buffer.
	raw syscall.RawConn
	try func(fd uintptr) (done bool) // made once: it would be an allocation for each read
	n   int                          // what try read
	err error

	// Of any other connection the first bytes are read into probe, and the rest into a buffer.
	probe  [16]byte
	filled bool // the last read filled its buffer, so more is likely to be there
}

// readBuffer is how much is taken from the socket at once, in bytes. Too little costs system calls; too much is held by
// every reader that waits for room in the window.
const readBuffer = 16 << 10

// readBuffers are shared by all connections. What comes from here must not be kept beyond the next read.
var readBuffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// newIntake reads from conn, after head, which was read ahead.
func newIntake(conn net.Conn, head []byte, rest func()) *intake {
	in := &intake{conn: conn, rest: rest}
	if tcp, ok := conn.(*net.TCPConn); ok && rawReads { // exactly: what wraps one may change what is read
		if raw, err := tcp.SyscallConn(); err == nil {
			in.raw, in.try = raw, in.tryRead
		}
	}
	if len(head) > 0 {
		in.borrow()
		in.to = copy(in.buf[:], head) // the upgrade reads ahead 4 KiB at the most
	}
	return in
}

// peek returns the next n bytes, at most readBuffer, and waits until they are there.
func (in *intake) peek(n int) ([]byte, error) {
	for in.to-in.from < n {
		if err := in.fill(); err != nil {
			return nil, err
		}
	}
	return in.unread()[:n], nil
}

// take is peek, and moves on.
func (in *intake) take(n int) ([]byte, error) {
	b, err := in.peek(n)
	if err == nil {
		in.from += n
	}
	return b, err
}

// read fills p. What has not arrived yet goes from the socket into p directly.
func (in *intake) read(p []byte) error {
	n := copy(p, in.unread())
	in.from += n
	if n == len(p) {
		return nil
	}
	in.filled = false
	in.tell()
	_, err := io.ReadFull(in.conn, p[n:])
	return err
}

// discard passes n bytes over.
func (in *intake) discard(n int64) error {
	for n > 0 {
		if in.from == in.to {
			if err := in.fill(); err != nil {
				return err
			}
		}
		step := min(int64(in.to-in.from), n)
		in.from += int(step)
		n -= step
	}
	return nil
}

func (in *intake) unread() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf[in.from:in.to]
}

// fill waits for bytes and appends them to what is unread, which is less than a buffer.
func (in *intake) fill() error {
	if in.from > 0 {
		in.to = copy(in.buf[:], in.unread())
		in.from = 0
	}
	if in.raw == nil {
		return in.fillAny()
	}
	if err := in.raw.Read(in.try); err != nil {
		return err
	}
	in.to += in.n
	return in.err
}

// tryRead is one attempt to read fd. done is false where nothing is there yet: then the runtime calls it again when
// something is.
func (in *intake) tryRead(fd uintptr) (done bool) {
	in.borrow()
	var ready bool
	if in.n, ready, in.err = readSocket(fd, in.buf[in.to:]); !ready {
		in.pause()
		in.tell()
	}
	return ready
}

func (in *intake) tell() {
	if in.waiting != nil {
		in.waiting()
	}
}

// fillAny fills from a connection of which nobody can tell whether it has something.
func (in *intake) fillAny() error {
	in.tell()
	if in.to == 0 && !in.filled {
		in.pause()
		n, err := in.conn.Read(in.probe[:])
		if n > 0 {
			in.borrow()
			in.to = copy(in.buf[:], in.probe[:n])
			in.filled = n == len(in.probe)
			return nil // err comes again
		}
		return err
	}
	n, err := in.conn.Read(in.buf[in.to:])
	in.to += n
	in.filled = in.to == len(in.buf)
	if n > 0 {
		return nil
	}
	return err
}

func (in *intake) borrow() {
	if in.buf == nil {
		in.buf = readBuffers.Get().(*[readBuffer]byte)
	}
}

// pause gives the buffer back before a wait, unless something in it is unread.
func (in *intake) pause() {
	if in.to > 0 {
		return
	}
	in.release()
	in.rest()
}

// release gives the buffer back, with all that is in it.
func (in *intake) release() {
	if in.buf != nil {
		readBuffers.Put(in.buf)
	}
	in.buf, in.from, in.to, in.filled = nil, 0, 0, false
}
