package stream

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"drover/messages"
)

func TestSpoolFile_is_for_one_process(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(t, dir, 1<<30)
	s.big = 0 // every remove exchanges the file
	opened := make(chan error)
	go func() { // ends when the lock was not had
		_, err := OpenSpool(SpoolOptions{Dir: dir, MaxBytes: 1 << 30})
		opened <- err
	}()
	for {
		select {
		case err := <-opened:
			var in *SpoolError
			if !errors.Is(err, ErrSpoolInUse) || !errors.As(err, &in) || !strings.Contains(err.Error(), "spool.dir "+dir) {
				t.Errorf("got %v, want %v", err, ErrSpoolInUse)
			}
			return
		default:
			mustRemove(t, s, messages.Events, mustAppend(t, s, messages.Events, spoolRecord(1, 100)), 0)
		}
	}
}

func TestSpoolFile_says_what_is_wrong_with_its_directory(t *testing.T) {
	locked := t.TempDir()
	if err := os.Chmod(locked, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(locked), 0o755); err != nil { // nobody must come here
		t.Fatal(err)
	}
	tests := []struct{ name, dir, want string }{
		{"none", "", "not given"},
		{"a file", writeFile(t, "file", "x"), "not a directory"},
		{"not ours", filepath.Join(locked, "spool"), "permission denied"},
		{"not writable", locked, "permission denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := withoutRoot(t, func() error {
				_, err := OpenSpool(SpoolOptions{Dir: tt.dir, MaxBytes: 1 << 20})
				return err
			})
			var in *SpoolError
			if !errors.As(err, &in) || in.Dir != tt.dir || err.Error() != "stream: spool.dir "+tt.dir+": "+tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSpoolFile_notes_what_was_shed(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(t, dir, 1)
	a, b := shedNote{ShardID: 7, Session: "a", Before: 10, From: 5, To: 6, Count: 1}, shedNote{ShardID: 2, Session: ""}
	for _, n := range []shedNote{{ShardID: 7, Session: "a"}, b, {ShardID: 9, Session: "c"}, a} {
		if err := s.noteShed(n); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.clearShed("c"); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got := s.sheds(); !slices.Equal(got, []shedNote{b, a}) {
			t.Errorf("got %v, want %v", got, []shedNote{b, a})
		}
		_ = s.close()
		s = newSpool(t, dir, 1)
	}
}

// A commit whose last sync fails was called failed, and may be there nevertheless.
func TestSpoolFile_takes_a_failed_commit_back(t *testing.T) {
	s := newSpool(t, t.TempDir(), 1<<20)
	mustAppend(t, s, messages.Events, spoolRecords(1, 2, 100)...)
	ghost, _ := new(record).encode()
	err := s.file.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(laneBuckets[messages.Events])
		return errors.Join(b.Put(indexKey(3), ghost), b.Put(indexKey(4), ghost), b.SetSequence(4))
	})
	if err != nil {
		t.Fatal(err)
	}
	sameRecords(t, readAll(t, s, messages.Events)[:2:2], []record{indexed(spoolRecord(1, 100), 1), indexed(spoolRecord(2, 100), 2)})
	if got := mustAppend(t, s, messages.Events, spoolRecord(3, 100)); got != 3 {
		t.Errorf("got index %d, want 3", got)
	}
	if got := readAll(t, s, messages.Events); len(got) != 3 || !sameRecord(got[2], indexed(spoolRecord(3, 100), 3)) {
		t.Errorf("got %d records, want 3", len(got))
	}
	mustRemove(t, s, messages.Events, 3, 0)
	if _, n, _ := s.stats(); n != 0 {
		t.Errorf("got %d records, want none", n)
	}
}

func indexed(r record, index uint64) record { r.index = index; return r }

