package stream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// written is a connection that notes each write.
type written struct {
	net.Conn
	writes []string
	closed bool
	err    error
}

func (c *written) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	c.writes = append(c.writes, string(b))
	return len(b), nil
}

func (c *written) SetWriteDeadline(time.Time) error { return nil }
func (c *written) Close() error                     { c.closed = true; return nil }

func TestWire_gathers_while_more_follows_and_keeps_the_order(t *testing.T) {
	c := &written{}
	w := &wire{Conn: c, timeout: time.Second}
	say := func(text string) {
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Fatalf("got %d, %v, want %d written", n, err, len(text))
		}
	}
	say("a")
	w.hold(true)
	say("b")
	say("c")
	if len(c.writes) != 1 {
		t.Fatalf("got writes %q while more follows, want only the first", c.writes)
	}
	w.hold(false)
	say("d")
	w.hold(true)
	say("e")
	w.release()
	w.release() // nothing is left
	say("f")    // a new hold begins with the next event only
	w.hold(true)
	big := strings.Repeat("g", gathered)
	say("-")
	say(big)
	want := []string{"a", "bcd", "e", "f", "-" + big}
	if len(c.writes) != len(want) {
		t.Fatalf("got %d writes, want %d", len(c.writes), len(want))
	}
	for i := range want {
		if c.writes[i] != want[i] {
			t.Errorf("write %d: got %.20q, want %.20q", i, c.writes[i], want[i])
		}
	}
}

func TestWire_closes_itself_when_a_write_fails(t *testing.T) {
	for name, fail := range map[string]func(*wire){
		"at once":    func(w *wire) { _, _ = w.Write([]byte("a")) },
		"by release": func(w *wire) { w.hold(true); _, _ = w.Write([]byte("a")); w.release() },
		"later": func(w *wire) {
			w.hold(true)
			_, _ = w.Write([]byte("a"))
			w.hold(false)
			if _, err := w.Write([]byte("b")); err == nil {
				t.Error("got no error of a write that failed")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &written{err: errors.New("broken pipe")}
			fail(&wire{Conn: c, timeout: time.Second})
			if !c.closed {
				t.Error("the connection is still open: nats.go would write on")
			}
		})
	}
}

// Events that say that more follows must not wait for it where it cannot come: the window is full.
func TestPublish_waits_for_room_with_nothing_held_back(t *testing.T) {
	r := newRig(t, Options{URL: startNATS(t).url(), Window: 4})
	for seq := range int64(50) {
		ev := event(0, seq+1)
		ev.More = true
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.Flush()
	r.drain()
}

// A bug that holds without release must cost a moment and no acknowledgement's time-out.
func TestPublish_sends_in_time_what_nobody_released(t *testing.T) {
	r := newRig(t, Options{URL: startNATS(t).url(), AckTimeout: time.Minute})
	ev := event(0, 1)
	ev.More = true
	if err := r.Publish(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the acknowledgement", func() bool { return r.Unacked() == 0 })
}

// What is gathered is another's memory by the time that it is written.
func TestWire_copies_what_it_gathers(t *testing.T) {
	c := &written{}
	w := &wire{Conn: c, timeout: time.Second}
	w.hold(true)
	b := []byte("sheep")
	_, _ = w.Write(b)
	copy(b, bytes.Repeat([]byte("x"), len(b)))
	w.release()
	if got := strings.Join(c.writes, ""); got != "sheep" {
		t.Errorf("got %q written, want what was given", got)
	}
}
