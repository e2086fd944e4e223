package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// binary is the stock nats-server, built once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "nats-server")
	out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "stream"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// waitFor polls: what it waits for happens on other processes' clocks.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited 30 s for: %s", what)
		}
	}
}

// natsd is a nats-server process on a port that it keeps over restarts.
type natsd struct {
	t    testing.TB
	args []string
	addr string
	cmd  *exec.Cmd
}

func startNATS(t testing.TB, args ...string) *natsd {
	t.Helper()
	if _, err := binary(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	d := &natsd{t: t, addr: addr, args: append([]string{"-a", "127.0.0.1", "-p", port, "-js", "-sd", t.TempDir()}, args...)}
	d.start()
	t.Cleanup(d.kill)
	return d
}

func (d *natsd) url() string { return "nats://" + d.addr }

func (d *natsd) start() {
	d.t.Helper()
	path, _ := binary()
	d.cmd = exec.Command(path, d.args...)
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	waitFor(d.t, "nats-server listens", func() bool {
		c, err := net.Dial("tcp", d.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (d *natsd) signal(s syscall.Signal) { _ = d.cmd.Process.Signal(s) }

func (d *natsd) kill() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.cmd = nil
	}
}

// proxy forwards TCP to one address, until it is told to cut or to swallow.
type proxy struct {
	l      net.Listener
	target string
	mu     sync.Mutex
	conns  []net.Conn
	hole   bool
	deaf   bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, c, s)
			p.mu.Unlock()
			wg.Go(func() { p.copy(s, c, false) })
			wg.Go(func() { p.copy(c, s, true) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); p.cut(); wg.Wait() })
	return p
}

func (p *proxy) url() string { return "nats://" + p.l.Addr().String() }

func (p *proxy) copy(dst, src net.Conn, answers bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		p.mu.Lock()
		hole := p.hole || p.deaf && answers
		p.mu.Unlock()
		if !hole {
			if _, err := dst.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = src.Close(), dst.Close()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns, p.deaf = nil, false
}

// deafen keeps everything that the server says from the client, until the connections are cut.
func (p *proxy) deafen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = true
}

func (p *proxy) swallow(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole = on
}

func startEmbedded(t testing.TB) *Embedded {
	t.Helper()
	e, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	return e
}

func connect(t testing.TB, o Options) *Broker {
	t.Helper()
	o.Name = "drover test"
	b, err := Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// rig is a Publisher under the control of a goroutine that does what the publisher's actor does.
type rig struct {
	*Publisher
	t         testing.TB
	b         *Broker
	troubles  chan error
	mu        sync.Mutex
	causes    []error
	retried   int
	oversize  int
	madeAgain int
	stop      func() // like a crash, as far as the Publisher goes: nothing is waited for
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	return newRigWith(t, o, PublisherOptions{})
}

// newRigWith is newRig with a spool, or what else a Publisher may have.
func newRigWith(t testing.TB, o Options, po PublisherOptions) *rig {
	t.Helper()
	r := &rig{t: t, troubles: make(chan error, 1000)}
	o.Hooks.Lost = func(err error) { r.troubles <- err }
	o.Hooks.Made = func(_ messages.Stream, again bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if again {
			r.madeAgain++
		}
	}
	if os.Getenv("STREAM_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	r.b = connect(t, o)
	po.OnTrouble = func(err error) { r.troubles <- err }
	po.OnRetry = func(n int, _ error) { r.mu.Lock(); r.retried += n; r.mu.Unlock() }
	po.OnOversize = func(*messages.Kind, int, int) { r.mu.Lock(); r.oversize++; r.mu.Unlock() }
	r.Publisher = NewPublisher(r.b, po)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Replay(ctx); err != nil {
			return
		}
		for {
			select {
			case err := <-r.troubles:
				r.mu.Lock()
				r.causes = append(r.causes, err)
				r.mu.Unlock()
				r.Pause()
				if r.Replay(ctx) != nil {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	r.stop = func() { cancel(); r.Close(); <-done }
	t.Cleanup(r.stop)
	return r
}

func (r *rig) count(n *int) int { r.mu.Lock(); defer r.mu.Unlock(); return *n }

// drain waits until everything is acknowledged.
func (r *rig) drain() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.t.Fatalf("%v (troubles: %v)", err, r.causes)
	}
}

var memberJoin, messageCreate, interaction = messages.KindOf([]byte("GUILD_MEMBER_ADD")), messages.KindOf([]byte("MESSAGE_CREATE")), messages.KindOf([]byte("INTERACTION_CREATE"))

func event(shardID int, seq int64) *messages.Event {
	return &messages.Event{
		Kind: messageCreate, Session: "session-" + strconv.Itoa(shardID), Seq: seq, ShardID: shardID, Read: time.Now(),
		GuildID: []byte("700000000000000010"), Data: []byte(`{"content":"` + strings.Repeat("x", 200) + `"}`),
	}
}

// flood publishes the events first to last for each of the shards, each shard from its own
// goroutine, or fewer when stop is closed. It returns the number of each shard's last event.
func (r *rig) flood(shards int, first, last int64, stop <-chan struct{}) []int64 {
	var wg sync.WaitGroup
	got := make([]int64, shards)
	for shardID := range shards {
		got[shardID] = first - 1
		wg.Go(func() {
			for seq := first; seq <= last; seq++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := r.Publish(context.Background(), event(shardID, seq)); err != nil {
					r.t.Errorf("shard %d seq %d: %v", shardID, seq, err)
					return
				}
				got[shardID] = seq
			}
		})
	}
	wg.Wait()
	return got
}

// stored reads a whole stream back, over a connection of its own.
func stored(t testing.TB, url, name string) []*jetstream.RawStreamMsg {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	want := s.CachedInfo().State.Msgs
	if want == 0 {
		return nil
	}
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	out := make([]*jetstream.RawStreamMsg, 0, want)
	for uint64(len(out)) < want {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		meta, _ := m.Metadata()
		out = append(out, &jetstream.RawStreamMsg{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Header: m.Headers(), Data: m.Data()})
	}
	return out
}

// verdict compares a stream with what flood published: each shard's events from first to last.
func verdict(msgs []*jetstream.RawStreamMsg, first int64, last ...int64) error {
	next := make([]int64, len(last))
	want := 0
	for i := range next {
		next[i] = first
		want += int(last[i] - first + 1)
	}
	var twice, disordered int
	seen := make(map[string]bool, len(msgs))
	for _, m := range msgs {
		session, text, _ := strings.Cut(m.Header.Get(messages.HeaderSeq), ":")
		shardID, _ := strconv.Atoi(strings.TrimPrefix(session, "session-"))
		seq, _ := strconv.ParseInt(text, 10, 64)
		id := m.Header.Get(messages.HeaderID)
		if seen[id] {
			twice++
			continue
		}
		seen[id] = true
		if seq != next[shardID] {
			disordered++
		}
		next[shardID] = seq + 1
	}
	if lost := want - len(seen); lost != 0 || twice+disordered != 0 {
		return fmt.Errorf("lost %d, twice %d, out of order %d of %d", lost, twice, disordered, want)
	}
	return nil
}

var errStop = errors.New("the test has seen enough")
