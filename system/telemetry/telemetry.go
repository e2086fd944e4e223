// Package telemetry carries what a node says of itself to operators: metrics by OpenTelemetry's SDK
// in Prometheus' formats, the numbers of the status page, and JSON logs that hold no secrets.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	prombridge "go.opentelemetry.io/contrib/bridges/prometheus"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry owns the metrics of one node: their registry, provider and instruments. Nothing of it is
// global, so several nodes can live in one process. Its methods may be called from any goroutine.
type Telemetry struct {
	// Meters are the instruments; never nil where New made it.
	Meters *Meters

	// Tracer makes the spans; nil: traces are off.
	Tracer *Tracer

	registry prometheus.Gatherers // ours, and those of the process and of Go's runtime
	provider *sdk.MeterProvider
	spans    *sdktrace.TracerProvider // nil: traces are off
	records  *sdklog.LoggerProvider   // nil: logs are not exported
	log      *slog.Logger
}

// Options configure New.
type Options struct {
	Node    string // the node's name, for the resource
	Version string // of drover

	// Shards is the number of shards that this node may come to hold, by which ShardLabels "auto" decides; 0
	// where only Discord knows: then tell Meters.Shards before the first shard starts.
	Shards int
	// ShardLabels says which label counters and histograms carry: "auto" (also "") is shard_id up to
	// MaxShardLabels shards and pool_id above, "always" is shard_id at any number (80 series per shard and
	// counter of events: expensive), "never" is neither.
	ShardLabels string

	// Export says what leaves the process by OTLP. Its zero value: nothing does.
	Export Export
	// Secrets are kept out of exported logs, as NewLogger keeps them out of its lines.
	Secrets []string

	// Log hears of scrapes that were not whole, and of exports that failed; nil discards. Log makes one of it that is exported.
	Log *slog.Logger
}

// MaxShardLabels is the number of shards a node up to which "auto" labels by shard_id.
const MaxShardLabels = 100

// scrapes is how many scrapes may run at once. More are refused with 503: each walks all series.
const scrapes = 8

// scopeName is the instrumentation's name.
const scopeName = "drover"

// New makes the instruments. The error says what is wrong with the options.
func New(o Options) (*Telemetry, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	by, auto, err := scopingOf(o.ShardLabels, o.Shards)
	if err != nil {
		return nil, err
	}
	routes := &histograms{}
	of, err := resourceOf(context.Background(), o)
	if err != nil {
		return nil, err
	}
	exports := map[signal]*outcome{}
	for _, s := range []signal{traces, metrics, logs} {
		exports[s] = &outcome{signal: s, log: o.Log}
	}
	t, err := newProvider(o, of, routes, exports[metrics])
	if err != nil {
		return nil, err
	}
	if t.Meters, err = newMeters(t.provider.Meter(scopeName), by, auto, o.Version, o.Log); err != nil {
		return nil, fmt.Errorf("telemetry: instruments: %w", err)
	}
	routes.of = t.Meters
	for _, to := range exports {
		to.meters = t.Meters
	}
	if err := t.trace(o, of, exports[traces]); err != nil {
		return nil, err
	}
	return t, t.bridge(o, of, exports[logs])
}

