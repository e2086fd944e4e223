package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// pair is a simulated Discord, a NATS server, and two nodes that serve two pools each.
type pair struct {
	t       *testing.T
	sim     *simulator
	natsURL string
	a, b    *running
}

// startPair also reads the streams, from their beginning on.
func startPair(t *testing.T, env ...string) (*pair, *reading) {
	t.Helper()
	p := &pair{t: t}
	_, p.natsURL = startNATS(t)
	p.sim = startSimulator(t, "--shards", "4", "--max-concurrency", "4", "--rate", "200", "--record")
	p.a, p.b = p.node("a", env...), p.node("b", env...)
	p.a.awaitReady()
	p.b.awaitReady()
	return p, readStreams(t, p.natsURL, "")
}

func (p *pair) env(name string, more ...string) []string {
	return append([]string{"DROVER_CLUSTER_NODE=" + name, "DROVER_CLUSTER_LEASE_TTL=2s", "DROVER_POOL_SIZE=1", "TOTAL_SHARDS=4"}, more...)
}

func (p *pair) node(name string, more ...string) *running {
	p.t.Helper()
	return startNode(p.t, p.sim.api, p.natsURL, p.env(name, more...)...)
}

// goesOn waits until so many events more were stored, all shards are ready, and /ready is 200 on the nodes.
func (p *pair) goesOn(r *reading, nodes ...*running) {
	p.t.Helper()
	had := len(r.all())
	await(p.t, "events go on", func() (bool, string) { return len(r.all()) > had+100, "" })
	for _, n := range nodes {
		n.awaitReady()
	}
	await(p.t, "all sessions are connected", func() (bool, string) {
		n := 0
		for _, s := range p.sim.state().Sessions {
			if s.Connected {
				n++
			}
		}
		return n == 4, fmt.Sprintf("%d are", n)
	})
}

// wantNothingLost stops the traffic and compares. Nothing was identified anew, and no session was served by two.
func (p *pair) wantNothingLost(r *reading) {
	p.t.Helper()
	p.sim.do("rate", `{"rate":0}`)
	r.awaitAll(p.t, p.sim)
	if c := p.sim.state().Counts; c.Identifies != 4 || c.SessionsEnded != 0 || c.Violations != 0 {
		p.t.Errorf("got %d IDENTIFYs, %d sessions ended and %d violations, want 4, 0 and 0", c.Identifies, c.SessionsEnded, c.Violations)
	}
	if gaps := r.ofType(messages.ShardGapKind.Type); len(gaps) > 0 {
		p.t.Errorf("got gaps %+v, want none", gaps)
	}
}

func TestNodes_one_that_contradicts_the_running_ones_ends_with_2_and_they_go_on(t *testing.T) {
	t.Parallel()
	p, reading := startPair(t)
	newcomers := []struct {
		name  string
		env   []string
		words []string
	}{
		{"the name of a running node", p.env("a"), []string{"the node name a belongs to a running node at 127.0.0.1:", "set cluster.node"}},
		{"another number of shards", p.env("c", "TOTAL_SHARDS=8"), []string{"pool.total_shards", `"8" here and "4" on the running node `}},
		{"another pool size", p.env("c", "DROVER_POOL_SIZE=2"), []string{"pool.size", `"2" here and "1" on the running node `}},
		{"other intents", p.env("c", "DISCORD_INTENTS=GUILDS,GUILD_MESSAGES"), []string{"discord.intents", "GUILD_MESSAGES"}},
		{"another token", p.env("c", "DISCORD_TOKEN="+strings.Replace(botToken, "acceptance", "another", 1)), []string{"discord.token", "give all nodes the same value"}},
		{"another lease_ttl", p.env("c", "DROVER_CLUSTER_LEASE_TTL=3s"), []string{"cluster.lease_ttl", `"3s" here and "2s"`}},
	}
	var started []*process
	for _, tt := range newcomers {
		started = append(started, startRun(t, p.sim.api, p.natsURL, append(tt.env, "DROVER_SPOOL_DIR="+t.TempDir())...))
	}
	for i, tt := range newcomers {
		started[i].name = tt.name
		started[i].wantExit(2, tt.words...)
		if text := started[i].stderr.String(); strings.Contains(text, "drover-acceptance") || strings.Contains(text, "drover-another") {
			t.Errorf("%s: got a token in\n%s", tt.name, text)
		}
	}
	p.goesOn(reading, p.a, p.b)
	p.wantNothingLost(reading)
	if c := p.sim.state().Counts; c.Resumes != 0 {
		t.Errorf("got %d RESUMEs, want none: nobody made room for nodes that did not join", c.Resumes)
	}
}

