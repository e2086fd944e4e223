package gateway

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// deflater is the sending side of a transport compression: one context, flushed after each payload.
type deflater struct {
	head []byte // before the first message, where the writer makes none
	out  bytes.Buffer
	w    interface {
		io.Writer
		Flush() error
		Reset(io.Writer)
	}
}

func newDeflater(t testing.TB, mode string) *deflater {
	t.Helper()
	d := &deflater{}
	var err error
	if mode == "zlib-stream" {
		d.w, err = zlib.NewWriterLevel(&d.out, zlib.BestSpeed)
	} else {
		d.w, err = zstd.NewWriter(&d.out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deflate returns the message for payload, valid until the next call.
func (d *deflater) deflate(t testing.TB, payload []byte) []byte {
	t.Helper()
	d.out.Reset()
	d.out.Write(d.head)
	d.head = nil
	if _, err := d.w.Write(payload); err != nil {
		t.Fatal(err)
	}
	if err := d.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return d.out.Bytes()
}

func newTestInflater(t testing.TB, mode string) Inflater {
	t.Helper()
	z, err := NewInflater(mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(z.Close)
	return z
}

var modes = []string{"zlib-stream", "zstd-stream"}

// inflateAll feeds the parts of one message and returns the payload that its last part completes.
func inflateAll(t testing.TB, z Inflater, parts ...[]byte) []byte {
	t.Helper()
	var payload []byte
	for i, part := range parts {
		got, err := z.Inflate(part)
		if err != nil {
			t.Fatalf("part %d of %d: %v", i, len(parts), err)
		}
		if got != nil && i < len(parts)-1 {
			t.Fatalf("part %d of %d: got a payload of %d bytes before the end", i, len(parts), len(got))
		}
		payload = got
	}
	return payload
}

// text makes a JSON object of n bytes that compresses moderately.
func text(rnd *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+16)
	b = append(b, `{"d":"`...)
	for len(b) < n-2 {
		if rnd.IntN(3) == 0 {
			b = append(b, "guild_member_"...)
		}
		b = append(b, 'a'+byte(rnd.IntN(26)))
	}
	return append(b[:n-2], `"}`...)
}

func TestConformance46_payloads_split_at_every_byte_decode_once_and_in_order(t *testing.T) {
	payloads := [][]byte{
		[]byte(`{"op":10,"d":{"heartbeat_interval":41250}}`),
		[]byte(`{"t":"READY","s":1,"op":0,"d":{"user":{"id":"31"},"guilds":[{"id":"51","unavailable":true}]}}`),
		[]byte(`{"t":"MESSAGE_CREATE","s":2,"op":0,"d":{"id":"71","guild_id":"51","content":"` + strings.Repeat("ha", 40) + `"}}`),
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			var messages [][]byte
			d := newDeflater(t, mode)
			for _, p := range payloads {
				messages = append(messages, bytes.Clone(d.deflate(t, p)))
			}
			check := func(cuts func(m []byte) [][]byte) {
				t.Helper()
				z := newTestInflater(t, mode)
				for i, m := range messages {
					if got := inflateAll(t, z, cuts(m)...); !bytes.Equal(got, payloads[i]) {
						t.Fatalf("payload %d: got %q, want %q", i, got, payloads[i])
					}
				}
			}
			longest := 0
			for _, m := range messages {
				longest = max(longest, len(m))
			}
			cut := func(m []byte, at int) int { return min(at, len(m)) }
			for i := 0; i <= longest; i++ {
				check(func(m []byte) [][]byte { return trimmed(m[:cut(m, i)], m[cut(m, i):]) })
				// From the end, so that every way through the marker is taken for each length.
				for j := 0; j <= min(i, 8); j++ {
					check(func(m []byte) [][]byte {
						a := len(m) - cut(m, i)
						b := len(m) - cut(m, j)
						return trimmed(m[:a], m[a:b], m[b:])
					})
				}
			}
			check(func(m []byte) (parts [][]byte) {
				for i := range m {
					parts = append(parts, m[i:i+1])
				}
				return parts
			})
		})
	}
}

// trimmed leaves out empty parts, which a WebSocket message could be but which complete nothing.
func trimmed(parts ...[]byte) (out [][]byte) {
	for _, p := range parts {
		if len(p) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func TestConformance47_payloads_refer_back_and_a_new_connection_has_a_new_context(t *testing.T) {
	body := string(text(rand.New(rand.NewPCG(4, 7)), 2000))
	first, second := `{"op":0,"s":2,"d":`+body+`}`, `{"op":0,"s":3,"d":`+body+`}`
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			d := newDeflater(t, mode)
			z := newTestInflater(t, mode)
			if got := inflateAll(t, z, d.deflate(t, []byte(first))); string(got) != first {
				t.Fatalf("got %q, want %q", got, first)
			}
			back := bytes.Clone(d.deflate(t, []byte(second)))
			if len(back) > len(second)/10 {
				t.Fatalf("second message: got %d bytes, want one that refers back", len(back))
			}
			if got := inflateAll(t, z, back); string(got) != second {
				t.Fatalf("got %q, want %q", got, second)
			}
			// The same message is nothing without its context, and a new stream needs a new one.
			if got, err := newTestInflater(t, mode).Inflate(back); err == nil {
				t.Errorf("in a new context: got %q, want an error", got)
			}
			anew := newDeflater(t, mode)
			if got := inflateAll(t, newTestInflater(t, mode), anew.deflate(t, []byte(second))); string(got) != second {
				t.Errorf("new stream, new context: got %q, want %q", got, second)
			}
		})
	}
}

