package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drover/messages"
	"drover/system/simtime"
)

// start makes the telemetry of a test.
func start(t *testing.T, o Options) *Telemetry {
	t.Helper()
	tel, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

// scrape returns what /metrics answers.
func scrape(t *testing.T, tel *Telemetry, accept string) (contentType, body string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, r)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("got %d %v: %s", w.Code, err, b)
	}
	return w.Header().Get("Content-Type"), string(b)
}

// ours are the lines of drover's own instruments, without comments, sorted.
func ours(body string) []string {
	var lines []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "gateway_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}

// exercise uses every method once for a shard.
func exercise(m *Meters, shardID, poolID int) {
	join := messages.KindOf([]byte("GUILD_MEMBER_ADD"))
	m.Received(shardID, poolID, join)
	m.Routed(shardID, poolID, time.Now(), 3*time.Millisecond)
	m.Filtered(shardID, poolID)
	m.Oversize(shardID, poolID, join)
	m.Shed(shardID, poolID, join)
	m.Late(shardID, poolID)
	m.RouteFailure(2)
	m.Error(shardID, poolID, CloseType(4000))
	m.HeartbeatAck(time.Unix(1770091567, 500e6))
	m.Identify(shardID, poolID)
	m.Resume(shardID, poolID, Resumed)
	m.Gap(shardID, poolID, messages.GapStreamLost)
	m.Gap(shardID, poolID, "of no bounded kind")
	m.Checkpoint(Saved)
	m.Checkpoint(Failed)
	m.SequenceGap(shardID, poolID)
	m.Dial(shardID, poolID, Refused)
	m.Dial(shardID, poolID, "dial tcp 10.0.0.1: of no bounded kind")
	m.Closed(4009)
	m.Closed(0)
	m.Closed(4999)
	m.Restart(shardID, poolID, ClassPanic)
	m.Restart(shardID, poolID, "of no bounded kind")
	m.Backoff(700 * time.Millisecond)
	m.IdentifyWait(7 * time.Second)
	m.Bytes(shardID, poolID, 100, 700)
	m.ExportFailure("traces")
	m.ExportFailure("of no bounded kind")
	m.SpanSummed()
	ahead := -1500 * time.Millisecond
	m.Observe(func(context.Context) (messages.NodeStatus, error) {
		return messages.NodeStatus{
			GuildsTotal: 40, NATSConnected: true, Live: true, ClockOffset: &ahead,
			Budget: messages.Budget{Total: 1000, Remaining: 990, Held: 2, Waiting: 3, ETA: 15 * time.Second},
			Leases: &messages.Leases{
				Pools: 9, Held: 3, Remaining: 1500 * time.Millisecond, Epochs: map[int]uint64{4: 17}, Acquired: 4, HandedOver: 1, Renewed: 20, RenewUnknown: 1,
			},
			Traffic: messages.Traffic{
				Unacked: 7, Spooled: 5, SpoolBytes: 9000, SpoolFull: true, SpoolLimit: 1 << 20,
				Windows: []messages.Window{{Stream: "events", Limit: 4096, Used: 12, Bytes: 3400, Waiting: 1}, {Stream: "commands", Limit: 4096}},
			},
			Silent: []messages.Silent{{Actor: "the publisher", Since: time.Now().Add(-time.Hour)}},
			Shards: []messages.ShardStatus{
				{ID: 0, Pool: 0, State: messages.Ready, LastDispatch: time.Now(), LastHeard: time.Now(), HeartbeatLatencyMS: 30},
				{ID: 1, Pool: 0, State: messages.Resuming, HeartbeatLatencyMS: 250},
				{ID: 25, Pool: 1, State: messages.Halted},
			},
		}, nil
	})
}

func TestMetrics_have_exactly_their_names(t *testing.T) {
	tel := start(t, Options{Node: "n", Version: "v1.2.3", Shards: 25})
	exercise(tel.Meters, 3, 0)
	_, body := scrape(t, tel, "text/plain")
	got := ours(body)
	want := []string{
		`gateway_build_info{go_version="GO",version="v1.2.3"} 1`,
		`gateway_checkpoint_age_seconds 0`,
		`gateway_checkpoints_total{outcome="failed"} 1`,
		`gateway_checkpoints_total{outcome="saved"} 1`,
		`gateway_backoff_seconds_bucket{le="0.5"} 0`,
		`gateway_backoff_seconds_bucket{le="1"} 1`,
		`gateway_close_codes_total{code="4009"} 1`,
		`gateway_close_codes_total{code="none"} 1`,
		`gateway_close_codes_total{code="other"} 1`,
		`gateway_dials_total{outcome="abandoned",shard_id="3"} 0`,
		`gateway_dials_total{outcome="connected",shard_id="3"} 0`,
		`gateway_dials_total{outcome="failed",shard_id="3"} 1`,
		`gateway_dials_total{outcome="refused",shard_id="3"} 1`,
		`gateway_dials_total{outcome="timeout",shard_id="3"} 0`,
		`gateway_export_failures_total{signal="logs"} 0`,
		`gateway_export_failures_total{signal="traces"} 1`,
		`gateway_identify_budget_limit 1000`,
		`gateway_identify_eta_seconds 15`,
		`gateway_identify_wait_seconds_count 1`,
		`gateway_identify_wait_seconds_sum 7`,
		`gateway_identify_waiting 3`,
		`gateway_inflated_bytes_total{shard_id="3"} 700`,
		`gateway_lease_epoch{pool_id="4"} 17`,
		`gateway_node_live 1`,
		`gateway_node_ready 0`,
		`gateway_received_bytes_total{shard_id="3"} 100`,
		`gateway_shard_restarts_total{class="failure",shard_id="3"} 1`,
		`gateway_shard_restarts_total{class="panic",shard_id="3"} 1`,
		`gateway_spans_summed_total 1`,
		`gateway_spool_limit_bytes 1.048576e+06`,
		`gateway_window_bytes{stream="events"} 3400`,
		`gateway_window_events{stream="commands"} 0`,
		`gateway_window_events{stream="events"} 12`,
		`gateway_window_limit{stream="commands"} 4096`,
		`gateway_window_waiting{stream="events"} 1`,
		`gateway_errors_total{error_type="close_4000",shard_id="3"} 1`,
		`gateway_event_route_duration_seconds_bucket{shard_id="3",le="0.0001"} 0`,
		`gateway_event_route_duration_seconds_bucket{shard_id="3",le="0.005"} 1`,
		`gateway_event_route_duration_seconds_bucket{shard_id="3",le="10"} 1`,
		`gateway_event_route_duration_seconds_bucket{shard_id="3",le="+Inf"} 1`,
		`gateway_event_route_duration_seconds_count{shard_id="3"} 1`,
		`gateway_event_route_duration_seconds_sum{shard_id="3"} 0.003`,
		`gateway_clock_offset_seconds -1.5`,
		`gateway_events_filtered_total{shard_id="3"} 1`,
		`gateway_events_received_total{event_type="member.join",shard_id="3"} 1`,
		`gateway_events_routed_total{shard_id="3"} 1`,
		`gateway_guilds_total 40`,
		`gateway_heartbeat_latency_seconds{shard_id="0"} 0.03`,
		`gateway_heartbeat_latency_seconds{shard_id="1"} 0.25`,
		`gateway_identifies_total{shard_id="3"} 1`,
		`gateway_identify_budget_limit 1000`,
		`gateway_identify_budget_remaining 990`,
		`gateway_identify_held_back 2`,
		`gateway_last_heartbeat_timestamp 1.7700915675e+09`,
		`gateway_lease_acquired_total 4`,
		`gateway_lease_handed_over_total 1`,
		`gateway_lease_held 3`,
		`gateway_lease_lost_total 0`,
		`gateway_lease_ran_out_total 0`,
		`gateway_lease_remaining_seconds 1.5`,
		`gateway_lease_renewals_total{outcome="lost"} 0`,
		`gateway_lease_renewals_total{outcome="renewed"} 20`,
		`gateway_lease_renewals_total{outcome="unknown"} 1`,
		`gateway_nats_connected 1`,
		`gateway_oversize_events_total{event_type="member.join",shard_id="3"} 1`,
		`gateway_pools 9`,
		`gateway_resumes_total{outcome="failed",shard_id="3"} 0`,
		`gateway_resumes_total{outcome="invalid",shard_id="3"} 0`,
		`gateway_resumes_total{outcome="resumed",shard_id="3"} 1`,
		`gateway_route_failures_total 2`,
		`gateway_sequence_gaps_total{shard_id="3"} 1`,
		`gateway_session_gaps_total{reason="other",shard_id="3"} 1`,
		`gateway_session_gaps_total{reason="session_lost",shard_id="3"} 0`,
		`gateway_session_gaps_total{reason="stream_lost",shard_id="3"} 1`,
		`gateway_shard_state{state="connecting"} 0`,
		`gateway_shard_state{state="halted"} 1`,
		`gateway_shard_state{state="ready"} 1`,
		`gateway_shards_ready{pool_id="0"} 1`,
		`gateway_shards_ready{pool_id="1"} 0`,
		`gateway_unacked_events 7`,
	}
	goVersion := regexp.MustCompile(`go_version="[^"]*"`)
	for i := range got {
		got[i] = goVersion.ReplaceAllString(got[i], `go_version="GO"`)
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing %s", line)
		}
	}
	for _, alien := range []string{"otel_scope", "target_info", "_total_total", "_ratio", "_seconds_seconds"} {
		if strings.Contains(body, alien) {
			t.Errorf("%s is in the scrape", alien)
		}
	}
	for _, expected := range []string{"go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(body, "\n"+expected) {
			t.Errorf("%s is not in the scrape", expected)
		}
	}
}

