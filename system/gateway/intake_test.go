package gateway

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// kinds are all that an intake may read from, each with the ends that it connects.
var kinds = map[string]func(t *testing.T) (client, server net.Conn){
	"tcp":  overTCP,
	"pipe": func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() },
	"tls": func(t *testing.T) (net.Conn, net.Conn) {
		keys := httptest.NewTLSServer(nil)
		defer keys.Close()
		roots := x509.NewCertPool()
		roots.AddCert(keys.Certificate())
		client, server := overTCP(t)
		return tls.Client(client, &tls.Config{RootCAs: roots, ServerName: "example.com"}), tls.Server(server, keys.TLS.Clone())
	},
}

func overTCP(t *testing.T) (client, server net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// over runs a test over every kind of connection.
func over(t *testing.T, test func(t *testing.T, client, server net.Conn)) {
	for name, connect := range kinds {
		t.Run(name, func(t *testing.T) {
			client, server := connect(t)
			t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
			test(t, client, server)
		})
	}
}

func TestIntake_holds_no_buffer_while_it_waits(t *testing.T) {
	over(t, func(t *testing.T, client, server net.Conn) {
		waits := make(chan bool, 1)
		var in *intake
		in = newIntake(client, []byte("head"), func() { waits <- in.buf == nil })
		got := make(chan string, 1)
		go func() { // ends with the last message
			for _, n := range []int{4, 5, 1000} {
				b, err := in.take(n)
				if err != nil {
					b = []byte(err.Error())
				}
				got <- string(b)
			}
		}()
		if b := <-got; b != "head" {
			t.Errorf("got %q, want what was read ahead", b)
		}
		for _, want := range []string{"small", string(bytes.Repeat([]byte("large"), 200))} {
			if empty := <-waits; !empty {
				t.Error("waits with a buffer, want none")
			}
			if _, err := io.WriteString(server, want); err != nil {
				t.Fatal(err)
			}
			if b := <-got; b != want {
				t.Errorf("got %q, want %q", b, want)
			}
		}
	})
}

func TestConn_reads_the_same_however_the_bytes_arrive(t *testing.T) {
	over(t, func(t *testing.T, client, server net.Conn) {
		r := rand.New(rand.NewPCG(1, 2))
		var want [][]byte
		var wire []byte
		for range 200 {
			size := r.IntN(200)
			if r.IntN(4) == 0 {
				size = r.IntN(3 * readBuffer)
			}
			message := bytes.Repeat([]byte{byte('a' + r.IntN(26))}, size)
			want = append(want, message)
			if size > 0 && r.IntN(5) == 0 {
				cut := r.IntN(size)
				wire = append(wire, fragment(ws.OpText, false, string(message[:cut]))...)
				wire = append(wire, fragment(ws.OpPong, true, "between")...)
				wire = append(wire, fragment(ws.OpContinuation, true, string(message[cut:]))...)
				continue
			}
			wire = append(wire, fragment(ws.OpText, true, string(message))...)
		}
		go func() { // ends with the last byte, or with the connection
			for len(wire) > 0 {
				n := min(1+r.IntN(1<<r.IntN(18)), len(wire))
				if _, err := server.Write(wire[:n]); err != nil {
					return
				}
				wire = wire[n:]
			}
			_ = server.Close()
		}()
		c := &Conn{net: client}
		c.in = newIntake(client, nil, c.rest)
		for i, message := range want {
			if got, err := c.Read(); err != nil || !bytes.Equal(got, message) {
				t.Fatalf("message %d: got %d bytes with error %v, want %d", i, len(got), err, len(message))
			}
		}
		var closed *CloseError
		if _, err := c.Read(); !errors.As(err, &closed) || closed.Code != 1006 {
			t.Errorf("got error %v, want code 1006", err)
		}
	})
}

// Buffers go from one connection to another, so that a payload may be overwritten as soon as its connection waits again,
// but not before.
func TestConn_keeps_a_payload_until_the_next_read(t *testing.T) {
	const conns, each = 8, 100
	var reading sync.WaitGroup
	for i := range conns {
		client, server := overTCP(t)
		t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
		next := make(chan struct{}, 1)
		reading.Go(func() { // the writer; ends with the last message
			for n := range each {
				<-next
				_, _ = server.Write(fragment(ws.OpText, true, string(bytes.Repeat([]byte{byte('a' + i)}, 100*n))))
			}
		})
		reading.Go(func() {
			c := &Conn{net: client}
			c.in = newIntake(client, nil, c.rest)
			for n := range each {
				next <- struct{}{}
				got, err := c.Read()
				runtime.Gosched() // others read meanwhile
				if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte('a' + i)}, 100*n)) {
					t.Errorf("connection %d, message %d: got %.20q with error %v", i, n, got, err)
					_ = client.Close()
					return
				}
			}
		})
	}
	reading.Wait()
}