func TestNodes_of_two_that_are_pinned_to_one_pool_the_second_serves_nothing_and_says_so(t *testing.T) {
	t.Parallel()
	_, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "4", "--max-concurrency", "4", "--rate", "200", "--record")
	start := func(name, pool string) *running {
		return startNode(t, sim.api, natsURL, "DROVER_CLUSTER_NODE="+name, "POOL_ID="+pool, "DROVER_CLUSTER_LEASE_TTL=2s", "DROVER_POOL_SIZE=2")
	}
	first, other := start("first", "0"), start("other", "1")
	first.awaitReady()
	other.awaitReady()
	reading := readStreams(t, natsURL, "")
	second := start("second", "0")
	second.awaitReason("pool.id (POOL_ID) is 0", "that pool is served by the node first")
	line := second.logged("another node serves the pool that this one is pinned to")
	if line["other"] != "first" || line["pool_id"] != 0.0 {
		t.Errorf("got %v, want the node and the pool named", line)
	}
	second.wantHealthy()
	first.awaitReady()
	if c := sim.state().Counts; c.Identifies != 4 || c.Resumes != 0 {
		t.Errorf("got %d IDENTIFYs and %d RESUMEs, want 4 and none", c.Identifies, c.Resumes)
	}
	first.signal(syscall.SIGKILL)
	second.awaitReady() // it is a spare, at least
	sim.do("rate", `{"rate":0}`)
	reading.awaitAll(t, sim)
	if c := sim.state().Counts; c.Identifies != 4 || c.Resumed != 2 || c.SessionsEnded != 0 {
		t.Errorf("got %d IDENTIFYs, %d resumed and %d sessions ended, want 4, 2 and 0", c.Identifies, c.Resumed, c.SessionsEnded)
	}
	if n := len(second.logLines("another node serves the pool that this one is pinned to")); n != 1 {
		t.Errorf("got it logged %d times, want once", n)
	}
}

func TestNodes_a_bucket_that_is_deleted_under_them_costs_no_event_and_no_IDENTIFY(t *testing.T) {
	t.Parallel()
	p, reading := startPair(t, "DROVER_SESSION_CHECKPOINT_INTERVAL=100ms")
	nc, err := nats.Connect(p.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"leases", "members", "sessions", "fleet"} {
		bucket := "drover_" + name
		if err := js.DeleteKeyValue(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		await(t, bucket+" is there again", func() (bool, string) {
			kv, err := js.KeyValue(t.Context(), bucket)
			if err != nil {
				return false, err.Error()
			}
			status, err := kv.Status(t.Context())
			// Every lease and member; four checkpoints at least; the rest is written when it is needed.
			need := map[string]uint64{"leases": 4, "members": 2, "sessions": 4}[name]
			return err == nil && status.Values() >= need, fmt.Sprintf("%v, %v", status, err)
		})
		p.goesOn(reading, p.a, p.b)
		if c := p.sim.state().Counts; c.Resumes != 0 {
			t.Errorf("%s: got %d RESUMEs, want none: each node goes on with what it held", bucket, c.Resumes)
			break
		}
	}
	p.a.signal(syscall.SIGKILL) // what was made again is good for a RESUME
	p.goesOn(reading, p.b)
	p.wantNothingLost(reading)
}
