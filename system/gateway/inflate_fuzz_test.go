package gateway

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzInflateZlib(f *testing.F) { fuzzInflate(f, "zlib-stream") }

func FuzzInflateZstd(f *testing.F) { fuzzInflate(f, "zstd-stream") }

// fuzzInflate sends what it gets as payloads, split somewhere, and then as it is.
func fuzzInflate(f *testing.F, mode string) {
	d := newDeflater(f, mode)
	f.Add([]byte(`{"op":10}`), uint16(3), uint16(60))
	f.Add(bytes.Clone(d.deflate(f, []byte(`{"op":11,"d":[1,2,3]}`))), uint16(5), uint16(500))
	f.Add(bytes.Clone(d.deflate(f, []byte(`{"op":11,"d":[1,2,3]}`))), uint16(0), uint16(1))
	f.Add(bytes.Repeat([]byte("x"), 3000), uint16(9), uint16(40_000))
	f.Fuzz(func(t *testing.T, b []byte, cut, size uint16) {
		z := newTestInflater(t, mode)
		d.w.Reset(&d.out)
		payload, err := json.Marshal(map[string]string{"a": string(b), "b": strings.Repeat(string(b[:min(len(b), 8)]), int(size)/8)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			m := bytes.Clone(d.deflate(t, payload))
			at := int(cut) % len(m)
			// A zstd message that is cut between two blocks looks whole, and its parts come one by one:
			// Discord's are not cut. A zlib payload comes in one piece however it is cut.
			var got []byte
			for n, part := range trimmed(m[:at], m[at:]) {
				out, err := z.Inflate(part)
				if err != nil {
					t.Fatalf("message %d, part %d: %v", i, n, err)
				}
				if out != nil && mode == "zlib-stream" && !bytes.Equal(out, payload) {
					t.Fatalf("message %d, part %d: got %d bytes of %d", i, n, len(out), len(payload))
				}
				got = append(got, out...)
			}
			if !bytes.Equal(got, payload) {
				t.Fatalf("message %d: got %q, want %q", i, got, payload)
			}
		}
		for _, hostile := range []Inflater{z, newTestInflater(t, mode)} { // in step, and from the start
			for i := range 3 {
				at := len(b) * i / 3
				if _, err := hostile.Inflate(b[at : len(b)*(i+1)/3]); err != nil {
					break
				}
			}
		}
	})
}
