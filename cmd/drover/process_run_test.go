package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"drover/system/gatewaysim"
	"drover/system/stream"
)

// botToken has the form of a real one, so that redaction by form would see it too.
const botToken = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.drover-acceptance-test-token"

// simulator is a drover simulate process.
type simulator struct {
	*process
	api string // discord.api_url
}

func startSimulator(t testing.TB, args ...string) *simulator {
	t.Helper()
	p := startDrover(t, nil, append([]string{"simulate", "--listen", "127.0.0.1:0"}, args...)...)
	return &simulator{p, p.match(p.stdout, `DROVER_DISCORD_API_URL=(\S+)`)}
}

func (s *simulator) control() string { return strings.TrimSuffix(s.api, "/api/v10") + "/control/" }

// do posts to the control API.
func (s *simulator) do(name, body string) {
	s.t.Helper()
	if code, answer := httpDo(s.t, http.MethodPost, s.control()+name, body); code != http.StatusOK {
		s.t.Fatalf("/control/%s %s: got %d %s", name, body, code, answer)
	}
}

func (s *simulator) read(name string, into any) {
	s.t.Helper()
	code, answer := httpGet(s.t, s.control()+name)
	if err := json.Unmarshal([]byte(answer), into); code != http.StatusOK || err != nil {
		s.t.Fatalf("/control/%s: got %d %.200s, error %v", name, code, answer, err)
	}
}

func (s *simulator) state() (state gatewaysim.State) {
	s.t.Helper()
	s.read("state", &state)
	return state
}

// sent counts the dispatches of all sessions by Discord's t, but for the two that drover does not publish.
func (s *simulator) sent() map[string]int {
	s.t.Helper()
	var ledger struct {
		Recording bool
		Sessions  []gatewaysim.LedgerSummary
	}
	s.read("ledger", &ledger)
	if !ledger.Recording {
		s.t.Fatal("the simulator does not record")
	}
	sum := map[string]int{}
	for _, session := range ledger.Sessions {
		for name, n := range session.Types {
			sum[name] += n
		}
	}
	delete(sum, "READY")
	delete(sum, "RESUMED")
	return sum
}

// running is a drover run process.
type running struct {
	*process
	url string // of its HTTP server
}

// startNode runs a node with free ports against a simulator and a NATS server.
func startNode(t testing.TB, api, natsURL string, env ...string) *running {
	t.Helper()
	p := startRun(t, api, natsURL, env...)
	addr, ok := p.logged("listening")["http"].(string)
	if !ok {
		t.Fatal("the log does not say where the node listens")
	}
	return &running{p, "http://" + addr}
}

// startRun is startNode for nodes that do not get as far as to listen.
func startRun(t testing.TB, api, natsURL string, env ...string) *process {
	t.Helper()
	return startDrover(t, append([]string{
		"DROVER_DISCORD_API_URL=" + api, "DISCORD_TOKEN=" + botToken, "NATS_URL=" + natsURL, "DROVER_HTTP_ADDR=127.0.0.1:0",
	}, env...), "run")
}

func (n *running) awaitReady() {
	n.t.Helper()
	await(n.t, "ready", func() (bool, string) {
		code, body := httpGet(n.t, n.url+"/ready")
		return code == http.StatusOK, body
	})
}

// awaitReason waits until /ready is 503 and names every word.
func (n *running) awaitReason(words ...string) {
	n.t.Helper()
	await(n.t, "/ready", func() (bool, string) {
		code, body := httpGet(n.t, n.url+"/ready")
		for _, w := range words {
			if !strings.Contains(body, w) {
				return false, fmt.Sprintf("it answers %d %s, want 503 and %q", code, body, w)
			}
		}
		return code == http.StatusServiceUnavailable, fmt.Sprintf("it answers %d", code)
	})
}

// wantHealthy: trouble outside is no reason to restart the process.
func (n *running) wantHealthy() {
	n.t.Helper()
	if code, body := httpGet(n.t, n.url+"/health"); code != http.StatusOK {
		n.t.Errorf("/health: got %d %s, want 200", code, body)
	}
}

// metric adds all series of a metric up.
func (n *running) metric(name string) (sum float64) {
	n.t.Helper()
	_, text := httpGet(n.t, n.url+"/metrics")
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &value); err != nil {
			n.t.Fatalf("%q: %v", line, err)
		}
		sum += value
	}
	return sum
}

// reading is what a worker has read from both streams.
type reading struct {
	mu       sync.Mutex
	messages []stream.Message
}

