package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"drover/system/simtime"
)

// peer is the server's side of a connection. It does only what a test tells it.
type peer struct {
	net.Conn
	t *testing.T
}

// connected returns both sides of an upgraded connection over a pipe.
func connected(t *testing.T) (*Conn, *peer) {
	t.Helper()
	client, server := net.Pipe()
	upgraded := make(chan error, 1)
	go func() { // ends with the upgrade
		_, err := ws.Upgrade(server)
		upgraded <- err
	}()
	c, err := Dial(t.Context(), DialOptions{
		URL: "ws://gateway.test/?v=10", Compress: "none",
		NetDial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	if err := errors.Join(err, <-upgraded); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return c, &peer{server, t}
}

// send writes frames in a goroutine, since a pipe waits for its reader. It ends with the last write or with the pipe.
func (p *peer) send(frames ...[]byte) {
	go func() { _, _ = p.Write(bytes.Join(frames, nil)) }()
}

// next reads one frame of the client.
func (p *peer) next() (ws.Frame, error) {
	f, err := readFrame(p)
	if err == nil && !f.Header.Masked {
		p.t.Error("got a frame that is not masked")
	}
	return ws.UnmaskFrameInPlace(f), err
}

// readFrame reads one frame of the client, which is small.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, min(f.Header.Length, 1<<20))
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// raw is a frame as a server writes it, with any header.
func raw(h ws.Header, payload string) []byte {
	var b bytes.Buffer
	_ = ws.WriteHeader(&b, h) // to memory
	b.WriteString(payload)
	return b.Bytes()
}

func fragment(op ws.OpCode, fin bool, payload string) []byte {
	return raw(ws.Header{Fin: fin, OpCode: op, Length: int64(len(payload))}, payload)
}

func closing(code int, reason string) []byte {
	return fragment(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
}

func TestConn_reads_whole_messages_however_they_are_framed(t *testing.T) {
	long := strings.Repeat("long", 40<<10) // a length of 64 bits
	tests := []struct {
		name   string
		frames [][]byte
		want   []string
	}{
		{"one frame", [][]byte{fragment(ws.OpText, true, "a")}, []string{"a"}},
		{"an empty frame", [][]byte{fragment(ws.OpText, true, "")}, []string{""}},
		{"all lengths", [][]byte{fragment(ws.OpText, true, long[:125]), fragment(ws.OpText, true, long[:126]), fragment(ws.OpText, true, long)},
			[]string{long[:125], long[:126], long}},
		{"binary without compression", [][]byte{fragment(ws.OpBinary, true, "a")}, []string{"a"}},
		{"fragments", [][]byte{fragment(ws.OpText, false, "a"), fragment(ws.OpContinuation, false, ""), fragment(ws.OpContinuation, true, "b")}, []string{"ab"}},
		{"a pong between fragments", [][]byte{fragment(ws.OpText, false, "a"), fragment(ws.OpPong, true, "x"), fragment(ws.OpContinuation, true, "b")}, []string{"ab"}},
		{"two fragmented messages", [][]byte{fragment(ws.OpText, false, "a"), fragment(ws.OpContinuation, true, "b"), fragment(ws.OpText, false, "c"), fragment(ws.OpContinuation, true, "d")},
			[]string{"ab", "cd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p := connected(t)
			p.send(tt.frames...)
			for _, want := range tt.want {
				if got, err := c.Read(); err != nil || string(got) != want {
					t.Errorf("got %.20q with error %v, want %.20q", got, err, want)
				}
			}
		})
	}
}

func TestConn_answers_a_ping_between_the_fragments_of_a_message(t *testing.T) {
	c, p := connected(t)
	p.send(fragment(ws.OpText, false, "a"), fragment(ws.OpPing, true, "are you there"), fragment(ws.OpContinuation, true, "b"))
	pong := make(chan ws.Frame, 1)
	go func() {
		f, _ := p.next()
		pong <- f
	}()
	if got, err := c.Read(); err != nil || string(got) != "ab" {
		t.Errorf("got %q with error %v, want ab", got, err)
	}
	if f := <-pong; f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there" {
		t.Errorf("got opcode %d with %q, want a pong with the ping's payload", f.Header.OpCode, f.Payload)
	}
}

func TestConn_leaves_a_peer_that_breaks_the_framing_and_keeps_the_session(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
		want  error // nil: any
	}{
		{"masked by the server", raw(ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: 1}, "a"), nil},
		{"reserved bits", raw(ws.Header{Fin: true, OpCode: ws.OpText, Rsv: ws.Rsv(true, false, false), Length: 1}, "a"), nil},
		{"a reserved opcode", raw(ws.Header{Fin: true, OpCode: 3, Length: 1}, "a"), nil},
		{"a continuation of nothing", fragment(ws.OpContinuation, true, "a"), nil},
		{"a message within a message", append(fragment(ws.OpText, false, "a"), fragment(ws.OpText, true, "b")...), nil},
		{"a fragmented ping", fragment(ws.OpPing, false, "a"), nil},
		{"a long ping", fragment(ws.OpPing, true, strings.Repeat("a", 126)), nil},
		{"a message over the limit", raw(ws.Header{Fin: true, OpCode: ws.OpText, Length: maxMessage + 1}, ""), ErrTooBig},
		{"fragments over the limit", append(fragment(ws.OpText, false, "a"), raw(ws.Header{Fin: true, OpCode: ws.OpContinuation, Length: maxMessage}, "")...), ErrTooBig},
		{"a negative length", append([]byte{0x81, 127}, binary.BigEndian.AppendUint64(nil, 1<<63|1)...), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p := connected(t)
			p.send(tt.frame)
			_, err := c.Read()
			if err == nil || errors.As(err, new(*CloseError)) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got error %v, want one of the framing (%v)", err, tt.want)
			}
			if f, err := p.next(); err != nil || f.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(f.Payload) != 4000 {
				t.Errorf("got %+v with error %v, want close code 4000", f, err)
			}
		})
	}
}

