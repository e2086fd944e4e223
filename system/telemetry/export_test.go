package telemetry

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"drover/messages"

	otlptrace "go.opentelemetry.io/proto/otlp/trace/v1"
)

func TestExport_keeps_configured_secrets_out_of_errors_of_spans(t *testing.T) {
	noOTEL(t)
	c := StartCollector(t)
	tel := start(t, Options{Node: "n1", Secrets: []string{`very"secret/token`}, Export: Export{Traces: "otlp", Endpoint: c.HTTP, Protocol: "http/protobuf", Sampler: "always_on"}})
	tel.Tracer.Connect(0, 0, "", 0, "start").Fail("dial", 0, `proxy says very"secret/token`)
	tel.Tracer.Interrupted(time.Now(), time.Now(), errors.New("NATS says very%22secret%2Ftoken"))
	shut(t, tel)
	c.mu.Lock()
	defer c.mu.Unlock()
	said := map[string]string{}
	for _, s := range c.spans {
		said[s.Name] = s.Status.GetMessage()
	}
	if said["connect"] != "proxy says "+redacted || said["dial"] != "proxy says "+redacted || said["publishing interrupted"] != "NATS says "+redacted {
		t.Errorf("got %q, want what is wrong without the secret", said)
	}
}

func TestExport_brings_all_three_signals_to_a_receiver(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			noOTEL(t)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.instance.id=other")
			c := StartCollector(t)
			var lines bytes.Buffer
			log, _ := NewLogger(&lines, "json", "info")
			tel := start(t, Options{Node: "n1", Version: "v9", Shards: 2, Log: log, Secrets: []string{"very-secret-token"}, Export: Export{
				Traces: "otlp", Metrics: "otlp", Logs: "otlp", Endpoint: c.endpoint(protocol), Protocol: protocol, Sampler: "always_on",
			}})
			life := tel.Tracer.Connect(1, 0, "0123456789abcdef0123456789abcdef", 7, "zombie")
			life.Step("hello")
			life.Step("resume")
			tel.Log().InfoContext(life.Context(), "shard ready", "shard_id", 1, "token", "x-of-nobody", "err", errors.New("Bot very-secret-token failed"))
			life.Ready("resumed", "0123456789abcdef0123456789abcdef")
			at := time.Now()
			sampled := tel.Tracer.Sample()
			tel.Tracer.Delivered(&messages.Delivery{
				Kind: messages.KindOf([]byte("GUILD_MEMBER_ADD")), ShardID: 1, Seq: 5, ID: "id-5", Subject: "events.member.join",
				Read: at.Add(-3 * time.Millisecond), Sent: at.Add(-2 * time.Millisecond), Acked: at, Sends: 1, Trace: sampled,
			}, 0)
			tel.Meters.Routed(1, 0, at, 3*time.Millisecond)
			shut(t, tel)

			c.mu.Lock()
			defer c.mu.Unlock()
			spans := map[string]*otlptrace.Span{}
			for _, s := range c.spans {
				spans[s.Name] = s.Span
			}
			root := spans["connect"]
			if root == nil || text(root.Attributes, "drover.session") != "01234567" || text(root.Attributes, "drover.outcome") != "resumed" {
				t.Fatalf("got %v", root)
			}
			for _, step := range []string{"dial", "hello", "resume"} {
				if s := spans[step]; s == nil || !bytes.Equal(s.ParentSpanId, root.SpanId) || !bytes.Equal(s.TraceId, root.TraceId) {
					t.Errorf("%s: got %v, want a child of connect", step, s)
				}
			}
			event := spans["publish member.join"]
			if event == nil || !bytes.Equal(event.TraceId, sampled.TraceID[:]) || !bytes.Equal(event.SpanId, sampled.SpanID[:]) || event.Kind != otlptrace.Span_SPAN_KIND_PRODUCER {
				t.Fatalf("got %v, want the ids that stand in the message, %v", event, sampled)
			}
			if took := event.EndTimeUnixNano - event.StartTimeUnixNano; took != uint64(3*time.Millisecond) || len(event.Events) != 1 {
				t.Errorf("got %v and %d events, want 3ms and one: sent", time.Duration(took), len(event.Events))
			}
			for key, want := range map[string]string{
				"messaging.system": "nats", "messaging.destination.name": "events.member.join", "messaging.message.id": "id-5",
				"drover.shard_id": "1", "drover.seq": "5", "drover.kept": "sampled",
			} {
				if got := text(event.Attributes, key); got != want {
					t.Errorf("%s: got %q, want %q", key, got, want)
				}
			}
			if m := c.metrics["gateway_event_route_duration_seconds"]; m == nil || len(m.GetHistogram().DataPoints[0].Exemplars) != 1 {
				t.Errorf("got %v, want the route histogram with one exemplar", m)
			}
			for _, name := range []string{"gateway_events_routed_total", "go_goroutines", "process_resident_memory_bytes"} {
				if c.metrics[name] == nil {
					t.Errorf("%s did not come", name)
				}
			}
			if len(c.logs) != 1 || c.logs[0].Body.GetStringValue() != "shard ready" || !bytes.Equal(c.logs[0].TraceId, root.TraceId) {
				t.Fatalf("got %v, want the line with its trace", c.logs)
			}
			for key, want := range map[string]string{
				"service.name": "drover", "service.version": "v9", "service.instance.id": "other", "deployment.environment.name": "test",
			} {
				if got := text(c.of, key); got != want {
					t.Errorf("resource %s: got %q, want %q", key, got, want)
				}
			}
			for _, secret := range []string{"very-secret-token", "x-of-nobody", "89abcdef0123"} {
				if strings.Contains(c.raw.String(), secret) {
					t.Errorf("%q left the process", secret)
				}
			}
			var line struct {
				TraceID string `json:"trace_id"`
				Token   string
			}
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.TraceID != hex.EncodeToString(root.TraceId) || line.Token != redacted {
				t.Errorf("got %s (%v), want trace_id %x", lines.Bytes(), err, root.TraceId)
			}
		})
	}
}

