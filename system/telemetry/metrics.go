package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Meters are the instruments of one node. Any goroutine may call its methods; none of them blocks, and
// after the first event of a kind on a shard none allocates. A nil *Meters counts nothing.
//
// Counters are plain atomics that a scrape reads through OpenTelemetry's observable counters: the same
// numbers feed the status page, and an event costs one atomic addition instead of an attribute lookup.
//
// A shard is given as (shardID, poolID), because it depends on the configuration which of the two is
// the label. Node in place of shardID stands for the node as a whole.
type Meters struct {
	auto     bool                           // by follows the number of shards
	by       atomic.Uint32                  // a scoping
	scopes   atomic.Pointer[map[int]*scope] // copied on write
	counters map[string]metric.Int64ObservableCounter
	rates    rates
	failures *cell // gateway_route_failures_total
	saved    *cell // gateway_checkpoints_total
	unsaved  *cell // the same, failed
	summed   *cell // gateway_spans_summed_total
	exports  map[string]*cell
	closes   family // gateway_close_codes_total

	acks              instants // of the newest acknowledgement
	permits, backoffs *histogram

	heartbeat atomic.Int64 // Unix ns of the newest acknowledged heartbeat
	status    atomic.Pointer[StatusFunc]
	gauges    gauges
	log       *slog.Logger

	lock  sync.Mutex // guards cells, and whoever replaces scopes or a scope's maps
	cells []*cell

	histograms []*histogram // guarded by lock
}

// StatusFunc answers with what the node is at the moment, until ctx ends.
type StatusFunc func(ctx context.Context) (messages.NodeStatus, error)

// Node is the shardID of what belongs to no shard.
const Node = -1

// statusDeadline is how long a scrape waits for the node's status; without it the gauges are absent.
const statusDeadline = 2 * time.Second

// scoping says which label tells shards apart.
type scoping uint8

const (
	byShard scoping = iota
	byPool
	byNothing
)

func scopingOf(shardLabels string, shards int) (by scoping, auto bool, err error) {
	switch shardLabels {
	case "never":
		return byNothing, false, nil
	case "always":
		return byShard, false, nil
	case "auto", "":
		return automatic(shards), true, nil
	}
	return 0, false, fmt.Errorf("telemetry: shard labels: %q is none of auto, always, never", shardLabels)
}

func automatic(shards int) scoping {
	if shards > MaxShardLabels {
		return byPool
	}
	return byShard
}

func newMeters(meter metric.Meter, by scoping, auto bool, version string, log *slog.Logger) (*Meters, error) {
	m := &Meters{auto: auto, counters: map[string]metric.Int64ObservableCounter{}, log: log}
	m.by.Store(uint32(by))
	m.scopes.Store(&map[int]*scope{})
	m.rates.start(time.Now())
	m.gauges.build = metric.WithAttributes(attribute.String("version", version), attribute.String("go_version", runtime.Version()))
	m.gauges.of = map[string]metric.Float64ObservableGauge{}
	var all []metric.Observable
	var err error
	for _, i := range Instruments {
		unit, meaning := metric.WithUnit(i.Unit), metric.WithDescription(i.Meaning)
		switch i.Kind {
		case Histogram:
			// Each scope has one of its own: see histograms.
		case Counter:
			m.counters[i.Name], err = meter.Int64ObservableCounter(i.Name, unit, meaning)
			all = append(all, m.counters[i.Name])
		case Gauge:
			m.gauges.of[i.Name], err = meter.Float64ObservableGauge(i.Name, unit, meaning)
			all = append(all, m.gauges.of[i.Name])
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", i.Name, err)
		}
	}
	m.failures = m.newCell(routeFailures, "", nil)
	m.saved = m.newCell(checkpoints, Saved, []attribute.KeyValue{attribute.String("outcome", Saved)})
	m.unsaved = m.newCell(checkpoints, Failed, []attribute.KeyValue{attribute.String("outcome", Failed)})
	m.summed = m.newCell(spansSummed, "", nil)
	m.exports = map[string]*cell{}
	for _, s := range []signal{traces, metrics, logs} {
		m.exports[string(s)] = m.newCell(exportFailures, string(s), []attribute.KeyValue{attribute.String("signal", string(s))})
	}
	m.closes = family{meters: m, counter: closeCodes, key: "code"}
	m.permits, m.backoffs = newHistogram(permits, attribute.NewSet()), newHistogram(backoffs, attribute.NewSet())
	m.histograms = append(m.histograms, m.permits, m.backoffs)
	_, err = meter.RegisterCallback(m.observe, all...)
	return m, err
}

