package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Three servers with cluster.conf, users and TLS: a node has all in three copies, and goes on without a word when one of them dies; a worker and an operator
// may do there what they may on one server; no certificate but a server's opens a route.
func TestSecured_three_servers_keep_three_copies_and_outlive_one(t *testing.T) {
	t.Parallel()
	s := newSecured(t, true)
	ports := make([]string, 3)
	var instead []string
	for i := range ports {
		ports[i] = freeAddr(t)
		instead = append(instead, fmt.Sprintf("nats-%d:6222", i), ports[i])
	}
	servers, urls := make([]*process, 3), make([]string, 3)
	started := make(chan int, 3)
	for i := range servers { // side by side: none is ready before two are there
		dir := filepath.Join(s.dir, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s.configure(t, dir, nil, append(instead, "0.0.0.0:6222", ports[i])...)
		go func() {
			servers[i], urls[i] = s.serve(t, dir, "cluster.conf", fmt.Sprintf("NATS_NAME=nats-%d", i))
			started <- i
		}()
	}
	for range servers {
		<-started
	}
	s.url = strings.Join(urls, ",")

	if err := s.route(t, ports[0], "client"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a route with a client's certificate: got %v, want it refused", err)
	}
	if err := s.route(t, ports[0], "route"); err != nil {
		t.Errorf("a route with a server's certificate: got %v", err)
	}
	sim := startSimulator(t, "--shards", "2", "--rate", "200", "--max-concurrency", "2")
	node := startNode(t, sim.api, s.url, append(s.env("node"), "DROVER_STREAMS_EVENTS_REPLICAS=3", "DROVER_STREAMS_COMMANDS_REPLICAS=3")...)
	node.awaitReady()
	_, admin := s.client(t, "admin")
	stored := func() (n uint64) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if events, err := admin.Stream(ctx, "EVENTS"); err == nil {
			n = events.CachedInfo().State.LastSeq
		}
		return n
	}
	for _, name := range []string{"EVENTS", "COMMANDS", "KV_drover_leases", "KV_drover_sessions"} {
		stream, err := admin.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if c := stream.CachedInfo(); c.Config.Replicas != 3 || c.Cluster == nil || len(c.Cluster.Replicas) != 2 {
			t.Errorf("%s: got %d replicas and %+v, want three copies", name, c.Config.Replicas, c.Cluster)
		}
	}

	s.wantSeenByOperators(t, servers)

	events, err := admin.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	var leader int
	if _, err := fmt.Sscanf(events.CachedInfo().Cluster.Leader, "nats-%d", &leader); err != nil {
		t.Fatalf("leader %q: %v", events.CachedInfo().Cluster.Leader, err)
	}
	servers[leader].signal(syscall.SIGKILL)
	servers[leader].ended()
	before := stored()
	await(t, "events are stored without the leader", func() (bool, string) { n := stored(); return n > before+200, fmt.Sprint(n, " after ", before) })
	if c := sim.state().Counts; c.Identifies != 2 {
		t.Errorf("got %d IDENTIFYs, want the 2 of the start", c.Identifies)
	}

	nc, _ := s.client(t, "worker")
	wantRefused(t, nc, "publish", "events.message.create")
	wantRefused(t, nc, "subscribe", "events.>")
	_, operator := s.client(t, "operator")
	// For some seconds the others may give a consumer to the server that is dead: nobody answers for it then, and the next one is elsewhere.
	await(t, "an event for the operator", func() (bool, string) {
		consumer, err := operator.CreateOrUpdateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
		if err != nil {
			return false, err.Error()
		}
		_, err = consumer.Next(jetstream.FetchMaxWait(time.Second))
		return err == nil, fmt.Sprint(err)
	})
	node.stop()
}

// wantSeenByOperators: what the documents say of a restart of one server after the other. An operator sees of both streams whether each copy is current, and the
// monitoring of a server, on its own machine, the same of all streams, and who holds what. NATS has no answer for requests of its system account, such as those of
// `nats server report jetstream`: nobody here is in it.
func (s *secured) wantSeenByOperators(t *testing.T, servers []*process) {
	t.Helper()
	nc, operator := s.client(t, "operator")
	for _, name := range streams {
		await(t, name+" current in all copies, for an operator", func() (bool, string) {
			stream, err := operator.Stream(t.Context(), name)
			if err != nil {
				return false, err.Error()
			}
			c := stream.CachedInfo().Cluster
			return len(c.Replicas) == 2 && c.Replicas[0].Current && c.Replicas[1].Current, fmt.Sprint(c.Replicas)
		})
	}
	wantRefused(t, nc, "publish", "$SYS.REQ.SERVER.PING.JSZ")
	admin, _ := s.client(t, "admin")
	if _, err := admin.Request("$SYS.REQ.SERVER.PING.JSZ", nil, time.Second); err == nil {
		t.Error("NATS answers a request of its system account to others")
	}
	held := regexp.MustCompile(`"name": ?"(EVENTS|COMMANDS|KV_drover_leases|DROVER)"|"current": ?true|"storage": ?\d+`)
	for _, server := range servers {
		_, body := httpGet(t, "http://"+server.match(server.stderr, `Starting http monitor on (\S+)`)+"/jsz?streams=true")
		seen := map[string]bool{}
		for _, found := range held.FindAllString(body, -1) {
			seen[strings.TrimRight(found, "0123456789")] = true
		}
		if len(seen) != 6 {
			t.Errorf("got %v at /jsz, want account, streams, copies and storage:\n%.2000s", seen, body)
		}
	}
}

// route opens the port of routes with a certificate, and hears what the server says.
func (s *secured) route(t *testing.T, addr, name string) error {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(s.dir+"/"+name+".pem", s.dir+"/"+name+"-key.pem")
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// The server is not checked here: the question is whether it takes us.
	c := tls.Client(nc, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}) //nolint:gosec // see above
	if err := c.Handshake(); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1)) // TLS 1.3 tells of a certificate after the handshake
	return err
}

// freeAddr is a loopback address that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
