package stream

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// benchData is as large as the mean event.
var benchData = []byte(`{"content":"` + strings.Repeat("x", 1400) + `"}`)

func benchEvent(seq int64) *messages.Event {
	return &messages.Event{
		Kind: messageCreate, Session: "0123456789abcdef0123456789abcdef", Seq: seq, ShardID: 3, Read: time.Now(),
		GuildID: []byte("700000000000000010"), ChannelID: []byte("700000000000000011"), UserID: []byte("700000000000000012"), Data: benchData,
	}
}

// benchServers are where events go: the server takes most of the work, so compare within one.
func benchServers(b *testing.B, run func(b *testing.B, o Options)) {
	memory := StreamOptions{Storage: "memory", MaxBytes: 256 << 20}
	b.Run("process", func(b *testing.B) {
		run(b, Options{URL: startNATS(b).url(), Events: memory})
	})
	b.Run("embedded", func(b *testing.B) {
		run(b, Options{Server: startEmbedded(b), Events: memory})
	})
}

// BenchmarkPublish: from the event to the acknowledgement, window 4096.
func BenchmarkPublish(b *testing.B) {
	for _, shards := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=%d", shards), func(b *testing.B) {
			benchServers(b, func(b *testing.B, o Options) {
				broker := connect(b, o)
				p := NewPublisher(broker, PublisherOptions{OnTrouble: func(err error) { b.Error(err) }})
				defer p.Close()
				if err := p.Replay(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for s := range shards {
					wg.Go(func() {
						ev := benchEvent(0)
						for i := s; i < b.N; i += shards {
							ev.Seq, ev.ShardID, ev.Read = int64(i), s, time.Now()
							ev.Session = benchSessions[s]
							if err := p.Publish(context.Background(), ev); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				if err := p.Drain(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		})
	}
}

var benchSessions = [4]string{"a123456789abcdef0123456789abcdef", "b123456789abcdef0123456789abcdef", "c123456789abcdef0123456789abcdef", "d123456789abcdef0123456789abcdef"}

// BenchmarkPublishMsgAsync is the same with nats.go's own asynchronous publish, for comparison.
func BenchmarkPublishMsgAsync(b *testing.B) {
	benchServers(b, func(b *testing.B, o Options) {
		broker := connect(b, o)
		if err := broker.EnsureStreams(b.Context()); err != nil {
			b.Fatal(err)
		}
		js, err := jetstream.New(broker.nc, jetstream.WithPublishAsyncMaxPending(4096))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			ev := benchEvent(int64(i))
			id := ev.EventID()
			m := nats.NewMsg(ev.Kind.Subject)
			m.Header.Set(messages.HeaderID, id)
			m.Header.Set(messages.HeaderEvent, ev.Kind.Name)
			m.Header.Set(messages.HeaderSeq, string(messages.AppendSeq(nil, ev.Session, ev.Seq)))
			m.Data = ev.AppendEnvelope(make([]byte, 0, len(ev.Data)+320), id)
			if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
				b.Fatal(err)
			}
		}
		<-js.PublishAsyncComplete()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkSend compares the ways to put an event on the wire, without a server's answer.
func BenchmarkSend(b *testing.B) {
	broker := connect(b, Options{URL: startNATS(b).url()})
	it := &item{
		kind: messageCreate, id: "2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77", session: "0123456789abcdef0123456789abcdef", seq: 12,
		subject: "bench", body: &buffer{benchData},
	}
	s := sender{reply: []byte("_INBOX.x.1")}
	b.Run("below nats.go", func(b *testing.B) {
		w := broker.gate.plain()
		b.ReportAllocs()
		for i := range b.N {
			head, _ := s.operation(it, 0)
			if err := w.publish(head, it.body.b, i%16 != 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("through nats.go", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if err := broker.nc.PublishMsg(s.message(it, 0)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkParseAck(b *testing.B) {
	data := []byte(`{"stream":"EVENTS","seq":123456,"duplicate":true}`)
	b.ReportAllocs()
	for range b.N {
		if _, err := parseAck(data, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRing: one event into the window, onto the wire and out again, with half the window in flight.
func BenchmarkRing(b *testing.B) {
	r := newRing(4096)
	it := &item{kind: messageCreate, session: "0123456789abcdef0123456789abcdef", body: newBuffer(1)}
	var out item
	flying := make([]uint64, 0, 2048)
	for range cap(flying) {
		r.push(it, 0)
		token, _, _ := r.send(0)
		flying = append(flying, token)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if !r.ack(flying[i], uint64(i)+1, &out) {
			b.Fatal("an acknowledgement found nothing")
		}
		r.push(it, 0)
		flying[i], _, _ = r.send(0)
		i = (i + 1) % len(flying)
	}
}

// What happens to each event must not allocate in the window; the rest of the way is nats.go's.
func TestRing_does_not_allocate(t *testing.T) {
	var out item
	r := newRing(64)
	it := &item{kind: messageCreate, session: "session", body: newBuffer(1)}
	if got := testing.AllocsPerRun(1000, func() {
		r.push(it, 0)
		token, _, _ := r.send(0)
		if !r.ack(token, 1, &out) {
			t.Fatal("an acknowledgement found nothing")
		}
	}); got != 0 {
		t.Errorf("got %v allocations for each event, want 0", got)
	}
}
