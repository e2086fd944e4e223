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
		o.ObserveFloat64(m.gauges.of[nodeLive], 0)
		o.ObserveFloat64(m.gauges.of[nodeReady], 0)
		return nil // an error would cost the scrape its counters too
	}
	m.observeStatus(o, &s)
	return nil
}

// observeAges measures how long ago things happened, up to now, and how long heartbeats took.
func (m *Meters) observeAges(s *messages.NodeStatus, set func(string, float64, ...attribute.KeyValue)) {
	now, by := time.Now(), scoping(m.by.Load())
	unsaved := time.Duration(0)
	slowest := map[int]float64{}                                                           // by scope, in ms
	ages := map[string]map[int]time.Duration{lastDispatch: {}, lastAck: {}, lastHeard: {}} // by scope
	oldest := func(name string, shard *messages.ShardStatus, at time.Time) {
		if key := by.key(shard.ID, shard.Pool); !at.IsZero() {
			ages[name][key] = max(ages[name][key], now.Sub(at))
		}
	}
	silence := time.Duration(0)
	owes := func(since time.Time) {
		if !since.IsZero() {
			silence = max(silence, now.Sub(since))
		}
	}
	for i := range s.Shards {
		shard := &s.Shards[i]
		if !shard.Unsaved.IsZero() {
			unsaved = max(unsaved, now.Sub(shard.Unsaved))
		}
		if key := by.key(shard.ID, shard.Pool); shard.HeartbeatLatencyMS > 0 {
			slowest[key] = max(slowest[key], shard.HeartbeatLatencyMS)
		}
		oldest(lastDispatch, shard, shard.LastDispatch)
		oldest(lastAck, shard, m.LastAck(shard.ID))
		if shard.State == messages.Ready { // of the others the state says it, and the age of one that is halted would hide the silent ones
			oldest(lastHeard, shard, shard.LastHeard)
		}
		owes(shard.Unanswered)
	}
	for _, one := range s.Silent {
		owes(one.Since)
	}
	set(checkpointAge, unsaved.Seconds())
	set(actorSilence, silence.Seconds())
	for name, of := range ages {
		for key, age := range of {
			set(name, age.Seconds(), by.shardLabel(key)...)
		}
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
	set(spoolLimit, float64(s.Traffic.SpoolLimit))
	for _, w := range s.Traffic.Windows {
		of := attribute.String("stream", w.Stream)
		set(windowLimit, float64(w.Limit), of)
		set(windowEvents, float64(w.Used), of)
		set(windowBytes, float64(w.Bytes), of)
		set(windowWaiting, float64(w.Waiting), of)
	}
	age := 0.0
	if !s.Traffic.SpoolSince.IsZero() {
		age = time.Since(s.Traffic.SpoolSince).Seconds()
	}
	set(spoolAge, age)
	if s.ClockOffset != nil {
		set(clockOffset, s.ClockOffset.Seconds())
	}
	for name, yes := range map[string]bool{spoolFull: s.Traffic.SpoolFull, natsConnected: s.NATSConnected, nodeLive: s.Live, nodeReady: s.IsReady} {
		set(name, one(yes))
	}
	if s.Budget.Total > 0 {
		set(budgetLeft, float64(s.Budget.Remaining))
		set(budgetLimit, float64(s.Budget.Total))
	}
	set(identifyQueue, float64(s.Budget.Waiting))
	set(identifyETA, max(s.Budget.ETA.Seconds(), 0))
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
	for pool, epoch := range l.Epochs {
		set(leaseEpoch, float64(epoch), attribute.String("pool_id", strconv.Itoa(pool)))
	}
	for name, n := range map[string]uint64{leaseAcquired: l.Acquired, leaseHanded: l.HandedOver, leaseLost: l.Lost, leaseRanOut: l.RanOut} {
		o.ObserveInt64(m.counters[name], int64(n))
	}
	for outcome, n := range map[string]uint64{"renewed": l.Renewed, "unknown": l.RenewUnknown, "lost": l.RenewLost} {
		o.ObserveInt64(m.counters[leaseRenewals], int64(n), metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}
