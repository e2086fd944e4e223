package system_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system"
	"drover/system/gatewaysim"
)

// startSim starts a simulator that ends with the test.
func startSim(t *testing.T, o gatewaysim.Options) *gatewaysim.Server {
	t.Helper()
	sim := gatewaysim.New(o)
	if err := sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim
}

// ended waits for the node's end and returns its error.
func (n *node) ended(within time.Duration) error {
	n.t.Helper()
	select {
	case err := <-n.done:
		return err
	case <-time.After(within):
		n.t.Fatalf("the node did not end within %v", within)
		return nil
	}
}

// wantExit holds an error against an exit code and words that its sentence must have.
func wantExit(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	var coded *system.Error
	if !errors.As(err, &coded) || coded.ExitCode() != code {
		t.Fatalf("got error %v, want exit code %d", err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to name %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "test-token-0123456789") {
		t.Errorf("got the token in %q", err)
	}
}

// get asks the node's HTTP server.
func (n *node) get(path string) (int, string) {
	n.t.Helper()
	addr := <-n.listening
	n.listening <- addr
	response, err := http.Get("http://" + addr + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestConformance23_a_refused_token_ends_the_node_without_a_dial(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Token: "another-token"})
	n := startNode(t, sim, 1, nil)
	wantExit(t, n.ended(20*time.Second), 3, "discord.token", "DISCORD_TOKEN")
	if got := sim.Counts(); got.DialsBase+got.DialsResume != 0 || got.RESTGatewayBot != 1 {
		t.Errorf("got %d dials and %d calls of /gateway/bot, want 0 and 1", got.DialsBase+got.DialsResume, got.RESTGatewayBot)
	}
}

func TestConformance39_fatal_closes_of_the_bot_end_the_node(t *testing.T) {
	tests := []struct {
		code  int
		words []string
	}{
		{4004, []string{"4004", "discord.token"}},
		{4012, []string{"4012"}},
		{4013, []string{"4013", "discord.intents"}},
		{4014, []string{"4014", "discord.intents", "GUILD_MEMBERS"}},
	}
	for _, tt := range tests {
		t.Run(tt.words[0], func(t *testing.T) {
			sim := startSim(t, gatewaysim.Options{Shards: 3, MaxConcurrency: 1})
			sim.AnswerIdentify(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerClose, Code: tt.code}, gatewaysim.Forever)
			n := startNode(t, sim, 3, nil)
			wantExit(t, n.ended(30*time.Second), 3, tt.words...)
			if got := sim.Counts().Identifies; got != 1 {
				t.Errorf("got %d IDENTIFYs, want 1: each further one only costs budget", got)
			}
		})
	}
}

func TestConformance39_a_fatal_close_of_one_shard_leaves_the_others(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 3})
	sim.AnswerIdentify(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerClose, Code: 4011}, gatewaysim.Limit{Count: 1})
	n := startNode(t, sim, 3, nil)
	var halted messages.ShardStatus
	await(t, 30*time.Second, "two ready, one halted", func() (bool, string) {
		s, err := n.Status(t.Context())
		if err != nil {
			return false, err.Error()
		}
		for _, shard := range s.Shards {
			if shard.State == messages.Halted {
				halted = shard
			}
		}
		return s.ShardsReady == 2 && halted.State == messages.Halted, strings.Join(s.Reasons, "; ")
	})
	if !strings.Contains(halted.LastError, "4011") {
		t.Errorf("got last error %q, want it to name 4011", halted.LastError)
	}
	code, body := n.get("/ready")
	if code != 503 || !strings.Contains(body, "is halted") || !strings.Contains(body, "4011") {
		t.Errorf("/ready: got %d %s, want 503 that tells of the halted shard", code, body)
	}
	if code, _ := n.get("/health"); code != 200 {
		t.Errorf("/health: got %d, want 200: a refused shard is no reason to restart the process", code)
	}
	if got := sim.Counts().Identifies; got != 3 {
		t.Errorf("got %d IDENTIFYs, want 3: the refused shard does not come back", got)
	}
}

func TestNode_ends_with_3_when_every_shard_is_refused(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 2})
	sim.AnswerIdentify(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerClose, Code: 4010}, gatewaysim.Forever)
	n := startNode(t, sim, 2, nil)
	wantExit(t, n.ended(30*time.Second), 3, "every shard", "4010", "pool.total_shards")
}

func TestNode_names_the_key_of_a_taken_port(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	sim := startSim(t, gatewaysim.Options{})
	t.Run("http", func(t *testing.T) {
		n := startNode(t, sim, 1, func(c *config.Config) { c.HTTP.Addr = addr })
		wantExit(t, n.ended(20*time.Second), 2, "http.addr", "HTTP_PORT", addr)
	})
	t.Run("embedded NATS", func(t *testing.T) {
		n := startNode(t, sim, 1, func(c *config.Config) {
			c.NATS.URL, c.NATS.Embedded.Listen, c.NATS.Embedded.DataDir = "", addr, t.TempDir()
		})
		wantExit(t, n.ended(20*time.Second), 2, "nats.embedded.listen", "nats.url", addr)
	})
}

