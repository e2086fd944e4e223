package telemetry

import (
	"context"
	"strconv"
	"time"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// gauges are the instruments whose values are asked for at each scrape.
type gauges struct {
	of    map[string]metric.Float64ObservableGauge
	build metric.MeasurementOption
}

// observe is called by the SDK at each scrape: it reads the counters, and the gauges from the node's status.
func (m *Meters) observe(ctx context.Context, o metric.Observer) error {
	m.lock.Lock()
	cells := m.cells[:len(m.cells):len(m.cells)] // only ever appended to
	m.lock.Unlock()
	for _, c := range cells {
		if c.node && c.n.Load() == 0 {
			continue // a counter of shards: the node as a whole has none of its own
		}
		o.ObserveInt64(c.counter, c.n.Load(), c.labels...)
	}
	o.ObserveFloat64(m.gauges.of[buildInfo], 1, m.gauges.build)
	if at := m.heartbeat.Load(); at > 0 {
		o.ObserveFloat64(m.gauges.of[lastHeartbeat], float64(at)/1e9)
	}
	status := m.status.Load()
	if status == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	s, err := (*status)(ctx)
	if err != nil {
		m.log.WarnContext(ctx, "scrape without gauges: the node did not answer", "err", err)
		return nil // an error would cost the scrape its counters too
	}
	m.observeStatus(o, &s)
	return nil
}

// observeAges measures how long ago things happened, up to now, and how long heartbeats took.
func (m *Meters) observeAges(s *messages.NodeStatus, set func(string, float64, ...attribute.KeyValue)) {
	now, by := time.Now(), scoping(m.by.Load())
	unsaved := time.Duration(0)
	quiet := map[int]time.Duration{} // by scope
	slowest := map[int]float64{}     // by scope, in ms
	for i := range s.Shards {
		shard := &s.Shards[i]
		if !shard.Unsaved.IsZero() {
			unsaved = max(unsaved, now.Sub(shard.Unsaved))
		}
		key := by.key(shard.ID, shard.Pool)
		if shard.HeartbeatLatencyMS > 0 {
			slowest[key] = max(slowest[key], shard.HeartbeatLatencyMS)
		}
		if !shard.LastDispatch.IsZero() {
			quiet[key] = max(quiet[key], now.Sub(shard.LastDispatch))
		}
	}
	set(checkpointAge, unsaved.Seconds())
	for key, age := range quiet {
		set(lastDispatch, age.Seconds(), by.shardLabel(key)...)
	}
	for key, took := range slowest {
		set(heartbeatTook, took/1e3, by.shardLabel(key)...)
	}
}

func (m *Meters) observeStatus(o metric.Observer, s *messages.NodeStatus) {
	set := func(name string, value float64, labels ...attribute.KeyValue) {
		o.ObserveFloat64(m.gauges.of[name], value, metric.WithAttributes(labels...))
	}
	ready := map[int]int{}
	states := map[messages.State]int{}
	for i := range s.Shards {
		shard := &s.Shards[i]
		states[shard.State]++
		if shard.State == messages.Ready {
			ready[shard.Pool]++
		} else {
			ready[shard.Pool] += 0 // a pool without a ready shard is a 0, not an absence
		}
	}
	m.observeAges(s, set)
	for pool, n := range ready {
		set(shardsReady, float64(n), attribute.String("pool_id", strconv.Itoa(pool)))
	}
	for _, state := range messages.AllStates {
		set(shardState, float64(states[state]), attribute.String("state", string(state)))
	}
	set(guilds, float64(s.GuildsTotal))
	set(unackedEvents, float64(s.Traffic.Unacked))
	set(spoolEvents, float64(s.Traffic.Spooled))
	set(spoolBytes, float64(s.Traffic.SpoolBytes))
	age, full := 0.0, 0.0
	if !s.Traffic.SpoolSince.IsZero() {
		age = time.Since(s.Traffic.SpoolSince).Seconds()
	}
	if s.Traffic.SpoolFull {
		full = 1
	}
	set(spoolAge, age)
	set(spoolFull, full)
	set(spoolLimit, float64(s.Traffic.SpoolLimit))
	if s.ClockOffset != nil {
		set(clockOffset, s.ClockOffset.Seconds())
	}
	connected := 0.0
	if s.NATSConnected {
		connected = 1
	}
	set(natsConnected, connected)
	if s.Budget.Total > 0 {
		set(budgetLeft, float64(s.Budget.Remaining))
		set(budgetLimit, float64(s.Budget.Total))
	}
	set(identifyHeld, float64(s.Budget.Held))
	if s.Leases != nil {
		m.observeLeases(o, s.Leases, set)
	}
}

func (m *Meters) observeLeases(o metric.Observer, l *messages.Leases, set func(string, float64, ...attribute.KeyValue)) {
	set(poolsOfBot, float64(l.Pools))
	set(leaseHeld, float64(l.Held))
	if l.Held > 0 {
		set(leaseRemaining, l.Remaining.Seconds())
	}
	for name, n := range map[string]uint64{leaseAcquired: l.Acquired, leaseHanded: l.HandedOver, leaseLost: l.Lost, leaseRanOut: l.RanOut} {
		o.ObserveInt64(m.counters[name], int64(n))
	}
	for outcome, n := range map[string]uint64{"renewed": l.Renewed, "unknown": l.RenewUnknown, "lost": l.RenewLost} {
		o.ObserveInt64(m.counters[leaseRenewals], int64(n), metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}
