package cluster

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// table is what a node has heard of the keys of one store: by watch, which may miss things, and by list, which is the truth as of
// when it was asked. It has no lock.
type table[R comparable] struct {
	decode func(key string, value []byte) (R, error)
	refuse func(key string, err error) // is told of entries that cannot be read
	rows   map[string]*row[R]
}

// row is one key.
type row[R comparable] struct {
	record   R
	value    []byte    // that it was read from
	unread   bool      // somebody wrote it, but who and what cannot be told
	revision uint64    // the newest that is known
	seen     time.Time // when that became known, by our own clock: instants of two nodes are never compared
	again    int       // how often it was written again since it was first seen
	gone     time.Time // since when there is no such key; zero: there is one
	given    bool      // it went since somebody deleted it, and did not just vanish
	end      uint64    // the revision at which it went; 0: not known
}

func (r *row[R]) present() bool { return r != nil && r.gone.IsZero() }

// alive reports that whoever wrote the key lives. That it was written again once says nothing: what a process sent before it was killed
// may come through later. A second time it had to be told of the first.
func (r *row[R]) alive() bool { return r.again > 1 }

// believed reports that whoever wrote the key may believe in it, although it is gone: its bucket may have been deleted.
func (r *row[R]) believed(now time.Time, ttl time.Duration) bool {
	return r != nil && !r.gone.IsZero() && !r.given && now.Sub(r.seen) < ttl
}

// hear takes in what a watch told, or what this node wrote. It reports whether anything but the revision changed.
func (t *table[R]) hear(e Entry, now time.Time) bool {
	r := t.rows[e.Key]
	if e.Revision == 0 {
		if r != nil && e.Gone != 0 {
			if e.Gone < r.revision {
				return false // it was written again since
			}
			r.end = e.Gone
		}
		if !r.present() {
			news := r != nil && e.Deleted && !r.given // a list was faster
			if news {
				r.given = true
			}
			return news
		}
		r.gone, r.given = now, e.Deleted
		return true
	}
	// The last word about a key that is gone is heard again where we knew of it before the watch told what was before it.
	if r != nil && (e.Revision < r.revision || e.Revision == r.revision && r.present()) {
		return false
	}
	return t.set(e, now)
}

// listed takes in what a list told that was asked for at began. It reports whether anything but revisions changed.
func (t *table[R]) listed(entries []Entry, began, now time.Time) bool {
	changed := false
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Key] = true
		r := t.rows[e.Key]
		switch {
		case r == nil:
		case !r.gone.IsZero() && e.Revision < r.end:
			continue // a copy of the bucket answers that is behind
		case !r.gone.IsZero() && !r.gone.Before(began) && e.Revision <= r.revision:
			continue // it went while we asked
		case r.present() && e.Revision == r.revision:
			continue
		case r.present() && e.Revision < r.revision && r.seen.After(began):
			continue // it changed while we asked
		}
		changed = t.set(e, now) || changed
	}
	for key, r := range t.rows {
		if r.present() && !there[key] && r.seen.Before(began) {
			r.gone = now
			changed = true
		}
	}
	return changed
}

func (t *table[R]) set(e Entry, now time.Time) bool {
	old := t.rows[e.Key]
	if old.present() && bytes.Equal(old.value, e.Value) { // renewed: nearly always
		old.revision, old.seen = e.Revision, now
		old.again++
		return false
	}
	record, err := t.decode(e.Key, e.Value)
	next := &row[R]{record: record, value: e.Value, unread: err != nil, revision: e.Revision, seen: now}
	if old.present() {
		next.again = old.again + 1
	}
	t.rows[e.Key] = next
	if err != nil && (!old.present() || !old.unread) {
		t.refuse(e.Key, err)
	}
	return !old.present() || old.record != next.record || old.unread != next.unread
}

// forget removes what has been gone since before.
func (t *table[R]) forget(before time.Time) {
	for key, r := range t.rows {
		if !r.present() && r.gone.Before(before) {
			delete(t.rows, key)
		}
	}
}

// poolKey is the key of a pool's lease, markKey that of who held it last.
func poolKey(pool int) string { return "pool." + strconv.Itoa(pool) }
func markKey(pool int) string { return "held." + strconv.Itoa(pool) }

// parsePool reads a key of the leases bucket.
func parsePool(key string) (pool int, ok bool) {
	digits, ok := strings.CutPrefix(key, "pool.")
	if !ok {
		return 0, false
	}
	pool, err := strconv.Atoi(digits)
	return pool, err == nil && pool >= 0 && pool < maxPools && poolKey(pool) == key
}
