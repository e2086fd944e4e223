package system_test

// Statements of Discord's gateway protocol, held against a whole node over real sockets. What needs no wire is tested on
// the session machine in package gateway, and permits in package cluster.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system"
	"drover/system/gateway"
	"drover/system/gatewaysim"
)

// awaitResumed waits until the simulator has seen so many RESUMEs succeed.
func awaitResumed(t *testing.T, sim *gatewaysim.Server, n int64) {
	t.Helper()
	await(t, 30*time.Second, fmt.Sprintf("%d resumed", n), func() (bool, string) {
		got := sim.Counts()
		return got.Resumed >= n, fmt.Sprintf("%+v", got)
	})
}

// lastResume is the newest RESUME that a client sent.
func lastResume(t *testing.T, sim *gatewaysim.Server) (at gatewaysim.ConnRecord, seq int64) {
	t.Helper()
	all := sim.Connections()
	for i := len(all) - 1; i >= 0; i-- {
		frames := all[i].Sent(gateway.OpResume)
		if len(frames) == 0 {
			continue
		}
		var frame struct {
			D struct {
				Seq int64 `json:"seq"`
			} `json:"d"`
		}
		if err := json.Unmarshal(frames[0].Payload, &frame); err != nil {
			t.Fatal(err)
		}
		return all[i], frame.D.Seq
	}
	t.Fatal("no RESUME was sent")
	return
}

func TestConformance01_the_query_of_every_dial_over_the_wire(t *testing.T) {
	for _, compress := range []string{"none", "zlib-stream", "zstd-stream"} {
		t.Run(compress, func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Record: true})
			n := startNode(t, sim, 1, func(c *config.Config) { c.Discord.Compress = compress; c.NATS.URL = "none" })
			n.awaitReady(30 * time.Second)
			sim.Drop(gatewaysim.All)
			awaitResumed(t, sim, 1)
			want := url.Values{"v": {"10"}, "encoding": {"json"}}
			if compress != "none" {
				want.Set("compress", compress)
			}
			for _, c := range sim.Connections() {
				if got, err := url.ParseQuery(c.Query); err != nil || got.Encode() != want.Encode() {
					t.Errorf("%s: got query %q, want %q", c.Host, c.Query, want.Encode())
				}
			}
		})
	}
}

func TestConformance02_every_form_of_resume_url_works_over_the_wire(t *testing.T) {
	for _, form := range []string{"", "slash", "query"} {
		t.Run("form "+form, func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Record: true, ResumeURLForm: form})
			n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
			n.awaitReady(30 * time.Second)
			sim.Drop(gatewaysim.All)
			awaitResumed(t, sim, 1)
			at, _ := lastResume(t, sim)
			got, _ := url.ParseQuery(at.Query)
			for key, values := range got {
				if len(values) != 1 {
					t.Errorf("got %s %d times in %q, want once", key, len(values), at.Query)
				}
			}
			if at.Host != gatewaysim.HostResume || got.Get("v") != "10" || got.Get("encoding") != "json" || got.Get("compress") != "zstd-stream" {
				t.Errorf("got a RESUME at %s with %q, want the resume host with the same three parameters", at.Host, at.Query)
			}
		})
	}
}

func TestConformance05_a_requested_heartbeat_is_answered_at_once_over_the_wire(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Record: true})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	before := sim.Counts().Heartbeats
	sim.RequestHeartbeat(gatewaysim.All)
	await(t, 10*time.Second, "op 1", func() (bool, string) { return sim.Counts().Heartbeats > before, "" })
	for _, c := range sim.Connections() {
		if got := len(c.Sent(gateway.OpHeartbeatACK)); got != 0 {
			t.Errorf("got %d op 11 from the client, want none", got)
		}
	}
}

func TestConformance06_a_silent_peer_is_left_and_the_session_resumed_over_the_wire(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Record: true, Heartbeat: 1500 * time.Millisecond, HeartbeatGrace: 100})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	sim.DropAcks(gatewaysim.One(0), true)
	awaitResumed(t, sim, 1)
	first := sim.Connections()[0]
	if first.ClientCode == 1000 || first.ClientCode == 1001 || first.ClientCode == 0 {
		t.Errorf("got close code %d, want one that keeps the session", first.ClientCode)
	}
	if got := sim.Counts().Identifies; got != 1 {
		t.Errorf("got %d IDENTIFYs, want 1", got)
	}
	// 8: the new connection is judged on its own acks, so it stays.
	_, seq := lastResume(t, sim)
	if seq < 1 {
		t.Errorf("got RESUME seq %d, want the last one received", seq)
	}
	dials := sim.Counts().DialsResume
	beats := sim.Counts().Acks
	await(t, time.Minute, "three more beats", func() (bool, string) { return sim.Counts().Acks >= beats+3, "" })
	if got := sim.Counts().DialsResume; got != dials {
		t.Errorf("got %d dials after the reconnect, want none", got-dials)
	}
}

