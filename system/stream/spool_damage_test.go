package stream

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"drover/messages"
)

// Whatever has become of the file: the spool opens, keeps the file for a look, and gives out nothing wrong.
func TestSpoolFile_starts_over_from_a_damaged_file(t *testing.T) {
	const held = 500
	tests := []struct {
		name   string
		damage func(t *testing.T, path string, b []byte) []byte
		want   int // events that can be read still; -1: some
	}{
		{"garbage", func(*testing.T, string, []byte) []byte { return bytes.Repeat([]byte("no spool "), 50_000) }, 0},
		{"a few bytes", func(*testing.T, string, []byte) []byte { return []byte("x") }, 0},
		{"zeros", func(_ *testing.T, _ string, b []byte) []byte { return make([]byte, len(b)) }, 0},
		{"only the meta pages", func(_ *testing.T, _ string, b []byte) []byte { return b[:2*spoolPage] }, 0},
		{"half of it", func(_ *testing.T, _ string, b []byte) []byte {
			return b[:bytes.LastIndex(b, []byte("MESSAGE_CREATE"))/2] // the file is larger than what is in it
		}, -1},
		{"no end", func(_ *testing.T, _ string, b []byte) []byte {
			return b[:bytes.LastIndex(b, []byte("MESSAGE_CREATE"))] // inside of the last page that is used
		}, -1},
		{"another version of bbolt", func(_ *testing.T, _ string, b []byte) []byte {
			b[16+4]++
			b[spoolPage+16+4]++
			return b
		}, 0},
		{"one bit of an event", func(_ *testing.T, _ string, b []byte) []byte {
			i := bytes.Index(b, []byte(`"q":301,`))
			b[i+500] ^= 4
			return b
		}, 300},
		{"an event that a newer drover wrote", func(_ *testing.T, _ string, b []byte) []byte {
			i := bytes.Index(b, []byte(`{"t":"MESSAGE_CREATE","y":"message.create","u":"message.create","n":1,"s":"0123456789abcdef0123456789abcde1","q":301,`))
			b[i-recordPrefix] = recordVersion + 1
			return b
		}, 300},
		{"a hole", func(t *testing.T, path string, _ []byte) []byte {
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(laneBuckets[messages.Events]).Delete(indexKey(401)) })
			_ = db.Close()
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.ReadFile(path)
			return b
		}, 400},
		{"every page overwritten but the first four", func(_ *testing.T, _ string, b []byte) []byte {
			for i := 4 * spoolPage; i < len(b); i++ {
				b[i] = 0xff
			}
			return b
		}, 0},
		{"page headers overwritten", func(_ *testing.T, _ string, b []byte) []byte {
			for i := 2 * spoolPage; i < len(b); i += spoolPage {
				copy(b[i:], bytes.Repeat([]byte{0xee}, 64))
			}
			return b
		}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := newSpool(t, dir, 1<<30)
			mustAppend(t, s, messages.Events, spoolRecords(1, held, 2000)...)
			_ = s.close()
			path := filepath.Join(dir, "spool.db")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(t, path, b), 0o600); err != nil {
				t.Fatal(err)
			}
			out := new(bytes.Buffer)
			s, err = OpenSpool(SpoolOptions{Dir: dir, MaxBytes: 1 << 30, Log: slog.New(slog.NewJSONHandler(out, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.close() }()
			t.Log(strings.TrimSpace(out.String()))
			got := readAll(t, s, messages.Events)
			if tt.want >= 0 && len(got) != tt.want {
				t.Errorf("got %d events, want %d", len(got), tt.want)
			}
			for i, r := range got {
				if !sameRecord(r, indexed(spoolRecord(int64(i+1), 2000), uint64(i+1))) {
					t.Fatalf("event %d is another one", i+1)
				}
			}
			if !strings.Contains(out.String(), `"level":"ERROR","msg":"spool file is damaged`) {
				t.Errorf("got log %s", out)
			}
			if aside, _ := filepath.Glob(path + ".broken-*"); len(aside) != 1 {
				t.Errorf("got %v, want one file moved aside", aside)
			}
			if tt.want > 0 && s.lane(messages.Events).index != held {
				t.Errorf("got index %d, want %d: indexes would be used again", s.lane(messages.Events).index, held)
			}
			mustAppend(t, s, messages.Events, spoolRecords(1, 10, 2000)...)
			mustRemove(t, s, messages.Events, math.MaxUint64, 0)
		})
	}
}

// FuzzSpoolRecord: no bytes make decodeRecord panic, and what it accepts it writes back.
func FuzzSpoolRecord(f *testing.F) {
	for _, r := range []record{{}, spoolRecord(1, 100), {name: "X", own: true, body: []byte("\n\n{}")}} {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, r.name, r.session, r.seq)
	}
	f.Add([]byte{recordVersion + 1}, "", "", int64(0))
	f.Add([]byte{recordVersion, 0, 0}, "", "", int64(0))
	f.Fuzz(func(t *testing.T, b []byte, name, session string, seq int64) {
		again := func(r record) {
			v, err := r.encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := decodeRecord(r.index, v)
			if err != nil || !sameRecord(got, r) {
				t.Fatalf("got %+v (%v), want %+v", got, err, r)
			}
		}
		if r, err := decodeRecord(1, b); err == nil {
			again(r)
		}
		if r, err := decodeRecord(1, sealed(bytes.Clone(b))); err == nil { // behind the checksum
			again(r)
		}
		utf8 := func(s string) string { return strings.ToValidUTF8(s, "?") }
		r := spoolRecord(seq, 0)
		r.name, r.session, r.id, r.body, r.read = utf8(name), utf8(session), utf8(name), b, r.read.Truncate(1e6)
		again(r)
	})
}
