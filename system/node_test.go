package system_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system"
	"drover/system/gatewaysim"
	"drover/system/stream"
)

// node is a running drover with the NATS server that it publishes to.
type node struct {
	*system.System
	t    *testing.T
	nats *stream.Embedded
	url  string // of the NATS server
	dir  string
	cfg  config.Config
	stop context.CancelFunc
	done chan error

	listening chan string                                                       // holds the HTTP address once the node listens
	log       *slog.Logger                                                      // nil: testLog
	dialing   func(ctx context.Context, network, addr string) (net.Conn, error) // to Discord; nil: as ever
}

// nodeConfig is the configuration of a node for a simulator: every port is a free one.
func nodeConfig(sim *gatewaysim.Server, natsURL string, shards int) config.Config {
	cfg := config.Default()
	cfg.Discord.Token = "test-token-0123456789"
	cfg.Discord.APIURL = config.URL(sim.APIURL())
	cfg.Pool.TotalShards = shards
	cfg.NATS.URL = config.URL(natsURL)
	cfg.HTTP.Addr = "127.0.0.1:0"
	cfg.Cluster.Node = "test"
	cfg.Shutdown.Timeout = 10 * time.Second
	cfg.Spool.MaxBytes = 0 // startNode gives it a folder
	return cfg
}

// startNATS starts a NATS server as an external one: own store, real socket.
func startNATS(t *testing.T, listen, dir string) *stream.Embedded {
	t.Helper()
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: listen, DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// startNode runs a node until the test ends or stop is called; change may alter its configuration.
func startNode(t *testing.T, sim *gatewaysim.Server, shards int, change func(*config.Config)) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), done: make(chan error, 1), listening: make(chan string, 1)}
	n.nats = startNATS(t, "127.0.0.1:0", n.dir)
	t.Cleanup(func() { n.nats.Shutdown() })
	n.url = n.nats.ClientURL()
	cfg := nodeConfig(sim, n.url, shards)
	cfg.Streams.Events.Storage, cfg.Streams.Commands.Storage = "file", "file"
	cfg.Spool = config.Default().Spool
	cfg.Spool.Dir = t.TempDir()
	if change != nil {
		change(&cfg)
	}
	n.run(cfg)
	return n
}

// again starts the next process, with the same configuration but for change.
func (n *node) again(change func(*config.Config)) {
	n.t.Helper()
	<-n.listening
	if change != nil {
		change(&n.cfg)
	}
	n.run(n.cfg)
}

// stopped ends the process as SIGTERM does, and expects that everything is acknowledged.
func (n *node) stopped() {
	n.t.Helper()
	n.stop()
	if err := n.ended(20 * time.Second); err != nil {
		n.t.Errorf("got %v, want everything acknowledged", err)
	}
}

func (n *node) run(cfg config.Config) {
	n.t.Helper()
	n.cfg = cfg
	if n.log == nil {
		n.log = testLog(n.t)
	}
	var err error
	n.System, err = system.New(cfg, system.Options{
		Version: "test", Log: n.log, Ready: func(addr string) { n.listening <- addr }, NetDial: n.dialing,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.done <- n.Run(ctx)
	}()
	n.t.Cleanup(func() {
		cancel()
		<-ended
		select { // of a process whose end nobody has looked at
		case <-n.done:
		default:
		}
	})
}

// testLog prints what a node logs when DROVER_TEST_LOG is set, for a look at a failing test.
func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("DROVER_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// await waits until ok says yes, and fails with what it said last. It asks often; nothing depends on how often.
func await(t *testing.T, within time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		yes, state := ok()
		if yes {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %v; %s", what, within, state)
		case <-again.C:
		}
	}
}

// awaitReady waits until every shard of the node is ready.
func (n *node) awaitReady(within time.Duration) {
	n.t.Helper()
	await(n.t, within, "ready", func() (bool, string) {
		s, err := n.Status(n.t.Context())
		return err == nil && s.IsReady, fmt.Sprintf("%v, error %v", s.Reasons, err)
	})
}

// read collects what the streams hold, in stored order per stream, by a consumer of its own.
type reading struct {
	mu       sync.Mutex
	messages []stream.Message
}

func (n *node) read() *reading {
	n.t.Helper()
	broker, err := stream.Connect(n.t.Context(), stream.Options{URL: n.url, Name: "test reader"})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, ended := &reading{}, make(chan struct{})
	go func() {
		defer close(ended)
		err := broker.Follow(ctx, stream.FollowOptions{All: true}, func(m stream.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.messages = append(r.messages, m)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			n.t.Errorf("reader: %v", err)
		}
	}()
	n.t.Cleanup(func() {
		cancel()
		<-ended
		broker.Close()
	})
	return r
}

func (r *reading) all() []stream.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]stream.Message(nil), r.messages...)
}

// dispatches are the stored events that came from Discord.
func (r *reading) dispatches() []stream.Message {
	var out []stream.Message
	for _, m := range r.all() {
		if m.Seq != "" {
			out = append(out, m)
		}
	}
	return out
}

// ofType are the stored events of one type.
func (r *reading) ofType(typ string) []stream.Message {
	var out []stream.Message
	for _, m := range r.all() {
		if m.Envelope.Type == typ {
			out = append(out, m)
		}
	}
	return out
}

