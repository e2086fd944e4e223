package stream

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"drover/messages"
)

func newSpool(t testing.TB, dir string, maxBytes int64) *Spool {
	t.Helper()
	s, err := OpenSpool(SpoolOptions{Dir: dir, MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

var spoolPattern = func() []byte {
	b := make([]byte, 1<<18)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// spoolRecord is a record whose bytes follow from its number.
func spoolRecord(seq int64, size int) record {
	body := slices.Clone(spoolPattern[uint64(seq)%997:][:size])
	return record{
		name: "MESSAGE_CREATE", typ: "message.create", subject: "message.create", shardID: int(seq % 3),
		session: fmt.Sprintf("0123456789abcdef0123456789abcde%d", seq%3), seq: seq, read: time.UnixMilli(1_700_000_000_000 + seq),
		id: messages.EventID("x", seq), data: size, trace: spoolTrace(seq), body: body,
	}
}

// spoolTrace is the trace of every fifth record.
func spoolTrace(seq int64) *messages.Trace {
	if seq%5 != 0 {
		return nil
	}
	return &messages.Trace{TraceID: [16]byte{15: byte(seq), 0: 1}, SpanID: [8]byte{7: byte(seq), 0: 1}}
}

func spoolRecords(from int64, n, size int) []record {
	recs := make([]record, n)
	for i := range recs {
		recs[i] = spoolRecord(from+int64(i), size)
	}
	return recs
}

// mustAppend returns the index of the last record.
func mustAppend(t testing.TB, s *Spool, stream messages.Stream, recs ...record) uint64 {
	t.Helper()
	if err := s.append(stream, recs); err != nil {
		t.Fatal(err)
	}
	return recs[len(recs)-1].index
}

func mustRemove(t testing.TB, s *Spool, stream messages.Stream, upTo, stored uint64) {
	t.Helper()
	if err := s.remove(stream, upTo, stored); err != nil {
		t.Fatal(err)
	}
}

// readAll reads a lane in small steps.
func readAll(t testing.TB, s *Spool, stream messages.Stream) []record {
	t.Helper()
	var all []record
	var after uint64
	for {
		recs, err := s.read(stream, after, 7, 64<<10)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 {
			return all
		}
		all = append(all, recs...)
		after = recs[len(recs)-1].index
	}
}

func sameRecord(a, b record) bool {
	at, bt, body := a.read, b.read, bytes.Equal(a.body, b.body)
	return body && at.Equal(bt) && a.index == b.index && a.name == b.name && a.typ == b.typ && a.subject == b.subject && a.shardID == b.shardID &&
		a.session == b.session && a.seq == b.seq && a.id == b.id && a.own == b.own && a.data == b.data
}

func sameRecords(t testing.TB, got, want []record) {
	t.Helper()
	if !slices.EqualFunc(got, want, sameRecord) {
		t.Fatalf("got %d records, want %d; or other ones", len(got), len(want))
	}
}

func TestSpoolFile_survives_the_process(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "it")
	s := newSpool(t, dir, 1<<30)
	events := slices.Concat(spoolRecords(1, 20, 300), spoolRecords(21, 3, 200_000))
	events[4].own = true
	commands := spoolRecords(100, 5, 900)
	mustAppend(t, s, messages.Events, events[:20]...)
	mustAppend(t, s, messages.Commands, commands...)
	mustAppend(t, s, messages.Events, events[20:]...)
	mustRemove(t, s, messages.Events, 2, 77)
	mustRemove(t, s, messages.Events, 1, 50) // neither lowers the mark nor removes anything
	check := func() {
		t.Helper()
		sameRecords(t, readAll(t, s, messages.Events), events[2:])
		sameRecords(t, readAll(t, s, messages.Commands), commands)
		if first, last, n := s.bounds(messages.Events); first != 3 || last != 23 || n != 21 {
			t.Errorf("got bounds %d to %d, %d records, want 3 to 23, 21 records", first, last, n)
		}
		if got := s.storedMark(messages.Events); got != 77 {
			t.Errorf("got mark %d, want 77", got)
		}
		if size, n, oldest := s.stats(); n != 26 || size < 600_000 || size > 620_000 || !oldest.Equal(events[2].read) {
			t.Errorf("got %d bytes, %d records, oldest %v", size, n, oldest)
		}
	}
	check()
	if got := s.leftovers(messages.Events); len(got) != 0 {
		t.Errorf("got leftovers %v of a new spool", got)
	}
	for range 2 {
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.append(messages.Events, events[:1]); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v from a closed spool, want %v", err, ErrClosed)
	}
	s = newSpool(t, dir, 1<<30)
	check()
	left := s.leftovers(messages.Events)
	// Of shard 2: 2, 5 (a life-cycle event), 8, … 23; 2 was removed.
	if got, want := left[events[1].session], (leftover{shardID: 2, first: 8, last: 23, left: 6, at: events[22].read}); len(left) != 3 || got != want {
		t.Errorf("got leftovers %+v, want of shard 2: %+v", left, want)
	}

	// An index is never used again, and an empty lane stays usable.
	mustRemove(t, s, messages.Events, math.MaxUint64, 0)
	mustRemove(t, s, messages.Commands, math.MaxUint64, 9)
	if first, last, n := s.bounds(messages.Events); first != 0 || last != 0 || n != 0 {
		t.Errorf("got bounds %d to %d, %d records of an empty lane", first, last, n)
	}
	if size, n, oldest := s.stats(); size != 0 || n != 0 || !oldest.IsZero() {
		t.Errorf("got %d bytes, %d records, oldest %v of an empty spool", size, n, oldest)
	}
	_ = s.close()
	s = newSpool(t, dir, 1<<30)
	if got := mustAppend(t, s, messages.Events, spoolRecord(24, 10)); got != 24 {
		t.Errorf("got index %d, want 24", got)
	}
	if err := s.resetMark(messages.Events, 3); err != nil || s.storedMark(messages.Events) != 3 {
		t.Errorf("got mark %d (%v), want 3", s.storedMark(messages.Events), err)
	}
	if err := s.mark(messages.Events, 4); err != nil || s.storedMark(messages.Events) != 4 {
		t.Errorf("got mark %d (%v), want 4", s.storedMark(messages.Events), err)
	}
}

func TestSpoolFile_reads_in_portions(t *testing.T) {
	s := newSpool(t, t.TempDir(), 1<<20)
	mustAppend(t, s, messages.Events, spoolRecords(1, 10, 1000)...)
	tests := []struct {
		name        string
		after       uint64
		n, maxBytes int
		want        []uint64
	}{
		{"number", 0, 3, 1 << 20, []uint64{1, 2, 3}},
		{"bytes", 3, 10, 2500, []uint64{4, 5}},
		{"one at least", 3, 10, 1, []uint64{4}},
		{"end", 8, 10, 1 << 20, []uint64{9, 10}},
		{"behind the end", 10, 10, 1 << 20, nil},
		{"far behind the end", math.MaxUint64, 10, 1 << 20, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			recs, err := s.read(messages.Events, tt.after, tt.n, tt.maxBytes)
			var got []uint64
			for _, r := range recs {
				got = append(got, r.index)
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

// usualSize is a size in bytes like those of Discord's events: most around 1 KB, some of 60 KB.
func usualSize() int { return max(300, min(60_000, int(1300*math.Exp(rand.NormFloat64())))) }

func TestSpoolFile_is_bounded(t *testing.T) {
	const maxBytes = 16 << 20
	s := newSpool(t, t.TempDir(), maxBytes)
	s.file.db.NoSync = true // for speed: nothing crashes here
	seq := int64(0)
	fill := func(stream messages.Stream, size func() int) {
		t.Helper()
		for {
			var recs []record
			for range 32 {
				seq++
				recs = append(recs, spoolRecord(seq, size()))
			}
			if err := s.append(stream, recs); errors.Is(err, errSpoolFull) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(messages.Events, usualSize)
	size, _, _ := s.stats()
	if size > maxBytes*7/8 || size < maxBytes*3/4 {
		t.Errorf("events fill %d of %d bytes, want up to 7/8", size, maxBytes)
	}
	onDisk, _ := s.file.size()
	t.Logf("usual events: %d bytes held, %d on disk: ×%.2f", size, onDisk, float64(onDisk)/float64(size))
	if onDisk > size*6/5+2<<20 {
		t.Errorf("%d bytes of usual events take %d on disk", size, onDisk)
	}
	fill(messages.Commands, usualSize) // not locked out
	if size, _, _ = s.stats(); size > maxBytes || size < maxBytes*15/16 {
		t.Errorf("both lanes hold %d of %d bytes", size, maxBytes)
	}
	if err := s.append(messages.Events, []record{spoolRecord(0, 1)}); !errors.Is(err, errSpoolFull) {
		t.Errorf("got %v, want %v", err, errSpoolFull)
	}

	// Space is used again: four times its size runs through it, in sizes that fit pages badly.
	for round := range 8 {
		for _, stream := range []messages.Stream{messages.Events, messages.Commands} {
			first, last, _ := s.bounds(stream)
			mustRemove(t, s, stream, (first+last)/2, 0)
		}
		bad := []func() int{usualSize, func() int { return 22_000 }, func() int { return 33_000 }, usualSize}[round%4]
		fill(messages.Events, bad)
		fill(messages.Commands, bad)
	}
	size, n, _ := s.stats()
	onDisk, _ = s.file.size()
	t.Logf("after much use: %d records, %d bytes held, %d on disk: ×%.2f", n, size, onDisk, float64(onDisk)/float64(size))
	if onDisk > maxBytes*3/2+8<<20 {
		t.Errorf("%d bytes on disk, bound is %d", onDisk, maxBytes)
	}
	for _, stream := range []messages.Stream{messages.Events, messages.Commands} {
		if _, _, n := s.bounds(stream); len(readAll(t, s, stream)) != n || n == 0 {
			t.Errorf("not all of %d records can be read", n)
		}
	}
}

func TestSpoolFile_gives_the_disk_back_when_it_is_empty(t *testing.T) {
	dir := t.TempDir()
	s := newSpool(t, dir, 1<<30)
	s.big = 8 << 20
	note := shedNote{ShardID: 1, Session: "s", Before: 3, From: 1, To: 2, Count: 3}
	if err := s.noteShed(note); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, messages.Commands, spoolRecords(1, 3, 100)...)
	last := mustAppend(t, s, messages.Events, spoolRecords(1, 1000, 10_000)...)
	mustRemove(t, s, messages.Events, last, 4711)
	if size, _ := s.file.size(); size < s.big {
		t.Fatalf("got %d bytes while there are commands", size)
	}
	mustRemove(t, s, messages.Commands, 3, 42)
	for range 2 {
		if size, _ := s.file.size(); size > s.big {
			t.Errorf("got %d bytes of an empty file", size)
		}
		if got := s.sheds(); len(got) != 1 || got[0] != note {
			t.Errorf("got notes %v", got)
		}
		if e, c := s.storedMark(messages.Events), s.storedMark(messages.Commands); e != 4711 || c != 42 {
			t.Errorf("got marks %d and %d", e, c)
		}
		if got := mustAppend(t, s, messages.Events, spoolRecord(1, 100)); got <= last {
			t.Errorf("got index %d again", got)
		}
		last++
		_ = s.close()
		s = newSpool(t, dir, 1<<30)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("got files %v, want one", files)
	}
}
