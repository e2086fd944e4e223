package stream

import (
	"errors"
	"maps"
	"slices"
	"time"

	"drover/messages"
)

// fences say which of the node's events may be sent now. An event that is taken from a shard carries its pool's fence; of
// one that lay in the spool it is the shard's of now, once it is known who serves that (Own, Disown). Publisher.mu guards them.
type fences struct {
	shards map[int]messages.Fence      // of shards that this node serves
	stored map[string]reach            // what is known to be stored of sessions, in an earlier tenure of their shard
	over   [messages.Streams]overLanes // what is in the spool and must not come out of it any more
	waited map[int]struct{}            // shards that the spool waits for: nobody knows yet who serves them
}

// reach has for each stream the sequence number of a session up to which everything is stored.
type reach [messages.Streams]int64

// overLanes has the index in the spool up to which a shard's records are another node's to publish.
type overLanes map[int]uint64

// errFenced says that a pool's lease has run out. Publishing waits until it is valid again, or until the pool has gone.
var errFenced = errors.New("stream: the lease of a pool is not valid")

// Own says that this node serves these shards from now on, under f, and what is known to be stored of their sessions: of what the
// spool has of them only the rest is published. With PublisherOptions.Fenced nothing that an earlier process left in the
// spool is published before.
func (p *Publisher) Own(shardIDs []int, f messages.Fence, acked map[string][messages.Streams]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range shardIDs {
		p.fences.shards[id] = f
		delete(p.fences.waited, id)
	}
	for session, upTo := range acked {
		p.fences.stored[session] = upTo
	}
	p.wake(p.toFeed)
}

// Disown says that this node serves these shards no more, or that another one does. Who serves them next resumes their
// sessions from what is acknowledged, so what is or was in the spool of them is forgotten. What came from shards is Abandon's.
func (p *Publisher) Disown(shardIDs []int) {
	gone := make(map[int]bool, len(shardIDs))
	for _, id := range shardIDs {
		gone[id] = true
	}
	p.forgetAll(func(it *item) bool { return it.spooled && gone[it.shardID] }, func() {
		for _, id := range shardIDs {
			p.disownShard(id)
		}
	})
}

// disownShard ends what the spool has of a shard. The caller holds mu.
func (p *Publisher) disownShard(id int) {
	delete(p.fences.shards, id)
	delete(p.fences.waited, id)
	for s, l := range p.lanes {
		if upTo := l.disk + uint64(l.writing); upTo > l.removed {
			if p.fences.over[s] == nil {
				p.fences.over[s] = overLanes{}
			}
			p.fences.over[s][id] = upTo
		}
	}
}

// Unclaimed lists the shards, rising, that hold up what an earlier process left in the spool: of which neither Own nor Disown was told.
func (p *Publisher) Unclaimed() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.fences.waited))
}

// Abandon forgets everything unacknowledged of f without a word to its receipts: f has ended, and whoever holds the sessions
// now has their events replayed. Nothing of it is sent after it returns. What is sent already may still be stored.
func (p *Publisher) Abandon(f messages.Fence) {
	p.forgetAll(func(it *item) bool { return it.fence == f }, func() {
		for id, owner := range p.fences.shards {
			if owner == f {
				p.disownShard(id)
			}
		}
	})
}

// forgetAll takes what matches out of windows and stages, and does also what else belongs to that, under mu.
func (p *Publisher) forgetAll(match func(*item) bool, also func()) {
	p.sendLock.Lock()
	defer p.sendLock.Unlock()
	p.Flush() // what is gathered is sent
	p.mu.Lock()
	also()
	var gone []*buffer
	var touched [messages.Streams]bool
	for s, l := range p.lanes {
		for pos := l.ring.tail; pos < l.ring.head; pos++ {
			slot := l.ring.at(pos)
			if slot.state != waiting && slot.state != sent || !match(&slot.item) {
				continue
			}
			var it item
			l.ring.finish(slot, 0, &it)
			l.bytes -= it.bytes
			if it.spooled {
				l.disown(&it)
			}
			gone = append(gone, it.body)
			touched[s] = true
		}
		gone = append(gone, l.unstage(match)...)
	}
	idle := p.roomMade(touched)
	p.wake(p.toFeed)
	p.mu.Unlock()
	for _, b := range gone {
		b.release()
	}
	if idle != nil {
		close(idle)
	}
}

// unstage takes what matches out of the way to the disk, but for what is being written now. The caller holds Publisher.mu.
func (l *lane) unstage(match func(*item) bool) (gone []*buffer) {
	kept := l.staged[:l.writing:l.writing]
	for i := l.writing; i < len(l.staged); i++ {
		it := &l.staged[i]
		if !match(it) {
			kept = append(kept, *it)
			continue
		}
		l.disown(it)
		l.stagedBytes -= it.bytes
		gone = append(gone, it.body)
	}
	l.staged = kept
	return gone
}

// fate is what becomes of a record.
type fate uint8

const (
	publish fate = iota // under the fence that comes with it
	discard             // it is stored, or another node's to publish
	hold                // nobody knows yet whose it is
)

// judge decides on a record of the spool. The caller holds mu.
func (p *Publisher) judge(l *lane, r *record) (fate, messages.Fence) {
	if upTo, over := p.fences.over[l.stream][r.shardID]; over && r.index <= upTo {
		return discard, nil
	}
	if upTo, known := p.fences.stored[r.session]; known && !r.own && r.seq <= upTo[l.stream] {
		return discard, nil
	}
	f, owned := p.fences.shards[r.shardID]
	if !owned && p.o.Fenced {
		p.fences.waited[r.shardID] = struct{}{}
		return hold, nil
	}
	return publish, f
}

// fencePatience is after how long a fence is looked at again that was not valid. A lease is valid again within a moment of NATS'
// return, or never.
const fencePatience = 50 * time.Millisecond

// fenced reports that something in the windows may not be sent now. The caller holds mu.
func (p *Publisher) fenced() bool {
	var last messages.Fence
	for _, l := range p.lanes {
		for pos := l.ring.tail; pos < l.ring.head; pos++ {
			s := l.ring.at(pos)
			if s.state != waiting && s.state != sent || s.fence == nil || s.fence == last {
				continue
			}
			if !s.fence.Valid() {
				return true
			}
			last = s.fence
		}
	}
	return false
}