func TestConformance10_a_blocked_publisher_never_stops_the_heartbeat(t *testing.T) {
	t.Parallel()
	const interval = 1500 * time.Millisecond // a test machine that stands still for 3 s would look suspended
	sim := startSim(t, gatewaysim.Options{Record: true, Heartbeat: interval, HeartbeatGrace: 100})
	n := startNode(t, sim, 1, func(c *config.Config) {
		c.Publish.Window, c.Shutdown.Timeout = 16, 100*time.Millisecond // nothing is acknowledged in the end
		c.Spool.MaxBytes = 0
	})
	n.awaitReady(30 * time.Second)
	n.nats.Shutdown() // nothing is acknowledged from here on, so the window fills and the reader waits
	sim.SetRate(500)
	await(t, 20*time.Second, "a full window", func() (bool, string) {
		got := n.Traffic().Unacked
		return got >= 16, fmt.Sprintf("%d unacknowledged", got)
	})
	before := sim.Counts()
	await(t, time.Minute, "4 more heartbeats", func() (bool, string) {
		return sim.Counts().Heartbeats >= before.Heartbeats+4, fmt.Sprintf("%+v", sim.Counts())
	})
	after := sim.Counts()
	if after.DialsResume != before.DialsResume || after.HeartbeatsMissed != 0 {
		t.Errorf("got %d dials and %d connections ended for want of heartbeats, want none", after.DialsResume-before.DialsResume, after.HeartbeatsMissed)
	}
	if got := n.Traffic().Unacked; got > 2*16 {
		t.Errorf("got %d events in flight, want at most the window's 16 of each stream", got)
	}
}

func TestConformance12_an_edge_that_says_no_hello_is_left(t *testing.T) {
	t.Parallel() // it waits 20 s for HELLO
	sim := startSim(t, gatewaysim.Options{Record: true})
	sim.SilentEdge(gatewaysim.Limit{Count: 1})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(time.Minute)
	first := sim.Connections()[0]
	if len(first.Frames) != 0 || first.ClientCode == 1000 || first.ClientCode == 1001 {
		t.Errorf("got %d frames and close code %d on the silent edge, want nothing written and no 1000", len(first.Frames), first.ClientCode)
	}
	if waited := first.Closed.Sub(first.Opened); waited < 19*time.Second {
		t.Errorf("got a wait of %v for HELLO, want 20s", waited)
	}
}

func TestConformance14_a_ready_for_another_shard_is_not_served(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 2, Guilds: 8, Record: true, MaxConcurrency: 16})
	sim.NextReady(gatewaysim.ReadyFault{Shard: &[2]int{1, 4}}, gatewaysim.Limit{Count: 1})
	n := startNode(t, sim, 2, nil)
	reading := n.read()
	n.awaitReady(2 * time.Minute)
	served := map[string]bool{}
	await(t, 20*time.Second, "guilds", func() (bool, string) {
		for _, m := range reading.dispatches() {
			session, _, _ := strings.Cut(m.Seq, ":")
			served[session] = true
		}
		return len(reading.ofType("guild.available")) >= 8, ""
	})
	if len(served) != 2 {
		t.Errorf("got events of %d sessions, want 2: the one that began with a foreign READY is not served", len(served))
	}
}

func TestConformance25_a_drop_is_resumed_with_what_was_received(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Guilds: 5, Record: true})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(30 * time.Second)
	reading := n.read()
	await(t, 20*time.Second, "guilds stored", func() (bool, string) { return len(reading.dispatches()) == 5, "" })
	sim.Drop(gatewaysim.All)
	awaitResumed(t, sim, 1)
	at, seq := lastResume(t, sim)
	if at.Host != gatewaysim.HostResume || seq != 6 {
		t.Errorf("got RESUME with seq %d at %s, want 6 at the resume host", seq, at.Host)
	}
	if got := sim.Counts().Identifies; got != 1 {
		t.Errorf("got %d IDENTIFYs, want 1", got)
	}
}

