package system_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system/cluster"
	"drover/system/gatewaysim"
	"drover/system/stream"
)

// restarting starts a node of so many shards with traffic, whose sessions Discord keeps for long.
func restarting(t *testing.T, shards int, change func(*config.Config)) (*gatewaysim.Server, *node) {
	t.Helper()
	sim := startSim(t, gatewaysim.Options{
		Shards: shards, Guilds: 4 * shards, Record: true, ReplayBuffer: 20_000, SessionLife: 5 * time.Minute,
	})
	n := startNode(t, sim, shards, change)
	n.awaitReady(time.Minute)
	sim.SetRate(300)
	await(t, 20*time.Second, "traffic", func() (bool, string) { got := n.Traffic().Routed; return got > 300, fmt.Sprint(got) })
	return sim, n
}

// settle ends the traffic and waits until the streams hold what was sent: once, in order, unchanged.
func (n *node) settle(sim *gatewaysim.Server, r *reading) {
	n.t.Helper()
	sim.SetRate(0)
	want := sent(sim)
	await(n.t, time.Minute, "all stored", func() (bool, string) {
		want = sent(sim)
		got := len(r.dispatches())
		return got >= len(want), fmt.Sprintf("%d of %d", got, len(want))
	})
	compareLedgers(n.t, want, r.dispatches())
}

// gaps are the data of the stored shard.gap events.
func (r *reading) gaps(t *testing.T) []messages.GapData {
	t.Helper()
	var out []messages.GapData
	for _, m := range r.ofType("shard.gap") {
		var g messages.GapData
		if err := json.Unmarshal(m.Envelope.Data, &g); err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out
}

func TestConformance36_a_restart_resumes_every_session_over_the_wire(t *testing.T) {
	t.Parallel()
	const shards = 5
	sim, n := restarting(t, shards, nil)
	reading := n.read()
	for range 2 {
		before := sim.Counts()
		n.stopped()
		n.again(nil)
		n.awaitReady(time.Minute)
		after := sim.Counts()
		if after.Identifies != shards || after.Resumed-before.Resumed != shards || after.SessionsEnded != 0 {
			t.Errorf("got %d IDENTIFYs, %d resumed, %d sessions ended; want %d, %d and 0",
				after.Identifies, after.Resumed-before.Resumed, after.SessionsEnded, shards, shards)
		}
		await(t, 20*time.Second, "traffic", func() (bool, string) { got := n.Traffic().Routed; return got > 300, fmt.Sprint(got) })
	}
	n.settle(sim, reading)
	if got := reading.gaps(t); len(got) != 0 {
		t.Errorf("got gaps %+v, want none", got)
	}
	_, metrics := n.get("/metrics")
	if !strings.Contains(metrics, `gateway_checkpoints_total{outcome="saved"}`) || !strings.Contains(metrics, "gateway_last_dispatch_age_seconds{shard_id=\"0\"}") {
		t.Error("/metrics: want checkpoints and the age of the last dispatch")
	}
}

func TestConformance36_another_identity_begins_anew_over_the_wire(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, nil)
	reading := n.read()
	sim.SetRate(0)
	n.stopped()
	n.again(func(c *config.Config) { c.Discord.Intents = []string{"GUILDS"} })
	n.awaitReady(time.Minute)
	await(t, 20*time.Second, "gaps", func() (bool, string) { got := reading.gaps(t); return len(got) == 2, fmt.Sprint(got) })
	for _, g := range reading.gaps(t) {
		if g.Reason != "identity_changed" || g.LastAckedSeq == 0 || g.Session == "" || g.To < g.From {
			t.Errorf("got %+v, want identity_changed", g)
		}
	}
	if got := sim.Counts().Resumes; got != 0 {
		t.Errorf("got %d RESUMEs, want none: the sessions are another identity's", got)
	}
}

func TestConformance24_a_restart_resumes_although_the_route_is_refused(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, nil)
	sim.SetRate(0)
	n.stopped()
	if err := sim.REST(gatewaysim.RESTFault{Status: 429, RetryAfter: 80_000 * time.Second}, gatewaysim.Forever); err != nil {
		t.Fatal(err)
	}
	asked := sim.Counts().RESTGatewayBot
	n.again(nil)
	n.awaitReady(time.Minute)
	got := sim.Counts()
	if got.Resumed != 2 || got.Identifies != 2 || got.RESTGatewayBot > asked+1 {
		t.Errorf("got %d resumed, %d IDENTIFYs and %d calls of the route, want 2, 2 and one at the most", got.Resumed, got.Identifies, got.RESTGatewayBot-asked)
	}
	sim.CloseAll(gatewaysim.One(0), 4009, "") // an IDENTIFY needs what the route says
	await(t, 30*time.Second, "a reason", func() (bool, string) {
		s, err := n.Status(t.Context())
		text := fmt.Sprint(s.Reasons, err)
		return strings.Contains(text, "until Discord answers GET /gateway/bot"), text
	})
	if got := sim.Counts().Identifies; got != 2 {
		t.Errorf("got %d IDENTIFYs without a limit known, want none", got-2)
	}
}

