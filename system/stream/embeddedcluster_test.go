package stream

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// startCluster starts three servers that know each other.
func startCluster(t *testing.T) (servers []*Embedded) {
	t.Helper()
	var routes []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, l.Addr().String())
		l.Close()
	}
	for i, listen := range routes {
		e, err := StartEmbedded(EmbeddedOptions{
			Listen: "127.0.0.1:0", DataDir: t.TempDir(), Name: fmt.Sprintf("n%d", i),
			Cluster: &EmbeddedCluster{Name: "test", Listen: listen, Routes: routes},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Shutdown)
		servers = append(servers, e)
	}
	return servers
}

func TestStartEmbedded_as_members_of_a_cluster_keep_copies_of_a_stream(t *testing.T) {
	servers := startCluster(t)
	b, err := Connect(t.Context(), Options{URL: servers[0].ClientURL(), Name: "test", Events: StreamOptions{Replicas: 3}, Commands: StreamOptions{Replicas: 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ensure := func() error {
		asking, cancel := context.WithTimeout(ctx, time.Second) // nobody answers before there is a leader
		defer cancel()
		return b.EnsureStreams(asking)
	}
	for err = ensure(); err != nil; err = ensure() {
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	s, err := b.JetStream().Stream(ctx, "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	var info *jetstream.StreamInfo
	if info, err = s.Info(ctx); err != nil || info.Cluster == nil || len(info.Cluster.Replicas) != 2 || !strings.HasPrefix(info.Cluster.Leader, "n") {
		t.Errorf("got %+v and %v, want a leader and two followers", info.Cluster, err)
	}
	if urls := b.nc.DiscoveredServers(); len(urls) != 0 {
		t.Errorf("got %v from the server, want no other way than the one that was given", urls)
	}
}

func TestStartEmbedded_refuses_a_member_that_cannot_be_one(t *testing.T) {
	tests := []struct {
		name    string
		server  string
		cluster EmbeddedCluster
		want    string
	}{
		{"no name of the cluster", "n", EmbeddedCluster{Listen: "127.0.0.1:0"}, "the cluster's name"},
		{"no name of its own", "", EmbeddedCluster{Name: "c", Listen: "127.0.0.1:0"}, "one of its own"},
		{"no address", "n", EmbeddedCluster{Name: "c", Listen: "7000"}, "listen on 7000"},
		{"a route that is none", "n", EmbeddedCluster{Name: "c", Listen: "127.0.0.1:0", Routes: []string{"x"}}, `route "x"`},
	}
	for _, tt := range tests {
		_, err := StartEmbedded(EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: t.TempDir(), Name: tt.server, Cluster: &tt.cluster})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}
