package stream

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is a connection to NATS that gathers what is written while more is known to follow at once. nats.go writes as
// soon as it can, which is after each event when a shard's frames arrive together: that costs a system call here, and
// there one for each of the server's reads and answers.
//
// Gathering ends with release, or when there is much. Whoever holds must release before it waits for anything;
// Publisher.watch releases what a bug holds.
//
// It closes itself when a write fails. nats.go throws a chunk away whose write timed out before the first byte and would
// go on with the next chunk: events would be missing in the middle.
type wire struct {
	net.Conn
	timeout time.Duration // for one write; a peer that does not read is dead

	held atomic.Bool
	mu   sync.Mutex // after nats.go's own lock
	buf  []byte     // gathered
}

// gathered is how much is written at once while more follows, in bytes. Too little costs system calls; more than a
// socket's buffer gains nothing.
const gathered = 64 << 10

// hold says whether the next write may wait for another one that follows at once.
func (w *wire) hold(more bool) {
	if w.held.Load() != more {
		w.held.Store(more)
	}
}

// Write implements net.Conn. An error may be of an earlier write.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	more := w.held.Load() && len(w.buf)+len(b) < gathered
	if !more && len(w.buf) == 0 {
		return w.send(b)
	}
	w.buf = append(w.buf, b...)
	if more {
		return len(b), nil
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// release writes what is gathered.
func (w *wire) release() {
	w.held.Store(false)
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.flush() // an error closed the connection, and nats.go's reader tells of it
}

// flush writes what is gathered. The caller holds mu.
func (w *wire) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	_, err := w.send(w.buf)
	if w.buf = w.buf[:0]; cap(w.buf) > 2*gathered {
		w.buf = nil
	}
	return err
}

// send writes. The caller holds mu.
func (w *wire) send(b []byte) (int, error) {
	_ = w.Conn.SetWriteDeadline(time.Now().Add(w.timeout)) // an error shows at Write
	n, err := w.Conn.Write(b)
	if err != nil {
		_ = w.Close() // the write's error is the one that tells
	}
	return n, err
}

// SetWriteDeadline implements net.Conn. Each write has its own deadline here: nats.go's would end that of another's write.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
