package stream

import (
	"io"
	"net"
	"testing"
	"time"
)

// A probe asks while NATS hangs, and must not wait for NATS: what asks for /health gives up within a second, as a rule.
func TestConnected_and_Err_answer_while_a_server_accepts_and_says_nothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	trying := make(chan struct{})
	go func() { // ends with the listener
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n == 1 {
				close(trying)
			}
			_, _ = io.Copy(io.Discard, c) // until the client gives it up, after dialTimeout
			_ = c.Close()
		}
	}()
	b, err := Connect(t.Context(), Options{URL: "nats://" + l.Addr().String(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	<-trying // the first connection was given up inside Connect; the second attempt has dialTimeout
	answered := make(chan bool, 1)
	go func() { // ends with the attempt to connect at the latest
		connected := b.Connected()
		answered <- !connected && b.Err() != nil
	}()
	select {
	case ok := <-answered:
		if !ok {
			t.Error("it is connected to a server that has said nothing")
		}
	case <-time.After(dialTimeout / 2):
		t.Error("whoever asks has to wait until the attempt to connect is over")
	}
}
