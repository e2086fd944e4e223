package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// spoolFile is a bbolt file: locked by one process, changed by transactions that happen whole or not
// at all. Any goroutine may read and write it; whoever calls replace sees to it that nobody writes.
type spoolFile struct {
	path string
	grow int64 // bytes that it may reach by appending

	gate sync.RWMutex // held for writing while db is exchanged
	db   *bolt.DB     // nil once closed
}

const (
	// spoolPage is bbolt's page in bytes. A leaf has at least two records and is rounded up to whole pages, so
	// small pages waste much: with the common 4 KiB, 2,100-byte records take twice their size, and usual events a third
	// more; with 64 KiB usual events take 5 % more. Larger pages make small commits dear: each writes about four.
	// With large pages the list of free pages is short too, so it can be kept in the file: without it, bbolt would
	// read the whole file on opening and after each failed write, in a goroutine whose panic nobody can catch.
	spoolPage = 64 << 10

	// spoolReserve are bytes in the file that hold nothing. On a full disk they are what removing needs: bbolt
	// writes new pages before it frees old ones. Once they are spent nothing is appended until they are there again.
	spoolReserve = 8 * spoolPage

	// spoolLockWait is how long an ending process, whose place we take, has to let go.
	spoolLockWait = time.Second
)

var reserveBucket = []byte("reserve")

// errDamaged means that the file is not, or no more, what bbolt or drover wrote.
var errDamaged = errors.New("damaged")

// openSpoolFile opens path, or makes it. Errors: ErrSpoolInUse, errDamaged, or the operating system's.
func openSpoolFile(path string, maxBytes int64) (*spoolFile, error) {
	f := &spoolFile{path: path, grow: maxBytes + maxBytes/2 + 8<<20}
	for began := time.Now(); ; {
		db, opened, err := f.open(path, false)
		if err != nil {
			return nil, err
		}
		// The process that had the lock may have replaced the file meanwhile: then we hold a lock on a
		// file that has no name any more.
		mine, err1 := opened.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, named) {
			f.db = db
			_ = os.Remove(f.replacement()) // left by a replace that did not end
			return f, nil
		}
		_ = db.Close()
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if time.Since(began) > spoolLockWait {
			return nil, ErrSpoolInUse
		}
	}
}

func (f *spoolFile) replacement() string { return f.path + ".new" }

func (f *spoolFile) open(path string, readOnly bool) (db *bolt.DB, opened *os.File, err error) {
	o := &bolt.Options{
		Timeout:      spoolLockWait,
		PageSize:     spoolPage,
		FreelistType: bolt.FreelistMapType,
		ReadOnly:     readOnly,
		NoStatistics: true,
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			var err error
			opened, err = os.OpenFile(name, flag, perm)
			return opened, err
		},
	}
	if runtime.GOOS != "windows" && strconv.IntSize == 64 {
		// Address space only, and once: a map that grows later waits for readers, and may fail in the midst of an outage.
		o.InitialMmapSize = int(f.grow + 64<<20)
	}
	err = guarded(func() error {
		var err error
		db, err = bolt.Open(path, 0o600, o)
		return err
	})
	switch errno := syscall.Errno(0); {
	case err == nil:
		// The step by which the file grows. Each one is a sync more.
		db.AllocSize = int(min(max(f.grow/96, 1<<20), 4<<20))
		return db, opened, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, nil, ErrSpoolInUse
	case errors.Is(err, errDamaged):
		if opened != nil { // bbolt fell over it and left it open, mapped and locked. The map stays: nobody knows where it is.
			unlockFile(opened)
			_ = opened.Close()
		}
		return nil, nil, err
	case errors.As(err, &errno):
		return nil, nil, pathReason(err)
	}
	return nil, nil, fmt.Errorf("%w: %w", errDamaged, err)
}

// view calls fn with a snapshot of the file. What fn keeps it must copy.
func (f *spoolFile) view(fn func(*bolt.Tx) error) error {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.db == nil {
		return ErrClosed
	}
	return guarded(func() error { return f.db.View(fn) })
}

// update commits what fn does, synced, or nothing of it. Where the disk is full it spends the reserve, and calls fn once
// more. Only one caller at a time.
func (f *spoolFile) update(fn func(*bolt.Tx) error) error {
	err := f.commit(0, fn)
	if err == nil || errors.Is(err, errDamaged) || errors.Is(err, ErrClosed) {
		return err
	}
	// The two pages that this takes are there: the last commit freed as many.
	if f.commit(0, func(tx *bolt.Tx) error { return tx.DeleteBucket(reserveBucket) }) != nil {
		return err
	}
	return f.commit(0, fn)
}

// extend is update for a change that must not make the file larger than grow says, and must leave the reserve alone.
func (f *spoolFile) extend(fn func(*bolt.Tx) error) error {
	return f.commit(int(f.grow), func(tx *bolt.Tx) error { return errors.Join(putReserve(tx), fn(tx)) })
}

// putReserve fills the reserve if it is spent.
func putReserve(tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(reserveBucket)
	if err != nil || b.Get(reserveBucket) != nil {
		return err
	}
	return b.Put(reserveBucket, make([]byte, spoolReserve))
}

func (f *spoolFile) commit(maxSize int, fn func(*bolt.Tx) error) error {
	f.gate.RLock()
	defer f.gate.RUnlock()
	if f.db == nil {
		return ErrClosed
	}
	f.db.MaxSize = maxSize
	return guarded(func() error { return f.db.Update(fn) })
}

// intact finds a file whose end is missing. What is behind a file's end cannot be read: the process
// would be killed for it.
func (f *spoolFile) intact() error {
	size, err := f.size()
	if err != nil {
		return err
	}
	return f.view(func(tx *bolt.Tx) error {
		if tx.Size() > size {
			return fmt.Errorf("%w: has %d of %d bytes", errDamaged, size, tx.Size())
		}
		return nil
	})
}

func (f *spoolFile) size() (int64, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// replace puts a new file in the place of the old one, whose space it gives back: bbolt itself never
// makes a file smaller. fill writes what must live on. Whatever happens, one of the two stands there,
// whole. Nobody may write meanwhile.
func (f *spoolFile) replace(fill func(old *bolt.Tx, to *bolt.DB) error) error {
	name := f.replacement()
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, _, err := f.open(name, false)
	if err != nil {
		return err
	}
	err = f.view(func(old *bolt.Tx) error { return fill(old, db) })
	if err == nil {
		err = os.Rename(name, f.path) // its lock is ours already: the place is never free
	}
	if err != nil {
		_ = db.Close()
		_ = os.Remove(name)
		return err
	}
	syncDir(filepath.Dir(f.path))
	f.gate.Lock()
	old := f.db
	f.db = db
	f.gate.Unlock()
	return old.Close()
}

func (f *spoolFile) close() error {
	f.gate.Lock()
	defer f.gate.Unlock()
	if f.db == nil {
		return nil
	}
	db := f.db
	f.db = nil
	return db.Close()
}

// guarded turns panics into errDamaged: that is how bbolt speaks of pages that make no sense, and how
// memory speaks whose disk has gone.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return fn()
}

// syncDir makes a rename last. Where directories cannot be synced, nothing can be done about it.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
