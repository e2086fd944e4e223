package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// takenAddr is an address that something listens at until the test and its subtests end.
func takenAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestRun_ends_with_one_sentence_that_says_what_to_change(t *testing.T) {
	t.Parallel()
	taken := takenAddr(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		sim   []string
		fault string // of the simulator, and its body
		body  string
		env   []string
		code  int
		words []string
	}{
		{"wrong token", []string{"--token", "another"}, "", "", nil,
			3, []string{"refuses the token", "discord.token", "DISCORD_TOKEN", "developer portal"}},
		{"token refused by the gateway", nil, "identify-answer", `{"answer":"close","code":4004,"count":-1}`, nil,
			3, []string{"4004", "discord.token"}},
		{"token of an odd form", nil, "", "", []string{"DISCORD_TOKEN=two words-of-a-token"},
			2, []string{"discord.token", "copy the token again"}},
		{"disallowed intents", nil, "deny-intents", `{"intents":33026}`, nil,
			3, []string{"4014", "GUILD_MEMBERS", "portal", "discord.intents"}},
		{"invalid intents", nil, "identify-answer", `{"answer":"close","code":4013,"count":-1}`, nil,
			3, []string{"4013", "discord.intents"}},
		{"intents that do not exist", nil, "", "", []string{"DISCORD_INTENTS=GUILDS,GILD_MEMBERS"},
			2, []string{"DISCORD_INTENTS", "GILD_MEMBERS", "GUILD_MEMBERS"}},
		{"version of the API", nil, "identify-answer", `{"answer":"close","code":4012,"count":-1}`, nil,
			3, []string{"4012"}},
		{"every shard refused", []string{"--shards", "2"}, "identify-answer", `{"answer":"close","code":4010,"count":-1}`, nil,
			3, []string{"every shard", "4010", "pool.total_shards"}},
		{"too few shards", nil, "identify-answer", `{"answer":"close","code":4011,"count":-1}`, []string{"TOTAL_SHARDS=1"},
			3, []string{"4011", "pool.total_shards"}},
		{"pool that does not exist", []string{"--shards", "30"}, "", "", []string{"POOL_ID=2"},
			2, []string{"pool.id", "POOL_ID", "0 to 1"}},
		{"HTTP port in use", nil, "", "", []string{"DROVER_HTTP_ADDR=" + taken},
			2, []string{"http.addr", "HTTP_PORT", taken, "address already in use"}},
		{"NATS port in use", nil, "", "", []string{"NATS_URL=", "DROVER_NATS_EMBEDDED_LISTEN=" + taken},
			2, []string{"nats.embedded.listen", "NATS_URL", taken, "address already in use"}},
		{"no folder for the store", nil, "", "", []string{"NATS_URL=", "DROVER_NATS_EMBEDDED_LISTEN=127.0.0.1:0", "DROVER_NATS_EMBEDDED_DATA_DIR=" + file + "/data"},
			2, []string{"nats.embedded.data_dir", file}},
		{"no server in the URL", nil, "", "", []string{"NATS_URL=nats://:4222"},
			2, []string{"nats.url", "nats://host:4222"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sim := startSimulator(t, append([]string{"--rate", "0"}, tt.sim...)...)
			if tt.fault != "" {
				sim.do(tt.fault, tt.body)
			}
			node := startRun(t, sim.api, "none", tt.env...)
			node.wantExit(tt.code, tt.words...)
			if text := node.stderr.String(); strings.Contains(text, botToken) || strings.Contains(text, "of-a-token") {
				t.Errorf("got the token in %s", text)
			}
			if got := sim.state().Counts.Identifies; got > 4 {
				t.Errorf("got %d IDENTIFYs, want at most one for each of 4 shards: each costs budget", got)
			}
		})
	}
}

func TestRun_and_config_check_report_everything_wrong_with_an_absurd_configuration_at_once(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drover.yaml")
	absurd := "pool:\n  size: -3\n  total_shards: many\nstreams:\n  events:\n    max_age: 1ms\n    replicas: 99\npublish:\n  window: 0\n" +
		"shutdown:\n  timeout: 20\nhealth:\n  min_ready: 7\nlog:\n  level: loud\n  colour: red\nnats:\n  url: http://nats\n  user: u\n"
	if err := os.WriteFile(path, []byte(absurd), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"DISCORD_TOKEN=" + botToken, "DROVER_DISCORD_COMPRESS=zip", "DISCORD_INTENTS=GILD_MEMBERS", "DROVER_DISCORD_API_URL=discord.com", "HTTP_PORT=99999"}
	var texts []string
	for _, args := range [][]string{{"run"}, {"config", "check"}} {
		stdout, stderr, code := drover(t, env, append(args, "--config", path)...)
		if code != 2 || stdout != "" {
			t.Errorf("%v: got exit code %d and %q, want 2 and nothing", args, code, stdout)
		}
		for _, key := range []string{
			"pool.size", "pool.total_shards", "streams.events.max_age", "streams.events.replicas", "publish.window", "shutdown.timeout",
			"health.min_ready", "log.level", "log.colour", "nats.url", "nats.user", "discord.compress", "discord.intents", "discord.api_url", "http.addr",
		} {
			if strings.Count(stderr, "\n  - "+key+": ") != 1 {
				t.Errorf("%v: no line, or more than one, about %s in\n%s", args, key, stderr)
			}
		}
		if strings.Contains(stderr, botToken) {
			t.Errorf("%v: got the token in\n%s", args, stderr)
		}
		texts = append(texts, stderr)
	}
	if texts[0] != texts[1] {
		t.Errorf("got\n%s\nfrom run and\n%s\nfrom config check, want the same", texts[0], texts[1])
	}
}