// restful counts the times at which it might have given its memory back.
type restful struct{ rests int }

func (r *restful) Inflate(msg []byte) ([]byte, error) { return msg, nil }
func (r *restful) Close()                             {}
func (r *restful) Rest()                              { r.rests++ }

func TestConn_gives_memory_back_before_it_waits_for_a_message_but_not_within_one(t *testing.T) {
	c, p := connected(t)
	inflate := &restful{}
	c.inflate = inflate
	large := string(bytes.Repeat([]byte("x"), 2*readBuffer))
	go func() {
		_, _ = p.Write(fragment(ws.OpBinary, false, large)) // a pipe takes it when the reader waits for it
		_, _ = p.Write(fragment(ws.OpContinuation, true, large))
	}()
	if got, err := c.Read(); err != nil || len(got) != 2*len(large) {
		t.Fatalf("got %d bytes with error %v, want %d", len(got), err, 2*len(large))
	}
	if inflate.rests == 0 || cap(c.frame) < 2*len(large) {
		t.Fatalf("got %d rests and a buffer of %d bytes, want a rest before the message and the whole of it after", inflate.rests, cap(c.frame))
	}
	before := inflate.rests
	p.send(fragment(ws.OpBinary, true, "small"))
	if got, err := c.Read(); err != nil || string(got) != "small" || c.frame != nil || inflate.rests == before {
		t.Errorf("got %q with error %v, %d bytes of the message before and %d rests, want none and one more",
			got, err, cap(c.frame), inflate.rests-before)
	}
}

func TestConn_ends_a_read_that_waits_when_it_is_dropped(t *testing.T) {
	over(t, func(t *testing.T, client, _ net.Conn) {
		if _, ok := client.(*tls.Conn); ok {
			t.Skip("its handshake waits for the peer")
		}
		c := &Conn{net: client}
		waits := make(chan struct{}, 1)
		c.in = newIntake(client, nil, func() { waits <- struct{}{} })
		ended := make(chan error, 1)
		go func() {
			_, err := c.Read()
			ended <- err
		}()
		<-waits
		c.drop()
		if err := <-ended; err == nil {
			t.Error("got a message, want an error")
		}
	})
}

// Events are held back until BeforeWait's word: it must come before each wait, also behind half a message.
func TestConn_tells_before_it_waits(t *testing.T) {
	message := ws.MustCompileFrame(ws.NewTextFrame([]byte(`{"op":11}`)))
	large := ws.MustCompileFrame(ws.NewTextFrame(bytes.Repeat([]byte("x"), 3*readBuffer)))
	for name, behind := range map[string][]byte{ // what comes behind the first message
		"nothing":              nil,
		"half a header":        message[:1],
		"half a message":       message[:5],
		"half a large message": large[:2*readBuffer],
		"a fragment":           ws.MustCompileFrame(ws.NewFrame(ws.OpText, false, []byte(`{"op":`))),
		"a ping":               ws.MustCompileFrame(ws.NewPingFrame(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, client, server net.Conn) {
				conn := &Conn{net: client}
				conn.in = newIntake(client, nil, conn.rest)
				var read atomic.Bool
				told := make(chan struct{}, 1)
				conn.BeforeWait(func() {
					if read.Load() {
						select {
						case told <- struct{}{}:
						default:
						}
					}
				})
				go func() { // both end with the connection
					for {
						if _, err := conn.Read(); err != nil {
							return
						}
						read.Store(true)
					}
				}()
				go func() {
					_, _ = server.Write(append(bytes.Clone(message), behind...))
					_, _ = io.Copy(io.Discard, server) // the pong
				}()
				<-told
			})
		})
	}
}

func TestConn_tells_nothing_while_there_is_something_to_read(t *testing.T) {
	if !rawReads {
		t.Skip("this system cannot tell whether a read would wait")
	}
	client, server := overTCP(t)
	defer client.Close()
	defer server.Close()
	message := ws.MustCompileFrame(ws.NewTextFrame(bytes.Repeat([]byte("x"), 1000)))
	const messages = 50 // more than one intake, less than a socket's buffer
	if _, err := server.Write(bytes.Repeat(message, messages)); err != nil {
		t.Fatal(err)
	}
	conn := &Conn{net: client}
	conn.in = newIntake(client, nil, conn.rest)
	told := 0
	conn.BeforeWait(func() { told++ })
	for range messages {
		if _, err := conn.Read(); err != nil {
			t.Fatal(err)
		}
	}
	if told > messages/4 { // on loopback all of it is there; a slow machine may bring it in pieces
		t.Errorf("got told %d times in %d messages that had all arrived", told, messages)
	}
}
