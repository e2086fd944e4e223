package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"drover/messages"
)

// overflow is a lane's way over the disk. While a lane spills, no new event goes into its window: it is staged in
// memory, written to the spool by the spooler, and loaded into the window by the feeder when that has
// room again. So the order is always
//
//	window ◄── spool ◄── staged ◄── Publish
//
// and it is left when spool and staged are empty. Spilling begins with a copy of the window: the spool then holds
// of each session everything from the first unacknowledged event on, so that the process may die. For the same reason
// all lanes begin together, and go over the disk as long as one of them has something there: whoever declares a gap
// behind the spool's last event must know that nothing before it was only in memory.
type overflow struct {
	spilling bool
	copied   bool   // the window's content is in the spool
	cursor   uint64 // ring position up to which it is

	staged      []item // for the disk, oldest first
	stagedBytes int
	writing     int   // how many of the oldest are being written now
	full        error // why the spool took no more; nil: it does

	// Indices in the spool: (removed, loaded] is or was in the window, (loaded, disk] is to come.
	removed, loaded, disk uint64

	owners   map[string]*owner           // of dispatches in staged and spool, by session
	receipts map[string]messages.Receipt // of drover's own events there, by id
	suspects uint64                      // records up to this index may have been stored by an earlier process
	known    map[string]uint64           // those that were: stream sequence by id
}

// owner is one session's part of the spool.
type owner struct {
	shardID int
	receipt messages.Receipt // nil: nobody has adopted it yet
	left    int
	former  bool // an earlier process spooled it: kept for Adopt
	last    int64
	at      time.Time
}

// Patience with a full window before the spool takes over. While NATS takes events, a full window only means that
// it is slower than Discord, and waiting a moment costs nothing.
const (
	pausedPatience = 200 * time.Millisecond
	busyPatience   = time.Second
)

// inherit takes over what an earlier process left in the spool: it comes before everything new.
func (p *Publisher) inherit() {
	for s, l := range p.lanes {
		lane := messages.Stream(s)
		l.ring.stored = p.o.Spool.storedMark(lane)
		first, last, n := p.o.Spool.bounds(lane)
		if n == 0 {
			newest := p.o.Spool.lane(lane).index
			l.removed, l.loaded, l.disk = newest, newest, newest
			continue
		}
		l.spilling, l.copied = true, true
		l.removed, l.loaded, l.disk = first-1, first-1, last
		// No more of them can have been on their way: the feeder sees to it.
		l.suspects = min(last, first-1+p.lead(l))
		for session, left := range p.o.Spool.leftovers(lane) {
			l.owners[session] = &owner{shardID: left.shardID, left: left.left, last: left.last, at: left.at, former: true}
		}
	}
	if p.backlog() {
		p.spill()
	}
	for _, shed := range p.o.Spool.sheds() {
		p.declareShed(shedOf(shed))
	}
	p.wake(p.toFeed)
	p.wake(p.toSpool)
}

// lead is how far the feeder may run ahead of the oldest record.
func (p *Publisher) lead(l *lane) uint64 { return 2 * uint64(len(l.ring.slots)) }

// Adopt makes r the receipt of what an earlier process left of the session in the spool, and says what that is.
func (p *Publisher) Adopt(session string, r messages.Receipt) [messages.Streams]messages.Spooled {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found [messages.Streams]messages.Spooled
	for s, l := range p.lanes {
		if o := l.owners[session]; o != nil && o.former {
			o.receipt = r
			found[s] = messages.Spooled{Last: o.last, Left: o.left, At: o.at}
		}
	}
	return found
}

// Leftovers are the sessions of which an earlier process left events in the spool.
func (p *Publisher) Leftovers() []messages.Stranded {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[string]messages.Stranded{}
	for _, l := range p.lanes {
		for session, o := range l.owners {
			if !o.former {
				continue
			}
			s := found[session]
			s.Session, s.ShardID = session, o.shardID
			if o.last > s.Last {
				s.Last, s.At = o.last, o.at
			}
			found[session] = s
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b messages.Stranded) int { return a.At.Compare(b.At) })
}

// SpoolState is what the spool holds, and what is wrong with it.
type SpoolState struct {
	Bytes  int64
	Events int
	Limit  int64     // bytes that it may hold
	Oldest time.Time // when the oldest event was read; zero: there is none
	Full   error     // why it takes nothing more: its bound, or the disk; nil: it does
	Damage error     // why it cannot be read; nil: it can
}

