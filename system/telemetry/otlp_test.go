package telemetry

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlplogs "go.opentelemetry.io/proto/otlp/logs/v1"
	otlpmetrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	otlptrace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Collector receives OTLP over HTTP and gRPC, and keeps what comes.
type Collector struct {
	coltrace.UnimplementedTraceServiceServer
	colmetrics.UnimplementedMetricsServiceServer
	collogs.UnimplementedLogsServiceServer

	HTTP, GRPC string // endpoints

	mu      sync.Mutex
	spans   []Span
	metrics map[string]*otlpmetrics.Metric
	logs    []*otlplogs.LogRecord
	of      []*common.KeyValue // the resource of the newest
	raw     strings.Builder    // all of it as text, for what must not be in it
}

// Span is a span, and whose it is.
type Span struct {
	*otlptrace.Span
	Service string
}

// Spans are those that have come so far; raw is all of what has come as text.
func (c *Collector) Spans() (spans []Span, raw string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...), c.raw.String()
}

// Slower counts the measurements of a histogram that were above one of its bounds, and all of them, over all series.
func (c *Collector) Slower(name string, bound float64) (above, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.metrics[name].GetHistogram().GetDataPoints() {
		all += int(p.Count)
		for i, n := range p.BucketCounts {
			if i == len(p.ExplicitBounds) || p.ExplicitBounds[i] > bound {
				above += int(n)
			}
		}
	}
	return above, all
}

// StartCollector starts one on free ports.
func StartCollector(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{metrics: map[string]*otlpmetrics.Metric{}}
	web := httptest.NewServer(http.HandlerFunc(c.post))
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(server, c)
	colmetrics.RegisterMetricsServiceServer(server, metricsService{c: c})
	collogs.RegisterLogsServiceServer(server, logsService{c: c})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	c.HTTP, c.GRPC = web.URL, "http://"+l.Addr().String()
	return c
}

// endpoint is where a protocol's exporters send.
func (c *Collector) endpoint(protocol string) string {
	if protocol == "grpc" {
		return c.GRPC
	}
	return c.HTTP
}

func (c *Collector) post(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/v1/traces":
		m := &coltrace.ExportTraceServiceRequest{}
		if err = proto.Unmarshal(b, m); err == nil {
			_, err = c.Export(r.Context(), m)
		}
	case "/v1/metrics":
		m := &colmetrics.ExportMetricsServiceRequest{}
		if err = proto.Unmarshal(b, m); err == nil {
			_, err = metricsService{c: c}.Export(r.Context(), m)
		}
	case "/v1/logs":
		m := &collogs.ExportLogsServiceRequest{}
		if err = proto.Unmarshal(b, m); err == nil {
			_, err = logsService{c: c}.Export(r.Context(), m)
		}
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Export receives spans.
func (c *Collector) Export(_ context.Context, m *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(&c.raw, m)
	for _, of := range m.ResourceSpans {
		c.of = of.Resource.Attributes
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, Span{s, text(c.of, "service.name")})
			}
		}
	}
	return &coltrace.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
	c *Collector
}

func (s metricsService) Export(_ context.Context, m *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	fmt.Fprintln(&s.c.raw, m)
	for _, of := range m.ResourceMetrics {
		s.c.of = of.Resource.Attributes
		for _, scope := range of.ScopeMetrics {
			for _, one := range scope.Metrics {
				s.c.metrics[one.Name] = one
			}
		}
	}
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	c *Collector
}

func (s logsService) Export(_ context.Context, m *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	fmt.Fprintln(&s.c.raw, m)
	for _, of := range m.ResourceLogs {
		s.c.of = of.Resource.Attributes
		for _, scope := range of.ScopeLogs {
			s.c.logs = append(s.c.logs, scope.LogRecords...)
		}
	}
	return &collogs.ExportLogsServiceResponse{}, nil
}

// text is the value of an attribute; empty where there is none.
func text(attrs []*common.KeyValue, key string) string {
	for _, a := range attrs {
		if a.Key != key {
			continue
		}
		switch v := a.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			return v.StringValue
		case *common.AnyValue_IntValue:
			return fmt.Sprint(v.IntValue)
		case *common.AnyValue_BoolValue:
			return fmt.Sprint(v.BoolValue)
		}
	}
	return ""
}

// Text is the value of a span's attribute; empty where there is none.
func Text(s Span, key string) string { return text(s.Attributes, key) }

// shut exports what is left, within a bound.
func shut(t *testing.T, tel *Telemetry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

// noOTEL makes a test independent of the variables of whoever runs it.
func noOTEL(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
	} {
		t.Setenv(name, "")
	}
}