func TestConformance56_joins_and_leaves_over_a_restart_are_told_once(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Guilds: 3, Record: true})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(time.Minute)
	reading := n.read()
	await(t, 20*time.Second, "guilds", func() (bool, string) { return len(reading.ofType("guild.available")) == 3, "" })
	n.stopped()
	left := sim.GuildIDs(0, 1)[0]
	sim.Forget(gatewaysim.All)
	if err := sim.LeaveGuild(left); err != nil {
		t.Fatal(err)
	}
	joined := sim.JoinGuild()
	for range 2 { // the second time there is nothing to tell
		n.again(nil)
		n.awaitReady(time.Minute)
		await(t, 20*time.Second, "guilds", func() (bool, string) { return len(reading.ofType("guild.join")) == 1, "" })
		n.stopped()
		sim.Forget(gatewaysim.All)
	}
	if e := reading.ofType("guild.join")[0].Envelope; *e.GuildID != fmt.Sprint(joined) {
		t.Errorf("got a join of %s, want %d", *e.GuildID, joined)
	}
	leaves := reading.ofType("guild.leave")
	if len(leaves) != 1 || string(leaves[0].Envelope.Data) != fmt.Sprintf(`{"id":"%d","offline":true}`, left) {
		t.Errorf("got %d leaves, want one of %d", len(leaves), left)
	}
	for _, g := range reading.gaps(t) {
		if g.Reason != "session_lost" || g.LastAckedSeq < 3 || g.From == 0 {
			t.Errorf("got %+v, want session_lost after the guilds", g)
		}
	}
}

func TestRestart_with_another_number_of_shards_says_so_and_forgets_the_old_ones(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, nil)
	reading := n.read()
	sim.SetRate(0)
	n.stopped()
	left := sim.GuildIDs(0, 2)[0]
	if err := sim.LeaveGuild(left); err != nil {
		t.Fatal(err)
	}
	n.again(func(c *config.Config) { c.Pool.TotalShards = 3 })
	n.awaitReady(time.Minute)
	await(t, 20*time.Second, "gaps and the leave", func() (bool, string) {
		return len(reading.gaps(t)) == 3 && len(reading.ofType("guild.leave")) == 1, fmt.Sprint(reading.gaps(t), len(reading.ofType("guild.leave")))
	})
	for _, g := range reading.gaps(t) {
		if g.Reason != "identity_changed" || g.From == 0 || g.From > g.To {
			t.Errorf("got %+v, want identity_changed from the last contact", g)
		}
	}
	if got := len(reading.ofType("guild.join")); got != 0 {
		t.Errorf("got %d joins, want none: the guilds have only changed their shard", got)
	}
	store := n.sessions()
	await(t, 30*time.Second, "old records forgotten", func() (bool, string) {
		loaded, err := store.Load(t.Context(), 2, []int{0, 1})
		return err == nil && len(loaded.Sessions) == 0, fmt.Sprint(len(loaded.Sessions), err)
	})
	loaded, err := store.Load(t.Context(), 3, []int{0, 1, 2})
	if err != nil || len(loaded.Sessions) != 3 || loaded.Other != nil {
		t.Errorf("got %d sessions, other %v, error %v; want the three new ones", len(loaded.Sessions), loaded.Other, err)
	}
}

