package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Garbage and the like reach a node in the middle of traffic, and nothing is lost or repeated for it.
func TestRun_loses_nothing_to_garbage_corrupt_compression_and_unknown_events(t *testing.T) {
	t.Parallel()
	_, natsURL := startNATS(t)
	for _, compress := range []string{"zstd-stream", "zlib-stream"} {
		t.Run(compress, func(t *testing.T) {
			t.Parallel()
			prefix := strings.TrimSuffix(compress, "-stream")
			sim := startSimulator(t, "--shards", "3", "--rate", "0", "--record", "--replay-buffer", "3500")
			node := startNode(t, sim.api, natsURL, "DROVER_DISCORD_COMPRESS="+compress, "DROVER_STREAMS_PREFIX="+prefix, "DROVER_CLUSTER_NODE="+prefix)
			reading := readStreams(t, natsURL, prefix)
			node.awaitReady()
			sim.do("rate", `{"rate":300}`)
			faults := []struct {
				name, body string
				resumes    int64 // how many connections it must cost
			}{
				{"garbage", `{"shard":0}`, 1},
				{"corrupt", `{"shard":1}`, 1},
				{"dispatch", `{"shard":0,"t":"SHEEP_SHORN","d":{"guild_id":"1","wool":[1.50, null]}}`, 0},
				{"dispatch", `{"shard":1,"t":"Weird.event-1","d":{}}`, 0},
				{"unknown-op", `{"shard":2,"op":99}`, 0},
				{"duplicate", `{"shard":2}`, 0},
				{"split", `{"messages":1,"fragments":3}`, 0},
				{"garbage", `{}`, 3},
				{"corrupt", `{}`, 3},
				{"giant-guild", `{"shard":1,"n":20}`, 0},
				{"close", `{"shard":2,"code":4002}`, 1},
			}
			for _, f := range faults {
				before := sim.state().Counts
				sim.do(f.name, f.body)
				await(t, f.name+" "+f.body+" and traffic after it", func() (bool, string) {
					state := sim.state()
					ready := 0
					for _, s := range state.Sessions {
						if s.Connected && s.Unsent == 0 {
							ready++
						}
					}
					c := state.Counts
					return ready == 3 && c.Resumed >= before.Resumed+f.resumes && c.TrafficMade > before.TrafficMade+60, fmt.Sprintf("%+v", c)
				})
			}
			sim.do("rate", `{"rate":0}`)
			node.awaitReady()
			reading.awaitAll(t, sim)

			shorn := reading.ofType("sheep.shorn")
			if len(shorn) != 1 || shorn[0].Subject != prefix+".events.sheep.shorn" || string(shorn[0].Envelope.Data) != `{"guild_id":"1","wool":[1.50, null]}` {
				t.Errorf("got %d events sheep.shorn, want one with its bytes unchanged: %+v", len(shorn), shorn)
			}
			if weird := reading.ofType("weird.event_1"); len(weird) != 1 {
				t.Errorf("got %d events weird.event_1, want one", len(weird))
			}
			oversize := 0
			for _, m := range reading.all() {
				var data struct {
					Bytes int `json:"drover_oversize"`
				}
				if err := json.Unmarshal(m.Envelope.Data, &data); err == nil && data.Bytes > 20<<20 {
					oversize++
				}
			}
			if got := node.metric("gateway_oversize_events_total"); oversize != 1 || got != 1 {
				t.Errorf("got %d events without their data and gateway_oversize_events_total %v, want 1 and 1", oversize, got)
			}
			if _, text := httpGet(t, node.url+"/metrics"); !strings.Contains(text, "gateway_errors_total{") {
				t.Error("gateway_errors_total does not tell of the garbage")
			}
			node.stop()
			if c := sim.state().Counts; c.Identifies != 3 || c.SessionsEnded != 0 || c.Violations != 0 {
				t.Errorf("got %d IDENTIFYs, %d sessions ended and %d violations, want 3, 0 and 0", c.Identifies, c.SessionsEnded, c.Violations)
			}
		})
	}
}

// A dead broker is an outage and no loss: what is read waits, and is stored when it is back.
func TestRun_loses_nothing_while_NATS_hangs(t *testing.T) {
	t.Parallel()
	server, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "2", "--rate", "300", "--record")
	node := startNode(t, sim.api, natsURL, "DROVER_PUBLISH_ACK_TIMEOUT=500ms")
	node.awaitReady()
	reading := readStreams(t, natsURL, "")
	server.pause()
	node.awaitUnacked()
	node.wantHealthy()
	server.resume()
	await(t, "acknowledgements", func() (bool, string) {
		made := float64(sim.state().Counts.TrafficMade)
		got := node.metric("gateway_events_routed_total")
		return got > made/2 && made > 500, fmt.Sprintf("%v of %v", got, made)
	})
	sim.do("rate", `{"rate":0}`)
	node.awaitReady()
	reading.awaitAll(t, sim)
	if code, body := httpGet(t, node.url+"/ready"); code != http.StatusOK {
		t.Errorf("/ready: got %d %s, want 200", code, body)
	}
	node.stop()
}
