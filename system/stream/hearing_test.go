package stream

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover/messages"
)

// heardOf returns what nats.go would read of what a server sends, and what was taken out, as "token data".
func heardOf(t testing.TB, server io.Reader, inbox string, sizes *rand.Rand) (left string, heard []string) {
	t.Helper()
	var ears atomic.Pointer[ear]
	settled := 0
	ears.Store(&ear{
		inbox: inbox,
		hear: func(token, data []byte) (answer, bool) {
			of, ok := parseToken(token)
			if ok {
				heard = append(heard, string(token)+" "+string(data))
			}
			return answer{token: of}, ok
		},
		settle: func(t *tally) { settled += len(t.batch); t.batch = t.batch[:0] },
	})
	h := hearing{ears: &ears}
	var all bytes.Buffer
	for {
		b := make([]byte, 1+sizes.IntN(300))
		n, err := h.read(onlyRead{Reader: server}, b)
		all.Write(b[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if settled != len(heard) {
		t.Errorf("got %d settled of %d that were heard", settled, len(heard))
	}
	return all.String(), heard
}

type onlyRead struct {
	net.Conn
	io.Reader
}

func (r onlyRead) Read(b []byte) (int, error) { return r.Reader.Read(b) }

func msg(subject, data string) string {
	return fmt.Sprintf("MSG %s 7 %d\r\n%s\r\n", subject, len(data), data)
}

// However the network cuts what the server sends, nats.go gets all but the acknowledgements, byte for byte.
func TestHearing_takes_out_acknowledgements_and_nothing_else(t *testing.T) {
	const inbox = "_INBOX.ours."
	others := []string{
		"INFO {\"server_id\":\"x\"}\r\n", "PING\r\n", "PONG\r\n", "+OK\r\n", "-ERR 'slow'\r\n",
		msg("_INBOX.theirs.1", "hello"), msg("events.member.join", strings.Repeat("MSG "+inbox+"a 1 2\r\nhi\r\n", 50)),
		msg("x", ""), "MSG x 1 reply 2\r\nok\r\n", "INFO " + strings.Repeat("x", 3*heardAtOnce) + "\r\n",
		"HMSG " + inbox + "a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", // without a responder: rare, and nats.go's
		msg(inbox+"not.a.token", "?"), msg(inbox+"zz", strings.Repeat("y", maxAck)),
	}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		var sent, want strings.Builder
		var acks []string
		for i := range 200 {
			if r.IntN(3) == 0 {
				op := others[r.IntN(len(others))]
				sent.WriteString(op)
				want.WriteString(op)
				continue
			}
			token, data := strconv.FormatInt(int64(i), 36), `{"stream":"EVENTS","seq":`+strconv.Itoa(i)+`}`
			sent.WriteString(msg(inbox+token, data))
			acks = append(acks, token+" "+data)
		}
		server := io.Reader(strings.NewReader(sent.String()))
		if seed%2 == 0 {
			server = &pieces{server, r}
		}
		left, heard := heardOf(t, server, inbox, r)
		if left != want.String() {
			t.Fatalf("seed %d: nats.go got %d bytes, want %d", seed, len(left), want.Len())
		}
		if diff := cmp.Diff(acks, heard); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

// pieces reads as much as chance has it.
type pieces struct {
	io.Reader
	r *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), 1+p.r.IntN(40))]) }

func TestHearing_leaves_alone_what_it_does_not_understand(t *testing.T) {
	ack := msg("_INBOX.ours.1", `{"stream":"EVENTS","seq":1}`)
	for name, begins := range map[string]string{
		"tls":                "\x16\x03\x03\x00\x7a",
		"websocket":          "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"a size of no sense": "MSG _INBOX.ours.1 1 x\r\n",
		"an endless size":    "MSG _INBOX.ours.1 1 99999999999\r\n",
		"an endless line":    "MSG " + strings.Repeat("x", 2*maxAck),
	} {
		t.Run(name, func(t *testing.T) {
			sent := "INFO {}\r\n" + begins + ack
			left, heard := heardOf(t, iotest.OneByteReader(strings.NewReader(sent)), "_INBOX.ours.", rand.New(rand.NewPCG(1, 1)))
			if left != sent || heard != nil {
				t.Errorf("got %q and %q taken out, want it unchanged", left, heard)
			}
		})
	}
}