// sessions is the store of the node's sessions.
func (n *node) sessions() *cluster.Sessions {
	n.t.Helper()
	broker, err := stream.Connect(n.t.Context(), stream.Options{URL: n.url, Name: "test sessions"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(broker.Close)
	return cluster.NewSessions(broker.JetStream(), cluster.SessionsOptions{})
}

func TestRestart_keeps_the_stored_number_of_shards_where_none_is_configured(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, func(c *config.Config) { c.Pool.TotalShards = 2 })
	sim.SetRate(0)
	n.stopped()
	n.again(func(c *config.Config) { c.Pool.TotalShards = 0 })
	n.awaitReady(time.Minute)
	s, err := n.Status(t.Context())
	if err != nil || s.ShardsTotal != 2 {
		t.Errorf("got %d shards, error %v; want 2", s.ShardsTotal, err)
	}
	if got := sim.Counts(); got.Resumed != 2 || got.Identifies != 2 {
		t.Errorf("got %d resumed and %d IDENTIFYs, want 2 and 2", got.Resumed, got.Identifies)
	}
}

func TestRestart_after_an_outage_publishes_what_the_drain_left_in_the_spool(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 3, func(c *config.Config) { c.Shutdown.Timeout = 3 * time.Second })
	n.nats.Shutdown()
	await(t, 20*time.Second, "events that wait", func() (bool, string) { got := n.Traffic().Unacked; return got > 200, fmt.Sprint(got) })
	n.stop()
	wantExit(t, n.ended(30*time.Second), 1, "unacknowledged", "kept in the spool")
	listen := strings.TrimPrefix(n.url, "nats://")
	n.nats = startNATS(t, listen, n.dir)
	n.again(nil)
	n.awaitReady(time.Minute)
	reading := n.read()
	n.settle(sim, reading)
	if got := sim.Counts(); got.Identifies != 3 || got.Resumed < 3 {
		t.Errorf("got %d IDENTIFYs and %d resumed, want 3 and 3", got.Identifies, got.Resumed)
	}
	if got := reading.gaps(t); len(got) != 0 {
		t.Errorf("got gaps %+v, want none", got)
	}
}

// memory puts the streams where a restart of the server loses them.
func memory(c *config.Config) {
	c.Streams.Events.Storage, c.Streams.Commands.Storage = "memory", "memory"
}

func wantStreamLost(t *testing.T, r *reading, shards int) {
	t.Helper()
	await(t, 30*time.Second, "gaps", func() (bool, string) { got := r.gaps(t); return len(got) >= shards, fmt.Sprint(got) })
	for _, g := range r.gaps(t) {
		if g.Reason != "stream_lost" || g.LastAckedSeq == 0 || g.From == 0 || g.From >= g.To || g.Session == "" {
			t.Errorf("got %+v, want stream_lost", g)
		}
	}
	if got := len(r.gaps(t)); got != shards {
		t.Errorf("got %d gaps, want one for each of %d shards", got, shards)
	}
}

func TestStreamLost_is_said_by_each_shard_when_a_memory_server_restarts(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 3, memory)
	listen := strings.TrimPrefix(n.url, "nats://")
	n.nats.Shutdown()
	await(t, 20*time.Second, "the outage noticed", func() (bool, string) {
		s, err := n.Status(t.Context())
		return err == nil && !s.NATSConnected, fmt.Sprint(err)
	})
	n.nats = startNATS(t, listen, n.dir)
	n.awaitReady(time.Minute)
	wantStreamLost(t, n.read(), 3)
	sim.SetRate(0)
	n.stopped()
	if got := sim.Counts(); got.Identifies != 3 {
		t.Errorf("got %d IDENTIFYs, want 3: the sessions live", got.Identifies)
	}
}

func TestStreamLost_is_said_when_the_streams_died_while_drover_was_away(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 3, memory)
	sim.SetRate(0)
	n.stopped()
	listen := strings.TrimPrefix(n.url, "nats://")
	n.nats.Shutdown()
	n.nats = startNATS(t, listen, n.dir)
	n.again(nil)
	n.awaitReady(time.Minute)
	reading := n.read()
	wantStreamLost(t, reading, 3)
	n.stopped()
	n.again(nil) // once
	n.awaitReady(time.Minute)
	sim.SetRate(300)
	await(t, 20*time.Second, "traffic", func() (bool, string) { got := n.Traffic().Routed; return got > 100, fmt.Sprint(got) })
	wantStreamLost(t, reading, 3)
	if got := sim.Counts(); got.Identifies != 3 {
		t.Errorf("got %d IDENTIFYs, want 3: the sessions live", got.Identifies)
	}
}