func TestMetrics_are_all_in_the_table(t *testing.T) {
	tel := start(t, Options{Shards: 1})
	exercise(tel.Meters, 0, 0)
	_, body := scrape(t, tel, "text/plain")
	served := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (gateway_\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		served[m[1]] = m[2]
	}
	for _, i := range Instruments {
		if served[i.Name] != string(i.Kind) {
			t.Errorf("%s: got type %q, want %s", i.Name, served[i.Name], i.Kind)
		}
		if !strings.Contains(body, "# HELP "+i.Name+" "+i.Meaning+"\n") {
			t.Errorf("%s: its meaning is not its help text", i.Name)
		}
		delete(served, i.Name)
	}
	if len(served) > 0 {
		t.Errorf("not in the table: %v", served)
	}
}

func TestMetrics_as_OpenMetrics(t *testing.T) {
	tel := start(t, Options{Shards: 1})
	exercise(tel.Meters, 0, 0)
	contentType, body := scrape(t, tel, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.HasSuffix(body, "# EOF\n") {
		t.Errorf("got %s, ending %q", contentType, body[len(body)-10:])
	}
	if !strings.Contains(body, "\n"+`gateway_events_received_total{event_type="member.join",shard_id="0"} 1.0`) {
		t.Errorf("the name changed: %v", ours(body))
	}
}

func TestMetrics_have_exemplars_where_OpenMetrics_is_asked_for(t *testing.T) {
	tel := start(t, Options{Shards: 1})
	at := time.Now()
	for i, took := range []time.Duration{time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond} {
		d := &messages.Delivery{Read: at.Add(-took), Acked: at, Trace: &messages.Trace{TraceID: [16]byte{15: byte(i + 1)}, SpanID: [8]byte{7: 9}}}
		tel.Meters.Routed(0, 0, at, took)
		tel.Meters.exemplar(d, 0)
	}
	tel.Meters.Routed(0, 0, at, time.Second) // not sampled
	_, body := scrape(t, tel, "application/openmetrics-text; version=1.0.0")
	for _, want := range []string{ // the labels of an exemplar have no order
		`le="0\.001"} 1 # {.*trace_id="00000000000000000000000000000001".*} 0\.001 `,
		`le="0\.005"} 3 # {.*span_id="0000000000000009".*} 0\.004 `,
		`le="0\.005"} 3 # {.*trace_id="00000000000000000000000000000003".*} 0\.004 `,
		`le="1\.0"} 4$`,
	} {
		if !regexp.MustCompile(`(?m)^gateway_event_route_duration_seconds_bucket{shard_id="0",` + want).MatchString(body) {
			t.Errorf("missing %s in %s", want, body)
		}
	}
	if _, body := scrape(t, tel, "text/plain"); strings.Contains(body, "trace_id") {
		t.Error("the text format has no exemplars")
	}
}

func TestCloseType(t *testing.T) {
	for code, want := range map[int]string{
		0: ErrConnection, 1006: ErrConnection, 1000: "close_1000", 1001: "close_1001", 1015: "close_1015", 1016: "close_other", 3000: "close_other",
		4000: "close_4000", 4014: "close_4014", 4015: "close_other", 4999: "close_other", -1: "close_other",
	} {
		if got := CloseType(code); got != want || !knownErrors[got] {
			t.Errorf("%d: got %q (known: %v), want %q", code, got, knownErrors[got], want)
		}
	}
	if len(knownErrors) > 50 {
		t.Errorf("got %d error types: too many for a label", len(knownErrors))
	}
}

func TestGauges(t *testing.T) {
	t.Run("are_absent_when_the_node_does_not_answer", func(t *testing.T) {
		tel := start(t, Options{Shards: 1})
		exercise(tel.Meters, 0, 0)
		tel.Meters.Observe(func(ctx context.Context) (messages.NodeStatus, error) {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("the node may answer for ever")
			}
			return messages.NodeStatus{}, errors.New("no answer")
		})
		_, body := scrape(t, tel, "")
		if strings.Contains(body, "\ngateway_nats_connected") {
			t.Error("an old gauge was served")
		}
		if !strings.Contains(body, "\ngateway_node_live 0\n") || !strings.Contains(body, "\ngateway_node_ready 0\n") {
			t.Error("a node that does not answer is not said to be stuck")
		}
		if !strings.Contains(body, "\ngateway_events_routed_total") {
			t.Error("the counters are missing too")
		}
	})
	t.Run("heartbeat_is_the_newest_and_absent_before_the_first", func(t *testing.T) {
		tel := start(t, Options{Shards: 2})
		if _, body := scrape(t, tel, ""); strings.Contains(body, "\ngateway_last_heartbeat_timestamp") {
			t.Error("there is one before the first")
		}
		tel.Meters.HeartbeatAck(time.Unix(200, 0))
		tel.Meters.HeartbeatAck(time.Unix(100, 0)) // another shard, told late
		if _, body := scrape(t, tel, ""); !strings.Contains(body, "\ngateway_last_heartbeat_timestamp 200\n") {
			t.Errorf("got %v, want 200", ours(body))
		}
	})
	t.Run("budget_is_absent_until_it_is_known", func(t *testing.T) {
		tel := start(t, Options{Shards: 1})
		tel.Meters.Observe(func(context.Context) (messages.NodeStatus, error) { return messages.NodeStatus{}, nil })
		_, body := scrape(t, tel, "")
		if strings.Contains(body, "\ngateway_identify_budget_remaining") || !strings.Contains(body, "\ngateway_nats_connected 0\n") {
			t.Errorf("got %v", ours(body))
		}
	})
}