func TestConformance27_a_drop_in_mid_replay_resumes_from_where_it_was(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Guilds: 2, Record: true, ReplayBuffer: 3500})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(30 * time.Second)
	sim.SetRate(400) // below what the replay buffer holds for the longest wait
	// Each drop after the first meets a replay or its end; a fourth could be the third RESUME in a row that fails (34).
	for i := range int64(3) {
		if sim.Drop(gatewaysim.All) == 0 {
			t.Fatal("there was no connection to drop")
		}
		await(t, time.Minute, "a RESUME", func() (bool, string) { return sim.Counts().Resumes > i, fmt.Sprintf("%+v", sim.Counts()) })
	}
	sim.SetRate(0)
	awaitResumed(t, sim, 1)
	n.awaitReady(30 * time.Second)
	reading := n.read()
	want := sent(sim)
	await(t, 30*time.Second, "all stored", func() (bool, string) {
		got := len(reading.dispatches())
		return got >= len(want), fmt.Sprintf("%d of %d", got, len(want))
	})
	compareLedgers(t, want, reading.dispatches())
}

func TestConformance28_a_repeated_dispatch_is_dropped_by_the_reader_and_a_jump_is_counted(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Guilds: 3, Record: true})
	// Without NATS no duplicate window hides a second copy.
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	settled := func(received uint64) {
		t.Helper()
		await(t, 20*time.Second, fmt.Sprintf("%d events", received), func() (bool, string) {
			got := n.Traffic().Received
			return got >= received, fmt.Sprint(got)
		})
	}
	settled(3)
	for range 3 {
		if sim.Duplicate(gatewaysim.All) != 1 {
			t.Fatal("nothing was repeated")
		}
	}
	if sim.Jump(gatewaysim.All, 2) != 1 {
		t.Fatal("nothing was left out")
	}
	if _, err := sim.Dispatch(gatewaysim.All, "FOO_BAR", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	settled(4) // in the order of the wire: the repeated ones are behind us
	await(t, 10*time.Second, "acknowledged", func() (bool, string) { return n.Traffic().ByType["foo.bar"] == 1, "" })
	if got := n.Traffic().Received; got != 4 {
		t.Errorf("got %d events read, want 4: three were repeated", got)
	}
	_, metrics := n.get("/metrics")
	if !strings.Contains(metrics, `gateway_sequence_gaps_total{shard_id="0"} 1`) {
		t.Error("/metrics: want one jump in gateway_sequence_gaps_total")
	}
	_, body := n.get("/api/v1/shards")
	if !strings.Contains(body, `"seq_received":7,"seq_acked":7`) { // READY 1, guilds 2 to 4, 5 and 6 left out, 7
		t.Errorf("got %s, want seq 7", body)
	}
}

func TestConformance32_op_7_in_place_of_hello_redials_without_a_word(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Record: true})
	sim.ReconnectHello(gatewaysim.Limit{Count: 1})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	if first := sim.Connections()[0]; len(first.Frames) != 0 {
		t.Errorf("got %d frames on the first connection, want none", len(first.Frames))
	}
}

func TestConformance33_a_dead_resume_host_costs_no_session(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Record: true})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	if err := sim.RefuseDials(gatewaysim.HostResume, gatewaysim.DialRefuse, gatewaysim.Forever); err != nil {
		t.Fatal(err)
	}
	sim.Drop(gatewaysim.All)
	awaitResumed(t, sim, 1)
	at, _ := lastResume(t, sim)
	if at.Host != gatewaysim.HostBase {
		t.Errorf("got RESUME at %s, want the base host", at.Host)
	}
	if got := sim.Counts().Identifies; got != 1 {
		t.Errorf("got %d IDENTIFYs, want 1", got)
	}
}

func TestConformance38_late_news_of_an_old_socket_leave_the_new_one_alone(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Record: true, Rate: 200})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	sim.Reconnect(gatewaysim.All) // we close; the peer's close frame and end come when the new dial is on its way
	awaitResumed(t, sim, 1)
	before := n.Traffic().Received
	await(t, 20*time.Second, "traffic on the new socket", func() (bool, string) { return n.Traffic().Received > before+200, "" })
	if got := sim.Counts(); got.DialsBase+got.DialsResume != 2 {
		t.Errorf("got %d dials, want 2", got.DialsBase+got.DialsResume)
	}
}

func TestConformance48_corrupt_data_ends_the_connection_and_not_the_process(t *testing.T) {
	for _, compress := range []string{"zlib-stream", "zstd-stream", "none"} {
		t.Run(compress, func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Record: true, Rate: 100})
			n := startNode(t, sim, 1, func(c *config.Config) { c.Discord.Compress = compress; c.NATS.URL = "none" })
			n.awaitReady(30 * time.Second)
			if compress == "none" {
				sim.Garbage(gatewaysim.All)
			} else {
				sim.Corrupt(gatewaysim.All)
			}
			awaitResumed(t, sim, 1)
			await(t, 20*time.Second, "close code 4000", func() (bool, string) {
				first := sim.Connections()[0]
				return first.ClientCode == 4000, fmt.Sprint(first.ClientCode)
			})
			n.awaitReady(30 * time.Second)
		})
	}
}