// The spool may be published, and other nodes publish, before the checkpoints are read: a stream that was made again may
// have grown past where the old one ended.
func TestStreamLost_is_said_although_the_new_streams_are_longer_than_the_old_ones(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 3, memory)
	sim.SetRate(0)
	n.stopped()
	stored := int(n.Traffic().Routed)
	listen := strings.TrimPrefix(n.url, "nats://")
	n.nats.Shutdown()
	n.nats = startNATS(t, listen, n.dir)
	broker, err := stream.Connect(t.Context(), stream.Options{
		URL: n.url, Name: "another node", Events: stream.StreamOptions{Storage: "memory"}, Commands: stream.StreamOptions{Storage: "memory"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	if err := broker.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := broker.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range stored + 10 {
		for _, subject := range []string{"events.sheep.shorn", "commands.interaction"} {
			if _, err := broker.JetStream().Publish(t.Context(), subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.again(nil)
	n.awaitReady(time.Minute)
	wantStreamLost(t, n.read(), 3)
}

func TestRestart_reads_back_what_the_duplicate_window_has_forgotten(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, func(c *config.Config) {
		c.Streams.Events.Duplicates, c.Streams.Commands.Duplicates = time.Second, time.Second
	})
	reading := n.read()
	n.settle(sim, reading)
	n.stopped()
	// As a process leaves it that was killed when its store had been away for a while: the checkpoint is old, and behind
	// it stands much that nobody remembers. The guild set is as old.
	store := n.sessions()
	loaded, err := store.Load(t.Context(), 2, []int{0, 1})
	if err != nil || len(loaded.Sessions) != 2 {
		t.Fatalf("got %d sessions, error %v; want 2", len(loaded.Sessions), err)
	}
	for _, c := range loaded.Sessions {
		for s := range c.Acked {
			c.Acked[s], c.Stored[s] = min(c.Acked[s], 20), 0
		}
		c.Contact = time.Now().Add(-time.Minute)
		if err := saveOver(t.Context(), n, c); err != nil {
			t.Fatal(err)
		}
	}
	stored := len(reading.dispatches())
	before := sim.Counts()
	n.again(nil)
	n.awaitReady(time.Minute)
	if got := sim.Counts(); got.Resumed-before.Resumed != 2 || got.Replayed-before.Replayed < 100 {
		t.Errorf("got %d resumed and %d replayed, want 2 and much", got.Resumed-before.Resumed, got.Replayed-before.Replayed)
	}
	if _, err := sim.Dispatch(gatewaysim.All, "FOO_BAR", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "what is new", func() (bool, string) { return len(reading.ofType("foo.bar")) == 2, "" })
	if got := len(reading.dispatches()) - stored - 2; got != 0 {
		t.Errorf("got %d events stored twice, want none", got)
	}
	n.settle(sim, reading)
}

// saveOver replaces a stored session by an older one. Its guild set goes with it: one that is newer would say more.
func saveOver(ctx context.Context, n *node, c messages.Checkpoint) error {
	store := n.sessions()
	if err := store.Forget(ctx, c.Shards, c.ShardID); err != nil {
		return err
	}
	return store.Save(ctx, c)
}

func TestRestart_learns_where_the_gateway_is_now(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, nil)
	sim.SetRate(0)
	n.stopped()
	store := n.sessions()
	load := func() map[int]messages.Checkpoint {
		t.Helper()
		loaded, err := store.Load(t.Context(), 2, []int{0, 1})
		if err != nil || len(loaded.Sessions) != 2 {
			t.Fatalf("got %d sessions, error %v; want 2", len(loaded.Sessions), err)
		}
		return loaded.Sessions
	}
	want := load()[0].GatewayURL
	for _, c := range load() {
		c.GatewayURL = "ws://127.0.0.1:1" // it was there once
		if err := store.Save(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	n.again(nil)
	n.awaitReady(time.Minute)
	await(t, 20*time.Second, "the gateway's URL", func() (bool, string) {
		got := load()
		return got[0].GatewayURL == want && got[1].GatewayURL == want, got[0].GatewayURL
	})
	sim.CloseAll(gatewaysim.All, 4009, "")
	await(t, time.Minute, "new sessions", func() (bool, string) { got := sim.Counts().Identifies; return got == 4, fmt.Sprint(got) })
}

func TestRestart_after_a_long_time_says_what_is_lost(t *testing.T) {
	t.Parallel()
	sim, n := restarting(t, 2, nil)
	reading := n.read()
	n.settle(sim, reading)
	n.stopped()
	store := n.sessions()
	loaded, err := store.Load(t.Context(), 2, []int{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	last := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for _, c := range loaded.Sessions {
		c.Contact = last
		if err := store.Save(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	left := sim.GuildIDs(0, 2)[0]
	if err := sim.LeaveGuild(left); err != nil {
		t.Fatal(err)
	}
	n.again(func(c *config.Config) { c.Pool.TotalShards = 0 }) // Discord recommends 2 as well
	n.awaitReady(time.Minute)
	await(t, 20*time.Second, "gaps and the leave", func() (bool, string) {
		return len(reading.gaps(t)) == 2 && len(reading.ofType("guild.leave")) == 1, fmt.Sprint(reading.gaps(t), len(reading.ofType("guild.leave")))
	})
	for _, g := range reading.gaps(t) {
		if g.Reason != "session_expired" || g.From != last.UnixMilli() {
			t.Errorf("got %+v, want session_expired from %d", g, last.UnixMilli())
		}
	}
	if got := sim.Counts().Resumes; got != 0 {
		t.Errorf("got %d RESUMEs of sessions that are an hour old, want none", got)
	}
}