// newProvider makes a registry and what fills it, and pushes the same where metrics are exported. producer may be nil; to is used
// only where metrics are exported.
func newProvider(o Options, of *resource.Resource, producer sdk.Producer, to *outcome) (*Telemetry, error) {
	registry, process := prometheus.NewRegistry(), prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	scraped := []otelprom.Option{
		otelprom.WithRegisterer(registry),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(), // a build_info says it instead
		// The names in the table are whole: no unit and no _total may be added to them.
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	}
	pushed := []sdk.PeriodicReaderOption{sdk.WithProducer(prombridge.NewMetricProducer(prombridge.WithGatherer(process)))}
	if producer != nil {
		scraped, pushed = append(scraped, otelprom.WithProducer(producer)), append(pushed, sdk.WithProducer(producer))
	}
	exporter, err := otelprom.New(scraped...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: exporter: %w", err)
	}
	options := []sdk.Option{
		sdk.WithReader(exporter),
		sdk.WithResource(of),
		// The SDK would fold all beyond 2,000 series into one; our labels are bounded by rule instead.
		sdk.WithCardinalityLimit(0),
		sdk.WithExemplarFilter(exemplar.AlwaysOffFilter), // the route histogram has its own
	}
	if o.Export.on(metrics) {
		e, err := o.Export.metrics(context.Background())
		if err != nil {
			return nil, fmt.Errorf("telemetry: exporter of metrics: %w", err)
		}
		options = append(options, sdk.WithReader(sdk.NewPeriodicReader(metricExporter{e, to}, pushed...)))
	}
	return &Telemetry{registry: prometheus.Gatherers{registry, process}, provider: sdk.NewMeterProvider(options...), log: o.Log}, nil
}

// bridge has the log exported where it is wanted.
func (t *Telemetry) bridge(o Options, of *resource.Resource, to *outcome) error {
	if !o.Export.on(logs) {
		return nil
	}
	e, err := o.Export.logs(context.Background())
	if err != nil {
		return fmt.Errorf("telemetry: exporter of logs: %w", err)
	}
	t.records = sdklog.NewLoggerProvider(sdklog.WithResource(of), sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter{e, to})))
	bridged := otelslog.NewHandler(scopeName, otelslog.WithLoggerProvider(t.records))
	t.log = slog.New(both{o.Log.Handler(), newScrubbed(bridged, o.Secrets)})
	return nil
}

// trace switches traces on where they are wanted.
func (t *Telemetry) trace(o Options, of *resource.Resource, to *outcome) error {
	share, any, err := o.Export.ratio()
	if err != nil || !any || !o.Export.on(traces) {
		return err
	}
	e, err := o.Export.spans(context.Background())
	if err != nil {
		return fmt.Errorf("telemetry: exporter of traces: %w", err)
	}
	t.spans = sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(spanExporter{e, to}), sdktrace.WithResource(of), sdktrace.WithIDGenerator(ids{}),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // Tracer.Sample decides, before there is a span
	)
	t.Tracer = newTracer(t.spans.Tracer(scopeName, trace.WithInstrumentationVersion(o.Version)), share, t.Meters, o.Node, o.Secrets...)
	return nil
}

// Log is the log that Options named, which is exported as well where logs are.
func (t *Telemetry) Log() *slog.Logger { return t.log }

// Handler serves the metrics as Prometheus text, or as OpenMetrics to those who ask for it.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError, // half the truth is better than none while something is wrong
		ErrorLog:            &scrapeLog{log: t.log},
		MaxRequestsInFlight: scrapes,
		Timeout:             10 * time.Second, // Prometheus' own default
	})
}

// EndMetrics exports the last metrics and ends their provider, as long as the node can be asked for its gauges; scrapes then show only
// Go and process metrics. A second call does nothing.
func (t *Telemetry) EndMetrics(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, sdk.ErrReaderShutdown) {
		return fmt.Errorf("telemetry: last metrics: %w", err)
	}
	return nil
}

// Shutdown exports what is left and ends all providers, also that of the metrics. A second call does nothing.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	errs := []error{t.EndMetrics(ctx)}
	if t.spans != nil {
		t.Tracer.flush()
		errs = append(errs, t.spans.Shutdown(ctx))
	}
	if t.records != nil {
		errs = append(errs, t.records.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("telemetry: shutdown: %w", err)
	}
	return nil
}

// scrapeLog lets promhttp write to slog, once a minute: when a scraper gives up early there is an error for each metric.
type scrapeLog struct {
	log  *slog.Logger
	told atomic.Int64 // Unix ns of the newest line
}

func (l *scrapeLog) Println(v ...any) {
	now, told := time.Now().UnixNano(), l.told.Load()
	if now-told >= int64(time.Minute) && l.told.CompareAndSwap(told, now) {
		l.log.Warn("scrape incomplete", "err", fmt.Sprint(v...))
	}
}
