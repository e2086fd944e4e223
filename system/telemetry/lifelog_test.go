package telemetry_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"drover/config"
	"drover/system"
	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// logFile is a log that is written and read at once.
type logFile struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logFile) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// node is a drover with two shards, its Discord and its NATS inside, and its log.
type node struct {
	*system.System
	t      *testing.T
	sim    *gatewaysim.Server
	log    *logFile
	cancel context.CancelFunc
	end    func()
	ended  chan error
}

// startNode runs a node with further variables until it is ready.
func startNode(t *testing.T, environ ...string) *node {
	t.Helper()
	n := &node{t: t, sim: gatewaysim.New(gatewaysim.Options{Shards: 2, Guilds: 8, Record: true}), log: &logFile{}, ended: make(chan error, 1)}
	if err := n.sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.sim.Close)
	cfg, _, err := config.Load(config.Source{Dirs: []string{}, Env: append([]string{
		"DISCORD_TOKEN=" + token, "DROVER_DISCORD_API_URL=" + n.sim.APIURL(), "TOTAL_SHARDS=2", "DROVER_HTTP_ADDR=127.0.0.1:0",
		"DROVER_NATS_EMBEDDED_LISTEN=127.0.0.1:0", "DROVER_NATS_EMBEDDED_DATA_DIR=" + t.TempDir(), "DROVER_CLUSTER_NODE=n1",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	log, _ := telemetry.NewLogger(n.log, "json", "info")
	if n.System, err = system.New(cfg, system.Options{Version: "test", Log: log}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.end = sync.OnceFunc(func() {
		cancel()
		if err := <-n.ended; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	go func() { n.ended <- n.Run(ctx) }()
	t.Cleanup(n.end)
	eventually(t, "ready", n.ready)
	return n
}

// token is the bot's.
const token = "test-token-0123456789"

func (n *node) ready() (bool, string) {
	s, err := n.Status(n.t.Context())
	return err == nil && s.IsReady, fmt.Sprint(s.Reasons, err)
}

// stop ends the node in order, by which everything is exported.
func (n *node) stop() { n.end() }

// The filter that docs/observability.md shows, run by a real jq over the log of a real node.
func TestDocs_show_a_filter_that_tells_the_life_of_a_shard(t *testing.T) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		t.Skip("jq is not installed (Debian's package jq; make test installs it as root): the filter of docs/observability.md was not run")
	}
	text, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, filter, _ := strings.Cut(string(text), "jq -r '")
	filter, _, found := strings.Cut(filter, "' drover.log")
	if !found {
		t.Fatal("docs/observability.md shows no filter of drover.log")
	}

	n := startNode(t)
	if err := n.sim.RefuseDials(gatewaysim.HostResume, gatewaysim.Dial503, gatewaysim.Limit{Count: 1}); err != nil {
		t.Fatal(err)
	}
	n.sim.CloseAll(gatewaysim.One(1), 4000, "")
	eventually(t, "resumed", func() (bool, string) { return n.sim.Counts().Resumed == 1, "" })
	eventually(t, "ready", n.ready)
	n.stop()

	cmd := exec.CommandContext(t.Context(), jq, "-r", filter)
	cmd.Stdin = bytes.NewReader(n.log.bytes())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	life := []string{"shard ready  identified", "shard down  closed  4000  resume", "dial failed      resume", "shard ready  resumed", "shard down  drain"}
	rest := string(out)
	for _, want := range life {
		before, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the life has no %q after %q:\n%s", want, before, out)
		}
		rest = after
	}
	if strings.Contains(string(out), "null") {
		t.Errorf("the filter shows what is not there:\n%s", out)
	}
}