func TestRun_stays_up_without_NATS_and_says_so(t *testing.T) {
	t.Parallel()
	sim := startSimulator(t)
	node := startNode(t, sim.api, "nats://user:s3cret-password@127.0.0.1:1") // nobody listens there
	node.awaitReason("NATS is not connected", "refused", "waiting for NATS")
	node.logged("nats unreachable")
	node.wantHealthy()
	addr := strings.TrimPrefix(node.url, "http://")
	if _, stderr, code := drover(t, nil, "healthcheck", "--addr", addr); code != 0 {
		t.Errorf("healthcheck: got exit code %d and %q, want 0: a restart would not help", code, stderr)
	}
	_, stderr, code := drover(t, nil, "healthcheck", "--ready", "--addr", addr)
	if code != 1 || !strings.Contains(stderr, "NATS is not connected") {
		t.Errorf("healthcheck --ready: got exit code %d and %q, want 1 and the reason", code, stderr)
	}
	if got := sim.state().Counts; got.Identifies+got.DialsBase != 0 {
		t.Errorf("got %d dials and %d IDENTIFYs, want none before NATS was reached", got.DialsBase, got.Identifies)
	}
	node.stop()
	if strings.Contains(node.stderr.String(), "s3cret") {
		t.Errorf("got the password in the log")
	}
	if _, stderr, code := drover(t, nil, "healthcheck", "--addr", addr); code != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("healthcheck of a node that has ended: got exit code %d and %q, want 1 and a line", code, stderr)
	}
}

func TestRun_says_what_a_NATS_server_lacks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		args   []string // of nats-server
		reason string
	}{
		{"JetStream", []string{"-a", "127.0.0.1", "-p", "-1"}, "JetStream is not enabled"},
		{"our credentials", []string{"-a", "127.0.0.1", "-p", "-1", "-js", "-sd", t.TempDir(), "--user", "drover", "--pass", "s3cret-password"}, "refuses these credentials"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, natsURL := startNATSWith(t, tt.args...)
			sim := startSimulator(t)
			node := startNode(t, sim.api, natsURL, "DROVER_NATS_USER=drover", "DROVER_NATS_PASSWORD=wr0ng-password")
			node.awaitReason(tt.reason)
			node.wantHealthy()
			if got := sim.state().Counts.Identifies; got != 0 {
				t.Errorf("got %d IDENTIFYs, want none: nothing could be published", got)
			}
			node.stop()
			if strings.Contains(node.stderr.String(), "wr0ng") {
				t.Error("got the password in the log")
			}
		})
	}
}

// waits are the pauses of the log lines with this message.
func waits(p *process, msg string) (out []time.Duration) {
	p.t.Helper()
	for _, line := range p.logLines(msg) {
		wait, err := time.ParseDuration(fmt.Sprint(line["wait"]))
		if err != nil {
			p.t.Fatalf("%v: %v", line, err)
		}
		out = append(out, wait)
	}
	return out
}

func TestRun_stays_up_without_Discord_and_asks_again_with_growing_pauses(t *testing.T) {
	t.Parallel()
	const failed = "discord does not say how to connect"
	tests := []struct {
		name, api string
		fault     string
		reason    string
	}{
		{"nobody there", "http://127.0.0.1:1", "", "refused"},
		{"an outage", "", `{"status":503,"count":-1}`, "503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sim := startSimulator(t, "--shards", "1")
			if tt.fault != "" {
				sim.do("rest", tt.fault)
				tt.api = sim.api
			}
			node := startNode(t, tt.api, "none")
			node.awaitReason("GET /gateway/bot", tt.reason, "asked again within")
			await(t, "three attempts", func() (bool, string) { return len(waits(node.process, failed)) >= 3, "" })
			if w := waits(node.process, failed); !slices.IsSorted(w) || w[0] == w[2] {
				t.Errorf("got pauses %v, want them to grow", w)
			}
			node.wantHealthy()
			if tt.fault != "" {
				sim.do("clear", "{}")
				node.awaitReady()
			}
			node.stop()
		})
	}
}

func TestRun_outlives_a_gateway_that_refuses_connections(t *testing.T) {
	t.Parallel()
	sim := startSimulator(t, "--shards", "2")
	sim.do("refuse-dials", `{"host":"both","mode":"503","count":-1}`)
	node := startNode(t, sim.api, "none")
	await(t, "attempts", func() (bool, string) { return sim.state().Counts.DialsRefused >= 6, "" })
	node.awaitReason("0 of 2 shards are ready")
	node.wantHealthy()
	sim.do("allow-dials", `{"host":"both"}`)
	node.awaitReady()
	if code, body := httpGet(t, node.url+"/api/v1/shards"); code != http.StatusOK || strings.Count(body, `"state":"ready"`) != 2 {
		t.Errorf("/api/v1/shards: got %d %s, want 2 ready shards", code, body)
	}
	node.stop()
}
