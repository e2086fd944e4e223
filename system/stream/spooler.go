package stream

import (
	"time"

	"drover/messages"
)

// Spool batches. Larger ones make fewer syncs, smaller ones let interactions pass sooner.
const (
	spoolBatch      = 256
	spoolBatchBytes = 4 << 20
	spoolRetry      = time.Second // after the disk or the bound refused
)

// spooling is the spooler: the one goroutine that writes to the spool. It ends with done.
func (p *Publisher) spooling() {
	retry := time.NewTimer(spoolRetry)
	defer retry.Stop()
	for {
		select {
		case <-p.done:
			p.tidy()
			return
		case <-p.toSpool:
		case <-retry.C:
		}
		for p.spoolStep() {
			select {
			case <-p.done:
				p.tidy()
				return
			default:
			}
		}
		p.forgetSheds()
		retry.Reset(spoolRetry)
	}
}

// tidy deletes at the end what is acknowledged: when the next process finds it, JetStream may have forgotten its ids.
func (p *Publisher) tidy() {
	for _, l := range p.lanes {
		for more := true; more; {
			var err error
			if more, err = p.forget(l); err != nil {
				p.b.log.Warn("acknowledged events stay in the spool and come again", "stream", l.stream.String(), "err", err)
				break
			}
		}
	}
	p.forgetSheds()
}

// feedOrder is who is served first: interactions die within seconds.
var feedOrder = [messages.Streams]messages.Stream{messages.Commands, messages.Events}

// spoolStep does one batch of each kind for each lane, and reports whether there may be more to do.
func (p *Publisher) spoolStep() (more bool) {
	for _, s := range feedOrder {
		l := p.lanes[s]
		removed, err := p.forget(l)
		if err != nil {
			p.b.log.Warn("acknowledged events stay in the spool for now", "stream", l.stream.String(), "err", err)
		}
		written, err := p.copyWindow(l)
		if err == nil && !written {
			written, err = p.writeStaged(l)
		}
		p.refusedBySpool(l, err)
		more = more || removed || written && err == nil
	}
	return more
}

// held reports whether the lane must wait with what it writes, since an interaction that came before it is not on disk yet,
// and why that one is not. The caller holds mu.
func (p *Publisher) held(l *lane) (bool, error) {
	first := p.lanes[messages.Commands]
	if l == first || !first.spilling || first.copied && len(first.staged) == 0 {
		return false, nil
	}
	return true, first.full
}

// refusedBySpool remembers whether the spool took the last batch, and says so when that changes.
func (p *Publisher) refusedBySpool(l *lane, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && l.full == nil {
		p.b.log.Error("the spool takes no more: shards wait until there is room", "stream", l.stream.String(), "err", err)
	}
	if err == nil && l.full != nil {
		p.b.log.Info("the spool takes events again", "stream", l.stream.String())
		if l.stream == messages.Events {
			p.declareSheds()
		}
	}
	l.full = err
	if err != nil {
		l.shedWaiters()
	}
}

// forget deletes what is acknowledged from the spool, in batches, and reports whether it did.
func (p *Publisher) forget(l *lane) (bool, error) {
	p.mu.Lock()
	upTo, stored, from, rest := l.acknowledged(), l.ring.stored, l.removed, l.disk
	p.mu.Unlock()
	if upTo <= from || upTo < rest && upTo-from < l.forgetful() {
		return false, nil
	}
	if err := p.o.Spool.remove(l.stream, upTo, stored); err != nil {
		return false, err
	}
	p.mu.Lock()
	l.removed = upTo
	p.mu.Unlock()
	p.wake(p.toFeed)
	return true, nil
}

// acknowledged is the index up to which no record is needed any more: everything that was loaded or copied, but for what
// is still in the window. It counts what is there, since an event may be acknowledged while it is copied, and then nobody
// learns its index. The caller holds mu.
func (l *lane) acknowledged() uint64 {
	for pos := l.ring.tail; pos < l.ring.head; pos++ {
		if s := l.ring.at(pos); s.record > 0 && (s.state == waiting || s.state == sent) {
			return s.record - 1
		}
	}
	return l.loaded
}

// forgetful is how many acknowledged records are deleted at once.
func (l *lane) forgetful() uint64 { return min(spoolBatch, uint64(len(l.ring.slots))) }

// copyWindow writes a batch of what is in the window and not in the spool yet, and reports whether there was any.
func (p *Publisher) copyWindow(l *lane) (bool, error) {
	p.sendLock.Lock() // an oversize event changes while it is sent
	p.mu.Lock()
	held, err := p.held(l)
	if !l.spilling || l.copied || held {
		p.mu.Unlock()
		p.sendLock.Unlock()
		return false, err
	}
	var batch []record
	var at []uint64
	pos, size := max(l.cursor, l.ring.tail), 0
	for ; pos < l.ring.head && len(batch) < spoolBatch && size < spoolBatchBytes; pos++ {
		if s := l.ring.at(pos); s.record == 0 && (s.state == waiting || s.state == sent) {
			r := s.item.record()
			r.body = append([]byte(nil), r.body...) // an acknowledgement gives the buffer back
			batch, at, size = append(batch, r), append(at, pos), size+len(r.body)
		}
	}
	p.mu.Unlock()
	p.sendLock.Unlock()
	if len(batch) > 0 {
		if err := p.o.Spool.append(l.stream, batch); err != nil {
			return false, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, pos := range at {
		if s := l.ring.at(pos); pos >= l.ring.tail && s.id == batch[i].id {
			l.ring.spooled(s, batch[i].index)
		}
	}
	if l.cursor = pos; pos >= l.ring.head { // nothing enters the window while its lane spills
		l.copied = true
	}
	if n := len(batch); n > 0 {
		l.loaded, l.disk = batch[n-1].index, batch[n-1].index
	}
	p.wake(p.toFeed)
	return true, nil
}

// writeStaged writes a batch of what is staged, unless the feeder can put it into the window at once.
func (p *Publisher) writeStaged(l *lane) (bool, error) {
	p.mu.Lock()
	direct := !p.rescuing && !p.paused && !p.backlog() && l.ring.used() < len(l.ring.slots)
	held, err := p.held(l)
	if !l.copied || len(l.staged) == 0 || direct || held {
		p.mu.Unlock()
		return false, err
	}
	if p.cover() {
		p.mu.Unlock()
		return true, nil
	}
	size := 0
	var batch []record
	for i := 0; i < len(l.staged) && len(batch) < spoolBatch && size < spoolBatchBytes; i++ {
		batch = append(batch, l.staged[i].record())
		size += l.staged[i].bytes
	}
	l.writing = len(batch)
	p.mu.Unlock()

	err = p.o.Spool.append(l.stream, batch)

	p.mu.Lock()
	l.writing = 0
	p.wake(p.toFeed)
	if err != nil {
		p.mu.Unlock()
		return false, err
	}
	written := l.staged[:len(batch)]
	l.staged = l.staged[len(batch):]
	l.stagedBytes -= size
	l.disk = batch[len(batch)-1].index
	l.grant()
	p.mu.Unlock()
	for i := range written {
		written[i].body.release()
		written[i] = item{}
	}
	return true, nil
}

// record is the item as the spool keeps it. It shares the body.
func (it *item) record() record {
	return record{
		name: it.kind.Name, typ: it.kind.Type, shardID: it.shardID, session: it.session, seq: it.seq, read: it.read,
		id: it.id, own: it.own, data: it.data, trace: it.trace, body: it.body.b,
	}
}