func TestConn_believes_an_announced_length_only_as_far_as_bytes_arrive(t *testing.T) {
	c, p := connected(t)
	go func() {
		_, _ = p.Write(raw(ws.Header{Fin: true, OpCode: ws.OpText, Length: maxMessage}, "only this"))
		_ = p.Close()
	}()
	var closed *CloseError
	if _, err := c.Read(); !errors.As(err, &closed) || closed.Code != 1006 {
		t.Errorf("got error %v, want code 1006", err)
	}
	if got := cap(c.frame); got > 2*growStep {
		t.Errorf("got a buffer of %d bytes for 9 bytes, want at most %d", got, 2*growStep)
	}
}

func TestConn_gives_a_large_buffer_back_before_it_waits_for_the_next_message(t *testing.T) {
	c, p := connected(t)
	giant := strings.Repeat("x", 20<<20)
	p.send(fragment(ws.OpText, true, giant), fragment(ws.OpText, true, "small"))
	if got, err := c.Read(); err != nil || len(got) != len(giant) {
		t.Fatalf("got %d bytes with error %v, want %d", len(got), err, len(giant))
	}
	if got, err := c.Read(); err != nil || string(got) != "small" || cap(c.frame) > keepBuffer {
		t.Errorf("got %q in a buffer of %d bytes with error %v, want small in at most %d", got, cap(c.frame), err, keepBuffer)
	}
}

func TestConn_keeps_the_close_code(t *testing.T) {
	tests := []struct {
		name   string
		frame  []byte // nil: the peer just goes
		code   int
		reason string
	}{
		{"4004", closing(4004, "Authentication failed."), 4004, "Authentication failed."},
		{"4014 with a long reason", closing(4014, strings.Repeat("r", 123)), 4014, strings.Repeat("r", 123)},
		{"1000", closing(1000, ""), 1000, ""},
		{"no code", fragment(ws.OpClose, true, ""), 1005, ""},
		{"no close frame", nil, 1006, ""},
		{"no close frame in mid message", fragment(ws.OpText, false, "a"), 1006, ""},
		{"no close frame in mid header", []byte{0x81}, 1006, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, p := connected(t)
			go func() {
				_, _ = p.Write(tt.frame)
				_ = p.Close()
			}()
			_, err := c.Read()
			var closed *CloseError
			if !errors.As(err, &closed) || closed.Code != tt.code || closed.Class != ClassOf(tt.code) || tt.code != 1006 && closed.Reason != tt.reason {
				t.Errorf("got %v, want code %d and reason %q", err, tt.code, tt.reason)
			}
			if err := c.Write([]byte("late")); err == nil {
				t.Error("a write after the end worked")
			}
		})
	}
}