// One goroutine appends, one reads and removes, others look on: everything comes out once, in order.
func TestSpoolFile_serves_many_goroutines(t *testing.T) {
	const events, batch = 2000, 20
	s := newSpool(t, t.TempDir(), 1<<30)
	s.big = 5 << 20
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for seq := int64(1); seq <= events; seq += batch {
			if err := s.append(messages.Events, spoolRecords(seq, batch, 2000)); err != nil {
				t.Error(err)
			}
			if err := s.append(messages.Commands, spoolRecords(seq, 1, 100)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		defer close(done)
		var after uint64
		for after < events && !t.Failed() {
			recs, err := s.read(messages.Events, after, 64, 1<<20)
			if err != nil {
				t.Error(err)
			}
			for _, r := range recs {
				if after++; !sameRecord(r, indexed(spoolRecord(int64(after), 2000), after)) {
					t.Errorf("record %d is another one", after)
				}
			}
			if len(recs) > 0 {
				if err := errors.Join(s.remove(messages.Events, after, after), s.remove(messages.Commands, after/batch, 0)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.stats()
				s.bounds(messages.Commands)
				if err := s.noteShed(shedNote{Session: "x"}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
}

// Any sequence of calls, with the process ending in between, does what a slice would do.
func TestSpoolFile_is_a_queue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(scratch, "queue")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		const maxBytes = 1 << 20
		open := func() *Spool {
			s, err := OpenSpool(SpoolOptions{Dir: dir, MaxBytes: maxBytes})
			if err != nil {
				t.Fatal(err)
			}
			s.big = 2 << 20
			s.file.db.NoSync = true // for speed: nothing crashes here
			return s
		}
		s := open()
		defer func() { _ = s.close() }()
		var want [messages.Streams][]record
		var index, stored [messages.Streams]uint64
		seq := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				stream := messages.Stream(rapid.IntRange(0, messages.Streams-1).Draw(t, "stream"))
				recs := spoolRecords(seq+1, rapid.IntRange(1, 8).Draw(t, "n"), rapid.SampledFrom([]int{0, 50, 3000, 40_000}).Draw(t, "size"))
				held, _, _ := s.stats()
				switch err := s.append(stream, recs); {
				case errors.Is(err, errSpoolFull):
					if held < 500_000 { // the largest batch has 320 KB
						t.Fatalf("full with %d bytes", held)
					}
				case err != nil:
					t.Fatal(err)
				default:
					seq += int64(len(recs))
					index[stream] += uint64(len(recs))
					want[stream] = append(want[stream], recs...)
				}
			},
			"remove": func(t *rapid.T) {
				stream := messages.Stream(rapid.IntRange(0, messages.Streams-1).Draw(t, "stream"))
				n := rapid.IntRange(0, len(want[stream])).Draw(t, "n")
				upTo := index[stream] - uint64(len(want[stream])) + uint64(n)
				mark := rapid.Uint64Range(0, 1000).Draw(t, "stored")
				if err := s.remove(stream, upTo, mark); err != nil {
					t.Fatal(err)
				}
				want[stream], stored[stream] = want[stream][n:], max(stored[stream], mark)
			},
			"reopen": func(t *rapid.T) {
				if err := s.close(); err != nil {
					t.Fatal(err)
				}
				s = open()
				for stream := range want {
					left := 0
					for _, of := range s.leftovers(messages.Stream(stream)) {
						left += of.left
					}
					if left != len(want[stream]) {
						t.Fatalf("%d left over, want %d", left, len(want[stream]))
					}
				}
			},
			"": func(t *rapid.T) {
				bytes, n := int64(0), 0
				for stream := range want {
					got, err := s.read(messages.Stream(stream), 0, math.MaxInt, math.MaxInt)
					if err != nil || !slices.EqualFunc(got, want[stream], sameRecord) {
						t.Fatalf("got %d records (%v), want %d; or other ones", len(got), err, len(want[stream]))
					}
					if got := s.storedMark(messages.Stream(stream)); got != stored[stream] {
						t.Fatalf("got mark %d, want %d", got, stored[stream])
					}
					for _, r := range want[stream] {
						v, _ := r.encode()
						bytes, n = bytes+recordCost(v), n+1
					}
				}
				if b, got, _ := s.stats(); b != bytes || got != n {
					t.Fatalf("got %d bytes, %d records, want %d, %d", b, got, bytes, n)
				}
			},
		})
	})
}
