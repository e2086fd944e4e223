package actors

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
	"drover/system/telemetry"
)

// overdue are the actors that owe a sign of life for longer than any honest work takes.
func overdue(s messages.NodeStatus) (names []string) {
	for _, a := range s.Silent {
		if time.Since(a.Since) > 10*time.Second {
			names = append(names, a.Actor)
		}
	}
	for _, shard := range s.Shards {
		if !shard.Unanswered.IsZero() && time.Since(shard.Unanswered) > 10*time.Second {
			names = append(names, poolName(shard.Pool)+"/shard")
		}
	}
	return names
}

func TestVital_finds_who_is_stuck_and_nobody_else(t *testing.T) {
	var hold chan struct{}
	inBubble(t, 2, gatewaysim.Options{Guilds: 4}, func(n *node, _ *Options) {
		hold = make(chan struct{}) // of the bubble
		n.window.paused = func() { <-hold }
	}, func(n *node) {
		n.awaitReady()
		for range 20 {
			elapse(7 * time.Second)
			if got := overdue(n.status()); got != nil {
				t.Fatalf("got %v, want nobody", got)
			}
		}
		n.tell(messages.Trouble{Err: errTest}) // the window's Pause hangs, and with it the publisher
		var got []string
		n.await(time.Minute, "the publisher is found", func() bool { got = overdue(n.status()); return got != nil })
		if len(got) != 1 || got[0] != "the publisher" {
			t.Errorf("got %v, want the publisher only", got)
		}
		close(hold)
		n.await(time.Minute, "it answers again", func() bool { return overdue(n.status()) == nil })
	})
}

func TestVital_expects_nothing_of_a_shard_that_is_no_more(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{Guilds: 6}, nil, func(n *node) {
		n.awaitReady()
		n.status()
		n.sim.CloseAll(gatewaysim.One(1), 4010, "") // halted: its actor ends
		n.await(time.Minute, "halted", func() bool { return n.status().Shards[1].State == messages.Halted })
		n.sim.CloseAll(gatewaysim.One(2), 4009, "") // a new session
		for range 30 {
			elapse(7 * time.Second)
			if got := overdue(n.status()); got != nil {
				t.Fatalf("got %v, want nobody", got)
			}
		}
		n.tell(messages.Quiesce{})
		for range 10 {
			elapse(7 * time.Second)
			if got := overdue(n.status()); got != nil {
				t.Fatalf("quiet: got %v, want nobody", got)
			}
		}
	})
}

func TestMeters_tell_how_connections_come_and_end(t *testing.T) {
	var tel *telemetry.Telemetry
	inBubble(t, 1, gatewaysim.Options{Guilds: 4}, func(_ *node, o *Options) {
		var err error
		if tel, err = telemetry.New(telemetry.Options{Shards: 1}); err != nil {
			t.Fatal(err)
		}
		o.Meters = tel.Meters
	}, func(n *node) {
		n.awaitReady()
		n.sim.CloseAll(gatewaysim.All, 4000, "")
		n.await(time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 1 })
		n.awaitReady()
		for _, host := range []gatewaysim.HostKind{gatewaysim.HostBase, gatewaysim.HostResume} {
			if err := n.sim.RefuseDials(host, gatewaysim.Dial503, gatewaysim.Limit{Count: 2}); err != nil {
				t.Fatal(err)
			}
		}
		n.sim.Drop(gatewaysim.All)
		n.await(5*time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 2 })
		n.awaitReady()
		before := n.status().Shards[0].LastHeard
		elapse(time.Minute)
		if after := n.status().Shards[0]; !after.LastHeard.After(before) || after.LastHeard.Equal(after.LastDispatch) {
			t.Errorf("got last heard %v after %v: want a heartbeat's answer to count", after.LastHeard, before)
		}
		w := httptest.NewRecorder()
		tel.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		for _, want := range []string{
			`gateway_close_codes_total{code="4000"} 1`, `gateway_close_codes_total{code="none"} 1`,
			`gateway_dials_total{outcome="connected",shard_id="0"} 3`, `gateway_dials_total{outcome="refused",shard_id="0"} 2`,
			`gateway_shard_restarts_total{class="failure",shard_id="0"} 2`, `gateway_shard_restarts_total{class="panic",shard_id="0"} 0`,
			`gateway_backoff_seconds_count 4`, `gateway_identify_wait_seconds_count 1`,
		} {
			if !strings.Contains(w.Body.String(), want+"\n") {
				t.Errorf("missing %s in\n%s", want, w.Body)
			}
		}
		for _, counted := range []string{"gateway_received_bytes_total", "gateway_inflated_bytes_total"} {
			if strings.Contains(w.Body.String(), counted+`{shard_id="0"} 0`) {
				t.Errorf("%s: want what the gateway sent", counted)
			}
		}
	})
}
