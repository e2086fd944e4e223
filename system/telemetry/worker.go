package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The names of the worker's instruments.
const (
	workerEvents      = "worker_events_total"
	workerDead        = "worker_dead_letters_total"
	workerRetries     = "worker_retries_total"
	workerConflicts   = "worker_transaction_retries_total"
	workerTransaction = "worker_transaction_duration_seconds"
	workerChanges     = "worker_transaction_events_total"
	workerStale       = "worker_communities_marked_stale_total"
	workerPending     = "worker_pending_events"
	workerUnacked     = "worker_unacked_events"
	workerInHand      = "worker_events_in_hand"
	workerNATS        = "worker_nats_connected"
	workerDatabase    = "worker_database_connected"
	workerBuild       = "worker_build_info"
)

// WorkerInstruments are all metrics of drover worker, in the order of docs/metrics.md, which a test holds to it.
var WorkerInstruments = []Instrument{
	{workerEvents, Counter, "{event}", []string{"event_type", "outcome"}, "Events dealt with, by outcome: applied, superseded, duplicate, gap or dead."},
	{workerDead, Counter, "{event}", []string{"reason"}, "Events that went to the dead letters since they can never be applied, by reason."},
	{workerRetries, Counter, "{event}", []string{"reason"}, "Events given back to be delivered again after a pause, by reason: away, conflict, setup or nats."},
	{workerConflicts, Counter, "{transaction}", nil, "Transactions tried again at once over a serialization failure or a deadlock."},
	{workerTransaction, Histogram, "s", nil, "Time of a transaction, from its begin to its commit."},
	{workerChanges, Counter, "{event}", nil, "Events in committed transactions; by the number of transactions it is how well they are gathered."},
	{workerStale, Counter, "{community}", nil, "Communities marked stale since events may be missing."},
	{workerPending, Gauge, "{event}", nil, "Stored events of our types that no worker was given yet."},
	{workerUnacked, Gauge, "{event}", nil, "Events that workers of this durable were given and have not acknowledged."},
	{workerInHand, Gauge, "{event}", nil, "Events that this worker holds."},
	{workerNATS, Gauge, "{connection}", nil, "1 while NATS is connected, else 0."},
	{workerDatabase, Gauge, "{connection}", nil, "1 while the database takes events, else 0."},
	{workerBuild, Gauge, "{build}", []string{"version", "go_version"}, "Always 1; the labels say what runs."},
}

// workerBuckets are the upper bounds of the transaction histogram in seconds: a database on the same host needs about 1 ms;
// statements are cut off after 10 s.
var workerBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// WorkerStatus is what the gauges of a worker show.
type WorkerStatus struct {
	Pending, Unacked, InHand         float64
	NATSConnected, DatabaseConnected bool
}

// Worker owns the metrics of one worker, and counts. Nothing of it is global. Any goroutine may call its methods.
type Worker struct {
	t        *Telemetry
	counters map[string]metric.Int64Counter
	took     metric.Float64Histogram
	status   atomic.Pointer[func() WorkerStatus]
}

// NewWorker makes the instruments of a worker.
func NewWorker(node, version string, log *slog.Logger) (*Worker, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	o := Options{Node: node, Version: version, Log: log}
	of, err := resourceOf(context.Background(), o)
	if err != nil {
		return nil, err
	}
	t, err := newProvider(o, of, nil, nil)
	if err != nil {
		return nil, err
	}
	meter := t.provider.Meter(scopeName)
	w := &Worker{t: t, counters: map[string]metric.Int64Counter{}}
	gauges := map[string]metric.Float64ObservableGauge{}
	var observed []metric.Observable
	for _, i := range WorkerInstruments {
		unit, meaning := metric.WithUnit(i.Unit), metric.WithDescription(i.Meaning)
		switch i.Kind {
		case Histogram:
			w.took, err = meter.Float64Histogram(i.Name, unit, meaning, metric.WithExplicitBucketBoundaries(workerBuckets...))
		case Counter:
			w.counters[i.Name], err = meter.Int64Counter(i.Name, unit, meaning)
			if err == nil && len(i.Labels) == 0 { // from the start, so that a rate over the first increment is right
				w.counters[i.Name].Add(context.Background(), 0)
			}
		case Gauge:
			gauges[i.Name], err = meter.Float64ObservableGauge(i.Name, unit, meaning)
			observed = append(observed, gauges[i.Name])
		}
		if err != nil {
			return nil, fmt.Errorf("telemetry: %s: %w", i.Name, err)
		}
	}
	build := metric.WithAttributes(attribute.String("version", version), attribute.String("go_version", runtime.Version()))
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveFloat64(gauges[workerBuild], 1, build)
		ask := w.status.Load()
		if ask == nil {
			return nil
		}
		s := (*ask)()
		for name, value := range map[string]float64{
			workerPending: s.Pending, workerUnacked: s.Unacked, workerInHand: s.InHand,
			workerNATS: one(s.NATSConnected), workerDatabase: one(s.DatabaseConnected),
		} {
			o.ObserveFloat64(gauges[name], value)
		}
		return nil
	}, observed...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: gauges of the worker: %w", err)
	}
	return w, nil
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Observe names the function that the gauges are read from, once per scrape. It must not block.
func (w *Worker) Observe(status func() WorkerStatus) { w.status.Store(&status) }

// Handler serves the metrics.
func (w *Worker) Handler() http.Handler { return w.t.Handler() }

// Shutdown ends the provider.
func (w *Worker) Shutdown(ctx context.Context) error { return w.t.Shutdown(ctx) }

// Event counts an event that was dealt with.
func (w *Worker) Event(eventType, outcome string) {
	w.add(workerEvents, 1, attribute.String("event_type", eventType), attribute.String("outcome", outcome))
}

// Retry counts events that were given back.
func (w *Worker) Retry(reason string, n int) {
	w.add(workerRetries, n, attribute.String("reason", reason))
}

// Dead counts a dead letter.
func (w *Worker) Dead(reason string) { w.add(workerDead, 1, attribute.String("reason", reason)) }

// Conflict counts a transaction that is tried again at once.
func (w *Worker) Conflict() { w.add(workerConflicts, 1) }

// Applied counts a transaction.
func (w *Worker) Applied(changes int, took time.Duration) {
	w.add(workerChanges, changes)
	w.took.Record(context.Background(), took.Seconds())
}

// Stale counts communities that were marked.
func (w *Worker) Stale(communities int) { w.add(workerStale, communities) }

func (w *Worker) add(name string, n int, labels ...attribute.KeyValue) {
	w.counters[name].Add(context.Background(), int64(n), metric.WithAttributes(labels...))
}