func TestConformance47_200000_messages_through_one_context(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			messages := 200_000
			if raceDetector { // nothing here is shared; the full count runs without it
				messages = 20_000
			}
			rnd := rand.New(rand.NewPCG(46, 47))
			pool := make([][]byte, 500)
			for i := range pool {
				pool[i] = text(rnd, 20+rnd.IntN(200))
			}
			pool[0] = text(rnd, 40_000)
			d := newDeflater(t, mode)
			z := newTestInflater(t, mode)
			for i := range messages {
				want := pool[rnd.IntN(len(pool))]
				got, err := z.Inflate(d.deflate(t, want))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("message %d: got %d bytes, %v; want %d", i, len(got), err, len(want))
				}
			}
		})
	}
}

// Go's flate hands out data when its window of 32 KiB is full. Here every payload ends exactly there.
func TestZlibSurvivesAWindowThatFillsWithTheLastByte(t *testing.T) {
	const window = 32 << 10
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, split := range []bool{false, true} {
		d := newDeflater(t, "zlib-stream")
		z := newTestInflater(t, "zlib-stream")
		for _, size := range []int{window, window, 2 * window, 300, window - 300, 5 * window, window / 2, window / 2, 100} {
			want := text(rnd, size)
			m := bytes.Clone(d.deflate(t, want))
			parts := [][]byte{m}
			if split {
				parts = [][]byte{m[:1], m[1 : len(m)-2], m[len(m)-2 : len(m)-1], m[len(m)-1:]}
			}
			if got := inflateAll(t, z, parts...); !bytes.Equal(got, want) {
				t.Fatalf("split %v, size %d: got %d bytes", split, size, len(got))
			}
		}
	}
}

func TestConformance48_outputs_larger_than_any_buffer_decode(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(48, 48))
			d := newDeflater(t, mode)
			z := newTestInflater(t, mode)
			for _, size := range []int{10, 128 << 10, 128<<10 + 1, 256 << 10, 3 << 20, 100, 20 << 20, 50} {
				want := text(rnd, size)
				if size > 10<<20 { // one that compresses to nothing
					want = []byte(`{"d":"` + strings.Repeat("a", size) + `"}`)
				}
				if got := inflateAll(t, z, d.deflate(t, want)); !bytes.Equal(got, want) {
					t.Fatalf("size %d: got %d bytes", size, len(got))
				}
			}
		})
	}
}

func TestConformance48_corrupt_data_is_a_final_error(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(7, 48))
			d := newDeflater(t, mode)
			first := bytes.Clone(d.deflate(t, text(rnd, 700)))
			second := bytes.Clone(d.deflate(t, text(rnd, 700)))
			failed := 0
			for i := range 1000 {
				z := newTestInflater(t, mode)
				if i%2 == 0 {
					inflateAll(t, z, first)
				}
				bad := bytes.Clone(second)
				bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
				if _, err := z.Inflate(bad); err != nil {
					failed++
					if _, again := z.Inflate(second); again == nil {
						t.Fatal("after an error: got none, want the same again")
					}
				}
			}
			if failed < 500 {
				t.Errorf("got %d errors of 1000", failed)
			}
			for _, in := range []string{"{}", "\x00\x00\xff\xff", "garbage\x00\x00\xff\xff", "\x78\x9c\x00\x00\xff\xff", "\x28\xb5\x2f\xfd\xff\xff\xff\xff", "0123456789abcdefghij"} {
				z := newTestInflater(t, mode)
				if got, err := z.Inflate([]byte(in)); got != nil {
					t.Errorf("%q: got %q, %v", in, got, err)
				}
			}
		})
	}
}

