package stream

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// shedNote says what was dropped of a session while the spool was full. The spool keeps it until the gap
// was told, also over a restart; it does not count against MaxBytes.
type shedNote struct {
	ShardID int    `json:"shard_id"`
	Session string `json:"session"`
	Before  int64  `json:"before"` // sequence number before the first dropped
	From    int64  `json:"from"`   // Unix milliseconds
	To      int64  `json:"to"`
	Count   int    `json:"count"`
}

// noteShed replaces the note of the session. After an error it is in memory only: sheds has it, the next
// process will not.
func (s *Spool) noteShed(n shedNote) error {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	s.shed[n.Session] = n
	s.mu.Unlock()
	b, err := json.Marshal(n)
	if err == nil {
		err = s.file.update(func(tx *bolt.Tx) error { return tx.Bucket(shedBucket).Put(shedKey(n.Session), b) })
	}
	if err != nil {
		return fmt.Errorf("stream: spool: note what was shed: %w", err)
	}
	return nil
}

// sheds returns all notes, by shard.
func (s *Spool) sheds() []shedNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.shed), func(a, b shedNote) int {
		return cmp.Or(cmp.Compare(a.ShardID, b.ShardID), cmp.Compare(a.Session, b.Session))
	})
}

// clearShed forgets the note of the session, if there is one. After an error the next process will find it.
func (s *Spool) clearShed(session string) error {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	_, ok := s.shed[session]
	delete(s.shed, session)
	s.mu.Unlock()
	if !ok {
		return nil
	}
	if err := s.file.update(func(tx *bolt.Tx) error { return tx.Bucket(shedBucket).Delete(shedKey(session)) }); err != nil {
		return fmt.Errorf("stream: spool: clear what was shed: %w", err)
	}
	return nil
}

func (s *Spool) loadSheds(tx *bolt.Tx) error {
	s.shed = make(map[string]shedNote)
	return tx.Bucket(shedBucket).ForEach(func(_, v []byte) error {
		var n shedNote
		if err := json.Unmarshal(v, &n); err != nil {
			return fmt.Errorf("%w: note of what was shed: %w", errDamaged, err)
		}
		s.shed[n.Session] = n
		return nil
	})
}

// shedKey is never empty, as bbolt demands.
func shedKey(session string) []byte { return []byte("session " + session) }
