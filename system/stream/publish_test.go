package stream

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"drover/messages"

	"github.com/nats-io/nats.go"
)

func TestPublish_stores_envelope_subject_and_headers_of_the_contract(t *testing.T) {
	e := startEmbedded(t)
	r := newRig(t, Options{Server: e, Prefix: "bot-1"})
	acks := make(ackLog, 3)
	join := event(3, 7)
	join.Kind, join.Receipt = memberJoin, acks
	click := event(3, 8)
	click.Kind, click.Receipt = interaction, acks
	down := (&messages.LifeCycle{ShardID: 3, Session: "session-3", Seq: 8, At: time.Now(), Down: &messages.DownData{Reason: "test"}}).Event()
	down.Receipt = acks
	for _, ev := range []*messages.Event{join, click, down} {
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.drain()
	got := append(stored(t, e.ClientURL(), "bot-1_EVENTS"), stored(t, e.ClientURL(), "bot-1_COMMANDS")...)
	want := []struct {
		ev                  *messages.Event
		subject, event, seq string
	}{
		{join, "bot-1.events.member.join", "GUILD_MEMBER_ADD", "session-3:7"},
		{down, "bot-1.events.shard.down", "DROVER_SHARD_DOWN", ""},
		{click, "bot-1.commands.interaction", "INTERACTION_CREATE", "session-3:8"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d messages, want %d", len(got), len(want))
	}
	for i, w := range want {
		m := got[i]
		if m.Subject != w.subject || m.Header.Get(messages.HeaderEvent) != w.event || m.Header.Get(messages.HeaderSeq) != w.seq || m.Header.Get(messages.HeaderID) != w.ev.EventID() {
			t.Errorf("got %s %v, want %+v", m.Subject, m.Header, w)
		}
		if body := string(w.ev.AppendEnvelope(nil, w.ev.EventID())); string(m.Data) != body {
			t.Errorf("got %s, want %s", m.Data, body)
		}
		<-acks
	}
	if n := len(got[1].Header); n != 2 {
		t.Errorf("got %d headers on a life-cycle event, want 2: %v", n, got[1].Header)
	}
}

type ackLog chan int64

func (a ackLog) Acked(_ messages.Stream, seq int64, _ uint64) { a <- seq }

func TestPublish_blocks_while_the_window_is_full(t *testing.T) {
	e := startEmbedded(t)
	b := connect(t, Options{Server: e, Window: 3})
	p := NewPublisher(b, PublisherOptions{}) // paused: nothing is acknowledged
	defer p.Close()
	for seq := range int64(3) {
		if err := p.Publish(t.Context(), event(0, seq+1)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("and returns the cause of a context that ends", func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, enough)
		defer cancel()
		if err := p.Publish(ctx, event(0, 4)); !errors.Is(err, enough) {
			t.Fatalf("got %v, want %v", err, enough)
		}
		if got := p.Unacked(); got != 3 {
			t.Fatalf("got %d unacknowledged, want 3", got)
		}
	})
	t.Run("and drain says how many are left", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := p.Drain(ctx); err == nil || !strings.Contains(err.Error(), "3 events") {
			t.Fatalf("got %v, want an error that names 3 events", err)
		}
	})
	t.Run("and goes on when there is room", func(t *testing.T) {
		done := make(chan error, 1)
		go func() { done <- p.Publish(context.Background(), event(0, 4)) }()
		waitFor(t, "a waiter", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.lanes[messages.Events].waiters) == 1 })
		if err := p.Replay(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := p.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := verdict(stored(t, e.ClientURL(), "EVENTS"), 1, 4); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPublish_counts_the_window_in_bytes_too(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t), WindowBytes: 10_000})
	p := NewPublisher(b, PublisherOptions{})
	defer p.Close()
	big := event(0, 1)
	big.Data = []byte(`"` + strings.Repeat("x", 50_000) + `"`)
	if err := p.Publish(t.Context(), big); err != nil { // one always fits
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, event(0, 2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := p.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.lanes[messages.Events]; l.bytes != 0 || l.reserved != 0 || l.promised != 0 {
		t.Fatalf("got %d bytes, %d slots and %d bytes reserved after the drain, want none", l.bytes, l.reserved, l.promised)
	}
}

func TestPublish_ends_with_ErrClosed_when_the_publisher_is_closed(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t), Window: 1})
	p := NewPublisher(b, PublisherOptions{})
	if err := p.Publish(t.Context(), event(0, 1)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Publish(context.Background(), event(0, 2)) }()
	waitFor(t, "a waiter", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.lanes[messages.Events].waiters) == 1 })
	p.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v for the waiting call, want %v", err, ErrClosed)
	}
	if err := p.Publish(t.Context(), event(0, 3)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if err := p.Replay(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v from Replay, want %v", err, ErrClosed)
	}
	if err := p.Drain(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v from Drain, want %v", err, ErrClosed)
	}
	b.Close()
	late := NewPublisher(b, PublisherOptions{})
	if err := late.Publish(t.Context(), event(0, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v on a closed broker, want %v", err, ErrClosed)
	}
	late.Close()
}

func TestPublish_replaces_data_that_is_too_large_for_the_server(t *testing.T) {
	conf := writeFile(t, "nats.conf", "max_payload: 65536")
	d := startNATS(t, "-c", conf)
	r := newRig(t, Options{URL: d.url()})
	big := event(0, 2)
	big.Data = []byte(`{"name":"` + strings.Repeat("x", 100_000) + `"}`)
	for _, ev := range []*messages.Event{event(0, 1), big, event(0, 3)} {
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.drain()
	checkOversize(t, r, stored(t, d.url(), "EVENTS")[1].Data, len(big.Data))
}

func TestPublish_replaces_data_that_is_too_large_for_the_stream(t *testing.T) {
	e := startEmbedded(t)
	r := newRig(t, Options{Server: e})
	r.flood(1, 1, 1, nil)
	r.drain()
	setStream(t, r.b, messages.Events, func(c *streamConfig) { c.MaxMsgSize = 1500 })
	big := event(0, 2)
	big.Data = []byte(`{"name":"` + strings.Repeat("x", 5000) + `"}`)
	for _, ev := range []*messages.Event{big, event(0, 3)} {
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.drain()
	for _, m := range stored(t, e.ClientURL(), "EVENTS") {
		if m.Header.Get(messages.HeaderID) == big.EventID() {
			checkOversize(t, r, m.Data, len(big.Data))
			return
		}
	}
	t.Fatal("the large event is missing")
}

func checkOversize(t *testing.T, r *rig, raw []byte, bytes int) {
	t.Helper()
	var e Envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if got, want := string(e.Data), `{"drover_oversize":`+strconv.Itoa(bytes)+`}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e.Type != "message.create" || e.GuildID == nil {
		t.Errorf("got %+v, want the other fields unchanged", e)
	}
	if got := r.count(&r.oversize); got != 1 {
		t.Errorf("got %d oversize events counted, want 1", got)
	}
}

func TestPublish_ignores_an_ack_of_an_earlier_send(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t), Window: 1})
	p := NewPublisher(b, PublisherOptions{})
	defer p.Close()
	answer := func(token uint64, data string) {
		a, ok := p.answer(appendToken(nil, token<<1), []byte(data), "")
		if !ok {
			t.Fatal("an answer was not understood")
		}
		p.settleAll(&tally{batch: []answer{a}})
	}
	const yes = `{"stream":"EVENTS","seq":1}`
	if err := p.Publish(t.Context(), event(0, 1)); err != nil {
		t.Fatal(err)
	}
	first, _, _ := p.lanes[messages.Events].ring.send(p.clock())
	p.lanes[messages.Events].ring.rewind()
	second, _, _ := p.lanes[messages.Events].ring.send(p.clock())
	answer(first, yes)
	if got := p.Unacked(); got != 1 {
		t.Fatalf("got %d unacknowledged after the first send's late ack, want 1", got)
	}
	answer(second, yes)
	if err := p.Publish(t.Context(), event(0, 2)); err != nil { // takes the same slot
		t.Fatal(err)
	}
	p.lanes[messages.Events].ring.send(p.clock())
	answer(second, yes)
	answer(second, `{"stream":"EVENTS","error":{"code":503,"err_code":10077,"description":"no"}}`)
	answer(1<<40, yes)
	if got := p.Unacked(); got != 1 {
		t.Fatalf("got %d unacknowledged after the slot's former ack, want 1", got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cause != nil {
		t.Fatalf("got cause %v after a late refusal, want none", p.cause)
	}
}

func TestParseAck(t *testing.T) {
	for _, c := range []struct {
		name, data string
		status     string
		stored     uint64
		want       string
	}{
		{name: "stored", data: `{"stream":"EVENTS","seq":12}`, stored: 12},
		{name: "stored, as the server writes it", data: `{"stream":"EVENTS", "seq":12}`, stored: 12},
		{name: "duplicate", data: `{"stream":"EVENTS","seq":12,"duplicate":true}`, stored: 12},
		{name: "duplicate, as the server writes it", data: `{"stream":"EVENTS", "seq":12,"duplicate": true}`, stored: 12},
		{name: "domain", data: `{"stream":"EVENTS","domain":"hub","seq":3}`, stored: 3},
		{name: "the largest sequence", data: `{"stream":"EVENTS","seq":18446744073709551615}`, stored: 18446744073709551615},
		{name: "refused", data: `{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"EVENTS","seq":0}`,
			want: "stream: EVENTS refused the event: maximum bytes exceeded (code 10077)"},
		{name: "no stream", status: "503", want: ErrNoStream.Error()},
		{name: "empty", want: "stream: an empty acknowledgement"},
		{name: "garbage", data: `+OK`, want: "stream: acknowledgement: invalid character '+' looking for beginning of value"},
		{name: "sequence 0", data: `{"stream":"EVENTS","seq":0}`, want: "stream: an acknowledgement without stream or sequence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stored, err := parseAck([]byte(c.data), c.status)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if stored != c.stored || got != c.want {
				t.Fatalf("got %d, %q, want %d, %q", stored, got, c.stored, c.want)
			}
		})
	}
}

// Who has waited brings some more events without waiting again; the others must have their turn all the same.
func TestPublish_gives_everybody_a_turn_while_the_window_is_full(t *testing.T) {
	for _, window := range []int{1, 16, 64} {
		t.Run(strconv.Itoa(window), func(t *testing.T) {
			r := newRig(t, Options{URL: startNATS(t).url(), Window: window})
			const shards, each = 200, 20
			for shard, last := range r.flood(shards, 1, each, nil) {
				if last != each {
					t.Fatalf("shard %d: got %d events published, want %d", shard, last, each)
				}
			}
			r.drain()
			p := r.Publisher
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, l := range p.lanes {
				if l.reserved != 0 || l.promised != 0 || l.bytes != 0 || len(l.waiters) != 0 {
					t.Errorf("%s: got %d slots and %d bytes promised, %d bytes held, %d waiters; want none", l.stream, l.reserved, l.promised, l.bytes, len(l.waiters))
				}
			}
		})
	}
}

// A server's configuration may change while we are connected. What it does not take any more must not reach it: nats.go
// closes itself for good over the answer.
func TestPublish_heeds_a_max_payload_that_was_lowered_meanwhile(t *testing.T) {
	conf := writeFile(t, "nats.conf", "max_payload: 1000000\n")
	d := startNATS(t, "-c", conf)
	r := newRig(t, inFile(Options{URL: d.url()}))
	publish := func(seq int64, size int) {
		ev := event(0, seq)
		ev.Data = []byte(`{"content":"` + strings.Repeat("x", size) + `"}`)
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	publish(1, 200_000)
	r.drain()
	if err := os.WriteFile(conf, []byte("max_payload: 100000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGHUP)
	waitFor(t, "the new limit", func() bool { // the server tells only who comes
		nc, err := nats.Connect(d.url())
		if err != nil {
			return false
		}
		defer nc.Close()
		return nc.MaxPayload() == 100_000
	})
	publish(2, 200_000)
	publish(3, 100)
	waitFor(t, "acknowledgements", func() bool { return r.Unacked() == 0 || r.b.nc.IsClosed() })
	if r.b.nc.IsClosed() {
		t.Fatalf("the connection is closed for good: %v", r.b.nc.LastError())
	}
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, 3); err != nil || r.count(&r.oversize) != 1 {
		t.Errorf("got %v and %d events without their data, want all three, one so", err, r.count(&r.oversize))
	}
}
