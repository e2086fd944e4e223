package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// SpoolError says that the spool cannot keep its file in Dir: what the operating system said, or
// ErrSpoolInUse.
type SpoolError struct {
	Dir string
	Err error
}

func (e *SpoolError) Error() string { return fmt.Sprintf("stream: spool.dir %s: %v", e.Dir, e.Err) }

// Unwrap returns the cause.
func (e *SpoolError) Unwrap() error { return e.Err }

// ErrSpoolInUse means that another process has its spool in the same directory.
var ErrSpoolInUse = errors.New("another drover uses it; give each its own")

// leftover is what the spool held of a session when it was opened, life-cycle events not counted.
type leftover struct {
	shardID     int
	first, last int64 // sequence numbers
	left        int
	at          time.Time // when the newest was read
}

// OpenSpool opens Dir/spool.db or makes it. A file that is damaged is moved aside, with an error in the
// log, and a new one takes what can be read of it: a node must start. Errors are of type *SpoolError.
func OpenSpool(o SpoolOptions) (*Spool, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Spool{o: o, big: 64 << 20}
	if err := s.start(); err != nil {
		return nil, &SpoolError{o.Dir, err}
	}
	s.shrink()
	return s, nil
}

func (s *Spool) start() error {
	if s.o.Dir == "" {
		return errors.New("not given")
	}
	if err := os.MkdirAll(s.o.Dir, 0o750); err != nil {
		return pathReason(err)
	}
	path := filepath.Join(s.o.Dir, "spool.db")
	err := s.open(path)
	if !errors.Is(err, errDamaged) {
		return err
	}
	aside := fmt.Sprintf("%s.broken-%d", path, time.Now().Unix())
	if err := os.Rename(path, aside); err != nil {
		return pathReason(err)
	}
	syncDir(s.o.Dir)
	file, err2 := openSpoolFile(path, s.o.MaxBytes)
	if err2 != nil {
		return err2
	}
	err3 := file.salvage(aside)
	_ = file.close()
	if err := s.open(path); err != nil {
		return err
	}
	_, records, _ := s.stats()
	s.o.Log.Error("spool file is damaged, moved it aside and began a new one", "path", path, "aside", aside, "err", err,
		"salvaged", records, "salvage_err", err3)
	return nil
}

// open opens the file and reads it from end to end, so that whatever is wrong with it shows now.
func (s *Spool) open(path string) error {
	file, err := openSpoolFile(path, s.o.MaxBytes)
	if err != nil {
		return err
	}
	if err = file.intact(); err == nil {
		err = file.view(hasBuckets)
	}
	if errors.Is(err, errNoBuckets) {
		err = file.update(makeBuckets)
	}
	if err == nil {
		err = file.view(s.load)
	}
	if err != nil {
		_ = guarded(file.close)
		return err
	}
	s.file = file
	return nil
}

// errNoBuckets means that the file is new. Only then opening it writes: the disk may be full.
var errNoBuckets = errors.New("no buckets")

func hasBuckets(tx *bolt.Tx) error {
	for _, name := range append(laneBuckets[:], storedBucket, shedBucket) {
		if tx.Bucket(name) == nil {
			return errNoBuckets
		}
	}
	return nil
}

