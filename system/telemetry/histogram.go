package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// histogram is one series of a histogram. The SDK's own instrument looks its series up at each measurement, which
// costs more than all other counting of an event together. Any goroutine may record.
type histogram struct {
	scale  *scale
	labels attribute.Set
	began  time.Time
	counts []atomic.Uint64
	sum    atomic.Int64 // ns

	// The newest sampled measurement of each bucket; nil: there was none.
	exemplars []atomic.Pointer[exemplified]
}

// exemplified is a measurement whose trace is known.
type exemplified struct {
	took time.Duration
	at   time.Time
	of   messages.Trace
}

func newHistogram(b *scale, labels attribute.Set) *histogram {
	n := len(b.limits) + 1
	return &histogram{
		scale: b, labels: labels, began: time.Now(), counts: make([]atomic.Uint64, n), exemplars: make([]atomic.Pointer[exemplified], n),
	}
}

// record counts one measurement.
func (h *histogram) record(took time.Duration) {
	h.counts[h.scale.of(took)].Add(1)
	h.sum.Add(int64(took))
}

// exemplify makes a measurement, which is recorded by itself, the example of its bucket.
func (h *histogram) exemplify(e *exemplified) { h.exemplars[h.scale.of(e.took)].Store(e) }

// scale holds the upper bounds of a histogram, and its name.
type scale struct {
	name   string
	bounds []float64       // seconds
	limits []time.Duration // the same
}

func scaleOf(name string, bounds []float64) *scale {
	b := &scale{name: name, bounds: bounds}
	for _, seconds := range bounds {
		b.limits = append(b.limits, time.Duration(seconds*float64(time.Second)))
	}
	return b
}

func (s *scale) of(took time.Duration) int {
	i := 0
	for i < len(s.limits) && took > s.limits[i] {
		i++
	}
	return i
}

// The histograms of the table.
var (
	routes   = scaleOf(routeDuration, routeBuckets[:])
	permits  = scaleOf(identifyWait, waitBuckets[:])
	backoffs = scaleOf(backoff, waitBuckets[:])
)

// point is the series as the SDK knows it. ok is false where nothing was recorded yet.
func (h *histogram) point(now time.Time) (p metricdata.HistogramDataPoint[float64], ok bool) {
	p = metricdata.HistogramDataPoint[float64]{Attributes: h.labels, StartTime: h.began, Time: now, Bounds: h.scale.bounds}
	for i := range h.counts {
		n := h.counts[i].Load()
		p.BucketCounts = append(p.BucketCounts, n)
		p.Count += n
		if e := h.exemplars[i].Load(); e != nil {
			p.Exemplars = append(p.Exemplars, metricdata.Exemplar[float64]{
				Value: e.took.Seconds(), Time: e.at, TraceID: e.of.TraceID[:], SpanID: e.of.SpanID[:],
			})
		}
	}
	p.Sum = time.Duration(h.sum.Load()).Seconds()
	return p, p.Count > 0
}

// histograms hands the histograms to the SDK's readers, as a metric.Producer.
type histograms struct{ of *Meters }

// Produce implements metric.Producer.
func (h *histograms) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	if h.of == nil {
		return nil, nil
	}
	h.of.lock.Lock()
	all := h.of.histograms[:len(h.of.histograms):len(h.of.histograms)] // only ever appended to
	h.of.lock.Unlock()
	now := time.Now()
	points := map[string][]metricdata.HistogramDataPoint[float64]{}
	for _, one := range all {
		if p, ok := one.point(now); ok {
			points[one.scale.name] = append(points[one.scale.name], p)
		}
	}
	if len(points) == 0 {
		return nil, nil
	}
	out := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scopeName}}
	for _, i := range Instruments {
		if of := points[i.Name]; i.Kind == Histogram && of != nil {
			out.Metrics = append(out.Metrics, metricdata.Metrics{
				Name: i.Name, Description: i.Meaning, Unit: i.Unit,
				Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: of},
			})
		}
	}
	return []metricdata.ScopeMetrics{out}, nil
}
