package system_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"drover/config"
	"drover/system/gatewaysim"
)

func TestNode_identifies_only_after_nats_was_reached(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 2, Rate: 50, Record: true})
	n := startNode(t, sim, 2, func(c *config.Config) { c.NATS.URL = "nats://127.0.0.1:1" }) // nobody listens there
	await(t, 20*time.Second, "a reason", func() (bool, string) {
		code, body := n.get("/ready")
		return code == 503 && strings.Contains(body, "NATS is not connected") && strings.Contains(body, "waiting for NATS"), body
	})
	if code, body := n.get("/health"); code != 200 {
		t.Errorf("/health: got %d %s, want 200: an outage of NATS alone never makes it fail", code, body)
	}
	if got := sim.Counts(); got.RESTGatewayBot+got.DialsBase != 0 {
		t.Errorf("got %d calls of /gateway/bot and %d dials, want none before NATS was reached", got.RESTGatewayBot, got.DialsBase)
	}
	n.stop()
	if err := n.ended(20 * time.Second); err != nil {
		t.Errorf("got %v, want a clean end: nothing was read", err)
	}
	n.done <- nil
}

func TestNode_loses_nothing_and_repeats_nothing_while_nats_restarts(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 4, Guilds: 40, Record: true, Events: 8000})
	n := startNode(t, sim, 4, nil)
	n.awaitReady(time.Minute)
	sim.SetRate(1000)
	listen := strings.TrimPrefix(n.url, "nats://")
	for range 2 {
		await(t, 30*time.Second, "traffic", func() (bool, string) { return sim.Counts().TrafficMade > 500, "" })
		n.nats.Shutdown()
		await(t, 20*time.Second, "the outage noticed", func() (bool, string) {
			s, err := n.Status(t.Context())
			return err == nil && !s.NATSConnected && !s.IsReady, fmt.Sprint(s.Reasons)
		})
		n.nats = startNATS(t, listen, n.dir) // same port, same store
		n.awaitReady(30 * time.Second)
	}
	reading := n.read()
	<-sim.TrafficDone()
	want := sent(sim)
	await(t, time.Minute, "all stored", func() (bool, string) {
		got := len(reading.dispatches())
		return got >= len(want), fmt.Sprintf("%d of %d", got, len(want))
	})
	compareLedgers(t, want, reading.dispatches())
	if got := sim.Counts(); got.Identifies != 4 {
		t.Errorf("got %d IDENTIFYs, want 4: the sessions outlive the broker's restart", got.Identifies)
	}
}

func TestNode_drains_so_that_sessions_can_be_resumed(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 3, Rate: 300, Record: true})
	n := startNode(t, sim, 3, nil)
	n.awaitReady(time.Minute)
	reading := n.read()
	await(t, 20*time.Second, "traffic", func() (bool, string) { return len(reading.dispatches()) > 300, "" })
	n.stop()
	if err := n.ended(20 * time.Second); err != nil {
		t.Fatalf("got %v, want everything acknowledged", err)
	}
	n.done <- nil
	await(t, 10*time.Second, "connections ended", func() (bool, string) {
		open := 0
		for _, c := range sim.Connections() {
			if c.Closed.IsZero() {
				open++
			}
		}
		return open == 0, fmt.Sprintf("%d open", open)
	})
	for _, c := range sim.Connections() {
		if c.ClientCode != 4000 {
			t.Errorf("connection %d: got close code %d from the client, want 4000", c.ID, c.ClientCode)
		}
	}
	if got := sim.Counts().SessionsEnded; got != 0 {
		t.Errorf("got %d sessions ended, want all of them resumable", got)
	}
	if left := n.Traffic(); left.Unacked != 0 {
		t.Errorf("got %d events unacknowledged, want none", left.Unacked)
	}
}

func TestNode_says_life_cycle_events_and_gaps(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 1, Guilds: 3, Record: true})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(time.Minute)
	reading := n.read()
	has := func(typ string, want int, data ...string) {
		t.Helper()
		await(t, 30*time.Second, typ, func() (bool, string) {
			found := reading.ofType(typ)
			if len(found) < want {
				return false, fmt.Sprintf("%d of %d", len(found), want)
			}
			last := found[len(found)-1]
			for _, d := range data {
				if !strings.Contains(string(last.Envelope.Data), d) {
					return false, string(last.Envelope.Data)
				}
			}
			return last.Seq == "", last.Seq
		})
	}
	has("shard.ready", 1, `"guilds":3`)
	sim.CloseAll(gatewaysim.All, 4000, "")
	has("shard.down", 1, `"close_code":4000`, `"next":"resume"`)
	has("shard.resumed", 1, `"replayed":`)
	n.awaitReady(30 * time.Second)
	gone := sim.GuildIDs(0, 1)[0]
	sim.CloseAll(gatewaysim.All, 4009, "") // the session is lost; the next dial comes after a random wait
	joined := sim.JoinGuild()
	if err := sim.LeaveGuild(gone); err != nil {
		t.Fatal(err)
	}
	has("shard.down", 2, `"close_code":4009`, `"next":"identify"`)
	has("shard.ready", 2)
	has("shard.gap", 1, `"reason":"session_lost"`, `"last_acked_seq":`)
	has("guild.leave", 1, fmt.Sprintf(`{"id":"%d","offline":true}`, gone))
	await(t, 20*time.Second, "guild.join", func() (bool, string) {
		found := reading.ofType("guild.join")
		return len(found) == 1 && *found[0].Envelope.GuildID == fmt.Sprint(joined), fmt.Sprintf("%d", len(found))
	})
}