func FuzzHearing(f *testing.F) {
	f.Add([]byte("INFO {}\r\n"+msg("_INBOX.ours.1", "{}")+"PING\r\n"), uint64(1))
	f.Add([]byte(msg("_INBOX.ours.1", "")+"HMSG a 1 2 3\r\nabc\r\n\x16"), uint64(2))
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		whole, heard := heardOf(t, bytes.NewReader(sent), "_INBOX.ours.", rand.New(rand.NewPCG(seed, 1)))
		r := rand.New(rand.NewPCG(seed, 2))
		cut, again := heardOf(t, &pieces{bytes.NewReader(sent), r}, "_INBOX.ours.", r)
		if whole != cut || !cmp.Equal(heard, again) {
			t.Errorf("got %q and %q by how it was cut", whole, cut)
		}
	})
}

func TestToken_reads_what_it_writes_and_nothing_else(t *testing.T) {
	for _, token := range []uint64{0, 1, 35, 36, 1<<53 - 1} {
		if got, ok := parseToken(appendToken(nil, token)); !ok || got != token {
			t.Errorf("got %d, %v, want %d", got, ok, token)
		}
	}
	for _, text := range []string{"", "A", "-1", "a.b", "zzzzzzzzzzzzz"} {
		if _, ok := parseToken([]byte(text)); ok {
			t.Errorf("%q: got a token", text)
		}
	}
}

