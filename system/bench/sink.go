package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// sink takes what a node exports by OTLP over HTTP, and throws it away. It runs in the benchmark's own process: what it costs is
// not the node's, though it runs on the same machine.
type sink struct {
	server *http.Server
	url    string
	bytes  [2]atomic.Int64 // of traces and of metrics
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("bench: sink: %w", err)
	}
	s := &sink{url: "http://" + l.Addr().String()}
	mux := http.NewServeMux()
	for i, path := range []string{"POST /v1/traces", "POST /v1/metrics"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			s.bytes[i].Add(n)
			w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a whole one
		})
	}
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() { _ = s.server.Serve(l) }() // ends with close
	return s, nil
}

func (s *sink) close() { _ = s.server.Close() }

// env is what a node is told: 1 % of the events have a span, and metrics are pushed too, every second.
func (s *sink) env() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + s.url, "OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.01",
		"OTEL_BSP_SCHEDULE_DELAY=1000", "OTEL_METRICS_EXPORTER=otlp", "OTEL_METRIC_EXPORT_INTERVAL=1000",
	}
}

// soFar is how many bytes of traces and of metrics have come.
func (s *sink) soFar() [2]int64 { return [2]int64{s.bytes[0].Load(), s.bytes[1].Load()} }

// took waits until more of both has come than before: a measurement with telemetry of which nothing arrived would show nothing.
func (s *sink) took(ctx context.Context, c *client, before [2]int64) error {
	return c.await(ctx, "traces and metrics arrive", func() (bool, string) {
		now := s.soFar()
		spans, numbers := now[0]-before[0], now[1]-before[1]
		return spans > 0 && numbers > 0, fmt.Sprintf("%d bytes of traces, %d of metrics", spans, numbers)
	})
}
