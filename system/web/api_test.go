package web

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"drover/messages"
)

// object decodes a JSON object and returns its keys, sorted, too.
func object(t *testing.T, body string) (values map[string]any, keys string) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &values); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return values, strings.Join(slices.Sorted(maps.Keys(values)), " ")
}

func TestHealth(t *testing.T) {
	pool := 3
	cases := []struct {
		name   string
		change func(*messages.NodeStatus)
		code   int
		status string
		pool   any
	}{
		{"ok_while_it_makes_progress", func(*messages.NodeStatus) {}, 200, "ok", nil},
		{"ok_without_nats_and_discord", func(s *messages.NodeStatus) { s.NATSConnected, s.IsReady, s.ShardsReady = false, false, 0 }, 200, "ok", nil},
		{"tells_a_pinned_pool", func(s *messages.NodeStatus) { s.PoolID = &pool }, 200, "ok", 3.0},
		{"fails_when_stuck", func(s *messages.NodeStatus) { s.Live = false }, 503, "stuck: an actor or the publisher makes no progress", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := made(2)
			c.change(&n.status)
			code, h, body := get(t, start(t, n, time.Second)+"/health")
			got, keys := object(t, body)
			if want := "node pool_id status version"; keys != want {
				t.Errorf("got keys %q, want %q", keys, want)
			}
			if code != c.code || got["status"] != c.status || got["pool_id"] != c.pool || got["node"] != "herder-7f9c" || got["version"] != "v0.1.0" {
				t.Errorf("got %d %v", code, got)
			}
			if h.Get("Content-Type") != "application/json" {
				t.Errorf("got content type %s", h.Get("Content-Type"))
			}
		})
	}
}

func TestReady(t *testing.T) {
	pool := 0
	cases := []struct {
		name   string
		change func(*messages.NodeStatus)
		code   int
		want   string
	}{
		{
			"ready", func(s *messages.NodeStatus) { s.Reasons = nil }, 200,
			`{"ready":true,"pool_id":null,"shards_total":2,"shards_ready":2,"nats_connected":true,"guilds_total":1624,"reasons":[]}`,
		},
		{
			"not_ready_with_reasons", func(s *messages.NodeStatus) {
				s.PoolID, s.IsReady, s.ShardsReady, s.NATSConnected = &pool, false, 1, false
				s.Reasons = []string{"NATS is not connected", "1 of 2 shards is not ready"}
			}, 503,
			`{"ready":false,"pool_id":0,"shards_total":2,"shards_ready":1,"nats_connected":false,"guilds_total":1624,"reasons":["NATS is not connected","1 of 2 shards is not ready"]}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := made(2)
			c.change(&n.status)
			code, _, body := get(t, start(t, n, time.Second)+"/ready")
			if code != c.code || strings.TrimSpace(body) != c.want {
				t.Errorf("got %d %s, want %d %s", code, body, c.code, c.want)
			}
		})
	}
}

func TestShards(t *testing.T) {
	n := made(3)
	slices.Reverse(n.status.Shards)
	n.status.Shards[0].LastError, n.status.Shards[0].Restarts = "gateway: closed with 4000", 2
	url := start(t, n, time.Second) + "/api/v1/shards"
	t.Run("lists_the_nodes_shards_by_id", func(t *testing.T) {
		code, _, body := get(t, url)
		var got []messages.ShardStatus
		if err := json.Unmarshal([]byte(body), &got); err != nil || code != 200 {
			t.Fatalf("got %d, %v", code, err)
		}
		if len(got) != 3 || got[0].ID != 0 || got[2].ID != 2 || got[2].LastError != "gateway: closed with 4000" || got[2].Restarts != 2 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("has_the_keys_of_the_contract", func(t *testing.T) {
		_, _, body := get(t, url)
		var got []json.RawMessage
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		_, keys := object(t, string(got[0]))
		want := "guilds heartbeat_latency_ms id last_error node pool restarts seq_acked seq_received session since state"
		if keys != want {
			t.Errorf("got keys %q, want %q", keys, want)
		}
	})
	t.Run("tells_of_each_shard_when_something_came_last_and_nothing_before_it_did", func(t *testing.T) {
		n := made(2)
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		n.status.Shards[1].LastDispatch, n.status.Shards[1].LastAck, n.status.Shards[1].LastHeard = at, at.Add(time.Second), at.Add(time.Minute)
		_, _, body := get(t, start(t, n, time.Second)+"/api/v1/shards")
		if want := `"last_dispatch":"2026-03-01T12:00:00Z","last_ack":"2026-03-01T12:00:01Z","last_heard":"2026-03-01T12:01:00Z"`; strings.Count(body, want) != 1 || strings.Count(body, "last_ack") != 1 {
			t.Errorf("got %s, want %s for the second shard only", body, want)
		}
	})
	t.Run("knows_both_scopes_and_no_other", func(t *testing.T) {
		_, _, own := get(t, url)
		if code, _, cluster := get(t, url+"?scope=cluster"); code != 200 || cluster != own {
			t.Errorf("cluster: got %d %s", code, cluster)
		}
		if code, _, body := get(t, url+"?scope=world"); code != 400 || !strings.Contains(body, "node (the default) or cluster") {
			t.Errorf("world: got %d %s", code, body)
		}
	})
	t.Run("is_an_array_even_when_empty", func(t *testing.T) {
		if _, _, body := get(t, start(t, made(0), time.Second)+"/api/v1/shards"); strings.TrimSpace(body) != "[]" {
			t.Errorf("got %s, want []", body)
		}
	})
}

func TestSilentActors(t *testing.T) {
	n := made(2)
	n.silent = true
	url := start(t, n, time.Hour)
	t.Run("health_fails_within_the_deadline", func(t *testing.T) {
		t.Parallel()
		code, _, body := get(t, url+"/health")
		got, _ := object(t, body)
		if code != 503 || got["status"] != silent || got["node"] != "node-a" || got["version"] != "v1" {
			t.Errorf("got %d %v", code, got)
		}
	})
	t.Run("ready_says_why", func(t *testing.T) {
		t.Parallel()
		code, _, body := get(t, url+"/ready")
		got, _ := object(t, body)
		if code != 503 || got["ready"] != false || len(got["reasons"].([]any)) != 1 || got["reasons"].([]any)[0] != silent {
			t.Errorf("got %d %v", code, got)
		}
	})
	t.Run("shards_says_why", func(t *testing.T) {
		t.Parallel()
		if code, _, body := get(t, url+"/api/v1/shards"); code != 503 || strings.TrimSpace(body) != silent {
			t.Errorf("got %d %s", code, body)
		}
	})
	t.Run("page_says_why", func(t *testing.T) {
		t.Parallel()
		if code, _, body := get(t, url+"/"); code != 503 || !strings.Contains(body, "did not answer within 2 s") || !strings.Contains(body, "node-a") {
			t.Errorf("got %d %s", code, body)
		}
	})
}

func TestMetrics_are_served_by_the_given_handler(t *testing.T) {
	s := New(Options{Status: made(1).Status, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("gateway_shards_ready 1\n"))
	}), Addr: "127.0.0.1:0"})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(t.Context()) }() // ends with the test's context, just before Cleanup
	t.Cleanup(func() { <-ended })
	if code, _, body := get(t, "http://"+s.Addr()+"/metrics"); code != 200 || body != "gateway_shards_ready 1\n" {
		t.Errorf("got %d %q", code, body)
	}
}
