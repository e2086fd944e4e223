package gateway

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// BenchmarkConn_read reads messages of 1.4 KB from a TCP connection: as fast as they come, and where the reader waits for
// each of them.
func BenchmarkConn_read(b *testing.B) {
	frame := fragment(ws.OpText, true, `{"x":"`+strings.Repeat("x", 1400)+`"}`)
	for name, burst := range map[string]int{"saturated": 46, "waiting": 1} {
		b.Run(name, func(b *testing.B) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer listener.Close()
			next := make(chan struct{}, 1)
			go func() { // ends with the client's socket
				server, err := listener.Accept()
				if err != nil {
					return
				}
				defer server.Close()
				if _, err := ws.Upgrade(server); err != nil {
					return
				}
				chunk := bytes.Repeat(frame, burst)
				for {
					if burst == 1 {
						<-next
					}
					if _, err := server.Write(chunk); err != nil {
						return
					}
				}
			}()
			c, err := Dial(b.Context(), DialOptions{URL: "ws://" + listener.Addr().String(), Compress: "none"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if burst == 1 {
					next <- struct{}{}
				}
				if _, err := c.Read(); err != nil {
					b.Fatal(err)
				}
			}
			c.drop()
			close(next)
			_, _ = io.Copy(io.Discard, c.net)
		})
	}
}
