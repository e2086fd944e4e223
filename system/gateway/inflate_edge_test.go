package gateway

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// deflateWriter writes deflate's bits by hand: streams that are valid and that no encoder here would write.
type deflateWriter struct {
	b []byte
	v byte
	n int
}

// bits appends the n lowest bits of v, the lowest first.
func (w *deflateWriter) bits(v uint64, n int) {
	for i := range n {
		w.v |= byte(v>>i&1) << w.n
		if w.n++; w.n == 8 {
			w.b = append(w.b, w.v)
			w.v, w.n = 0, 0
		}
	}
}

// code appends a Huffman code, its highest bit first.
func (w *deflateWriter) code(c uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		w.bits(c>>i, 1)
	}
}

// stored appends a block that is not compressed.
func (w *deflateWriter) stored(p []byte) {
	w.bits(0, 3)
	for w.n != 0 {
		w.bits(0, 1)
	}
	w.b = append(w.b, byte(len(p)), byte(len(p)>>8), ^byte(len(p)), ^byte(len(p)>>8))
	w.b = append(w.b, p...)
}

// canonical are the codes that lengths stand for.
func canonical(lengths []int) []uint64 {
	out := make([]uint64, len(lengths))
	code := uint64(0)
	for length := 1; length <= 15; length++ {
		code <<= 1
		for symbol, l := range lengths {
			if l == length {
				out[symbol] = code
				code++
			}
		}
	}
	return out
}

// longestTail is a payload whose last bytes are a literal of so many bits and the match that takes most bits: 48.
func longestTail(before, literal int) []byte {
	w := &deflateWriter{b: []byte{0x78, 0x9c}}
	history := make([]byte, 32<<10)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range history {
		history[i] = byte(rnd.Uint32())
	}
	w.stored(history)
	literals, distances := make([]int, 286), make([]int, 30)
	literals['b'] = 1
	for length, next := 2, 'c'; length <= 14; length++ {
		if length == literal {
			literals['a'] = length
			continue
		}
		literals[next] = length
		next++
	}
	literals[256], literals[284] = 15, 15
	for i := range 14 {
		distances[i] = i + 1
	}
	distances[28], distances[29] = 15, 15
	w.bits(0, 1)
	w.bits(2, 2)
	w.bits(286-257, 5)
	w.bits(30-1, 5)
	w.bits(19-4, 4)
	for i := range 19 { // the three that repeat are not used, the others have 4 bits
		if i < 3 {
			w.bits(0, 3)
		} else {
			w.bits(4, 3)
		}
	}
	for _, length := range append(append([]int(nil), literals...), distances...) {
		w.code(uint64(length), 4)
	}
	l, d := canonical(literals), canonical(distances)
	for range before {
		w.code(l['b'], 1)
	}
	w.code(l['a'], literal)
	w.code(l[284], 15)
	w.bits(30, 5) // a length of 257
	w.code(d[29], 15)
	w.bits(5000, 13)
	w.code(l[256], 15)
	w.stored(nil)
	return w.b
}

func TestInflateZlib_takes_the_longest_match_at_the_end_of_a_payload(t *testing.T) {
	for literal := 2; literal <= 10; literal++ {
		for before := range 70 {
			wire := longestTail(before, literal)
			want, err := io.ReadAll(flate.NewReader(bytes.NewReader(wire[2:])))
			if !errors.Is(err, io.ErrUnexpectedEOF) || len(want) != 32<<10+before+1+257 {
				t.Fatalf("the stream is wrong: %d bytes, %v", len(want), err)
			}
			got, err := newTestInflater(t, "zlib-stream").Inflate(wire)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("literal of %d bits, %d before it: got %d bytes, %v, want %d", literal, before, len(got), err, len(want))
			}
		}
	}
}

func TestInflateZlib_refuses_the_fixed_codes_that_stand_for_nothing(t *testing.T) {
	for _, symbol := range []uint64{286, 287} {
		w := &deflateWriter{b: []byte{0x78, 0x9c}}
		w.bits(0, 1)
		w.bits(1, 2)
		w.code(0x30+'a', 8)
		w.code(0xC0+symbol-280, 8)
		w.stored(nil)
		if got, err := newTestInflater(t, "zlib-stream").Inflate(w.b); err == nil {
			t.Errorf("symbol %d: got %q, want an error", symbol, got)
		}
	}
}

// Each byte is looked at once, however a peer cuts its messages.
func TestInflateZstd_goes_on_where_it_stopped(t *testing.T) {
	z := &zstdInflater{most: maxInflated}
	if _, err := z.Inflate([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x38, 0}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := z.Inflate([]byte{0, 0, 0}); err != nil { // each ends within the header of an empty block
			t.Fatal(err)
		}
		if left := len(z.buf) - z.passed; left >= 3 {
			t.Fatalf("message %d: got %d bytes that will be looked at again, want less than a header", i, left)
		}
	}
}
