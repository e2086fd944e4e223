package telemetry

import (
	"maps"
	"slices"
	"sync/atomic"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// cell is one series of a counter. It is as large as a cache line, so that two shards that count do
// not slow each other down.
type cell struct {
	n       atomic.Int64
	counter metric.Int64ObservableCounter
	labels  []metric.ObserveOption
	name    string // the value of the label that only this counter has: an event type
	node    bool   // of the node as a whole, in a counter whose series carry a shard
}

func (c *cell) add(n int) { c.n.Add(int64(n)) }

// scope holds the series that share a shard label. All but the families exist from the start, so that
// a rate over the first increment is right.
type scope struct {
	received, oversize, shed, errors   family
	routed, filtered, identifies, late *cell
	resumed, invalid, failed           *cell
	gaps, dials, restarts              map[string]*cell // by reason, outcome, class
	jumps, bytes, inflated             *cell
	route                              *histogram
}

// scope finds or makes the scope of a shard.
func (m *Meters) scope(shardID, poolID int) *scope {
	if s := (*m.scopes.Load())[scoping(m.by.Load()).key(shardID, poolID)]; s != nil {
		return s
	}
	return m.newScope(shardID, poolID)
}

// key is what tells the scopes apart: a shard, a pool, or nothing.
func (b scoping) key(shardID, poolID int) int {
	switch {
	case shardID < 0:
		return Node
	case b == byPool:
		return poolID
	case b == byNothing:
		return 0
	}
	return shardID
}

func (m *Meters) newScope(shardID, poolID int) *scope {
	m.lock.Lock()
	defer m.lock.Unlock()
	by := scoping(m.by.Load())
	key := by.key(shardID, poolID)
	known := *m.scopes.Load()
	if s := known[key]; s != nil {
		return s
	}
	label := by.shardLabel(key)
	s := &scope{
		received: family{meters: m, counter: eventsReceived, key: "event_type", scope: label},
		shed:     family{meters: m, counter: eventsShed, key: "event_type", scope: label},
		oversize: family{meters: m, counter: eventsOversize, key: "event_type", scope: label},
		errors:   family{meters: m, counter: errorsTotal, key: "error_type", scope: label},
		route:    newHistogram(routes, attribute.NewSet(label...)),
	}
	m.histograms = append(m.histograms, s.route)
	s.routed = m.newCell(eventsRouted, "", label)
	s.filtered = m.newCell(eventsFiltered, "", label)
	s.identifies = m.newCell(identifies, "", label)
	s.late = m.newCell(lateClicks, "", label)
	s.jumps = m.newCell(sequenceGaps, "", label)
	outcome := func(o string) *cell {
		return m.newCell(resumes, o, append(slices.Clone(label), attribute.String("outcome", o)))
	}
	s.resumed, s.invalid, s.failed = outcome(Resumed), outcome(Invalid), outcome(Failed)
	s.bytes, s.inflated = m.newCell(receivedBytes, "", label), m.newCell(inflatedBytes, "", label)
	all := []*cell{s.routed, s.filtered, s.identifies, s.late, s.jumps, s.resumed, s.invalid, s.failed, s.bytes, s.inflated}
	each := func(counter, key string, values ...string) map[string]*cell {
		cells := map[string]*cell{}
		for _, value := range values {
			cells[value] = m.newCell(counter, value, append(slices.Clone(label), attribute.String(key, value)))
		}
		all = slices.AppendSeq(all, maps.Values(cells))
		return cells
	}
	s.gaps = each(sessionGaps, "reason", append([]string{ErrOther}, messages.GapReasons...)...)
	s.dials = each(dials, "outcome", Connected, Refused, TimedOut, Failed, Abandoned)
	s.restarts = each(restarts, "class", ClassFailure, ClassPanic)
	for _, c := range all {
		c.node = by != byNothing && key < 0
	}
	next := maps.Clone(known)
	next[key] = s
	m.scopes.Store(&next)
	return s
}

// newCell makes a series. The lock is held, except while newMeters runs.
func (m *Meters) newCell(counter, name string, labels []attribute.KeyValue) *cell {
	c := &cell{counter: m.counters[counter], labels: []metric.ObserveOption{metric.WithAttributes(labels...)}, name: name}
	m.cells = append(m.cells, c)
	return c
}

// family holds the series of one counter in one scope, by the label that only this counter has.
type family struct {
	meters  *Meters
	counter string
	key     string
	scope   []attribute.KeyValue

	names atomic.Pointer[map[string]*cell] // copied on write
	kinds atomic.Pointer[[]*cell]          // the same cells, by Kind.Number; copied on write
}

// of returns the series of a kind. Of the many pools of a node each has a family of its own, so little of it is in a cache: a
// table takes fewer accesses to memory than a map.
func (f *family) of(k *messages.Kind) *cell {
	if kinds := f.kinds.Load(); kinds != nil && k.Number < len(*kinds) {
		if c := (*kinds)[k.Number]; c != nil {
			return c
		}
	}
	c := f.named(k.Label)
	if k.Number == 0 {
		return c
	}
	f.meters.lock.Lock()
	defer f.meters.lock.Unlock()
	var known []*cell
	if kinds := f.kinds.Load(); kinds != nil {
		known = *kinds
	}
	next := make([]*cell, max(len(known), k.Number+1))
	copy(next, known)
	next[k.Number] = c
	f.kinds.Store(&next)
	return c
}

// named returns the series of a label's value.
func (f *family) named(value string) *cell {
	if names := f.names.Load(); names != nil {
		if c := (*names)[value]; c != nil {
			return c
		}
	}
	f.meters.lock.Lock()
	defer f.meters.lock.Unlock()
	if names := f.names.Load(); names != nil {
		if c := (*names)[value]; c != nil {
			return c // another goroutine was faster
		}
	}
	c := f.meters.newCell(f.counter, value, append(slices.Clone(f.scope), attribute.String(f.key, value)))
	next := map[string]*cell{}
	if names := f.names.Load(); names != nil {
		next = maps.Clone(*names)
	}
	next[value] = c
	f.names.Store(&next)
	return c
}
