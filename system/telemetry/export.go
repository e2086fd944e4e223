package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Export says what leaves the process by OTLP, and where to. The zero value: nothing does. What it leaves open, and what it has no
// field for (headers, certificates, time-outs, sizes of batches), OpenTelemetry's SDK takes from its own variables (OTEL_…).
type Export struct {
	Traces  string // otlp, none; auto: otlp where an endpoint is named
	Metrics string // otlp, or anything else: they are at /metrics in any case
	Logs    string // otlp, none

	Endpoint string // base URL of the receiver, http or https; empty: the SDK's own default
	Protocol string // grpc or http/protobuf; empty: http/protobuf

	Sampler string  // of events: always_on, always_off, traceidratio, with parentbased_ or without; empty: traceidratio
	Ratio   float64 // of traceidratio, 0 to 1
}

// signal is one of the kinds of telemetry, as OpenTelemetry names them.
type signal string

const (
	traces  signal = "traces"
	metrics signal = "metrics"
	logs    signal = "logs"
)

// on tells whether a signal is exported. OTEL_SDK_DISABLED switches all of them off, and not /metrics.
func (e Export) on(s signal) bool {
	if strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true") {
		return false
	}
	switch s {
	case metrics:
		return slices.Contains(strings.Split(e.Metrics, ","), "otlp")
	case logs:
		return e.Logs == "otlp"
	}
	named := e.Endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	return e.Traces == "otlp" || e.Traces == "auto" && named
}

// grpc tells by which protocol a signal goes: its own variable wins.
func (e Export) grpc(s signal) (bool, error) {
	protocol := os.Getenv("OTEL_EXPORTER_OTLP_" + strings.ToUpper(string(s)) + "_PROTOCOL")
	if protocol == "" {
		protocol = e.Protocol
	}
	switch protocol {
	case "grpc":
		return true, nil
	case "", "http/protobuf":
		return false, nil
	}
	return false, fmt.Errorf("telemetry: protocol of %s: %q is none of grpc, http/protobuf", s, protocol)
}

// url is where a signal goes, and empty where its own variable says it, or nobody does.
func (e Export) url(s signal, grpc bool) string {
	if e.Endpoint == "" || os.Getenv("OTEL_EXPORTER_OTLP_"+strings.ToUpper(string(s))+"_ENDPOINT") != "" {
		return ""
	}
	if grpc {
		return e.Endpoint
	}
	return strings.TrimRight(e.Endpoint, "/") + "/v1/" + string(s)
}

// The exporters do not connect: a receiver that is away is tried again with each batch.

func (e Export) spans(ctx context.Context) (sdktrace.SpanExporter, error) {
	grpc, err := e.grpc(traces)
	if err != nil {
		return nil, err
	}
	url := e.url(traces, grpc)
	switch {
	case grpc && url != "":
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(url))
	case grpc:
		return otlptracegrpc.New(ctx)
	case url != "":
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url))
	}
	return otlptracehttp.New(ctx)
}

func (e Export) metrics(ctx context.Context) (sdk.Exporter, error) {
	grpc, err := e.grpc(metrics)
	if err != nil {
		return nil, err
	}
	url := e.url(metrics, grpc)
	switch {
	case grpc && url != "":
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(url))
	case grpc:
		return otlpmetricgrpc.New(ctx)
	case url != "":
		return otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(url))
	}
	return otlpmetrichttp.New(ctx)
}

func (e Export) logs(ctx context.Context) (sdklog.Exporter, error) {
	grpc, err := e.grpc(logs)
	if err != nil {
		return nil, err
	}
	url := e.url(logs, grpc)
	switch {
	case grpc && url != "":
		return otlploggrpc.New(ctx, otlploggrpc.WithEndpointURL(url))
	case grpc:
		return otlploggrpc.New(ctx)
	case url != "":
		return otlploghttp.New(ctx, otlploghttp.WithEndpointURL(url))
	}
	return otlploghttp.New(ctx)
}

// resourceOf says whose telemetry it is. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what we know ourselves.
func resourceOf(ctx context.Context, o Options) (*resource.Resource, error) {
	r, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "drover"),
		attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Node),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: resource (OTEL_RESOURCE_ATTRIBUTES is key=value, comma-separated): %w", err)
	}
	return r, nil
}

// ratio is the share of events that are sampled, and whether there are any traces at all.
func (e Export) ratio() (share float64, any bool, err error) {
	switch strings.TrimPrefix(e.Sampler, "parentbased_") { // an event has no parent: Discord sends none
	case "always_on":
		return 1, true, nil
	case "always_off":
		return 0, false, nil
	case "traceidratio", "":
		if e.Ratio < 0 || e.Ratio > 1 {
			return 0, false, fmt.Errorf("telemetry: sampler: %s is not a share: write a number from 0 to 1", strconv.FormatFloat(e.Ratio, 'g', -1, 64))
		}
		return e.Ratio, true, nil
	}
	return 0, false, fmt.Errorf("telemetry: sampler: %q is none of always_on, always_off, traceidratio", e.Sampler)
}

// outcome tells what becomes of exports: failures are counted, and logged now and then. The SDK would hand them to a handler that is
// global.
type outcome struct {
	signal signal
	meters *Meters
	log    *slog.Logger

	mu   sync.Mutex
	told time.Time // when the log was told last
}

// tellAgain is how often a receiver that takes nothing is logged.
const tellAgain = time.Minute

func (o *outcome) of(err error) error {
	if err == nil {
		return nil
	}
	o.meters.ExportFailure(string(o.signal))
	o.mu.Lock()
	quiet := time.Since(o.told) < tellAgain
	if !quiet {
		o.told = time.Now()
	}
	o.mu.Unlock()
	if !quiet {
		o.log.Warn("telemetry not exported: is the receiver of telemetry.endpoint there?", "signal", o.signal, "err", err)
	}
	return nil
}

type spanExporter struct {
	sdktrace.SpanExporter
	outcome *outcome
}

func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	return e.outcome.of(e.SpanExporter.ExportSpans(ctx, spans))
}

type metricExporter struct {
	sdk.Exporter
	outcome *outcome
}

func (e metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	return e.outcome.of(e.Exporter.Export(ctx, m))
}

type logExporter struct {
	sdklog.Exporter
	outcome *outcome
}

func (e logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	return e.outcome.of(e.Exporter.Export(ctx, records))
}
