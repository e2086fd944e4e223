package gatewaysim

import (
	"bytes"
	"fmt"
	"testing"
)

func TestCompressedStreamsCarryTheSameBytes(t *testing.T) {
	for _, mode := range []string{"zlib-stream", "zstd-stream", "none"} {
		for _, split := range []SplitFault{{}, {Messages: 3}, {Fragments: 3}, {Messages: 4, Fragments: 2}} {
			t.Run(fmt.Sprintf("%s/%d_messages_%d_fragments", mode, split.Messages, split.Fragments), func(t *testing.T) {
				s := newServer(t, Options{Guilds: 3, Rate: 5000, Events: 300, ZstdWindow: 32 << 10})
				s.Split(All, split) // no connection yet: for those to come
				c, _ := start(t, s, mode, intentsKnown, 0, 1)
				n := 0
				got := map[int64]payload{}
				for len(got) < 303 {
					p, err := c.next()
					if err != nil {
						t.Fatalf("after %d payloads: %v", n, err)
					}
					n++
					got[p.S] = p
				}
				for _, d := range s.Ledger()[0].Dispatch[1:] {
					if !bytes.Equal(got[d.Seq].D, d.D()) {
						t.Fatalf("seq %d: got %.80s, want %.80s", d.Seq, got[d.Seq].D, d.D())
					}
				}
				pieces := mode == "zlib-stream" && split.Messages > 1
				if pieces != (c.msgs > n+2) {
					t.Errorf("%d payloads came in %d messages", n, c.msgs)
				}
			})
		}
	}
}

func TestZlibPayloadsEndInTheFlushMarker(t *testing.T) {
	z := newCompressor("zlib-stream", 0)
	for i := range 50 {
		out := z.compress(bytes.Repeat([]byte("sheep "), i+1))
		if !bytes.HasSuffix(out, []byte{0, 0, 0xff, 0xff}) {
			t.Fatalf("payload %d ends in % x", i, out[max(0, len(out)-4):])
		}
		if i == 0 && out[0] != 0x78 {
			t.Errorf("stream starts with %x, want 78", out[0])
		}
	}
}

func TestLaterPayloadsReferToEarlierOnes(t *testing.T) {
	long := []byte(fmt.Sprint("{", bytes.Repeat([]byte{0x37, 0x11, 0x89}, 300), "}"))
	for _, mode := range []string{"zlib-stream", "zstd-stream"} {
		c := newCompressor(mode, 128<<10)
		first, second := len(c.compress(long)), len(c.compress(long))
		if second >= first {
			t.Errorf("%s: the same payload again took %d bytes after %d: no shared context", mode, second, first)
		}
	}
}

func TestPayloadCompressionOnRequest(t *testing.T) {
	s := newServer(t, Options{Guilds: 1})
	c := dial(t, s.GatewayURL(), "none")
	c.op(opHello)
	c.send(`{"op":2,"d":{"token":"tok","intents":1,"compress":true,` + props + `}}`)
	for { // READY is small and may be text; the guild is large
		m, err := c.message()
		if err != nil {
			t.Fatal(err)
		}
		if m[0] == 0x78 {
			plain := &client{t: t, mode: "zlib-stream"}
			plain.held.Write(m)
			b, err := plain.inflate([]byte{0, 0, 0xff, 0xff}) // after the end; the decoder stops before
			if err != nil || !bytes.Contains(b, []byte(`"GUILD_CREATE"`)) {
				t.Fatalf("got %.60s, %v", b, err)
			}
			return
		}
	}
}
