package gatewaysim

import (
	"bytes"
	"sync"
	"time"
)

// hold is one session's part of a surge: the dispatches first to end-1, which
// one connection's writer encodes ahead and keeps until the release.
type hold struct {
	surge      *surge
	ses        *session
	conn       *conn
	first, end int64
	filled     chan struct{} // closed by the writer when all is encoded
	bytes      int64         // on the wire; the writer's until filled is closed
	over       chan struct{} // closed when all is written, or the connection lost the session
	once       sync.Once
}

// finish may be called by anybody, and often.
func (h *hold) finish() { h.once.Do(func() { close(h.over) }) }

// heldChunk is what one write takes: frames of dispatches up to, not including,
// the sequence upTo.
type heldChunk struct {
	frames []byte
	upTo   int64
}

// holder is a connection's writer while it holds a part of a surge.
type holder struct {
	c      *conn
	h      *hold
	out    *encoder // the connection's: it has the compression context
	side   *encoder // for frames that need not wait for the held ones
	ctl    []outFrame
	chunks []heldChunk
	upTo   int64 // sequences below it are in chunks
	sent   int64 // sequences below it were written
	run    [1]stampRun
}

// chunkBytes leaves room for the event that goes over it: writes stay at about 64 KiB.
const chunkBytes = batchBytes - 2<<10

// writeHeld encodes h ahead, waits for the release and writes. It returns false
// if the connection is over; out must be flushed.
//
// Whatever else the connection has to say goes out at once where that can be
// done. In a compressed stream payloads cannot overtake: there it waits in its
// place, so a hold has to be shorter than a heartbeat interval.
func (c *conn) writeHeld(out *encoder, h *hold) bool {
	defer h.finish()
	k := &holder{c: c, h: h, out: out, side: newEncoder(c), upTo: h.first, sent: h.first}
	defer k.side.rest()
	if ok, on := k.fill(); !ok {
		return on
	}
	for _, chunk := range k.chunks {
		h.bytes += int64(len(chunk.frames))
	}
	close(h.filled)
	for !h.surge.released.Load() {
		select {
		case <-c.wake:
		case <-h.over: // the session went away
		case <-c.gone:
			return false
		}
		if ok, on := k.serve(); !ok {
			return on
		}
	}
	for len(k.chunks) > 0 {
		if ok, on := k.serve(); !ok {
			return on
		}
		if !k.write() {
			return false
		}
	}
	return true
}

// fill encodes all events into chunks, and goes on serving meanwhile. If it is
// not ok, on says whether the connection lives on.
func (k *holder) fill() (ok, on bool) {
	events := make([]event, 0, batchEvents)
	for seq := k.h.first; seq < k.h.end; {
		if ok, on := k.serve(); !ok {
			return ok, on
		}
		events = k.h.ses.peek(k.c, seq, k.h.end, events)
		for i := range events {
			k.out.event(&events[i])
			seq = events[i].seq + 1
			if len(k.out.buf) >= chunkBytes {
				k.cut(seq)
			}
		}
	}
	k.cut(k.h.end)
	return true, true
}

// cut makes a chunk of what out has gathered.
func (k *holder) cut(upTo int64) {
	if len(k.out.buf) == 0 {
		return
	}
	k.upTo = upTo
	k.chunks = append(k.chunks, heldChunk{bytes.Clone(k.out.buf), upTo})
	k.out.buf = k.out.buf[:0]
}

// serve does what cannot wait for the held bytes: control frames, the closing
// handshake, and noticing that the session is no longer the connection's. If it
// is not ok, on says whether the connection lives on.
func (k *holder) serve() (ok, on bool) {
	w := k.c.takeWork(k.ctl)
	k.ctl = w.ctl
	k.out.begin(w.split)
	k.side.begin(w.split)
	for _, f := range k.ctl {
		switch {
		case f.whole:
			k.side.frame(f.op, true, f.payload)
		case k.c.mode == "none":
			k.side.payload(f.payload)
		default:
			k.out.payload(f.payload)
		}
	}
	if k.upTo == k.h.end {
		k.cut(k.h.end) // a payload that has to wait; fill cuts its own
	}
	if w.closing != nil {
		k.c.finish(k.side, w.closing)
		return false, false
	}
	if !k.side.flush() {
		return false, false
	}
	if !k.h.ses.ownedBy(k.c) {
		// Held dispatches of a session that ended are for nobody. A compressed stream
		// has no way past them.
		k.out.buf = k.out.buf[:0]
		return false, k.c.mode == "none"
	}
	return true, true
}

// write hands the next chunk to the socket as it is.
func (k *holder) write() bool {
	chunk := k.chunks[0]
	k.chunks[0] = heldChunk{}
	k.chunks = k.chunks[1:]
	if !k.h.ses.advance(k.h, chunk.upTo) {
		return false
	}
	srv := k.c.srv
	if srv.opts.Stamp {
		k.run[0] = stampRun{shard: int32(k.h.ses.shardID), n: int32(chunk.upTo - k.sent), from: k.sent}
		srv.stamps.add(k.run[:], time.Now())
	}
	n, err := k.c.nc.Write(chunk.frames)
	srv.count.bytes.Add(int64(n))
	srv.count.dispatches.Add(chunk.upTo - k.sent)
	k.sent = chunk.upTo
	return err == nil
}

// peek copies events from on, up to end, into dst[:0], as take does, but they
// remain unsent.
func (ses *session) peek(c *conn, from, end int64, dst []event) []event {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	dst = dst[:0]
	for ; ses.conn == c && !ses.dead && from < end && len(dst) < cap(dst); from++ {
		dst = append(dst, ses.log.at(from))
	}
	return dst
}

// advance marks h's events below upTo as sent. It returns false, and does
// nothing, if h's connection no longer owns the session.
func (ses *session) advance(h *hold, upTo int64) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	if ses.conn != h.conn || ses.dead {
		return false
	}
	ses.cursor = upTo
	if upTo == h.end {
		ses.hold = nil // what comes next may be taken as usual, behind the last chunk
	}
	ses.trimLocked()
	return true
}

func (ses *session) ownedBy(c *conn) bool {
	ses.mu.Lock()
	defer ses.mu.Unlock()
	return ses.conn == c && !ses.dead
}

// unholdLocked gives up what the connection holds. Its events are unsent ones
// like others then.
func (ses *session) unholdLocked() {
	if ses.hold != nil {
		ses.hold.finish()
		ses.hold = nil
	}
}