// What goes below nats.go says to the server the same as what goes through it, and both come back acknowledged.
func TestPublish_says_the_same_below_nats_go_and_through_it(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue(t, "server", x509.ExtKeyUsageServerAuth)
	plain := startNATS(t)
	secure := startNATS(t, "-c", writeFile(t, "nats.conf", fmt.Sprintf(`tls { cert_file: %q, key_file: %q }`, cert, key)))
	inside := startEmbedded(t)
	type seen struct {
		Subject, Data string
		Header        map[string][]string
	}
	publish := func(o Options, below bool) (all []seen) {
		t.Helper()
		r := newRig(t, o)
		waitFor(t, "the connection", func() bool { return r.b.Connected() })
		at := time.UnixMilli(1770091567123)
		for seq := range int64(20) {
			ev := event(0, seq+1)
			ev.Read, ev.More = at, seq%3 == 0
			if seq%4 == 1 {
				ev.Trace = &messages.Trace{TraceID: [16]byte{15: byte(seq)}, SpanID: [8]byte{7: byte(seq)}}
			}
			switch {
			case seq%5 == 1:
				ev.Kind = interaction // long ago: it is late
			case seq == 7:
				ev.ID = "2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77"
			case seq == 9:
				ev.Data = nil
			}
			if err := r.Publish(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
		}
		r.drain()
		if got := r.b.gate.plain() != nil; got != below {
			t.Errorf("got publishing below nats.go %v, want %v", got, below)
		}
		for _, stream := range []string{"EVENTS", "COMMANDS"} {
			js := r.b.JetStream()
			s, err := js.Stream(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
				m, err := s.GetMsg(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				if age := m.Header.Get(messages.HeaderAge); age != "" {
					m.Header.Set(messages.HeaderAge, strconv.Itoa(len(age)))
				}
				all = append(all, seen{m.Subject, string(m.Data), m.Header})
			}
		}
		return all
	}
	want := publish(Options{URL: secure.url(), TLS: TLSOptions{CAFile: ca.file}}, false)
	if len(want) != 20 {
		t.Fatalf("got %d events over TLS, want 20", len(want))
	}
	traced := 0
	for _, m := range want {
		if parents := m.Header[messages.HeaderTrace]; len(parents) == 1 && messages.ParseTraceParent(parents[0]) != nil {
			traced++
		}
	}
	if traced != 5 {
		t.Errorf("got %d events with a trace context, want the 5 that are sampled", traced)
	}
	if diff := cmp.Diff(want, publish(Options{URL: plain.url()}, true)); diff != "" {
		t.Errorf("in plain: %s", diff)
	}
	if diff := cmp.Diff(want, publish(Options{Server: inside}, true)); diff != "" {
		t.Errorf("embedded: %s", diff)
	}
}

// A session's id is the peer's word: it must not become a header of its own, nor an operation of NATS' protocol.
func TestSender_lets_no_value_end_its_field(t *testing.T) {
	it := &item{
		kind: messageCreate, id: "id", session: "a\r\nEvil: 1\r\n\r\nPUB x 0\r\n\r\n", seq: 5, subject: "events.x", body: &buffer{[]byte("{}")},
	}
	s := sender{reply: []byte("r")}
	head, size := s.operation(it, 1234*time.Millisecond)
	line, header, _ := strings.Cut(string(head), "\r\n")
	want := "NATS/1.0\r\nNats-Msg-Id: id\r\nDrover-Event: MESSAGE_CREATE\r\n" +
		"Drover-Seq: a__Evil: 1____PUB x 0____:5\r\nDrover-Age: 1234\r\n\r\n"
	if header != want {
		t.Errorf("got %q, want %q", header, want)
	}
	if wantLine := fmt.Sprintf("HPUB events.x r %d %d", len(want), len(want)+2); line != wantLine || size != len(want)+2 {
		t.Errorf("got %q and size %d, want %q", line, size, wantLine)
	}
}

// From the read socket to the settled window, and from the item to the gathered bytes, nothing is allocated.
func TestWire_does_not_allocate(t *testing.T) {
	it := &item{kind: messageCreate, id: "2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77", session: "s", seq: 5, subject: "events.x", body: &buffer{benchData}}
	s := sender{reply: []byte("_INBOX.x.1")}
	w := &wire{Conn: &quiet{}, timeout: time.Second}
	it.trace = &messages.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
	step := func() {
		head, _ := s.operation(it, 0)
		if err := w.publish(head, it.body.b, true); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		step()
	}
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("got %v allocations for each event, want 0", got)
	}

	var ears atomic.Pointer[ear]
	heard := 0
	ears.Store(&ear{
		inbox: "_INBOX.x.",
		hear: func(token, _ []byte) (answer, bool) {
			of, ok := parseToken(token)
			heard++
			return answer{token: of}, ok
		},
		settle: func(t *tally) { t.batch = t.batch[:0] },
	})
	h, acks := hearing{ears: &ears}, []byte(strings.Repeat(msg("_INBOX.x.1", `{"stream":"EVENTS","seq":1}`), 100)+"PING\r\n")
	server, b := bytes.NewReader(nil), make([]byte, 100)
	c := net.Conn(onlyRead{Reader: server})
	if got := testing.AllocsPerRun(100, func() {
		server.Reset(acks)
		if n, err := h.read(c, b); err != nil || string(b[:n]) != "PING\r\n" {
			t.Fatalf("got %q, %v", b[:n], err)
		}
	}); got != 0 || heard == 0 {
		t.Errorf("got %v allocations for 100 acknowledgements, and heard %d, want 0", got, heard)
	}
}

type quiet struct{ net.Conn }

func (quiet) Write(b []byte) (int, error)      { return len(b), nil }
func (quiet) SetWriteDeadline(time.Time) error { return nil }

// After Close nobody is told of an acknowledgement, although the connection goes on.
func TestClose_waits_for_who_counts_acknowledgements(t *testing.T) {
	b := connect(t, Options{URL: startNATS(t).url()})
	for range 20 {
		var closed atomic.Bool
		var late atomic.Int64
		p := NewPublisher(b, PublisherOptions{OnAck: func(Ack) {
			if closed.Load() {
				late.Add(1)
			}
		}})
		if err := p.Replay(t.Context()); err != nil {
			t.Fatal(err)
		}
		for seq := range int64(200) {
			if err := p.Publish(t.Context(), event(0, seq+1)); err != nil {
				t.Fatal(err)
			}
		}
		p.Close()
		closed.Store(true)
		if err := b.nc.Flush(); err != nil { // what the server had to say is here
			t.Fatal(err)
		}
		if got := late.Load(); got != 0 {
			t.Fatalf("got %d acknowledgements told after Close", got)
		}
	}
}