func makeBuckets(tx *bolt.Tx) error {
	for _, name := range append(laneBuckets[:], storedBucket, shedBucket) {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return putReserve(tx)
}

// load fills memory from the file. It returns errDamaged for what makes no sense.
func (s *Spool) load(tx *bolt.Tx) error {
	for stream, name := range laneBuckets {
		l, left := spoolLane{}, make(map[string]leftover)
		if v := tx.Bucket(storedBucket).Get(name); len(v) == 8 {
			l.stored = keyIndex(v)
		}
		b := tx.Bucket(name)
		err := scan(b, func(r *record, value []byte) error {
			if l.last == 0 {
				l.first, l.oldest = r.index, r.read
			}
			l.last = r.index
			l.bytes += recordCost(value)
			if r.own {
				return nil
			}
			of, ok := left[r.session]
			if !ok {
				of = leftover{shardID: r.shardID, first: r.seq}
			}
			of.last = max(of.last, r.seq)
			of.left++
			if r.read.After(of.at) {
				of.at = r.read
			}
			left[r.session] = of
			return nil
		})
		if err != nil {
			return err
		}
		l.index = max(b.Sequence(), l.last)
		s.lanes[stream], s.left[stream] = l, left
	}
	return s.loadSheds(tx)
}

// scan calls fn with the records of a lane in order, until one is not what was written.
func scan(b *bolt.Bucket, fn func(r *record, value []byte) error) error {
	var before uint64
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 8 || before != 0 && keyIndex(k) != before+1 {
			return fmt.Errorf("%w: key %x behind record %d", errDamaged, k, before)
		}
		before = keyIndex(k)
		r, err := decodeRecord(before, v)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		if err := fn(&r, v); err != nil {
			return err
		}
	}
	return nil
}

// salvage copies what can be read of a damaged file. Of each lane that is what stands before the first
// damage: with a hole in it, a session's last event in the spool would no more say that those before it
// are there too, and Discord would not be asked for them.
func (f *spoolFile) salvage(aside string) error {
	db, _, err := f.open(aside, true)
	if err != nil {
		return err
	}
	defer func() { _ = guarded(db.Close) }()
	err = guarded(func() error {
		return db.View(func(old *bolt.Tx) error { return f.db.Update(func(tx *bolt.Tx) error { return copyNotes(old, tx) }) })
	})
	for _, name := range laneBuckets {
		err = errors.Join(err, guarded(func() error {
			return db.View(func(old *bolt.Tx) error { return f.copyLane(old.Bucket(name), name) })
		}))
	}
	return err
}

// copyLane copies records in transactions of a few MB each.
func (f *spoolFile) copyLane(old *bolt.Bucket, name []byte) error {
	if old == nil {
		return nil
	}
	var from uint64
	var values [][]byte
	size := 0
	flush := func() error {
		err := f.update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			b.FillPercent = 1
			for i, v := range values {
				if err := b.Put(indexKey(from+uint64(i)), v); err != nil {
					return err
				}
			}
			return nil
		})
		values, size = values[:0], 0
		return err
	}
	err := scan(old, func(r *record, value []byte) error {
		if len(values) == 0 {
			from = r.index
		}
		values = append(values, value)
		if size += len(value); size < 4<<20 {
			return nil
		}
		return flush()
	})
	return errors.Join(err, flush())
}

// copyNotes copies all but the records: counters, marks, sheds.
func copyNotes(old, tx *bolt.Tx) error {
	if err := makeBuckets(tx); err != nil {
		return err
	}
	for _, name := range laneBuckets {
		if from := old.Bucket(name); from != nil {
			if err := tx.Bucket(name).SetSequence(from.Sequence()); err != nil {
				return err
			}
		}
	}
	for _, name := range [][]byte{storedBucket, shedBucket} {
		from := old.Bucket(name)
		if from == nil {
			continue
		}
		if err := from.ForEach(tx.Bucket(name).Put); err != nil {
			return err
		}
	}
	return nil
}

// shrink exchanges a large file for a small one when it is empty. It is worth a try and no more: a file that
// stays large is used again.
func (s *Spool) shrink() {
	if _, records, _ := s.stats(); records > 0 {
		return
	}
	size, err := s.file.size()
	if err == nil && size <= s.big {
		return
	}
	if err == nil {
		err = s.file.replace(func(old *bolt.Tx, to *bolt.DB) error {
			return to.Update(func(tx *bolt.Tx) error { return copyNotes(old, tx) })
		})
	}
	if err != nil {
		s.o.Log.Warn("spool file is empty and stays large", "path", s.file.path, "err", err)
	}
}
