package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// reference decodes what a connection has received so far with the decoders of klauspost/compress. more is
// whether it took all of wire and waits for what comes next; without that wire is corrupt.
func reference(t testing.TB, mode string, wire []byte) (out []byte, more bool) {
	t.Helper()
	from := io.Reader(bytes.NewReader(wire))
	if mode == "zlib-stream" {
		if len(wire) < 2 {
			return nil, true
		}
		from = flate.NewReader(bytes.NewReader(wire[2:]))
	} else {
		dec, err := zstd.NewReader(struct{ io.Reader }{from}, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.IgnoreChecksum(true))
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		from = dec
	}
	out, err := io.ReadAll(from)
	// Not errors.Is: it wraps this one for some tables that the C library takes, and so do we.
	return out, err == nil && mode == "zstd-stream" || err == io.ErrUnexpectedEOF //nolint:errorlint
}

// encoders are the sending side in the ways in which it may be set up.
func encoders(t testing.TB, mode string) (all []*deflater) {
	t.Helper()
	if mode == "zlib-stream" {
		for _, level := range []int{flate.NoCompression, flate.HuffmanOnly, flate.BestSpeed, 4, 6, flate.BestCompression} {
			d := &deflater{}
			w, err := flate.NewWriter(&d.out, level)
			if err != nil {
				t.Fatal(err)
			}
			d.w, d.head = w, []byte{0x78, 0x9c}
			all = append(all, d)
		}
		return all
	}
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
		for _, window := range []int{1 << 10, 16 << 10, 128 << 10} {
			d := &deflater{}
			w, err := zstd.NewWriter(&d.out, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(window == 1<<10))
			if err != nil {
				t.Fatal(err)
			}
			d.w = w
			all = append(all, d)
		}
	}
	return all
}

// payloads is data of many kinds: what JSON never is must decode as well.
func payloads(rnd *rand.Rand, n int) (all [][]byte) {
	sizes := []int{1, 2, 7, 100, 1000, 5000, 40_000, maxBlock, maxBlock + 1}
	for i := range n {
		b := make([]byte, sizes[rnd.IntN(len(sizes))])
		switch i % 6 {
		case 0: // one byte
			for j := range b {
				b[j] = byte(i)
			}
		case 1: // noise
			for j := range b {
				b[j] = byte(rnd.Uint32())
			}
		case 2: // few symbols
			for j := range b {
				b[j] = "ab\xff"[rnd.IntN(3)]
			}
		case 3: // a short period
			period := 1 + rnd.IntN(40)
			for j := range b {
				b[j] = byte(j % period)
			}
		case 4: // pieces of what came before
			for at := 0; at < len(b); {
				from := all[rnd.IntN(len(all))]
				at += copy(b[at:], from[:min(len(from), 1+rnd.IntN(300))])
			}
		default:
			b = text(rnd, len(b)+8)
		}
		all = append(all, b)
	}
	return all
}

func TestInflateTakesWhatEncodersWrite(t *testing.T) {
	count := 120
	if raceDetector { // nothing here is shared; the full count runs without it
		count = 12
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			all := payloads(rand.New(rand.NewPCG(8, 8)), count)
			for i, d := range encoders(t, mode) {
				z := newTestInflater(t, mode)
				for j, want := range all {
					got, err := z.Inflate(d.deflate(t, want))
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("encoder %d, payload %d: got %d bytes, %v; want %d", i, j, len(got), err, len(want))
					}
				}
			}
		})
	}
}

func FuzzZlibLikeKlauspost(f *testing.F) { fuzzReference(f, "zlib-stream", "\x00\x04\x00\xfb\xffmore") }

func FuzzZstdLikeKlauspost(f *testing.F) { fuzzReference(f, "zstd-stream", "\x20\x00\x00more") }

// fuzzReference takes the fuzzer's bytes as what came on a connection. What an Inflater takes for whole messages must be
// what the reference makes of them, as far as that comes: it refuses a little more. next is a stored block of four bytes, which shows that it is between two
// blocks.
func fuzzReference(f *testing.F, mode, next string) {
	rnd := rand.New(rand.NewPCG(3, 9))
	for _, d := range encoders(f, mode) {
		var wire []byte
		for range 3 {
			wire = append(wire, d.deflate(f, text(rnd, 20+rnd.IntN(1000)))...)
			f.Add(bytes.Clone(wire))
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		z := newTestInflater(t, mode)
		got, err := z.Inflate(wire)
		want, more := reference(t, mode, append(bytes.Clone(wire), next...))
		if err != nil || len(wire) == 0 {
			return
		}
		switch z := z.(type) {
		case *zlibInflater:
			if len(z.buf) > 0 {
				return
			}
		case *zstdInflater:
			if len(z.buf) > 0 || !z.frame.open {
				return
			}
		}
		if more && string(want) != string(got)+"more" || !bytes.HasPrefix(got, want) && !more {
			t.Fatalf("%x: got %q, the reference %q, more %v", wire, got, want, more)
		}
	})
}

// testdata/inflate holds the simulator's traffic as the C libraries compress it, zlib 1.2 and libzstd 1.5, each message
// after its length in four bytes. The name says level, window or strategy. Discord's gateway uses these libraries.
func TestInflateTakesWhatTheCLibrariesWrite(t *testing.T) {
	files, err := filepath.Glob("testdata/inflate/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			mode := strings.Split(filepath.Base(file), "-")[0] + "-stream"
			z := newTestInflater(t, mode)
			var wire, all []byte
			for len(b) > 0 {
				n := 4 + int(binary.LittleEndian.Uint32(b))
				got := inflateAll(t, z, b[4:n])
				if !json.Valid(got) {
					t.Fatalf("got %q", got)
				}
				all, wire, b = append(all, got...), append(wire, b[4:n]...), b[n:]
			}
			if want, _ := reference(t, mode, wire); !bytes.Equal(all, want) {
				t.Errorf("got %d bytes, which are not the reference's %d", len(all), len(want))
			}
		})
	}
}
