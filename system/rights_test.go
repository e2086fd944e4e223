package system_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/config"
	"drover/system/cluster"
	"drover/system/gatewaysim"
)

// rights is what docs/nodes.md tells to put into the configuration of NATS, with some password in place of $DROVER_PASSWORD.
func rights(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/nodes.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```hocon\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/nodes.md shows no configuration for NATS")
	}
	conf := strings.ReplaceAll(string(block[1]), "$DROVER_PASSWORD", "p4ss")
	return strings.ReplaceAll(conf, "$OPERATOR_PASSWORD", "0per")
}

// startRestricted starts a NATS server with the users of the documentation, and one more who may do everything.
func startRestricted(t *testing.T) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	conf := strings.Replace(rights(t), "users: [", "users: [\n    { user: all, password: all }", 1)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("%v in\n%s", err, conf)
	}
	o.Host, o.Port, o.StoreDir, o.JetStream, o.NoSigs, o.NoLog = "127.0.0.1", -1, t.TempDir(), true, true, true
	srv, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server does not come up")
	}
	return srv.ClientURL()
}

// lines are what nodes log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) with(word string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(strings.ToLower(line), word) {
			found = append(found, line)
		}
	}
	return found
}

func TestRights_that_are_documented_are_enough_for_nodes_and_no_more(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 4, Guilds: 8, Rate: 20, SessionLife: 5 * time.Minute})
	url := startRestricted(t)
	log := &lines{}
	start := func(name string) *node {
		cfg := nodeConfig(sim, url, 4)
		cfg.NATS.User, cfg.NATS.Password = "drover", "p4ss"
		cfg.Cluster.Node, cfg.Cluster.LeaseTTL, cfg.Pool.Size = name, 2*time.Second, 1
		cfg.Spool = config.Default().Spool
		cfg.Spool.Dir = t.TempDir()
		n := &node{t: t, done: make(chan error, 1), listening: make(chan string, 1)}
		n.log = slog.New(slog.NewTextHandler(log, nil))
		n.run(cfg)
		return n
	}
	held := func(n *node, want int) {
		t.Helper()
		await(t, time.Minute, "pools", func() (bool, string) {
			s, err := n.Status(t.Context())
			return err == nil && s.Leases != nil && s.Leases.Held == want && s.ShardsReady == want,
				fmt.Sprintf("%+v, %d shards, error %v, %v", s.Leases, s.ShardsReady, err, log.with("permission"))
		})
	}
	a, b := start("a"), start("b")
	held(a, 2)
	held(b, 2)

	operator := connectAs(t, url, "operator", "0per")
	o := cluster.NewOperator(operator, "")
	if shards, err := o.Shards(t.Context(), 2, 10*time.Second); err != nil || len(shards) != 4 {
		t.Errorf("the operator got %d shards, %v, want 4", len(shards), err)
	}
	if _, err := o.Drain(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	held(b, 4)
	b.stopped()
	a.stopped()
	if got := log.with("permission"); len(got) > 0 {
		t.Errorf("NATS refused something:\n%s", strings.Join(got, ""))
	}
	if got := sim.Counts(); got.Identifies != 4 {
		t.Errorf("got %d IDENTIFYs, want 4", got.Identifies)
	}

	// And no more: another bot's buckets and streams on the same server.
	all := connectAs(t, url, "all", "all")
	if _, err := all.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "other_leases"}); err != nil {
		t.Fatal(err)
	}
	for _, user := range [][2]string{{"drover", "p4ss"}, {"operator", "0per"}} {
		js := connectAs(t, url, user[0], user[1])
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := js.KeyValue(ctx, "other_leases"); err == nil {
			t.Errorf("%s may read another bot's bucket", user[0])
		}
		refused := make(chan error, 8)
		js.Conn().SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
		for _, subject := range []string{"$KV.other_leases.pool.0", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.DELETE.KV_drover_leases"} {
			if err := js.Conn().Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-refused:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					t.Errorf("%s on %s: got %v, want it refused", user[0], subject, err)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s may publish to %s", user[0], subject)
			}
		}
	}
}

func connectAs(t *testing.T, url, user, password string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(user, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
