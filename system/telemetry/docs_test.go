package telemetry

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"drover/messages"
)

// row is an instrument's line in docs/metrics.md.
func row(i Instrument) string {
	labels := "–"
	if len(i.Labels) > 0 {
		names := make([]string, len(i.Labels))
		for n, l := range i.Labels {
			names[n] = "`" + l + "`"
			if l == ShardLabel {
				names[n] = "shard"
			}
		}
		labels = strings.Join(names, ", ")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", i.Name, i.Kind, strings.Trim(i.Unit, "{}"), labels, i.Meaning)
}

func TestDocs_list_every_instrument(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows, want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| `gateway_") || strings.HasPrefix(line, "| `worker_") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	for _, i := range append(slices.Clone(Instruments), WorkerInstruments...) {
		want = append(want, row(i))
	}
	if got, want := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("docs/metrics.md has\n%s\nwant\n%s", got, want)
	}
	t.Run("and_every_value_of_a_label", func(t *testing.T) {
		for _, value := range append(append(errorTypes, Resumed, Invalid, Failed, Saved, "close_other", Connected, Refused, TimedOut, Abandoned,
			ClassFailure, ClassPanic, string(traces), string(metrics), string(logs), "events", "commands", "none"), messages.GapReasons...) {
			if !strings.Contains(string(text), "`"+value+"`") {
				t.Errorf("%s is missing", value)
			}
		}
		for _, state := range messages.AllStates {
			if !strings.Contains(string(text), "`"+string(state)+"`") {
				t.Errorf("%s is missing", state)
			}
		}
	})
	t.Run("and_the_buckets", func(t *testing.T) {
		for _, buckets := range [][]float64{routeBuckets[:], waitBuckets[:], workerBuckets} {
			list := make([]string, len(buckets))
			for i, b := range buckets {
				list[i] = strconv.FormatFloat(b, 'f', -1, 64)
			}
			if want := ": " + strings.Join(list, ", ") + "."; !strings.Contains(string(text), want) {
				t.Errorf("the buckets are not %s", want)
			}
		}
	})
	t.Run("and_no_name_that_does_not_exist", func(t *testing.T) {
		known := map[string]bool{}
		for _, i := range append(slices.Clone(Instruments), WorkerInstruments...) {
			known[i.Name] = true
			if i.Kind == Histogram {
				known[i.Name+"_bucket"], known[i.Name+"_count"], known[i.Name+"_sum"] = true, true, true
			}
		}
		for _, name := range regexp.MustCompile(`\b(?:gateway|worker)_[a-z_]+`).FindAllString(string(text), -1) {
			if !known[name] {
				t.Errorf("%s is no metric", name)
			}
		}
	})
}

// Dashboards of others use these names, so they may only be changed with a word to everybody.
func TestContract_metrics_are_all_there(t *testing.T) {
	want := map[string][]string{
		"gateway_events_received_total":        {"event_type", ShardLabel},
		"gateway_events_routed_total":          {ShardLabel},
		"gateway_route_failures_total":         nil,
		"gateway_event_route_duration_seconds": {ShardLabel},
		"gateway_errors_total":                 {"error_type", ShardLabel},
		"gateway_shards_ready":                 {"pool_id"},
		"gateway_guilds_total":                 nil,
		"gateway_nats_connected":               nil,
		"gateway_last_heartbeat_timestamp":     nil,
		"gateway_identifies_total":             {ShardLabel},
		"gateway_resumes_total":                {"outcome", ShardLabel},
		"gateway_identify_budget_remaining":    nil,
		"gateway_session_gaps_total":           {"reason", ShardLabel},
		"gateway_shard_state":                  {"state"},
		"gateway_lease_held":                   nil,
		"gateway_lease_remaining_seconds":      nil,
		"gateway_lease_acquired_total":         nil,
		"gateway_lease_lost_total":             nil,
		"gateway_unacked_events":               nil,
	}
	for name, labels := range want {
		i := slices.IndexFunc(Instruments, func(i Instrument) bool { return i.Name == name })
		if i < 0 {
			t.Errorf("%s is missing", name)
			continue
		}
		if got := Instruments[i].Labels; !slices.Equal(got, labels) {
			t.Errorf("%s: got labels %v, want %v", name, got, labels)
		}
	}
}
