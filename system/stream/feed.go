package stream

import (
	"slices"
	"time"

	"drover/messages"
)

// feeding is the feeder: the one goroutine that loads into the windows what their lanes have spilled. It ends
// with done.
func (p *Publisher) feeding() {
	for {
		select {
		case <-p.done:
			return
		case <-p.toFeed:
		}
		for p.feedLanes() {
			select {
			case <-p.done:
				return
			default:
			}
		}
	}
}

// feedLanes feeds the first lane that can be fed, and reports whether one could.
func (p *Publisher) feedLanes() bool {
	for _, s := range feedOrder {
		fed, err := p.feed(p.lanes[s])
		if err != nil {
			p.trouble(err)
		}
		if fed {
			return true
		}
	}
	return false
}

// feed loads some events of one lane, and reports whether there may be more to do at once.
func (p *Publisher) feed(l *lane) (bool, error) {
	p.mu.Lock()
	if !l.spilling || !l.copied || p.paused || p.rescuing {
		p.mu.Unlock()
		return false, nil
	}
	free, room := len(l.ring.slots)-l.ring.used(), l.maxBytes-l.bytes
	backlog, after := l.disk > l.loaded, l.loaded
	if backlog { // more may be loaded already than that, where the disk did not let go of what is acknowledged
		free = min(free, int(p.lead(l))-int(l.loaded-l.removed))
	}
	elsewhere := !backlog && p.backlog()
	if !backlog && len(l.staged) == 0 {
		p.end(l)
		p.mu.Unlock()
		return false, nil
	}
	p.mu.Unlock()
	switch {
	case elsewhere:
		p.wake(p.toSpool) // what is staged goes over the disk, like the other lane's
		return false, nil
	case free <= 0 || room <= 0 && l.bytes > 0:
		p.wake(p.toSpool) // it deletes what is acknowledged, or takes what is staged
		return false, nil
	case backlog:
		return p.load(l, after, free, room)
	}
	return p.bypass(l)
}

// load carries records from the spool into the window.
func (p *Publisher) load(l *lane, after uint64, free, room int) (bool, error) {
	batch, err := p.o.Spool.read(l.stream, after, min(free, spoolBatch), min(room, spoolBatchBytes))
	if err != nil {
		p.unreadable(l, err)
		return false, nil
	}
	p.sendLock.Lock()
	defer p.sendLock.Unlock()
	defer p.Flush()
	p.mu.Lock()
	p.damage = nil
	p.mu.Unlock()
	for _, r := range batch {
		it := restore(r)
		it.taken = p.clock()
		p.mu.Lock()
		fate, fence := p.judge(l, &r)
		if fate == hold {
			p.mu.Unlock()
			it.body.release()
			return false, nil // Own or Disown wakes us
		}
		it.fence = fence
		l.loaded = r.index
		if fate == discard {
			p.discard(l, &it, r.index)
			continue
		}
		if stored, ok := l.known[r.id]; ok {
			p.takeBack(l, &it, r.index, stored)
			continue
		}
		if err := p.launch(l, &it, r.index, it.taken, true); err != nil {
			return false, err
		}
	}
	return len(batch) > 0, nil
}

// unreadable says that the spool cannot be read. A damaged one stays so until a new process opens it, which saves what
// it can: Spooled tells of it until then.
func (p *Publisher) unreadable(l *lane, err error) {
	p.mu.Lock()
	known := p.damage != nil
	p.damage = err
	p.mu.Unlock()
	if !known {
		p.b.log.Error("the spool cannot be read: restart drover if this lasts, it saves what is readable", "stream", l.stream.String(), "err", err)
	}
	time.AfterFunc(spoolRetry, func() { p.wake(p.toFeed) })
}

// restore makes an item of a record.
func restore(r record) item {
	b := newBuffer(len(r.body))
	b.b = append(b.b, r.body...)
	return item{
		kind: messages.RestoreKind(r.name, r.typ), shardID: r.shardID, session: r.session, seq: r.seq, read: r.read,
		id: r.id, own: r.own, data: r.data, trace: r.trace, body: b, bytes: len(r.body), spooled: true,
	}
}

// takeBack puts an event into the window that an earlier process had stored already, and acknowledges it. The caller
// holds mu; takeBack unlocks it.
func (p *Publisher) takeBack(l *lane, it *item, index, stored uint64) {
	l.bytes += it.bytes
	delete(l.known, it.id)
	pos := l.ring.head
	l.ring.push(it, index)
	p.settle(l, l.ring.at(pos), stored)
}

// discard passes over an event that is not ours to publish any more. Of what an earlier process left somebody counts what
// is still to come; what this one left nobody waits for. The caller holds mu; discard unlocks it.
func (p *Publisher) discard(l *lane, it *item, index uint64) {
	if o := l.owners[it.session]; it.own || o == nil || !o.former {
		l.disown(it)
		it.spooled = false
	}
	p.takeBack(l, it, index, 0)
}

// bypass carries staged events into the window without the disk, since nothing is left there.
func (p *Publisher) bypass(l *lane) (bool, error) {
	p.sendLock.Lock()
	defer p.sendLock.Unlock()
	defer p.Flush()
	p.mu.Lock()
	for len(l.staged) > 0 && l.ring.used() < len(l.ring.slots) && (l.bytes == 0 || l.bytes < l.maxBytes) {
		if l.writing > 0 || p.backlog() || p.paused || p.rescuing || !l.copied {
			l.grant() // what went already made room
			p.mu.Unlock()
			return false, nil // the spooler was first, or the connection is lost: then it takes them
		}
		it := l.staged[0]
		l.staged[0] = item{}
		l.staged = l.staged[1:]
		l.stagedBytes -= it.bytes
		l.disown(&it)
		if err := p.launch(l, &it, 0, p.clock(), true); err != nil {
			return false, err
		}
		p.mu.Lock()
	}
	l.grant()
	p.end(l)
	p.wake(p.toSpool) // the other lane may have waited for this one
	again := l.spilling && len(l.staged) > 0 && l.ring.used() < len(l.ring.slots)
	p.mu.Unlock()
	return again, nil
}

// end leaves the way over the disk, once nothing is on it. The caller holds mu.
func (p *Publisher) end(l *lane) {
	if !l.spilling || !l.copied || p.backlog() || len(l.staged) > 0 || l.ring.used()+l.reserved > len(l.ring.slots) {
		return
	}
	for _, other := range p.lanes {
		if len(other.staged) > 0 && other.ring.used() == len(other.ring.slots) {
			return // that goes to the disk next, and what it came after must be there
		}
	}
	l.spilling, l.known = false, nil
	if !slices.ContainsFunc(p.lanes[:], func(l *lane) bool { return l.spilling }) {
		p.b.log.Info("the spool is published: events go straight to the window again") // one lane alone may come and go
	}
	l.grant()
	p.wake(p.toSpool)
	p.wake(p.toFeed) // the other lane may end as well
}