func TestConn_close_waits_for_the_peers_answer_through_all_that_still_arrives(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		c, p := connected(t)
		read := make(chan error, 1)
		go func() {
			_, err := c.Read()
			read <- err
		}()
		c.Close(4000, "reconnect")
		c.Close(1000, "a second call changes nothing")
		if f, err := p.next(); err != nil || f.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(f.Payload) != 4000 {
			t.Errorf("got %+v with error %v, want close code 4000", f, err)
		}
		p.send(fragment(ws.OpText, true, "a"), fragment(ws.OpText, false, "b"), fragment(ws.OpContinuation, true, "c"),
			fragment(ws.OpPing, true, "d"), fragment(ws.OpBinary, true, "e"))
		time.Sleep(900 * time.Millisecond) // simulated
		select {
		case err := <-read:
			t.Fatalf("got %v before the peer's close frame", err)
		default:
		}
		p.send(closing(4000, "so be it"))
		var closed *CloseError
		if err := <-read; !errors.As(err, &closed) || closed.Reason != "so be it" {
			t.Errorf("got %v, want the peer's close frame", err)
		}
		time.Sleep(time.Second)
	})
}

func TestConn_close_drops_a_peer_that_does_not_answer_after_a_second(t *testing.T) {
	for _, reads := range []bool{true, false} {
		t.Run(fmt.Sprintf("it reads: %v", reads), func(t *testing.T) {
			simtime.Run(t, func(t *testing.T) {
				c, p := connected(t)
				began := time.Now()
				c.Close(4000, "reconnect")
				if took := time.Since(began); took > 0 {
					t.Errorf("Close took %v, want no time", took)
				}
				if reads {
					if _, err := p.next(); err != nil {
						t.Error(err)
					}
				}
				_, err := c.Read()
				if took := time.Since(began); err == nil || took != closeTimeout {
					t.Errorf("Read ended with %v after %v, want an error after %v", err, took, closeTimeout)
				}
			})
		})
	}
}

// In real time: a bubble's clock stands still while the close frame waits for the lock of the write that hangs.
func TestConn_close_does_not_wait_behind_a_write_that_hangs(t *testing.T) {
	c, p := connected(t)
	wrote := make(chan error, 1)
	go func() { wrote <- c.Write([]byte("nobody reads this")) }()
	if _, err := io.ReadFull(p, make([]byte, 1)); err != nil { // it is writing
		t.Fatal(err)
	}
	began := time.Now()
	c.Close(4000, "reconnect")
	if took := time.Since(began); took > closeTimeout/2 {
		t.Errorf("Close took %v, want no time", took)
	}
	if err := <-wrote; err == nil || time.Since(began) > 3*closeTimeout {
		t.Errorf("Write ended with %v after %v, want an error after %v", err, time.Since(began), closeTimeout)
	}
	if err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v from a write after Close, want net.ErrClosed", err)
	}
}

func TestConn_gives_up_a_write_that_nobody_reads(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		c, _ := connected(t)
		began := time.Now()
		if err := c.Write([]byte("nobody reads this")); err == nil || time.Since(began) != writeTimeout {
			t.Errorf("got %v after %v, want an error after %v", err, time.Since(began), writeTimeout)
		}
	})
}