// sent are the dispatches that the simulator sent and drover publishes, by "<session>:<seq>".
func sent(sim *gatewaysim.Server) map[string]gatewaysim.Dispatch {
	out := map[string]gatewaysim.Dispatch{}
	for _, session := range sim.Ledger() {
		for _, d := range session.Dispatch {
			if d.T != "READY" && d.T != "RESUMED" {
				out[fmt.Sprintf("%s:%d", session.SessionID, d.Seq)] = d
			}
		}
	}
	return out
}

// compareLedgers holds what the simulator sent against what the streams hold: once, in order, unchanged.
func compareLedgers(t *testing.T, sent map[string]gatewaysim.Dispatch, stored []stream.Message) {
	t.Helper()
	seen := map[string]bool{}
	newest := map[string]int64{} // by session and stream
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf(format, args...)
		}
	}
	for _, m := range stored {
		d, ok := sent[m.Seq]
		if !ok {
			complain("%s %s: stored and never sent", m.Seq, m.Event)
			continue
		}
		if seen[m.Seq] {
			complain("%s %s: stored twice", m.Seq, m.Event)
		}
		seen[m.Seq] = true
		session, text, _ := strings.Cut(m.Seq, ":")
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil || d.Seq != seq || m.Event != d.T {
			complain("%s: got %s, want %s", m.Seq, m.Event, d.T)
		}
		if want := messages.EventID(session, seq); m.ID != want || m.Envelope.ID != want {
			complain("%s: got id %s and event_id %s, want %s", m.Seq, m.ID, m.Envelope.ID, want)
		}
		key := session + m.Stream.String()
		if seq <= newest[key] {
			complain("%s: stored after %d, out of order", m.Seq, newest[key])
		}
		newest[key] = seq
		if want := d.D(); !sameData(m.Envelope.Type, m.Envelope.Data, want) {
			complain("%s %s: got data %.200s, want %.200s", m.Seq, m.Event, m.Envelope.Data, want)
		}
	}
	for key, d := range sent {
		if !seen[key] {
			complain("%s %s: sent and not stored", key, d.T)
		}
	}
	if wrong > 10 {
		t.Errorf("and %d more", wrong-10)
	}
}

// sameData tells whether data is d, byte for byte, but for the members that two types carry in front.
func sameData(typ string, data, d []byte) bool {
	if typ != "member.join" && typ != "interaction.create" {
		return bytes.Equal(data, d)
	}
	if !json.Valid(data) || !bytes.HasSuffix(data, d[1:]) {
		return false
	}
	return bytes.HasPrefix(data, []byte(map[string]string{
		"member.join": `{"username":`, "interaction.create": `{"interaction_id":`,
	}[typ]))
}

func TestNode_stores_every_dispatch_once_in_order_and_unchanged_through_faults(t *testing.T) {
	const shards, events = 25, 12_000
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	sim := gatewaysim.New(gatewaysim.Options{
		Shards: shards, Guilds: 4 * shards, Events: events, Seed: seed, Record: true, ReplayBuffer: 20_000, // a slow machine backs off for longer
	})
	if err := sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	n := startNode(t, sim, shards, nil)
	reading := n.read()
	n.awaitReady(time.Minute)
	sim.SetRate(1500)

	rnd := rand.New(rand.NewPCG(seed, 0))
	faults := map[string]int{}
	every := time.NewTicker(150 * time.Millisecond)
	defer every.Stop()
	for running := true; running; {
		select {
		case <-sim.TrafficDone():
			running = false
			continue
		case <-every.C:
		}
		at := gatewaysim.One(rnd.IntN(shards))
		switch name := []string{"drop", "close 4000", "op 7", "close 1001", "op 9 true", "corrupt", "garbage", "duplicate", "all"}[rnd.IntN(9)]; name {
		case "drop":
			faults[name] += sim.Drop(at)
		case "close 4000":
			faults[name] += sim.CloseAll(at, 4000, "")
		case "op 7":
			faults[name] += sim.Reconnect(at)
		case "close 1001":
			faults[name] += sim.CloseAll(at, 1001, "")
		case "op 9 true":
			faults[name] += sim.Invalidate(at, true)
		case "corrupt":
			faults[name] += sim.Corrupt(at)
		case "garbage":
			faults[name] += sim.Garbage(at)
		case "duplicate":
			faults[name] += sim.Duplicate(at)
		case "all":
			if faults[name] == 0 { // every connection at once
				faults[name] += sim.Drop(gatewaysim.All)
			}
		}
	}
	t.Logf("faults %v", faults)

	n.awaitReady(2 * time.Minute)
	want := sent(sim)
	await(t, time.Minute, "all stored", func() (bool, string) {
		got := len(reading.dispatches())
		return got >= len(want), fmt.Sprintf("%d of %d", got, len(want))
	})
	if len(want) < events {
		t.Errorf("the simulator sent %d dispatches, want at least %d", len(want), events)
	}
	compareLedgers(t, want, reading.dispatches())
	if got := sim.Counts(); got.Identifies != shards {
		t.Errorf("got %d IDENTIFYs, want %d: every fault allowed a RESUME", got.Identifies, shards)
	}
	n.stop()
	if err := <-n.done; err != nil {
		t.Errorf("got %v at the end, want everything acknowledged", err)
	}
	n.done <- nil
	if v := sim.Violations(); len(v) > 0 {
		t.Errorf("the simulator complains of %v", v)
	}
}
