package stream

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is a connection to NATS, below nats.go. Events do not pass through nats.go where that can be avoided: its way to
// publish copies header maps into text for each event and writes as soon as it can, and its way back makes a message and
// a wake-up of each acknowledgement. So, on a connection that speaks NATS' protocol in plain,
//
//   - publish puts whole operations between those of nats.go, which writes whole ones too;
//   - Read takes the acknowledgements out of what comes (hearing), and leaves everything else to nats.go.
//
// What is written is gathered while more is known to follow at once, since each write costs a system call here and,
// there, one for each of the server's reads and answers. Gathering ends with release, or when there is much, or, after
// releaseSoon, a moment later. Whoever holds must do one of these before it waits for anything; Publisher.watch releases
// what a bug holds.
//
// It closes itself when a write fails. nats.go throws a chunk away whose write timed out before the first byte and would
// go on with the next chunk: events would be missing in the middle.
type wire struct {
	net.Conn
	timeout time.Duration // for one write; a peer that does not read is dead
	hearing hearing       // Read's

	held atomic.Bool
	mu   sync.Mutex // after nats.go's own lock
	buf  []byte     // gathered
	sent time.Time  // of the newest write
	soon *time.Timer

	pending atomic.Bool // there is something in buf; changes under mu
	due     atomic.Bool // soon will write what is in buf; changes under mu
}

// gathered is how much is written at once while more follows, in bytes. Too little costs system calls; more than a
// socket's buffer gains nothing.
const gathered = 64 << 10

// breath is how far apart the writes are that releaseSoon makes. A sleeping process wakes from a timer up to 1 ms late.
const breath = 500 * time.Microsecond

// publish writes one operation of the protocol: head with its end of line, body, and the end of line behind that. It may
// wait for others if more follow at once. The connection is plain, and nats.go's handshake on it is over.
func (w *wire) publish(head, body []byte, more bool) error {
	w.hold(more)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buf = append(w.buf, head...); len(body) < gathered {
		w.buf = append(w.buf, body...)
	} else { // a giant is not copied, and leaves no buffer of its size behind
		if err := w.flush(); err != nil {
			return err
		}
		if _, err := w.send(body); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '\r', '\n')
	if more && len(w.buf) < gathered {
		w.pending.Store(true)
		return nil
	}
	return w.flush()
}

// hold says whether nats.go's next write may wait for another one that follows at once.
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
		w.pending.Store(true)
		if w.held.Load() {
			return len(b), nil
		} // else a release came meanwhile, and may have seen nothing
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}

// release writes what is gathered.
func (w *wire) release() {
	w.hold(false)
	if !w.pending.Load() {
		return // somebody else's went, and ours with it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.flush() // an error closed the connection, and nats.go's reader tells of it
}

// releaseSoon writes what is gathered, now if the last write was a breath ago or more, and else when it will have been.
// So what comes one by one goes out at once, and a stream of it in a write for each breath.
func (w *wire) releaseSoon() {
	w.hold(false)
	if !w.pending.Load() || w.due.Load() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := breath - time.Since(w.sent)
	if rest <= 0 {
		_ = w.flush() // as in release
		return
	}
	if len(w.buf) == 0 || w.due.Load() {
		return // meanwhile somebody else was here
	}
	w.due.Store(true)
	if w.soon == nil {
		w.soon = time.AfterFunc(rest, w.breathe)
	} else {
		w.soon.Reset(rest)
	}
}

// breathe is soon's: it ends by itself, and finds nothing or an error where the connection is closed.
func (w *wire) breathe() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due.Store(false)
	_ = w.flush()
}

// flush writes what is gathered. The caller holds mu.
func (w *wire) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.pending.Store(false)
	_, err := w.send(w.buf)
	if w.buf = w.buf[:0]; cap(w.buf) > 2*gathered {
		w.buf = nil
	}
	return err
}

// send writes. The caller holds mu.
func (w *wire) send(b []byte) (int, error) {
	w.sent = time.Now()
	_ = w.Conn.SetWriteDeadline(w.sent.Add(w.timeout)) // an error shows at Write
	n, err := w.Conn.Write(b)
	if err != nil {
		_ = w.Close() // the write's error is the one that tells
	}
	return n, err
}

// SetWriteDeadline implements net.Conn. Each write has its own deadline here: nats.go's would end that of another's write.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Read implements net.Conn for nats.go: what is left when the acknowledgements are taken out.
func (w *wire) Read(b []byte) (int, error) { return w.hearing.read(w.Conn, b) }
