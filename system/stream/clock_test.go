package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func TestClockOffset_of_a_server_on_this_machine_is_within_the_round_trip(t *testing.T) {
	d := startNATS(t)
	b, err := Connect(t.Context(), Options{URL: d.url(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	waitFor(t, "a connection", b.Connected)
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := b.ClockOffset(t.Context())
	if err != nil || got.Abs() > slowestClock/2 {
		t.Errorf("got %v, %v, want at most half of the slowest round trip", got, err)
	}
}

// The real server cannot be given another clock, so here somebody else answers its API.
func TestClockOffset_tells_who_is_ahead(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	waitFor(t, "the server", func() bool { return s.ReadyForConnections(time.Second) })
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	clocks := make(chan string, 1)
	if _, err := nc.Subscribe("$JS.API.STREAM.INFO.EVENTS", func(m *nats.Msg) {
		_ = m.Respond(fmt.Appendf(nil, `{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"EVENTS"},"state":{}%s}`, <-clocks))
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b, err := Connect(t.Context(), Options{URL: s.ClientURL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	waitFor(t, "a connection", b.Connected)
	for _, want := range []time.Duration{time.Hour, -time.Hour} {
		clocks <- fmt.Sprintf(`,"ts":%q`, time.Now().Add(want).Format(time.RFC3339Nano))
		if got, err := b.ClockOffset(t.Context()); err != nil || (got-want).Abs() > slowestClock {
			t.Errorf("got %v, %v, want about %v: the server is ahead by as much", got, err, want)
		}
	}
	clocks <- ""
	if got, err := b.ClockOffset(t.Context()); err == nil {
		t.Errorf("got %v of a server that does not say the time, want an error", got)
	}
}