func TestExport_is_off_unless_somebody_asks_for_it(t *testing.T) {
	cases := []struct {
		name                  string
		env                   string
		export                Export
		traces, metrics, logs bool
	}{
		{"nothing", "", Export{Traces: "auto"}, false, false, false},
		{"an endpoint means traces", "", Export{Traces: "auto", Endpoint: "http://h"}, true, false, false},
		{"also by the variable of the signal", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://h", Export{Traces: "auto"}, true, false, false},
		{"not against a word", "", Export{Traces: "none", Endpoint: "http://h"}, false, false, false},
		{"all of them", "", Export{Traces: "otlp", Metrics: "otlp", Logs: "otlp"}, true, true, true},
		{"the SDK is disabled", "OTEL_SDK_DISABLED=true", Export{Traces: "otlp", Metrics: "otlp", Logs: "otlp"}, false, false, false},
		{"it is not", "OTEL_SDK_DISABLED=false", Export{Traces: "otlp"}, true, false, false},
		{"no event is sampled", "", Export{Traces: "otlp", Sampler: "traceidratio"}, true, false, false},
		{"always off", "", Export{Traces: "otlp", Sampler: "always_off"}, false, false, false},
		{"always off as a parent's", "", Export{Traces: "otlp", Sampler: "parentbased_always_off"}, false, false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			noOTEL(t)
			if name, value, ok := strings.Cut(c.env, "="); ok {
				t.Setenv(name, value)
			}
			log := slog.New(slog.DiscardHandler)
			tel, err := New(Options{Export: c.export, Log: log})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { // there is no receiver
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				_ = tel.Shutdown(ctx)
			}()
			if got := tel.Tracer != nil; got != c.traces {
				t.Errorf("traces: got %v, want %v", got, c.traces)
			}
			if got := c.export.on(metrics); got != c.metrics {
				t.Errorf("metrics: got %v, want %v", got, c.metrics)
			}
			if got := tel.Log() != log; got != c.logs {
				t.Errorf("logs: got %v, want %v", got, c.logs)
			}
		})
	}
	t.Run("absurd is refused", func(t *testing.T) {
		noOTEL(t)
		for _, e := range []Export{
			{Sampler: "sometimes"}, {Ratio: 1.5}, {Traces: "otlp", Protocol: "http/json"}, {Metrics: "otlp", Protocol: "smoke"}, {Logs: "otlp", Protocol: "smoke"},
		} {
			if _, err := New(Options{Export: e}); err == nil {
				t.Errorf("%+v: got no error", e)
			}
		}
	})
}

func TestExport_counts_and_tells_what_a_receiver_does_not_take(t *testing.T) {
	noOTEL(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusBadRequest) // final: it is not tried again
	}))
	defer refusing.Close()
	var lines bytes.Buffer
	log, _ := NewLogger(&lines, "json", "info")
	tel := start(t, Options{Log: log, Export: Export{Traces: "otlp", Endpoint: refusing.URL, Sampler: "always_on"}})
	for range 2 {
		tel.Tracer.Connect(0, 0, "", 1, "").Ready("identified", "")
		if err := tel.spans.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, body := scrape(t, tel, "")
	if want := `gateway_export_failures_total{signal="traces"} 2`; !strings.Contains(body, want) {
		t.Errorf("missing %s", want)
	}
	if n := strings.Count(lines.String(), "telemetry not exported"); n != 1 || !strings.Contains(lines.String(), `"signal":"traces"`) {
		t.Errorf("got %d lines, want one for both:\n%s", n, &lines)
	}
}
