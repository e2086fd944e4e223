package actors

import (
	"context"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// Each label of each metric is bounded, so that a node of a thousand shards can be scraped: what docs/metrics.md promises.
func TestSeries_of_a_thousand_shards_stay_bounded(t *testing.T) {
	const shards, size, pools = 1000, 25, 40
	var tel *telemetry.Telemetry
	inBubble(t, shards, gatewaysim.Options{Guilds: shards, MaxConcurrency: shards, DailyTotal: 5000}, func(n *node, o *Options) {
		var err error
		if tel, err = telemetry.New(telemetry.Options{Node: "test", Shards: shards}); err != nil {
			t.Fatal(err)
		}
		n.pools = -1 // they follow
		o.Meters = tel.Meters
		o.Session.Compress = "none" // a thousand compressors would be most of the test
		o.Dial = func(ctx context.Context, url string) (*gateway.Conn, error) {
			return gateway.Dial(ctx, gateway.DialOptions{URL: url, NetDial: n.dial})
		}
		n.window.publish = func(ev *messages.Event) { tel.Meters.Routed(ev.ShardID, ev.ShardID/size, time.Now(), time.Millisecond) }
	}, func(n *node) {
		for pool := range pools {
			a := messages.Assign{Pool: pool, Total: shards, GatewayURL: n.sim.GatewayURL()}
			for id := pool * size; id < (pool+1)*size; id++ {
				a.Shards = append(a.Shards, id)
			}
			n.tell(a)
		}
		n.awaitReady()
		for i := range 20 {
			if _, err := n.sim.Dispatch(gatewaysim.All, fmt.Sprintf("SHEEP_SHORN_%d", i), []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
		}
		n.sim.Drop(gatewaysim.All)
		n.await(5*time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == shards })
		n.awaitReady()
		tel.Meters.Observe(func(context.Context) (messages.NodeStatus, error) { return n.status(), nil })

		w := httptest.NewRecorder()
		tel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		series, byPool := 0, 0
		types := map[string]bool{}
		kind := regexp.MustCompile(`event_type="([^"]+)"`)
		for line := range strings.Lines(w.Body.String()) {
			if !strings.HasPrefix(line, "gateway_") {
				continue
			}
			series++
			if strings.Contains(line, `pool_id="39"`) {
				byPool++
			}
			if strings.Contains(line, "shard_id=") {
				t.Errorf("a thousand shards have a label each: %s", line)
			}
			if m := kind.FindStringSubmatch(line); m != nil {
				types[m[1]] = true
			}
		}
		errors := 2 // dropped connections, and dials that came too early
		if most := perShardLabel + len(types) + errors + perPool; byPool == 0 || byPool > most {
			t.Errorf("got %d series of one pool with %d event types, want up to %d", byPool, len(types), most)
		}
		if most := pools*(perShardLabel+len(types)+errors+perPool) + perNode; series > most {
			t.Errorf("got %d series of %d shards, want up to %d", series, shards, most)
		}
		for _, want := range []string{
			`gateway_resumes_total{outcome="resumed",pool_id="39"} 25`, `gateway_identifies_total{pool_id="39"} 25`, `gateway_shards_ready{pool_id="39"} 25`,
			`gateway_dials_total{outcome="connected",pool_id="39"} 50`, `gateway_close_codes_total{code="none"} 1000`, `gateway_identify_wait_seconds_count 1000`,
		} {
			if !strings.Contains(w.Body.String(), want+"\n") {
				t.Errorf("missing %s", want)
			}
		}
		t.Logf("%d series of %d shards in %d pools, %d of one pool, %d event types", series, shards, pools, byPool, len(types))
	})
}

// As docs/metrics.md counts them.
const (
	perShardLabel = 48
	perPool       = 2
	perNode       = 160
)
