package audit

import (
	"net"
	"sync"
	"time"
)

// ahead reads a connection at once, also while the network holds back what goes that way: so it is known when something was sent,
// and not only when it arrived.
type ahead struct {
	mu     sync.Mutex
	more   *sync.Cond
	chunks [][]byte
	bytes  int
	err    error // why nothing more comes
}

// farthest bounds what is read ahead: more than drover writes in the longest outage of a plan.
const farthest = 64 << 20

func newAhead() *ahead {
	a := &ahead{}
	a.more = sync.NewCond(&a.mu)
	return a
}

// read reads src until it ends or close is called, and shows what comes to seen.
func (a *ahead) read(src net.Conn, seen func([]byte, time.Time)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			seen(buf[:n], time.Now())
		}
		if !a.put(append([]byte(nil), buf[:n]...), err) {
			return
		}
	}
}

// put says whether there can be more.
func (a *ahead) put(b []byte, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.bytes > farthest && a.err == nil {
		a.more.Wait()
	}
	if a.err != nil {
		return false
	}
	a.chunks, a.bytes, a.err = append(a.chunks, b), a.bytes+len(b), err
	a.more.Broadcast()
	return err == nil
}

// next returns what was read first and not returned yet; it waits for it.
func (a *ahead) next() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.chunks) == 0 && a.err == nil {
		a.more.Wait()
	}
	if len(a.chunks) == 0 {
		return nil, a.err
	}
	b := a.chunks[0]
	a.chunks, a.bytes = a.chunks[1:], a.bytes-len(b)
	a.more.Broadcast()
	return b, nil
}

// close ends read, whose connection is closed.
func (a *ahead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = net.ErrClosed
	}
	a.more.Broadcast()
}
