package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"drover/messages"
)

func TestShardLabels(t *testing.T) {
	cases := []struct {
		name   string
		labels string
		shards int
		want   string // labels of gateway_events_routed_total for shard 30 in pool 1
	}{
		{"auto_up_to_100_is_shard_id", "auto", 100, `{shard_id="30"}`},
		{"auto_above_is_pool_id", "auto", 101, `{pool_id="1"}`},
		{"empty_is_auto", "", 1000, `{pool_id="1"}`},
		{"always_is_shard_id", "always", 1000, `{shard_id="30"}`},
		{"never_is_neither", "never", 2, ``},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tel := start(t, Options{Shards: c.shards, ShardLabels: c.labels})
			tel.Meters.Routed(30, 1, time.Now(), time.Second)
			tel.Meters.Routed(30, 1, time.Now(), time.Second)
			tel.Meters.Error(Node, Node, ErrREST)
			_, body := scrape(t, tel, "")
			for _, want := range []string{
				"gateway_events_routed_total" + c.want + " 2",
				"gateway_event_route_duration_seconds_count" + c.want + " 2",
				`gateway_errors_total{error_type="rest"} 1`,
			} {
				if !slices.Contains(ours(body), want) {
					t.Errorf("missing %s in %q", want, ours(body))
				}
			}
		})
	}
	t.Run("auto_learns_the_number_from_discord", func(t *testing.T) {
		tel := start(t, Options{})
		tel.Meters.Error(Node, Node, ErrREST) // asking took two attempts
		tel.Meters.Shards(101)
		tel.Meters.Identify(30, 1)
		tel.Meters.Shards(5) // too late
		tel.Meters.Identify(60, 2)
		_, body := scrape(t, tel, "")
		for _, want := range []string{`gateway_identifies_total{pool_id="1"} 1`, `gateway_identifies_total{pool_id="2"} 1`} {
			if !slices.Contains(ours(body), want) {
				t.Errorf("missing %s in %q", want, ours(body))
			}
		}
	})
	t.Run("always_and_never_do_not_care", func(t *testing.T) {
		tel := start(t, Options{ShardLabels: "always"})
		tel.Meters.Shards(1000)
		tel.Meters.Identify(30, 1)
		if _, body := scrape(t, tel, ""); !slices.Contains(ours(body), `gateway_identifies_total{shard_id="30"} 1`) {
			t.Errorf("got %q", ours(body))
		}
	})
	t.Run("absurd_is_refused", func(t *testing.T) {
		if _, err := New(Options{ShardLabels: "sometimes"}); err == nil || !strings.Contains(err.Error(), `"sometimes" is none of auto, always, never`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSeries_stay_bounded(t *testing.T) {
	t.Run("no_series_folds_into_overflow", func(t *testing.T) {
		tel := start(t, Options{Shards: 100})
		for shard := range 100 {
			for i := range 60 {
				tel.Meters.Received(shard, 0, messages.KindOf(fmt.Appendf(nil, "BOUND_TYPE_%d", i)))
			}
		}
		_, body := scrape(t, tel, "")
		if got := strings.Count(body, "\ngateway_events_received_total{"); got != 6000 {
			t.Errorf("got %d series, want 6000", got)
		}
		if strings.Contains(body, "otel_metric_overflow") {
			t.Error("the SDK folded series into one")
		}
	})
	t.Run("a_thousand_shards_count_by_pool", func(t *testing.T) {
		tel := start(t, Options{Shards: 1000})
		kind := messages.KindOf([]byte("TYPING_START"))
		for shard := range 1000 {
			tel.Meters.Received(shard, shard/25, kind)
			tel.Meters.Routed(shard, shard/25, time.Now(), time.Millisecond)
		}
		_, body := scrape(t, tel, "")
		if got := len(ours(body)); got > 40*50 {
			t.Errorf("got %d lines for 40 pools", got)
		}
		if want := `gateway_events_received_total{event_type="typing.start",pool_id="39"} 25`; !slices.Contains(ours(body), want) {
			t.Errorf("missing %s", want)
		}
	})
	t.Run("unknown_errors_are_other", func(t *testing.T) {
		tel := start(t, Options{Shards: 1})
		tel.Meters.Error(0, 0, "dial tcp 10.0.0.1: refused")
		tel.Meters.Error(0, 0, "")
		_, body := scrape(t, tel, "")
		if want := `gateway_errors_total{error_type="other",shard_id="0"} 2`; !slices.Contains(ours(body), want) {
			t.Errorf("missing %s in %q", want, ours(body))
		}
	})
	t.Run("events_beyond_the_known_kinds_are_other", func(t *testing.T) {
		tel := start(t, Options{Shards: 1})
		for range 10 { // kinds behind the label "other" are made anew for each event
			tel.Meters.Received(0, 0, &messages.Kind{Name: "FLOOD", Type: "flood", Label: "other"})
		}
		_, body := scrape(t, tel, "")
		if want := `gateway_events_received_total{event_type="other",shard_id="0"} 10`; !slices.Contains(ours(body), want) {
			t.Errorf("missing %s", want)
		}
		scope := (*tel.Meters.scopes.Load())[0]
		if kinds := scope.received.kinds.Load(); kinds != nil && len(*kinds) > 0 {
			t.Errorf("%d kinds were kept", len(*kinds))
		}
	})
	t.Run("kinds_of_one_type_share_a_series", func(t *testing.T) {
		tel := start(t, Options{Shards: 1})
		tel.Meters.Received(0, 0, messages.GuildUnavailable)
		tel.Meters.Received(0, 0, messages.GuildDegraded)
		_, body := scrape(t, tel, "")
		if want := `gateway_events_received_total{event_type="guild.unavailable",shard_id="0"} 2`; !slices.Contains(ours(body), want) {
			t.Errorf("missing %s in %q", want, ours(body))
		}
	})
}