// Spooled says how the spool is; the zero value where there is none.
func (p *Publisher) Spooled() (s SpoolState) {
	if p.o.Spool == nil {
		return s
	}
	s.Bytes, s.Events, s.Oldest = p.o.Spool.stats()
	s.Limit = p.o.Spool.o.MaxBytes
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Damage = p.damage
	for _, l := range p.lanes {
		if l.full != nil {
			s.Full = l.full
		}
	}
	return s
}

// overflowing begins to spill where somebody waits for too long. The caller holds mu.
func (p *Publisher) overflowing(now time.Time) {
	if p.o.Spool == nil {
		return
	}
	patience := busyPatience
	if p.paused {
		patience = pausedPatience
	}
	for _, l := range p.lanes {
		if !l.spilling && len(l.waiters) > 0 && now.Sub(l.waiters[0].since) > patience {
			p.b.log.Warn("the window is full: events go to the spool", "stream", l.stream.String(), "unacked", l.ring.live, "paused", p.paused)
			p.spill()
			return
		}
	}
}

// spill has all lanes spill. The caller holds mu.
func (p *Publisher) spill() {
	for _, l := range p.lanes {
		if !l.spilling {
			l.spilling, l.copied, l.cursor = true, l.ring.live == 0, l.ring.tail
			l.grant()
		}
	}
	p.wake(p.toSpool)
}

// cover has the windows copied once more before anything is written behind them, and reports whether one must be. Events
// went past the disk since the last copy, by bypass or in a lane that had left the spool before the others: a
// process that finds only what came after them would take them for acknowledged. The caller holds mu.
func (p *Publisher) cover() bool {
	bare := false
	for _, l := range p.lanes {
		if l.ring.bare > 0 && (l.copied || !l.spilling) {
			bare = true
			l.copied, l.cursor = false, l.ring.tail
		}
	}
	if bare {
		p.spill()
		p.wake(p.toFeed)
	}
	return bare
}

// backlog reports whether any lane has something on disk that is still to come. The caller holds mu.
func (p *Publisher) backlog() bool {
	for _, l := range p.lanes {
		if l.disk > l.loaded {
			return true
		}
	}
	return false
}

// stage puts an event on the way to the disk. The caller holds mu.
func (p *Publisher) stage(l *lane, it *item) {
	l.staged = append(l.staged, *it)
	l.stagedBytes += it.bytes
	switch {
	case it.own && it.receipt != nil:
		l.receipts[it.id] = it.receipt
	case !it.own:
		o := l.owners[it.session]
		if o == nil {
			o = &owner{}
			l.owners[it.session] = o
		}
		if it.receipt != nil {
			o.receipt = it.receipt
		}
		o.left++
	}
	p.wake(p.toSpool)
	p.wake(p.toFeed)
}

// disown takes an event's receipt out of the lane's books. The caller holds mu.
func (l *lane) disown(it *item) messages.Receipt {
	if it.own {
		r := l.receipts[it.id]
		delete(l.receipts, it.id)
		return r
	}
	o := l.owners[it.session]
	if o == nil {
		return nil
	}
	o.left--
	if o.left == 0 && !o.former {
		delete(l.owners, it.session)
	}
	return o.receipt
}

func (p *Publisher) wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Spill puts everything unacknowledged into the spool, so that the process may end. Stop calling Publish before. The
// error says that the spool did not take it, or that there is none.
func (p *Publisher) Spill(ctx context.Context) error {
	if p.o.Spool == nil {
		return errors.New("stream: there is no spool (spool.max_bytes is 0)")
	}
	p.mu.Lock()
	p.rescuing = true
	if !p.empty() {
		p.spill()
	}
	p.mu.Unlock()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		safe, full := !p.cover(), error(nil) // the feeder may have been at work in the same instant
		for _, l := range p.lanes {
			safe = safe && (!l.spilling || l.copied && len(l.staged) == 0)
			if l.full != nil {
				full = l.full
			}
		}
		p.mu.Unlock()
		switch {
		case safe:
			return nil
		case full != nil:
			return fmt.Errorf("stream: spool: %w", full)
		}
		p.wake(p.toSpool)
		select {
		case <-tick.C:
		case <-p.done:
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Publisher) closeSpool() {
	if p.o.Spool == nil {
		return
	}
	if err := p.o.Spool.close(); err != nil {
		p.b.log.Error("spool not closed cleanly", "err", err)
	}
}