func TestNew_refuses_what_can_be_known_to_be_wrong(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{})
	tests := []struct {
		name   string
		change func(*config.Config)
		words  []string
	}{
		{"intents", func(c *config.Config) { c.Discord.Intents = []string{"GUILD_MEMBER"} }, []string{"discord.intents", "GUILD_MEMBER", "GUILD_MEMBERS"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := nodeConfig(sim, "none", 1)
			tt.change(&cfg)
			_, err := system.New(cfg, system.Options{})
			wantExit(t, err, 2, tt.words...)
		})
	}
}

func TestNode_pinned_to_a_pool_that_does_not_exist_says_which_do(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 30})
	pool := 2
	n := startNode(t, sim, 0, func(c *config.Config) { c.Pool.ID = &pool })
	wantExit(t, n.ended(20*time.Second), 2, "pool.id", "POOL_ID", "0 to 1")
}

func TestNode_pinned_to_a_pool_serves_only_its_shards(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 30})
	pool := 1
	n := startNode(t, sim, 0, func(c *config.Config) { c.Pool.ID = &pool })
	n.awaitReady(time.Minute)
	_, body := n.get("/api/v1/shards")
	var shards []messages.ShardStatus
	if err := json.Unmarshal([]byte(body), &shards); err != nil {
		t.Fatal(err)
	}
	if len(shards) != 5 || shards[0].ID != 25 || shards[4].ID != 29 || shards[0].Pool != 1 {
		t.Errorf("got %s, want the shards 25 to 29 of pool 1", body)
	}
}

func TestNode_without_nats_logs_events_and_is_ready(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Rate: 50})
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	n.awaitReady(30 * time.Second)
	await(t, 20*time.Second, "events", func() (bool, string) { return n.Traffic().Routed > 20, "" })
	if _, body := n.get("/ready"); !strings.Contains(body, `"nats_connected":true`) {
		t.Errorf("/ready: got %s, want nats_connected true", body)
	}
}

func TestNew_warns_of_allowed_events_that_the_intents_do_not_bring(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{})
	cfg := nodeConfig(sim, "none", 1)
	cfg.Events.Allow = []string{"GUILD_CREATE", "MESSAGE_CREATE", "INTERACTION_CREATE"}
	cfg.Events.Deny = []string{"TYPNG_START"}
	log := &lockedBuffer{}
	if _, err := system.New(cfg, system.Options{Log: slog.New(slog.NewTextHandler(log, nil))}); err != nil {
		t.Fatal(err)
	}
	got := log.String()
	for _, want := range []string{"event=MESSAGE_CREATE", "GUILD_MESSAGES", "key=events.deny event=TYPNG_START did_you_mean=TYPING_START"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("got %q, want two warnings", got)
	}
}

func TestConformance24_the_route_is_not_asked_again_before_its_time(t *testing.T) {
	t.Parallel()
	const wait = 8 * time.Second
	sim := startSim(t, gatewaysim.Options{})
	if err := sim.REST(gatewaysim.RESTFault{Status: 429, RetryAfter: wait}, gatewaysim.Limit{Count: 1}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	n := startNode(t, sim, 1, func(c *config.Config) { c.NATS.URL = "none" })
	await(t, 20*time.Second, "the reason", func() (bool, string) {
		_, body := n.get("/ready")
		return strings.Contains(body, "rate limited, ask again in 8s"), body
	})
	n.awaitReady(30 * time.Second)
	if took, calls := time.Since(began), sim.Counts().RESTGatewayBot; took < wait || calls != 2 {
		t.Errorf("ready after %v and %d calls, want at least %v and 2 calls", took, calls, wait)
	}
}

func TestNode_says_when_the_days_identifies_are_spent(t *testing.T) {
	sim := startSim(t, gatewaysim.Options{Shards: 2})
	sim.SetBudget(0, time.Hour)
	n := startNode(t, sim, 2, func(c *config.Config) { c.NATS.URL = "none" })
	await(t, 20*time.Second, "the reason", func() (bool, string) {
		_, body := n.get("/ready")
		return strings.Contains(body, "2 wait to identify: today's 1000 IDENTIFYs are spent: the next is allowed at "), body
	})
	status, err := n.Status(t.Context())
	if err != nil || status.Budget.ETA < 59*time.Minute || status.Budget.ETA > 61*time.Minute {
		t.Errorf("got an ETA of %v and error %v, want about 1h", status.Budget.ETA, err)
	}
	if got := sim.Counts().Identifies; got != 0 {
		t.Errorf("got %d IDENTIFYs, want none", got)
	}
}