func TestMeters_nil_counts_nothing(*testing.T) {
	var m *Meters
	exercise(m, 0, 0)
	m.Traffic()
	m.Rate()
}

func TestMeters_from_many_goroutines(t *testing.T) {
	tel := start(t, Options{Shards: 8})
	var all sync.WaitGroup
	for shard := range 8 {
		all.Go(func() {
			for i := range 500 {
				kind := messages.KindOf(fmt.Appendf(nil, "RACE_TYPE_%d", i%20))
				tel.Meters.Received(shard%4, 0, kind)
				tel.Meters.Routed(shard%4, 0, time.Now(), time.Millisecond)
				tel.Meters.Error(shard%4, 0, ErrDial)
			}
		})
	}
	all.Go(func() {
		for range 20 {
			scrape(t, tel, "")
			tel.Meters.Traffic()
		}
	})
	all.Wait()
	if got := tel.Meters.Traffic(); got.Received != 4000 || got.Routed != 4000 || got.ByType["race.type_3"] != 200 {
		t.Errorf("got %+v", got)
	}
}

func TestMeters_do_not_allocate(t *testing.T) {
	tel := start(t, Options{Shards: 25})
	kind := messages.KindOf([]byte("MESSAGE_CREATE"))
	for name, call := range map[string]func(){
		"Received":     func() { tel.Meters.Received(7, 0, kind) },
		"Routed":       func() { tel.Meters.Routed(7, 0, time.Now(), time.Millisecond) },
		"Filtered":     func() { tel.Meters.Filtered(7, 0) },
		"HeartbeatAck": func() { tel.Meters.HeartbeatAck(time.Now()) },
		"Error":        func() { tel.Meters.Error(7, 0, ErrDial) },
	} {
		call()
		if got := testing.AllocsPerRun(1000, call); got != 0 {
			t.Errorf("%s: got %v allocations, want none", name, got)
		}
	}
}

