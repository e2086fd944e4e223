package stream

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"drover/system/simtime"
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

// Who lets go while nats.go writes must not leave that behind: nobody comes for it but the watchdog. Over TLS all events
// are written so.
func TestWire_release_leaves_nothing_behind_that_nats_go_writes_meanwhile(t *testing.T) {
	large := make([]byte, gathered/2) // takes a moment to be gathered
	for round := range 2000 {
		w := &wire{Conn: &quiet{}, timeout: time.Second}
		w.hold(true)
		var writing sync.WaitGroup
		begun := make(chan struct{})
		writing.Go(func() { close(begun); _, _ = w.Write(large) })
		<-begun
		for range round % 50 * 20 { // the moments differ
			_ = w.pending.Load()
		}
		w.release()
		writing.Wait()
		if w.pending.Load() {
			t.Fatalf("round %d: %d bytes wait for a release that was already", round, len(w.buf))
		}
	}
}

// The watchdog ends with Close: what is held then would hold for ever what others say over the same connection.
func TestClose_lets_go_of_the_connection(t *testing.T) {
	b := connect(t, Options{URL: startNATS(t).url()})
	p := NewPublisher(b, PublisherOptions{})
	if err := p.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	ev := event(0, 1)
	ev.More = true
	if err := p.Publish(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if err := b.nc.FlushTimeout(2 * time.Second); err != nil {
		t.Errorf("the connection is of no use any more: %v", err)
	}
}

// One giant must not cost a buffer of its size, and the buffer of those that follow.
func TestWire_does_not_gather_a_giant(t *testing.T) {
	c := &written{}
	w := &wire{Conn: c, timeout: time.Second}
	giant := bytes.Repeat([]byte("g"), 3*gathered)
	for _, body := range [][]byte{[]byte("a"), giant, []byte("b")} {
		if err := w.publish([]byte("head "), body, true); err != nil {
			t.Fatal(err)
		}
	}
	w.release()
	var all bytes.Buffer
	for _, text := range c.writes {
		all.WriteString(text)
	}
	if want := "head a\r\nhead " + string(giant) + "\r\nhead b\r\n"; all.String() != want {
		t.Errorf("got %d bytes written, want %d", all.Len(), len(want))
	}
	w.Conn = &quiet{}
	if got := testing.AllocsPerRun(100, func() { _ = w.publish([]byte("head "), giant, true) }); got != 0 {
		t.Errorf("got %v allocations for a giant, want 0", got)
	}
}

// A stream of events goes out in a write for each breath, one event alone at once, and nothing needs another call to go out.
func TestWire_releaseSoon_writes_once_in_a_breath(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		c := &written{}
		w := &wire{Conn: c, timeout: time.Second}
		event := func(name string) {
			w.hold(true)
			if _, err := io.WriteString(w, name); err != nil {
				t.Fatal(err)
			}
			w.releaseSoon()
		}
		wrote := func(want ...string) {
			t.Helper()
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if !slices.Equal(c.writes, want) {
				t.Fatalf("got writes %q, want %q", c.writes, want)
			}
		}
		event("a")
		wrote("a")
		for _, name := range []string{"b", "c", "d"} {
			time.Sleep(breath / 10)
			event(name)
		}
		wrote("a")
		time.Sleep(breath - 3*(breath/10) - 1)
		wrote("a")
		time.Sleep(time.Nanosecond)
		wrote("a", "bcd")
		event("e")
		w.release() // somebody waits for it
		wrote("a", "bcd", "e")
		time.Sleep(breath / 2)
		event("f") // what was due for e finds f: no later than a breath
		time.Sleep(breath / 2)
		wrote("a", "bcd", "e", "f")
		time.Sleep(time.Second)
		event("g")
		wrote("a", "bcd", "e", "f", "g")
		event("h")
		_ = w.Close()
		time.Sleep(breath) // its timer ends
	})
}

// Many readers at once: what any of them brought is written without another call, in whole and once.
func TestWire_releaseSoon_by_many_leaves_nothing_behind(t *testing.T) {
	c := &written{}
	w := &wire{Conn: c, timeout: time.Second}
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for i := range 2000 {
				if err := w.publish([]byte("x"), []byte("y"), true); err != nil {
					t.Error(err)
				}
				w.releaseSoon()
				if i%50 == 0 {
					runtime.Gosched() // another reader comes between a write and its flush
				}
			}
		})
	}
	readers.Wait()
	waitFor(t, "the last write", func() bool { return !w.pending.Load() && !w.due.Load() })
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Count(strings.Join(c.writes, ""), "xy\r\n"); got != 16000 {
		t.Errorf("got %d events written, want 16000", got)
	}
}