// readStreams reads everything that is stored, until the test ends.
func readStreams(t testing.TB, natsURL, prefix string) *reading {
	t.Helper()
	broker, err := stream.Connect(t.Context(), stream.Options{URL: natsURL, Name: "test reader", Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	r, ended := &reading{}, make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	// Ends with ctx, which the cleanup ends.
	go func() {
		defer close(ended)
		err := broker.Follow(ctx, stream.FollowOptions{All: true}, func(m stream.Message) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.messages = append(r.messages, m)
			return nil
		})
		if err != nil {
			t.Errorf("reader: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		broker.Close()
	})
	return r
}

// all returns a copy of what was read.
func (r *reading) all() []stream.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// stored counts what came from Discord by its t; a second copy of the same event is counted as "twice".
func (r *reading) stored() map[string]int {
	sum, seen := map[string]int{}, map[string]bool{}
	for _, m := range r.all() {
		switch {
		case m.Seq == "": // drover's own
		case seen[m.Seq]:
			sum["twice"]++
		default:
			seen[m.Seq] = true
			sum[m.Event]++
		}
	}
	return sum
}

// ofType returns the events of one of drover's types.
func (r *reading) ofType(name string) (out []stream.Message) {
	for _, m := range r.all() {
		if m.Envelope.Type == name {
			out = append(out, m)
		}
	}
	return out
}

// awaitAll waits until the streams hold what the simulator has sent, each event once. The traffic has stopped.
func (r *reading) awaitAll(t testing.TB, sim *simulator) {
	t.Helper()
	want := sim.sent()
	await(t, "everything stored once", func() (bool, string) {
		got := r.stored()
		return maps.Equal(got, want), fmt.Sprintf("stored %v, sent %v", got, want)
	})
}

func TestRun_against_simulate_publishes_to_a_stock_nats_server_and_tail_shows_it(t *testing.T) {
	t.Parallel()
	server, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "4", "--rate", "200", "--record", "--token", botToken)
	lines := startDrover(t, []string{"NATS_URL=" + natsURL}, "tail")
	envelopes := startDrover(t, []string{"NATS_URL=" + natsURL}, "tail", "--json")
	lines.match(lines.stderr, `waiting for the stream`) // both are there before the first event
	envelopes.match(envelopes.stderr, `waiting for the stream`)
	node := startNode(t, sim.api, natsURL)
	node.awaitReady()
	reading := readStreams(t, natsURL, "")

	for _, typ := range []string{"shard.ready", "guild.available", "member.join", "member.update", "interaction.create"} {
		lines.match(lines.stdout, `(?m)^\d\d:\d\d:\d\d\.\d{3}  `+typ+` +shard \d`)
		line := envelopes.match(envelopes.stdout, `(?m)^\{.*"event_type":"`+typ+`".*\}$`)
		var e stream.Envelope
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID == "" || len(e.Data) == 0 {
			t.Errorf("got %s, want an envelope", line)
		}
	}
	if code, body := httpGet(t, node.url+"/api/v1/shards"); code != http.StatusOK || strings.Count(body, `"state":"ready"`) != 4 {
		t.Errorf("/api/v1/shards: got %d %s, want 4 ready shards", code, body)
	}
	_, page := httpGet(t, node.url+"/")

	node.stop()
	state := sim.state()
	if state.Counts.SessionsEnded != 0 || len(state.Sessions) != 4 || len(state.Violations) > 0 {
		t.Errorf("got %d sessions, %d ended and violations %v, want 4 that live", len(state.Sessions), state.Counts.SessionsEnded, state.Violations)
	}
	for _, s := range state.Sessions {
		if s.Connected || !s.Ready {
			t.Errorf("got session %+v, want it without a connection and resumable", s)
		}
	}
	if errs := node.logLines("a stream was lost and is made again: acknowledged events that no worker had read are gone"); len(errs) > 0 {
		t.Errorf("got %v, want no alarm on a new server", errs)
	}
	for _, line := range node.logLines("") {
		if line["time"] == nil || line["level"] == nil {
			t.Errorf("got log line %v, want time, level and msg", line)
		}
		if line["level"] == "ERROR" {
			t.Errorf("got log line %v, want no error on a run without trouble", line)
		}
	}
	if out := node.stdout.String(); out != "" {
		t.Errorf("got %q on standard output, want nothing: the log is on standard error", out)
	}
	if files := node.files(); !slices.Equal(files, []string{"data/spool/home", "data/spool/spool.db"}) {
		t.Errorf("got files %q, want the spool only: NATS keeps the events", files)
	}

	lines.stop()
	envelopes.stop()
	secrets := []string{botToken}
	for _, m := range reading.ofType("interaction.create") {
		var data struct {
			Token string `json:"interaction_token"`
		}
		if err := json.Unmarshal(m.Envelope.Data, &data); err != nil || data.Token == "" {
			t.Errorf("got interaction %s without a token for the worker", m.Envelope.Data)
		}
		secrets = append(secrets, data.Token)
	}
	if len(secrets) < 2 {
		t.Fatal("got no interaction")
	}
	for name, text := range map[string]string{
		"run": node.stderr.String(), "tail": lines.stdout.String(), "tail --json": envelopes.stdout.String(),
		"simulate": sim.stdout.String() + sim.stderr.String(), "nats-server": server.stderr.String(), "the page": page,
	} {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows the token %s", name, secret)
				break
			}
		}
	}
}
