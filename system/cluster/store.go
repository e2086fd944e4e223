package cluster

import (
	"context"
	"errors"
)

// Store is one bucket of keys that all nodes of a bot share. Any goroutine may call its methods.
//
// Every write is a compare-and-set. An error that is none of ErrExists, ErrChanged and ErrNotFound means "unknown": the
// write may have happened, and it may still happen later.
type Store interface {
	// Create writes a key that does not exist, and returns its first revision. ErrExists: it does.
	Create(ctx context.Context, key string, value []byte) (revision uint64, err error)
	// Update replaces the value that has this revision, and begins the key's life anew. ErrChanged: it has another
	// revision, or it expired or was deleted.
	Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Delete removes the value that has this revision. ErrChanged as in Update.
	Delete(ctx context.Context, key string, revision uint64) error
	// Get reads one key. ErrNotFound: there is none.
	Get(ctx context.Context, key string) (Entry, error)
	// List reads all keys. It is the truth.
	List(ctx context.Context) ([]Entry, error)
	// Watch calls changed for every change that it hears of, one at a time, and returns when ctx ends or when it hears
	// nothing more. It is a hint and never the truth: changes may be missed. changed must not block.
	Watch(ctx context.Context, changed func(Entry)) error
}

// Entry is one key as it was at a revision. Revisions of a store rise with every write. In what Watch tells, revision 0 says
// that the key is gone, Deleted that somebody deleted it: it did not run out, nor did its bucket go; and Gone the revision of its
// end, 0 where that is not known.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Deleted  bool
	Gone     uint64
}

// The outcomes of a Store that say for certain what happened.
var (
	ErrExists   = errors.New("the key exists")
	ErrChanged  = errors.New("the key has another revision or is gone")
	ErrNotFound = errors.New("there is no such key")
)

// known reports that err says for certain what happened: the store answered.
func known(err error) bool {
	return err == nil || errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound)
}
