package system_test

import (
	"net/url"
	"testing"
	"time"

	"drover/config"
	"drover/system/gatewaysim"
)

func TestTooLargeAWindowIsLeftForZlib(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Record: true, ZstdWindow: 8 << 20})
	n := startNode(t, sim, 1, func(c *config.Config) { c.Discord.Compress = "zstd-stream"; c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	sim.Drop(gatewaysim.All)
	awaitResumed(t, sim, 1)
	var asked []string
	for _, c := range sim.Connections() {
		query, err := url.ParseQuery(c.Query)
		if err != nil {
			t.Fatal(err)
		}
		asked = append(asked, query.Get("compress"))
	}
	if len(asked) != 3 || asked[0] != "zstd-stream" || asked[1] != "zlib-stream" || asked[2] != "zlib-stream" {
		t.Errorf("got connections with %q, want one with zstd-stream, then zlib-stream", asked)
	}
	if got := sim.Counts(); got.Identifies != 1 {
		t.Errorf("got %d IDENTIFYs, want 1: the window shows before", got.Identifies)
	}
}
