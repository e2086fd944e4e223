package audit

import (
	"bufio"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// echo answers each line with itself until the test ends, and counts the lines that came.
func echo(t *testing.T) (addr string, came <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 100)
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection, which the proxy closes
				defer c.Close()
				for scan := bufio.NewScanner(c); scan.Scan(); {
					lines <- scan.Text()
					_, _ = c.Write(append(scan.Bytes(), '\n'))
				}
			}()
		}
	}()
	return l.Addr().String(), lines
}

// dialled is a client behind the proxy.
type dialled struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *proxy) *dialled {
	t.Helper()
	c, err := net.Dial("tcp", p.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &dialled{t, c, bufio.NewReader(c)}
}

func (d *dialled) say(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.c, line+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dialled) want(line string) {
	d.t.Helper()
	_ = d.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if got, err := d.r.ReadString('\n'); got != line+"\n" {
		d.t.Fatalf("got %q and %v, want %q", got, err, line)
	}
}

// wantSilence looks for a moment: what is held back would come at once.
func (d *dialled) wantSilence() {
	d.t.Helper()
	_ = d.c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	var late net.Error
	if b, err := d.r.ReadByte(); !errors.As(err, &late) || !late.Timeout() {
		d.t.Fatalf("got %q and %v, want silence", b, err)
	}
}

func (d *dialled) wantEnd() {
	d.t.Helper()
	_ = d.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var late net.Error
	if rest, err := io.ReadAll(d.r); len(rest) > 0 || errors.As(err, &late) && late.Timeout() {
		d.t.Fatalf("got %q and %v, want the end", rest, err)
	}
}

func startProxy(t *testing.T) (*proxy, <-chan string) {
	t.Helper()
	addr, came := echo(t)
	p, err := newProxy(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p, came
}

func TestProxy_holds_each_way_and_loses_nothing_by_it(t *testing.T) {
	p, came := startProxy(t)
	d := dial(t, p)
	d.say("one")
	d.want("one")
	<-came

	p.hold(acks)
	d.say("two")
	if got := <-came; got != "two" {
		t.Errorf("got %q at the server, want two", got)
	}
	d.wantSilence()
	p.hold(0)
	d.want("two")

	p.hold(events)
	d.say("three")
	d.wantSilence()
	select {
	case got := <-came:
		t.Errorf("got %q at the server, want nothing", got)
	default:
	}
	p.hold(0)
	d.want("three")
}

func TestProxy_cut_loses_what_was_held_back(t *testing.T) {
	p, came := startProxy(t)
	d := dial(t, p)
	d.say("one")
	d.want("one")
	<-came
	p.hold(events)
	d.say("two")
	d.wantSilence()
	p.cut()
	p.hold(0)
	d.wantEnd()
	d = dial(t, p)
	d.say("three")
	d.want("three")
	if got := <-came; got != "three" {
		t.Errorf("got %q at the server, want three: two was cut", got)
	}
}

func TestProxy_connects_nobody_while_the_network_is_dead(t *testing.T) {
	p, _ := startProxy(t)
	p.hold(both)
	d := dial(t, p)
	d.say("one")
	d.wantSilence()
	p.hold(0)
	d.want("one")
}