func TestInflateCapsAPayload(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			d, z := newDeflater(t, mode), newTestInflater(t, mode)
			const most = 4 << 20
			switch z := z.(type) {
			case *zlibInflater:
				z.most = most
			case *zstdInflater:
				z.most = most
			}
			bomb := append(bytes.Repeat([]byte(" "), most-100), text(rand.New(rand.NewPCG(1, 1)), 100)...)
			if got := inflateAll(t, z, d.deflate(t, bomb)); len(got) != most {
				t.Fatalf("at the limit: got %d bytes, want %d", len(got), most)
			}
			if got, err := z.Inflate(d.deflate(t, append([]byte(" "), bomb...))); !errors.Is(err, ErrTooBig) {
				t.Errorf("over the limit: got %d bytes, %v; want ErrTooBig", len(got), err)
			}
		})
	}
	z := newTestInflater(t, "zlib-stream") // pieces of a payload that is never complete
	piece, sent := make([]byte, 16<<20), 0
	var err error
	for err == nil && sent < 2*maxCompressed {
		_, err = z.Inflate(piece)
		sent += len(piece)
	}
	if !errors.Is(err, ErrTooBig) || sent != maxCompressed+len(piece) {
		t.Errorf("an endless payload: got %v after %d bytes, want ErrTooBig", err, sent)
	}
}

func TestInflateGivesBackTheMemoryOfAGiantPayload(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			d, z := newDeflater(t, mode), newTestInflater(t, mode)
			giant := bytes.Clone(d.deflate(t, text(rand.New(rand.NewPCG(1, 1)), 8<<20)))
			inflateAll(t, z, giant[:len(giant)/2], giant[len(giant)/2:])
			inflateAll(t, z, d.deflate(t, []byte(`{"op":11}`)))
			var buf, out int
			switch z := z.(type) {
			case *zlibInflater:
				buf, out = cap(z.buf), cap(z.out.b)
			case *zstdInflater:
				buf, out = cap(z.buf), cap(z.out.b)
			}
			if buf > keepInflated || out > keepOutput {
				t.Errorf("got buffers of %d and %d bytes, want at most %d and %d", buf, out, keepInflated, keepOutput)
			}
		})
	}
}

func TestInflatersAreSmallAndHaveNoGoroutines(t *testing.T) {
	n := 100
	if raceDetector {
		n = 5
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	for mode, want := range map[string]int{"zlib-stream": 36 << 10, "zstd-stream": 160 << 10} {
		t.Run(mode, func(t *testing.T) {
			d := newDeflater(t, mode)
			var messages [][]byte
			for range 300 {
				messages = append(messages, bytes.Clone(d.deflate(t, text(rnd, 1400))))
			}
			giant := bytes.Clone(d.deflate(t, text(rnd, 1<<20))) // its memory must not stay
			messages = append(messages, giant, bytes.Clone(d.deflate(t, text(rnd, 1400))))
			goroutines, before := runtime.NumGoroutine(), liveHeap()
			all := make([]Inflater, n)
			for i := range all {
				all[i], _ = NewInflater(mode)
				for _, m := range messages {
					inflateAll(t, all[i], m)
				}
				all[i].(rester).Rest()
			}
			got := int(liveHeap()-before) / n
			t.Logf("%d bytes a connection", got)
			if got > want {
				t.Errorf("got %d bytes a connection, want at most %d", got, want)
			}
			if got := runtime.NumGoroutine(); got > goroutines {
				t.Errorf("got %d goroutines, want %d", got, goroutines)
			}
			for _, z := range all {
				z.Close()
				z.Close()
				if _, err := z.Inflate(messages[0]); err == nil {
					t.Error("after Close: got no error")
				}
			}
		})
	}
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // the second empties pools
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestNewInflater(t *testing.T) {
	for _, mode := range []string{"none", ""} {
		if z, err := NewInflater(mode); z != nil || err != nil {
			t.Errorf("%q: got %v, %v; want nil, nil", mode, z, err)
		}
	}
	if _, err := NewInflater("gzip"); err == nil || !strings.Contains(err.Error(), "zstd-stream") {
		t.Errorf("gzip: got %v, want an error that lists what there is", err)
	}
}
