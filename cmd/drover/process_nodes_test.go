package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"drover/messages"
	"drover/system/cluster"
)

// verb runs a short command in this process and returns its output.
func verb(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := execute(t.Context(), args, &out, &errs); code != want {
		t.Fatalf("drover %s: got exit code %d, %s, want %d", strings.Join(args, " "), code, errs.String(), want)
	}
	return out.String() + errs.String()
}

func TestShards_of_two_nodes_are_shared_out_shown_moved_and_taken_over(t *testing.T) {
	t.Parallel()
	_, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "8", "--max-concurrency", "8")
	nodes := map[string]*running{}
	for _, name := range []string{"a", "b"} {
		nodes[name] = startNode(t, sim.api, natsURL, "DROVER_CLUSTER_NODE="+name, "DROVER_CLUSTER_LEASE_TTL=2s", "DROVER_POOL_SIZE=2")
	}
	list := func() (all struct {
		cluster.View
		Shards []messages.ShardStatus
	}) {
		t.Helper()
		if err := json.Unmarshal([]byte(verb(t, 0, "shards", "list", "--json", "--nats", natsURL)), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	// served waits until all shards are ready, so many of them at each node.
	served := func(want map[string]int) {
		t.Helper()
		await(t, fmt.Sprintf("shards at %v", want), func() (bool, string) {
			got := map[string]int{}
			for _, s := range list().Shards {
				if s.State == messages.Ready {
					got[s.Node]++
				}
			}
			return fmt.Sprint(got) == fmt.Sprint(want), fmt.Sprintf("they are at %v", got)
		})
	}
	for _, n := range nodes {
		n.awaitReady()
	}
	served(map[string]int{"a": 4, "b": 4})
	if code, body := httpGet(t, nodes["a"].url+"/api/v1/shards?scope=cluster"); code != 200 || strings.Count(body, `"state":"ready"`) != 8 {
		t.Errorf("got %d %.300s, want all 8 shards at every node", code, body)
	}
	if code, body := httpGet(t, nodes["b"].url+"/?scope=cluster"); code != 200 || !strings.Contains(body, `data-node="a"`) || strings.Count(body, `aria-label="Shard `) != 8 {
		t.Errorf("got %d, want a page with both nodes and all 8 shards", code)
	}
	text := verb(t, 0, "shards", "list", "--nats", natsURL)
	for _, word := range []string{"NODE", "POOL", "SHARD", "ready", "2 of 2"} {
		if !strings.Contains(text, word) {
			t.Errorf("got the list\n%s\nwithout %q", text, word)
		}
	}
	if text := verb(t, 0, "shards", "drain", "a", "--dry-run", "--nats", natsURL); !strings.Contains(text, "2 pools with 4 shards would move to the other nodes: 4 RESUMEs, 0 IDENTIFYs") {
		t.Errorf("got %q, want the cost", text)
	}
	if text := verb(t, 2, "shards", "drain", "c", "--nats", natsURL); !strings.Contains(text, `NODE is "c": there are a, b`) {
		t.Errorf("got %q, want the nodes named", text)
	}
	verb(t, 0, "shards", "restart", "3", "--nats", natsURL)
	await(t, "shard 3 connects again", func() (bool, string) { return sim.state().Counts.Resumes == 1, "" })

	newcomer := startRun(t, sim.api, natsURL, "DROVER_CLUSTER_NODE=c", "DROVER_CLUSTER_LEASE_TTL=2s", "DROVER_POOL_SIZE=4", "DROVER_SPOOL_DIR="+t.TempDir())
	newcomer.wantExit(2, "pool.size", `"4" here and "2"`)

	nodes["b"].signal(syscall.SIGKILL)
	await(t, "all shards at a", func() (bool, string) {
		got := 0
		for _, s := range list().Shards {
			if s.State == messages.Ready && s.Node == "a" {
				got++
			}
		}
		return got == 8, fmt.Sprintf("%d shards are", got)
	})
	if c := sim.state().Counts; c.Identifies != 8 || c.SessionsEnded != 0 {
		t.Errorf("got %d IDENTIFYs and %d sessions ended, want 8 and 0: all were resumed", c.Identifies, c.SessionsEnded)
	}
}

func TestShards_says_that_nobody_is_there(t *testing.T) {
	t.Parallel()
	_, natsURL := startNATS(t)
	if text := verb(t, 1, "shards", "list", "--nats", natsURL); !strings.Contains(text, "no drover node answers") {
		t.Errorf("got %q, want it said", text)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"POOL is", []string{"shards", "move", "x", "a"}},
		{"--anywhere", []string{"shards", "move", "1"}},
		{"SHARD is", []string{"shards", "restart", "-7"}},
	} {
		args := append(c.args, "--nats", natsURL)
		if c.args[1] == "restart" {
			args = []string{"shards", "restart", "--nats", natsURL, "--", "-7"}
		}
		if text := verb(t, 2, args...); !strings.Contains(text, c.want) {
			t.Errorf("%v: got %q, want %q", c.args, text, c.want)
		}
	}
}
