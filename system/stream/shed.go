package stream

import (
	"time"

	"drover/messages"
)

// drop drops an event that the operator would rather lose than wait for, and reports whether it did. The first one
// of a session is noted on disk before: until a shard.gap declares it, somebody must know.
func (p *Publisher) drop(ev *messages.Event) bool {
	now := time.Now()
	p.mu.Lock()
	s := p.sheds[ev.Session]
	if s == nil {
		note := messages.Shed{ShardID: ev.ShardID, Session: ev.Session, Before: ev.Seq - 1, From: ev.Read, To: ev.Read, Count: 1}
		onDisk := note
		if told, ok := p.telling[ev.Session]; ok { // its gap is not stored yet: one note stands for both
			onDisk.Before, onDisk.From = told.Before, told.From
		}
		p.mu.Unlock()
		p.notes.Lock() // or the spooler might forget it for the one before it
		defer p.notes.Unlock()
		if err := p.o.Spool.noteShed(noteOf(onDisk)); err != nil {
			p.b.log.Warn("nothing is dropped: it cannot be noted in the spool", "shard_id", ev.ShardID, "err", err)
			return false
		}
		p.mu.Lock()
		s = &note
		s.Count = 0
		p.sheds[ev.Session] = s
	}
	s.To = now
	s.Count++
	if p.lanes[messages.Events].full == nil { // room came meanwhile: nobody else would declare it before the spool is full again
		p.declareShed(*s)
	}
	p.mu.Unlock()
	if ev.Receipt != nil {
		ev.Receipt.Acked(ev.Kind.Stream, ev.Seq, 0)
	}
	if p.o.OnDelivered != nil {
		p.o.OnDelivered(messages.Delivery{
			Kind: ev.Kind, ShardID: ev.ShardID, Seq: ev.Seq, ID: ev.EventID(), Subject: p.b.subject(ev.Kind.Subject), Read: ev.Read, Acked: now, Trace: ev.Trace, Shed: true,
		})
	}
	if p.o.OnShed != nil {
		p.o.OnShed(ev.Kind, ev.ShardID)
	}
	return true
}

// declareSheds puts a shard.gap behind what the spool holds, for each session of which something was dropped. The
// caller holds mu.
func (p *Publisher) declareSheds() {
	for _, s := range p.sheds {
		p.declareShed(*s)
	}
}

// declareShed declares one session's drops. The caller holds mu, or is alone.
func (p *Publisher) declareShed(s messages.Shed) {
	ev := s.Event()
	ev.Receipt = declared{p, s.Session}
	it := encode(ev)
	it.taken = p.clock()
	delete(p.sheds, s.Session) // what is dropped from now on is another gap
	p.telling[s.Session] = s
	if p.o.OnShedGap != nil {
		p.o.OnShedGap(s.ShardID)
	}
	l := p.lanes[messages.Events]
	p.spill() // only staged events need no room
	p.stage(l, &it)
}

func noteOf(s messages.Shed) shedNote {
	return shedNote{ShardID: s.ShardID, Session: s.Session, Before: s.Before, From: s.From.UnixMilli(), To: s.To.UnixMilli(), Count: s.Count}
}

// shedOf is what an earlier process had noted. It noted the first drop only, so the gap ends now.
func shedOf(n shedNote) messages.Shed {
	return messages.Shed{ShardID: n.ShardID, Session: n.Session, Before: n.Before, From: time.UnixMilli(n.From), To: time.Now(), Count: n.Count}
}

// declared forgets the note on disk once its gap is stored.
type declared struct {
	p       *Publisher
	session string
}

// Acked implements messages.Receipt. It runs on NATS' goroutine, so the disk is left to the spooler.
func (d declared) Acked(messages.Stream, int64, uint64) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	delete(d.p.telling, d.session)
	d.p.told = append(d.p.told, d.session)
	d.p.wake(d.p.toSpool)
}

// forgetSheds deletes the notes of gaps that are stored.
func (p *Publisher) forgetSheds() {
	p.mu.Lock()
	told := p.told
	p.told = nil
	p.mu.Unlock()
	for _, session := range told {
		p.forgetShed(session)
	}
}

func (p *Publisher) forgetShed(session string) {
	p.notes.Lock()
	defer p.notes.Unlock()
	p.mu.Lock()
	again := p.sheds[session] != nil // dropped again meanwhile: the note is that one's
	p.mu.Unlock()
	if again {
		return
	}
	if err := p.o.Spool.clearShed(session); err != nil {
		p.b.log.Warn("a declared gap stays noted in the spool and may be declared again", "err", err)
	}
}