func TestConn_writes_whole_frames_from_many_goroutines(t *testing.T) {
	const writers, each = 8, 50
	c, p := connected(t)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			payload := bytes.Repeat([]byte{byte('a' + w)}, 10+1000*w)
			want := bytes.Clone(payload)
			for range each {
				if err := c.Write(payload); err != nil {
					t.Error(err)
				}
			}
			if !bytes.Equal(payload, want) {
				t.Error("Write changed the caller's payload")
			}
		})
	}
	got := map[byte]int{}
	for range writers * each {
		f, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		first := f.Payload[0]
		if want := bytes.Repeat([]byte{first}, 10+1000*int(first-'a')); !bytes.Equal(f.Payload, want) {
			t.Fatalf("got %d bytes of %q, want %d", len(f.Payload), first, len(want))
		}
		got[first]++
	}
	writing.Wait()
	if len(got) != writers {
		t.Errorf("got frames of %d writers, want %d", len(got), writers)
	}
}

func TestDial_takes_what_came_in_one_packet_with_the_upgrade(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		var answer bytes.Buffer
		_, _ = ws.Upgrade(struct {
			io.Reader
			io.Writer
		}{server, &answer})
		answer.Write(fragment(ws.OpText, true, "hello"))
		answer.Write(fragment(ws.OpText, false, "half"))
		_, _ = server.Write(answer.Bytes())
		_, _ = server.Write(fragment(ws.OpContinuation, true, " and half"))
		_ = server.Close()
	}()
	c, err := Dial(t.Context(), DialOptions{URL: "ws://gateway.test/", Compress: "none",
		NetDial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hello", "half and half"} {
		if got, err := c.Read(); err != nil || string(got) != want {
			t.Errorf("got %q with error %v, want %q", got, err, want)
		}
	}
}

func TestDial_names_the_status_of_a_refused_upgrade(t *testing.T) {
	for _, status := range []int{401, 429, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		_, err := Dial(t.Context(), DialOptions{URL: "ws" + strings.TrimPrefix(server.URL, "http") + "/?v=10", Compress: "zlib-stream"})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprint(status)) || !strings.HasPrefix(err.Error(), "gateway: dial: ") {
			t.Errorf("got error %v, want one that names %d", err, status)
		}
		server.Close()
	}
}

func TestDial_ends_with_its_context_and_closes_the_socket(t *testing.T) {
	tests := []struct {
		name    string
		timeout time.Duration
		cancel  time.Duration // 0: never
		want    time.Duration
	}{
		{"the time-out", 3 * time.Second, 0, 3 * time.Second},
		{"the default time-out", 0, 0, dialTimeout},
		{"the caller's context", 0, time.Second, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simtime.Run(t, func(t *testing.T) {
				client, server := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, server) }() // never answers; ends with the client's socket
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				began := time.Now()
				_, err := Dial(ctx, DialOptions{URL: "ws://gateway.test/", Timeout: tt.timeout, Compress: "none",
					NetDial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
				if took := time.Since(began); err == nil || took != tt.want {
					t.Errorf("got error %v after %v, want one after %v", err, took, tt.want)
				}
			})
		})
	}
}

func TestConformance07_a_peer_that_never_answers_the_close_is_left_over_the_wire(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	type seen struct {
		code  uint16
		after time.Duration // between the close frame and the end of TCP
	}
	result := make(chan seen, 1)
	go func() { // ends when the client has dropped TCP
		server, err := listener.Accept()
		if err != nil {
			return
		}
		defer server.Close()
		_, _ = ws.Upgrade(server)
		f, _ := readFrame(server)
		began := time.Now()
		_, _ = io.Copy(io.Discard, server) // says nothing and does not go
		if f = ws.UnmaskFrameInPlace(f); len(f.Payload) >= 2 {
			result <- seen{binary.BigEndian.Uint16(f.Payload), time.Since(began)}
		}
		close(result)
	}()
	c, err := Dial(t.Context(), DialOptions{URL: "ws://" + listener.Addr().String() + "/?v=10", Compress: "none"})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.Close(4000, "zombie")
	if took := time.Since(began); took > 5*time.Second { // it would wait for ever
		t.Errorf("Close took %v, want the next dial to begin at once", took)
	}
	if _, err := c.Read(); err == nil {
		t.Error("got a message, want the end of the connection")
	}
	got := <-result
	if got.code != 4000 || got.after < closeTimeout/2 || got.after > 10*time.Second {
		t.Errorf("got close code %d and TCP for %v more, want 4000 and about %v", got.code, got.after, closeTimeout)
	}
}
