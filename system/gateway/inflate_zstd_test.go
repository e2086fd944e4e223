package gateway

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestZstdWindowIsBounded(t *testing.T) {
	for _, tt := range []struct {
		window int
		want   error
	}{{1 << 20, nil}, {2 << 20, ErrWindow}, {8 << 20, ErrWindow}} {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out, zstd.WithWindowSize(tt.window))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(`{"op":10}`)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := newTestInflater(t, "zstd-stream").Inflate(out.Bytes()); !errors.Is(err, tt.want) {
			t.Errorf("window of %d: got %v, want %v", tt.window, err, tt.want)
		}
		w.Close()
	}
	// A single segment has no window: its whole content is one.
	if _, err := newTestInflater(t, "zstd-stream").Inflate([]byte("\x28\xb5\x2f\xfd\xa0\x00\x00\x00\x01\x00\x00\x00")); !errors.Is(err, ErrWindow) {
		t.Errorf("a single segment of 16 MiB: got %v, want ErrWindow", err)
	}
}

func TestZstdTakesBlocksWithoutOutputAndFramesThatEnd(t *testing.T) {
	const first, second = `{"op":10}`, `{"op":11}`
	rawBlock := func(last int, p string) string {
		head := len(p)<<3 | last
		return string([]byte{byte(head), byte(head >> 8), byte(head >> 16)}) + p
	}
	const header = "\x28\xb5\x2f\xfd\x00\x38" // a window of 128 KiB, no checksum
	const empty, emptyCompressed, emptyLast = "\x00\x00\x00", "\x14\x00\x00\x00\x00", "\x01\x00\x00"
	tests := []struct {
		name     string
		messages []string
		want     []string
	}{
		{"an empty block behind", []string{header + rawBlock(0, first) + empty, rawBlock(0, second)}, []string{first, second}},
		{"an empty compressed block behind", []string{header + rawBlock(0, first) + emptyCompressed, rawBlock(0, second)}, []string{first, second}},
		{"an empty block before", []string{header + empty + rawBlock(0, first), empty + rawBlock(0, second)}, []string{first, second}},
		{"nothing but empty blocks", []string{header + empty, empty + empty, rawBlock(0, first)}, []string{"", "", first}},
		{"the header alone", []string{header, rawBlock(0, first), rawBlock(0, second)}, []string{"", first, second}},
		{"a frame for each", []string{header + rawBlock(1, first), header + rawBlock(1, second)}, []string{first, second}},
		{"frames that end with an empty block", []string{header + rawBlock(0, first) + emptyLast, header + rawBlock(0, second) + emptyLast}, []string{first, second}},
		{"a payload of two blocks", []string{header + rawBlock(0, first[:4]) + rawBlock(0, first[4:])}, []string{first}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			z := newTestInflater(t, "zstd-stream")
			for i, m := range tt.messages {
				got, err := z.Inflate([]byte(m))
				if err != nil || string(got) != tt.want[i] {
					t.Fatalf("message %d: got %q, %v; want %q", i, got, err, tt.want[i])
				}
			}
		})
	}
}