// Received counts a dispatch that was read. The read goroutine calls it once per dispatch.
func (m *Meters) Received(shardID, poolID int, k *messages.Kind) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).received.of(k).add(1)
}

// Routed counts an event that JetStream acknowledged at an instant, took after its frame was read.
func (m *Meters) Routed(shardID, poolID int, at time.Time, took time.Duration) {
	if m == nil {
		return
	}
	s := m.scope(shardID, poolID)
	s.routed.add(1)
	s.route.record(took)
	m.rates.record(at, took)
	m.acks.set(shardID, at)
}

// Filtered counts a dispatch that the configuration keeps back.
func (m *Meters) Filtered(shardID, poolID int) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).filtered.add(1)
}

// Shed counts an event that was dropped because the spool was full.
func (m *Meters) Shed(shardID, poolID int, k *messages.Kind) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).shed.of(k).add(1)
}

// Late counts an interaction that was published too late for an answer.
func (m *Meters) Late(shardID, poolID int) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).late.add(1)
}

// Oversize counts an event that was published without its data.
func (m *Meters) Oversize(shardID, poolID int, k *messages.Kind) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).oversize.of(k).add(1)
}

// RouteFailure counts n failed attempts to publish.
func (m *Meters) RouteFailure(n int) {
	if m == nil {
		return
	}
	m.failures.add(n)
}

// Error counts an error. errorType is one of the Err constants or comes from CloseType; anything else
// counts as ErrOther, so that no text of an error can become a label.
func (m *Meters) Error(shardID, poolID int, errorType string) {
	if m == nil {
		return
	}
	if !knownErrors[errorType] {
		errorType = ErrOther
	}
	m.scope(shardID, poolID).errors.named(errorType).add(1)
}

// Gap counts a gap that is published, by its reason: one of messages.GapReasons; anything else counts as other.
func (m *Meters) Gap(shardID, poolID int, reason string) {
	if m == nil {
		return
	}
	gaps := m.scope(shardID, poolID).gaps
	if gaps[reason] == nil {
		reason = ErrOther
	}
	gaps[reason].add(1)
}

// Checkpoint counts a checkpoint by its outcome: Saved; anything else is Failed.
func (m *Meters) Checkpoint(outcome string) {
	if m == nil {
		return
	}
	if outcome == Saved {
		m.saved.add(1)
		return
	}
	m.unsaved.add(1)
}

// SequenceGap counts a jump in a session's sequence numbers.
func (m *Meters) SequenceGap(shardID, poolID int) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).jumps.add(1)
}

// Shards tells how many shards this node may come to hold, where New could not know because Discord had not
// been asked yet. Only ShardLabels "auto" depends on it. It has to come before the first shard counts
// anything: a label that changed its meaning halfway would be worse than an expensive one, so later calls do nothing.
func (m *Meters) Shards(n int) {
	if m == nil || !m.auto {
		return
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	for key := range *m.scopes.Load() {
		if key != Node {
			return
		}
	}
	m.by.Store(uint32(automatic(n)))
}

// Observe names the function that the gauges are read from, once per scrape. It has statusDeadline to answer;
// when it returns an error, the gauges are absent from that scrape rather than old.
func (m *Meters) Observe(status StatusFunc) {
	if m == nil {
		return
	}
	m.status.Store(&status)
}

// shardLabel returns the label of a scope by its key.
func (b scoping) shardLabel(key int) []attribute.KeyValue {
	switch {
	case key < 0, b == byNothing:
		return nil
	case b == byPool:
		return []attribute.KeyValue{attribute.String("pool_id", strconv.Itoa(key))}
	}
	return []attribute.KeyValue{attribute.String("shard_id", strconv.Itoa(key))}
}
