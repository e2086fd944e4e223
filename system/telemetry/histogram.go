package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// histogram is one series of the route histogram. The SDK's own instrument looks its series up at each measurement,
// which costs more than all other counting of an event together. Any goroutine may record.
type histogram struct {
	labels attribute.Set
	began  time.Time
	counts [len(routeBuckets) + 1]atomic.Uint64
	sum    atomic.Int64 // ns
}

// record counts one measurement.
func (h *histogram) record(took time.Duration) {
	i := 0
	for i < len(routeBuckets) && took > routeLimits[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(took))
}

// routeLimits are the route histogram's upper bounds.
var routeLimits = func() (limits [len(routeBuckets)]time.Duration) {
	for i, seconds := range routeBuckets {
		limits[i] = time.Duration(seconds * float64(time.Second))
	}
	return limits
}()

// point is the series as the SDK knows it. ok is false where nothing was recorded yet.
func (h *histogram) point(now time.Time) (p metricdata.HistogramDataPoint[float64], ok bool) {
	p = metricdata.HistogramDataPoint[float64]{Attributes: h.labels, StartTime: h.began, Time: now, Bounds: routeBuckets[:]}
	for i := range h.counts {
		n := h.counts[i].Load()
		p.BucketCounts = append(p.BucketCounts, n)
		p.Count += n
	}
	p.Sum = time.Duration(h.sum.Load()).Seconds()
	return p, p.Count > 0
}

// histograms hands the route histogram to the SDK's readers, as a metric.Producer.
type histograms struct{ of *Meters }

// Produce implements metric.Producer.
func (h *histograms) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	if h.of == nil {
		return nil, nil
	}
	h.of.lock.Lock()
	all := h.of.routes[:len(h.of.routes):len(h.of.routes)] // only ever appended to
	h.of.lock.Unlock()
	now := time.Now()
	data := metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	for _, one := range all {
		if p, ok := one.point(now); ok {
			data.DataPoints = append(data.DataPoints, p)
		}
	}
	if len(data.DataPoints) == 0 {
		return nil, nil
	}
	i := instrument(routeDuration)
	return []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: scopeName},
		Metrics: []metricdata.Metrics{{Name: i.Name, Description: i.Meaning, Unit: i.Unit, Data: data}},
	}}, nil
}

// instrument finds a row of the table.
func instrument(name string) Instrument {
	for _, i := range Instruments {
		if i.Name == name {
			return i
		}
	}
	return Instrument{Name: name}
}
