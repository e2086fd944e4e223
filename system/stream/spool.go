package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"drover/messages"
)

// Spool is the overflow of the window on disk: a queue of events for each stream, in order, that
// survives the process. Any goroutine may use it. A call that fails has changed nothing, and may
// be tried again.
type Spool struct {
	o    SpoolOptions
	file *spoolFile
	left [messages.Streams]map[string]leftover
	big  int64 // bytes from which on an empty file is exchanged for a small one

	write sync.Mutex // one change at a time; held over disk writes

	mu    sync.Mutex // after write; held for moments
	lanes [messages.Streams]spoolLane
	shed  map[string]shedNote
}

// SpoolOptions say where a Spool is and how much it may hold.
type SpoolOptions struct {
	Dir string // made if it is missing; used by one process at a time
	// MaxBytes bounds what is held, of both lanes together, in bytes of records. Events may fill 7/8 of it:
	// the rest is for commands. With usual events the file is 5 to 15 % larger, the less the larger it is; whatever
	// their sizes, it stops growing at half as large again plus 8 MiB. A 1,400-byte envelope counts as about 1,620.
	MaxBytes int64
	Log      *slog.Logger
}

// errSpoolFull means that there is no room for what was to be appended.
var errSpoolFull = errors.New("stream: the spool is full")

// spoolLane is what memory knows of a queue in the file.
type spoolLane struct {
	index       uint64 // newest index given to a record
	first, last uint64 // of those held, without holes; 0 where there are none
	bytes       int64
	oldest      time.Time // when the first was read
	stored      uint64
}

// The buckets of the file. A lane's bucket has its records by index, and its sequence is the newest
// index given.
var (
	laneBuckets  = [messages.Streams][]byte{messages.Events: []byte("events"), messages.Commands: []byte("commands")}
	storedBucket = []byte("stored") // by lane
	shedBucket   = []byte("shed")   // by session
)

// recordOverhead is what bbolt spends on a record: its element in a page, and its key.
const recordOverhead = 16 + 8