func TestShutdown_twice(t *testing.T) {
	tel := start(t, Options{Shards: 1})
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	} // the second call is start's
	if _, body := scrape(t, tel, ""); strings.Contains(body, "\ngateway_") || !strings.Contains(body, "\ngo_goroutines") {
		t.Error("want only Go and process metrics afterwards")
	}
}

func BenchmarkReceived(b *testing.B) {
	tel, err := New(Options{Shards: 25})
	if err != nil {
		b.Fatal(err)
	}
	kind := messages.KindOf([]byte("MESSAGE_CREATE"))
	b.ReportAllocs()
	for b.Loop() {
		tel.Meters.Received(7, 0, kind)
	}
}

func BenchmarkRouted(b *testing.B) {
	tel, err := New(Options{Shards: 25})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		tel.Meters.Routed(7, 0, time.Now(), 1700*time.Microsecond)
	}
}

func BenchmarkScrape_100_shards(b *testing.B) {
	tel, err := New(Options{Shards: 100})
	if err != nil {
		b.Fatal(err)
	}
	for shard := range 100 {
		for i := range 60 {
			tel.Meters.Received(shard, 0, messages.KindOf(fmt.Appendf(nil, "BOUND_TYPE_%d", i)))
		}
	}
	h := tel.Handler()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}

