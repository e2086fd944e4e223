package system_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/config"
	"drover/system"
	"drover/system/gatewaysim"
)

// wedged waits until /health fails with a text, and checks that /ready and /metrics say so too.
func (n *node) wedged(text string) {
	n.t.Helper()
	want := regexp.MustCompile(text)
	await(n.t, 30*time.Second, "/health fails", func() (bool, string) {
		code, body := n.get("/health")
		return code == 503 && want.MatchString(body), fmt.Sprint(code, " ", body)
	})
	if strings.Contains(text, "within 2 s") {
		return // each endpoint waits for so long
	}
	if _, body := n.get("/ready"); !want.MatchString(body) {
		n.t.Errorf("/ready does not name it: %s", body)
	}
	if _, body := n.get("/metrics"); !strings.Contains(body, "\ngateway_node_live 0\n") {
		n.t.Error("/metrics: want gateway_node_live 0")
	}
}

// recovered waits until /health answers 200 again.
func (n *node) recovered() {
	n.t.Helper()
	await(n.t, 30*time.Second, "/health", func() (bool, string) {
		code, body := n.get("/health")
		return code == 200, body
	})
	if _, body := n.get("/metrics"); !strings.Contains(body, "\ngateway_node_live 1\n") {
		n.t.Error("/metrics: want gateway_node_live 1")
	}
}

func TestHealth_fails_while_an_actor_is_stuck(t *testing.T) {
	system.SetPatience(t, time.Hour, 600*time.Millisecond)
	sim := startSim(t, gatewaysim.Options{Shards: 2, Guilds: 2})
	n := startNode(t, sim, 2, nil)
	n.awaitReady(time.Minute)
	n.recovered()
	for _, tt := range []struct{ path, want string }{
		{"root/publisher", "the publisher does not answer since"},
		{"root/pool-0", "pool-0 does not answer since"},
		{"root/pool-0/shard-1", `1 of 2 shards do not answer, the longest since [^:]*: 1`},
		{"root/health", "the node's actors did not answer within 2 s"},
		{"root", "the node's actors did not answer within 2 s"},
	} {
		t.Run(strings.ReplaceAll(tt.path, "/", "_"), func(t *testing.T) {
			n.t = t
			resume := n.Suspend(t, tt.path)
			n.wedged(tt.want)
			resume()
			n.recovered()
		})
	}
	n.t = t
	if got := sim.Counts().Identifies; got != 2 {
		t.Errorf("got %d IDENTIFYs, want 2: being asked for a sign of life costs a shard nothing", got)
	}
}

// hanging is a connection whose writes hang, without regard to deadlines, while gate is closed.
type hanging struct {
	net.Conn
	gate *sync.RWMutex
}

func (h hanging) Write(b []byte) (int, error) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	return h.Conn.Write(b)
}

func TestHealth_fails_while_shards_hang_in_a_write(t *testing.T) {
	system.SetPatience(t, time.Hour, 600*time.Millisecond)
	sim := startSim(t, gatewaysim.Options{Shards: 2, Guilds: 2})
	sim.SetHeartbeat(200 * time.Millisecond)
	var gate sync.RWMutex
	n := &node{t: t, dir: t.TempDir(), done: make(chan error, 1), listening: make(chan string, 1)}
	n.nats = startNATS(t, "127.0.0.1:0", n.dir)
	t.Cleanup(n.nats.Shutdown)
	cfg := nodeConfig(sim, n.nats.ClientURL(), 2)
	n.dialing = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return hanging{c, &gate}, nil
	}
	n.run(cfg)
	n.awaitReady(time.Minute)
	gate.Lock()
	n.wedged("2 of 2 shards do not answer, the longest since [^:]*: 0, 1")
	gate.Unlock()
	n.recovered()
}

func TestHealth_fails_while_nats_is_connected_and_acknowledges_nothing(t *testing.T) {
	system.SetPatience(t, time.Second, time.Hour)
	sim := startSim(t, gatewaysim.Options{Shards: 1, Guilds: 2, Rate: 50})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(time.Minute)
	n.recovered()
	nc, err := nats.Connect(n.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(messages int64) {
		t.Helper()
		s, err := js.Stream(t.Context(), "EVENTS")
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxMsgs, c.Discard = messages, jetstream.DiscardNew
		if messages < 0 {
			c.Discard = jetstream.DiscardOld
		}
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // the server takes nothing more, and refuses each event
	n.wedged("NATS is connected, but the oldest event waits for its acknowledgement since")
	limit(-1)
	n.recovered()
}

func TestHealth_fails_when_the_spool_cannot_be_read(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 1, Guilds: 2, Rate: 200})
	n := startNode(t, sim, 1, func(c *config.Config) { c.Publish.Window, c.Shutdown.Timeout = 16, time.Second })
	n.awaitReady(time.Minute)
	listen := strings.TrimPrefix(n.url, "nats://")
	n.nats.Shutdown()
	await(t, 30*time.Second, "events on disk", func() (bool, string) {
		got := n.Traffic().Spooled
		return got > 200, strconv.Itoa(got)
	})
	sim.SetRate(0)
	if code, body := n.get("/health"); code != 200 {
		t.Errorf("/health: got %d %s, want 200: an outage of NATS alone never makes it fail", code, body)
	}
	damageSpool(t, n.cfg.Spool.Dir)
	n.nats = startNATS(t, listen, n.dir)
	n.wedged("the spool cannot be read, a restart saves what is readable: .*checksum")
}

// damageSpool turns one byte of every event in the open file, as a dying disk does.
func damageSpool(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v, %v, want the spool's file", files, err)
	}
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	turned := 0
	for at := 0; ; turned++ {
		i := bytes.Index(b[at:], []byte(`"event_id":`))
		if i < 0 {
			break
		}
		at += i + 12
		if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if turned < 100 {
		t.Fatalf("turned a byte of %d events, want hundreds", turned)
	}
}