// append puts the records behind all others of the lane, all or none, on disk when it returns, and sets
// their index. Errors: errSpoolFull, or the disk's.
func (s *Spool) append(stream messages.Stream, recs []record) error {
	if len(recs) == 0 {
		return nil
	}
	values, bytes := make([][]byte, len(recs)), int64(0)
	for i := range recs {
		var err error
		if values[i], err = recs[i].encode(); err != nil {
			return fmt.Errorf("stream: spool: %w", err)
		}
		bytes += recordCost(values[i])
	}
	s.write.Lock()
	defer s.write.Unlock()
	held, _, _ := s.stats()
	index := s.lane(stream).index
	if held+bytes > s.room(stream) {
		return errSpoolFull
	}
	err := s.file.extend(func(tx *bolt.Tx) error {
		b := tx.Bucket(laneBuckets[stream])
		b.FillPercent = 1 // nothing is ever put between
		// A commit that failed at its last step, the sync of the page that makes it valid, stands in the
		// file all the same. It was called failed, so its records come again, now.
		for k, _ := b.Cursor().Last(); k != nil && keyIndex(k) > index; k, _ = b.Cursor().Last() {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		for i, v := range values {
			if err := b.Put(indexKey(index+1+uint64(i)), v); err != nil {
				return err
			}
		}
		return b.SetSequence(index + uint64(len(recs)))
	})
	switch {
	case errors.Is(err, bolterrors.ErrMaxSizeReached):
		return errSpoolFull
	case err != nil:
		return fmt.Errorf("stream: spool: append: %w", err)
	}
	for i := range recs {
		recs[i].index = index + 1 + uint64(i)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.lanes[stream]
	if l.last == 0 {
		l.first, l.oldest = index+1, recs[0].read
	}
	l.index += uint64(len(recs))
	l.last = l.index
	l.bytes += bytes
	return nil
}

// room is how many bytes both lanes together may hold after an append to stream.
func (s *Spool) room(stream messages.Stream) int64 {
	if stream == messages.Commands {
		return s.o.MaxBytes
	}
	return s.o.MaxBytes - s.o.MaxBytes/8 // interactions die within seconds: events never shut them out
}

// read returns up to n records of the lane with an index above after, in order. It stops early once it has
// maxBytes, but returns at least one where there is one. Nothing in them aliases the file.
func (s *Spool) read(stream messages.Stream, after uint64, n, maxBytes int) ([]record, error) {
	last := s.lane(stream).last
	if after >= last {
		return nil, nil
	}
	var recs []record
	err := s.file.view(func(tx *bolt.Tx) error {
		bytes := 0
		c := tx.Bucket(laneBuckets[stream]).Cursor()
		for k, v := c.Seek(indexKey(after + 1)); k != nil && keyIndex(k) <= last && len(recs) < n; k, v = c.Next() {
			if bytes += len(v); bytes > maxBytes && len(recs) > 0 {
				return nil
			}
			r, err := decodeRecord(keyIndex(k), v)
			if err != nil {
				return fmt.Errorf("%w: %w", errDamaged, err)
			}
			r.body = slices.Clone(r.body)
			recs = append(recs, r)
		}
		return nil
	})
	if err != nil && len(recs) == 0 {
		return nil, fmt.Errorf("stream: spool: read: %w", err)
	}
	return recs, nil // the next read says what is wrong behind them
}

// remove deletes the records of the lane up to the index upTo, and remembers stored as mark does.
func (s *Spool) remove(stream messages.Stream, upTo, stored uint64) error {
	s.write.Lock()
	defer s.write.Unlock()
	l := s.lane(stream)
	stored, upTo = max(stored, l.stored), min(upTo, l.last)
	if (l.last == 0 || upTo < l.first) && stored == l.stored {
		return nil
	}
	var kept spoolLane
	removing := func(tx *bolt.Tx) error {
		kept = spoolLane{index: l.index, stored: stored} // empty, unless something is behind upTo
		b := tx.Bucket(laneBuckets[stream])
		b.FillPercent = 1
		var gone []uint64 // deleting moves what a cursor stands on
		bytes := l.bytes
		c := b.Cursor()
		k, v := c.First()
		for ; k != nil && keyIndex(k) <= upTo; k, v = c.Next() {
			gone = append(gone, keyIndex(k))
			bytes -= recordCost(v)
		}
		if k != nil && keyIndex(k) <= l.last {
			kept.first, kept.last, kept.bytes, kept.oldest = keyIndex(k), l.last, bytes, l.oldest
			if r, err := decodeRecord(kept.first, v); err == nil {
				kept.oldest = r.read
			}
		}
		for _, index := range gone {
			if err := b.Delete(indexKey(index)); err != nil {
				return err
			}
		}
		return putStored(tx, stream, stored)
	}
	if err := s.file.update(removing); err != nil {
		return fmt.Errorf("stream: spool: remove: %w", err)
	}
	s.mu.Lock()
	s.lanes[stream] = kept
	s.mu.Unlock()
	s.shrink()
	return nil
}

// mark remembers the sequence number that the newest acknowledged event of the lane has in its stream. It
// is never lowered; resetMark is for a stream that was made again.
func (s *Spool) mark(stream messages.Stream, stored uint64) error {
	return s.remove(stream, 0, stored)
}

// resetMark remembers stored, also where it is lower.
func (s *Spool) resetMark(stream messages.Stream, stored uint64) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.file.update(func(tx *bolt.Tx) error { return putStored(tx, stream, stored) }); err != nil {
		return fmt.Errorf("stream: spool: reset mark: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lanes[stream].stored = stored
	return nil
}

// storedMark returns what the last mark, remove or resetMark remembered; 0 if none ever did.
func (s *Spool) storedMark(stream messages.Stream) uint64 { return s.lane(stream).stored }

// leftovers says what the lane held of each session when the spool was opened.
func (s *Spool) leftovers(stream messages.Stream) map[string]leftover {
	return maps.Clone(s.left[stream])
}

// bounds returns the indexes of the first and last record of the lane, 0 and 0 where there is none, and
// how many there are. They have no holes.
func (s *Spool) bounds(stream messages.Stream) (first, last uint64, n int) {
	l := s.lane(stream)
	return l.first, l.last, l.count()
}

// stats returns how much both lanes hold, and when the oldest of it was read: zero where there is nothing.
func (s *Spool) stats() (bytes int64, records int, oldest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.lanes {
		l := &s.lanes[i]
		bytes += l.bytes
		records += l.count()
		if l.last != 0 && (oldest.IsZero() || l.oldest.Before(oldest)) {
			oldest = l.oldest
		}
	}
	return bytes, records, oldest
}

// close waits for running calls. Later ones return ErrClosed. It may be called twice.
func (s *Spool) close() error {
	s.write.Lock()
	defer s.write.Unlock()
	return s.file.close()
}

func (s *Spool) lane(stream messages.Stream) spoolLane {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[stream]
}

func (l *spoolLane) count() int {
	if l.last == 0 {
		return 0
	}
	return int(l.last - l.first + 1)
}

func recordCost(value []byte) int64 { return int64(len(value)) + recordOverhead }

func putStored(tx *bolt.Tx, stream messages.Stream, stored uint64) error {
	return tx.Bucket(storedBucket).Put(laneBuckets[stream], indexKey(stored))
}
