package web_test

import (
	"context"
	"testing"
	"time"

	"drover/config"
	"drover/system"
	"drover/system/gatewaysim"
	"drover/system/stream"
	"drover/system/web"
)

// The package system imports the one that is tested here, so real nodes can be started from outside of it only.
func init() { web.StartHerd = startHerd }

// startHerd runs a node for each name, with one NATS server, until the test ends, and returns the addresses of their pages.
func startHerd(t *testing.T, sim *gatewaysim.Server, shards int, names ...string) (urls []string) {
	t.Helper()
	nats, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nats.Shutdown() })
	for _, name := range names {
		cfg := config.Default()
		cfg.Discord.Token, cfg.Discord.APIURL = "test-token-0123456789", config.URL(sim.APIURL())
		cfg.Pool.TotalShards, cfg.Pool.Size = shards, min(25, max(1, shards/4))
		cfg.NATS.URL, cfg.HTTP.Addr, cfg.Cluster.Node = config.URL(nats.ClientURL()), "127.0.0.1:0", name
		cfg.Shutdown.Timeout, cfg.Spool.Dir = 10*time.Second, t.TempDir()
		listening := make(chan string, 1)
		node, err := system.New(cfg, system.Options{Version: "v0.7.0", Ready: func(addr string) { listening <- addr }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- node.Run(ctx) }() // ends with cancel
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("node %s: %v", name, err)
			}
		})
		select {
		case addr := <-listening:
			urls = append(urls, "http://"+addr)
		case err := <-ended:
			t.Fatalf("node %s: %v", name, err)
		}
	}
	return urls
}
