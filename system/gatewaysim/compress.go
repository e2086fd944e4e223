package gatewaysim

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// compressor is one compression context: it belongs to one connection and dies
// with it. Used by the writer goroutine only.
type compressor interface {
	// compress returns payload's part of the stream; the result is valid until
	// the next call.
	compress(payload []byte) []byte
}

// newCompressor makes the context of a transport compression, nil for "none".
func newCompressor(mode string, window int) compressor {
	switch mode {
	case "zlib-stream":
		c := &zlibStream{}
		w, err := zlib.NewWriterLevel(&c.out, zlib.BestSpeed)
		if err != nil {
			panic(fmt.Sprintf("gatewaysim: zlib: %v", err)) // constant level
		}
		c.w = w
		return c
	case "zstd-stream":
		c := &zstdStream{}
		w, err := zstd.NewWriter(&c.out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(fmt.Sprintf("gatewaysim: zstd: %v", err)) // Options.Check holds the window
		}
		c.w = w
		return c
	}
	return nil
}

// zlibStream ends every payload with a sync flush: its bytes end in 00 00 FF FF.
type zlibStream struct {
	w   *zlib.Writer
	out bytes.Buffer
}

func (c *zlibStream) compress(payload []byte) []byte {
	c.out.Reset()
	// Writes to a bytes.Buffer do not fail.
	_, _ = c.w.Write(payload)
	_ = c.w.Flush()
	return c.out.Bytes()
}

// zstdStream flushes after every payload and never ends the frame.
type zstdStream struct {
	w   *zstd.Encoder
	out bytes.Buffer
}

func (c *zstdStream) compress(payload []byte) []byte {
	c.out.Reset()
	_, _ = c.w.Write(payload)
	_ = c.w.Flush()
	return c.out.Bytes()
}

// corruption is input that no decoder of mode accepts, wherever its stream
// stands: a block of the reserved type.
func corruption(mode string) []byte {
	switch mode {
	case "zlib-stream":
		return []byte{0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0xff, 0xff}
	case "zstd-stream":
		return []byte{0x06, 0x00, 0x00, 0x06, 0x00, 0x00, 0xff, 0xff}
	}
	return []byte{0x1f, 0x00, 0xff, 0x00}
}