func TestConformance49_a_20_MiB_guild_is_accepted(t *testing.T) {
	for _, compress := range []string{"zlib-stream", "zstd-stream", "none"} {
		t.Run(compress, func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Guilds: 2, Record: true})
			n := startNode(t, sim, 1, func(c *config.Config) { c.Discord.Compress = compress })
			n.awaitReady(30 * time.Second)
			reading := n.read()
			if sent, err := sim.GiantGuild(gatewaysim.All, 20); sent != 1 || err != nil {
				t.Fatalf("got %d guilds sent, error %v; want 1", sent, err)
			}
			await(t, time.Minute, "the giant", func() (bool, string) {
				for _, m := range reading.dispatches() {
					if bytes.Contains(m.Envelope.Data, []byte("drover_oversize")) {
						return true, ""
					}
				}
				return false, "not stored"
			})
			if got := sim.Counts(); got.DialsBase+got.DialsResume != 1 {
				t.Errorf("got %d dials, want the connection to stay", got.DialsBase+got.DialsResume)
			}
			if _, err := sim.Dispatch(gatewaysim.All, "FOO_BAR", []byte(`{"after":true}`)); err != nil {
				t.Fatal(err)
			}
			await(t, 20*time.Second, "the event after it", func() (bool, string) { return len(reading.ofType("foo.bar")) == 1, "" })
		})
	}
}

func TestConformance50_unknown_things_pass_as_they_are(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Guilds: 1, Record: true})
	n := startNode(t, sim, 1, nil)
	n.awaitReady(30 * time.Second)
	reading := n.read()
	sim.UnknownOp(gatewaysim.All, 77)
	const d = `{"guild_id":700000000000000010,"channel_id":"71","nested":{"guild_id":"9"},"x":[1,2.50,"\u00e9"]}`
	if _, err := sim.Dispatch(gatewaysim.All, "SOMETHING_NEW_HERE", []byte(d)); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "the unknown event", func() (bool, string) { return len(reading.ofType("something.new_here")) == 1, "" })
	e := reading.ofType("something.new_here")[0].Envelope
	if string(e.Data) != d || e.GuildID == nil || *e.GuildID != "700000000000000010" || e.ChannelID == nil || *e.ChannelID != "71" || e.UserID != nil {
		t.Errorf("got %+v, want ids of the top level and the data unchanged", e)
	}
	if got := sim.Counts(); got.DialsBase+got.DialsResume != 1 {
		t.Errorf("got %d dials, want the connection to stay", got.DialsBase+got.DialsResume)
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestConformance60_no_token_reaches_logs_headers_or_metrics(t *testing.T) {
	for _, natsURL := range []string{"", "none"} {
		t.Run("nats.url "+natsURL, func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Guilds: 10, Record: true, Events: 2000})
			cfg := nodeConfig(sim, natsURL, 1)
			cfg.NATS.Embedded.Listen, cfg.NATS.Embedded.DataDir = "127.0.0.1:0", t.TempDir()
			log := &lockedBuffer{}
			listening := make(chan string, 1)
			s, err := system.New(cfg, system.Options{ // without the redacting logger: nothing may rely on it
				Log:   slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
				Ready: func(addr string) { listening <- addr },
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			n := &node{System: s, t: t, listening: listening}
			n.awaitReady(30 * time.Second)
			sim.SetRate(2000)
			<-sim.TrafficDone()
			sim.Drop(gatewaysim.All)
			await(t, 30*time.Second, "traffic", func() (bool, string) {
				got := n.Traffic()
				return got.ByType["interaction.create"] > 20 && got.Unacked == 0, fmt.Sprint(got)
			})
			_, metrics := n.get("/metrics")
			_, page := n.get("/")
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			secrets := interactionTokens(t, sim)
			secrets = append(secrets, cfg.Discord.Token.Reveal())
			for _, secret := range secrets {
				for where, text := range map[string]string{"log": log.String(), "metrics": metrics, "page": page} {
					if strings.Contains(text, secret) {
						t.Fatalf("found a token in the %s", where)
					}
				}
			}
			if len(secrets) < 20 || log.String() == "" {
				t.Errorf("got %d tokens and a log of %d bytes: this test would see nothing", len(secrets), len(log.String()))
			}
		})
	}
}

// interactionTokens are those of every interaction that the simulator sent.
func interactionTokens(t *testing.T, sim *gatewaysim.Server) []string {
	t.Helper()
	var out []string
	for _, d := range sent(sim) {
		if d.T != messages.InteractionCreate {
			continue
		}
		var data struct{ Token string }
		if err := json.Unmarshal(d.D(), &data); err != nil || data.Token == "" {
			t.Fatalf("interaction without a token: %v", err)
		}
		out = append(out, data.Token)
	}
	return out
}
