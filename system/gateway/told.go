package gateway

import (
	"slices"
	"sync"
)

// told is the guild set of one shard as consumers know it: not as of what was read, but as of what is stored. The next
// process compares its READY with it, so that nobody is told of a join or a leave twice, or never.
//
// The read goroutine records, any other may ask. The zero value records nothing: keep switches it on.
type told struct {
	mu      sync.Mutex
	keep    bool
	guilds  []uint64     // by rising id, as of the newest sequence number asked for; never changed in place
	journal []membership // what came after that, by rising seq
	version uint64       // of guilds; 0: not known
	session uint64       // counts begin
}

// membership is one change of the set.
type membership struct {
	seq int64
	id  uint64
	in  bool
}

// begin replaces the set, with a session. known false: nobody knows it.
func (t *told) begin(guilds []uint64, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.session++
	if !t.keep {
		return
	}
	t.guilds, t.journal = guilds, nil
	t.version++
	if !known {
		t.version = 0
	}
}

// record notes what the event with that sequence number tells.
func (t *told) record(seq int64, id uint64, in bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keep && t.version > 0 {
		t.journal = append(t.journal, membership{seq, id, in})
	}
}

// asOf folds in all up to seq, which must not fall, and returns the set with its version. ok is false where session is
// over.
func (t *told) asOf(session uint64, seq int64) (guilds []uint64, version uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if session != t.session {
		return nil, 0, false
	}
	var next []uint64 // a copy, once something changes
	n := 0
	for _, m := range t.journal {
		if m.seq > seq {
			break
		}
		n++
		if next == nil {
			next = append(make([]uint64, 0, len(t.guilds)+1), t.guilds...)
		}
		switch i, found := slices.BinarySearch(next, m.id); {
		case m.in && !found:
			next = slices.Insert(next, i, m.id)
		case !m.in && found:
			next = slices.Delete(next, i, i+1)
		}
	}
	if n == 0 {
		return t.guilds, t.version, true
	}
	t.journal = slices.Delete(t.journal, 0, n)
	if !slices.Equal(next, t.guilds) {
		t.guilds = next
		t.version++
	}
	return t.guilds, t.version, true
}
