package telemetry

import (
	"time"

	"drover/messages"
)

// What Meters count of connections and of telemetry itself, beside the events.

// LastAck is when the newest acknowledgement of one of a shard's events came; zero: there was none.
func (m *Meters) LastAck(shardID int) time.Time {
	if m == nil {
		return time.Time{}
	}
	return m.acks.of(shardID)
}

// exemplar makes a delivery, which Routed counts, the example of its bucket in the route histogram.
func (m *Meters) exemplar(d *messages.Delivery, poolID int) {
	if m == nil {
		return
	}
	m.scope(d.ShardID, poolID).route.exemplify(&exemplified{took: d.Acked.Sub(d.Read), at: d.Acked, of: *d.Trace})
}

// Dial counts a dial by its outcome: Connected, Refused, TimedOut, Abandoned; anything else is Failed.
func (m *Meters) Dial(shardID, poolID int, outcome string) {
	if m == nil {
		return
	}
	dials := m.scope(shardID, poolID).dials
	if dials[outcome] == nil {
		outcome = Failed
	}
	dials[outcome].add(1)
}

// Closed counts a connection that ended without us, by Discord's close code; 0: there was no close frame.
func (m *Meters) Closed(code int) {
	if m == nil {
		return
	}
	m.closes.named(closeLabel(code)).add(1)
}

// Restart counts a restart of a shard by its class: ClassPanic; anything else is ClassFailure.
func (m *Meters) Restart(shardID, poolID int, class string) {
	if m == nil {
		return
	}
	restarts := m.scope(shardID, poolID).restarts
	if restarts[class] == nil {
		class = ClassFailure
	}
	restarts[class].add(1)
}

// Backoff records how long a shard will wait before its next dial.
func (m *Meters) Backoff(wait time.Duration) {
	if m != nil {
		m.backoffs.record(max(wait, 0))
	}
}

// IdentifyWait records how long a shard has waited for its permit.
func (m *Meters) IdentifyWait(took time.Duration) {
	if m != nil {
		m.permits.record(took)
	}
}

// Bytes counts what the gateway sent, as it came and without its compression.
func (m *Meters) Bytes(shardID, poolID, wire, inflated int) {
	if m == nil {
		return
	}
	s := m.scope(shardID, poolID)
	s.bytes.add(wire)
	s.inflated.add(inflated)
}

// ExportFailure counts a batch that did not reach its receiver.
func (m *Meters) ExportFailure(signal string) {
	if m == nil || m.exports[signal] == nil {
		return
	}
	m.exports[signal].add(1)
}

// SpanSummed counts an event that the tail rule made no span of its own for.
func (m *Meters) SpanSummed() {
	if m != nil {
		m.summed.add(1)
	}
}

// HeartbeatAck notes that a heartbeat was acknowledged at the given time.
func (m *Meters) HeartbeatAck(at time.Time) {
	if m == nil {
		return
	}
	for now := at.UnixNano(); ; {
		last := m.heartbeat.Load()
		if now <= last || m.heartbeat.CompareAndSwap(last, now) {
			return
		}
	}
}

// Identify counts an IDENTIFY that was sent.
func (m *Meters) Identify(shardID, poolID int) {
	if m == nil {
		return
	}
	m.scope(shardID, poolID).identifies.add(1)
}

// Resume counts a RESUME by its outcome: Resumed or Invalid; anything else is Failed.
func (m *Meters) Resume(shardID, poolID int, outcome string) {
	if m == nil {
		return
	}
	s := m.scope(shardID, poolID)
	switch outcome {
	case Resumed:
		s.resumed.add(1)
	case Invalid:
		s.invalid.add(1)
	default:
		s.failed.add(1)
	}
}
