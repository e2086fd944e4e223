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
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Telemetry owns the metrics of one node: their registry, provider and instruments. Nothing of it is
// global, so several nodes can live in one process. Its methods may be called from any goroutine.
type Telemetry struct {
	// Meters are the instruments; never nil where New made it.
	Meters *Meters

	registry *prometheus.Registry
	provider *sdk.MeterProvider
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

	// Log hears of scrapes that were not whole; nil discards.
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
	t, meter, err := newProvider(o, routes)
	if err != nil {
		return nil, err
	}
	meters, err := newMeters(meter, by, auto, o.Version, o.Log)
	if err != nil {
		return nil, fmt.Errorf("telemetry: instruments: %w", err)
	}
	routes.of = meters
	t.Meters = meters
	return t, nil
}

// newProvider makes a registry and what fills it; producer may be nil.
func newProvider(o Options, producer sdk.Producer) (*Telemetry, metric.Meter, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	options := []otelprom.Option{
		otelprom.WithRegisterer(registry),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(), // a build_info says it instead
		// The names in the table are whole: no unit and no _total may be added to them.
		otelprom.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	}
	if producer != nil {
		options = append(options, otelprom.WithProducer(producer))
	}
	exporter, err := otelprom.New(options...)
	if err != nil {
		return nil, nil, fmt.Errorf("telemetry: exporter: %w", err)
	}
	provider := sdk.NewMeterProvider(
		sdk.WithReader(exporter),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "drover"),
			attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Node),
		)),
		// The SDK would fold all beyond 2,000 series into one; our labels are bounded by rule instead.
		sdk.WithCardinalityLimit(0),
		sdk.WithExemplarFilter(exemplar.AlwaysOffFilter),
	)
	return &Telemetry{registry: registry, provider: provider, log: o.Log}, provider.Meter(scopeName), nil
}

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

// Shutdown ends the provider; scrapes then show only Go and process metrics. A second call does nothing.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, sdk.ErrReaderShutdown) {
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