func TestMetrics_of_the_node_bring_no_empty_series_beside_those_of_shards(t *testing.T) {
	tel := start(t, Options{Node: "n", Shards: 1})
	tel.Meters.Identify(0, 0)
	tel.Meters.Error(Node, Node, ErrNATS)
	_, body := scrape(t, tel, "")
	for _, line := range ours(body) {
		if strings.HasPrefix(line, identifies) && !strings.HasPrefix(line, identifies+`{shard_id="0"} 1`) {
			t.Errorf("got %s, want the shard's series only", line)
		}
	}
	if !strings.Contains(body, `gateway_errors_total{error_type="nats"} 1`) {
		t.Errorf("got %s, want the node's error", body)
	}
}

func TestMetrics_of_ages(t *testing.T) {
	status := func(now time.Time) messages.NodeStatus {
		return messages.NodeStatus{Shards: []messages.ShardStatus{
			{ID: 0, Pool: 0, LastDispatch: now.Add(-time.Hour), Unsaved: now.Add(-time.Minute)},
			{ID: 1, Pool: 0, LastDispatch: now.Add(-2 * time.Hour), Unsaved: now.Add(-time.Second)},
			{ID: 2, Pool: 1}, // nothing was read yet
		}}
	}
	tests := []struct {
		labels string
		want   map[string]time.Duration
	}{
		{"always", map[string]time.Duration{`{shard_id="0"}`: time.Hour, `{shard_id="1"}`: 2 * time.Hour}},
		{"never", map[string]time.Duration{"": 2 * time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.labels, func(t *testing.T) {
			tel := start(t, Options{Shards: 3, ShardLabels: tt.labels})
			tel.Meters.Observe(func(context.Context) (messages.NodeStatus, error) { return status(time.Now()), nil })
			_, body := scrape(t, tel, "")
			ages := map[string]float64{}
			for _, line := range ours(body) {
				for _, name := range []string{"gateway_last_dispatch_age_seconds", "gateway_checkpoint_age_seconds"} {
					if labels, found := strings.CutPrefix(line, name); found {
						labels, value, _ := strings.Cut(labels, " ")
						age, err := strconv.ParseFloat(value, 64)
						if err != nil {
							t.Fatal(err)
						}
						ages[name+labels] = age
					}
				}
			}
			about := func(key string, want time.Duration) {
				if got := ages[key]; got < want.Seconds() || got > want.Seconds()+10 {
					t.Errorf("%s: got %v, want %v", key, got, want.Seconds())
				}
			}
			about("gateway_checkpoint_age_seconds", time.Minute)
			for labels, want := range tt.want {
				about("gateway_last_dispatch_age_seconds"+labels, want)
			}
			if len(ages) != len(tt.want)+1 {
				t.Errorf("got %v, want no age of a shard that read nothing", ages)
			}
		})
	}
}

// Where a scraper gives up there is an error for each of the metrics, and the next scrape comes soon.
func TestScrapeLog_tells_once_a_minute(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		var text strings.Builder
		log := &scrapeLog{log: slog.New(slog.NewTextHandler(&text, nil))}
		for minute := 1; minute <= 2; minute++ {
			for range len(Instruments) {
				log.Println("error encoding and sending metric family:", context.Canceled)
			}
			if got := strings.Count(text.String(), "scrape incomplete"); got != minute {
				t.Errorf("got %d lines in minute %d, want one a minute", got, minute)
			}
			time.Sleep(time.Minute)
		}
	})
}
