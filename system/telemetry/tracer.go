package telemetry

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans of one node: of each connection's way to READY (Life), and of events. Whether an event is sampled is
// decided before anything is made for it. A nil Tracer makes none. Any goroutine may call its methods; none of them blocks, since
// what the exporter does not take in time is dropped.
type Tracer struct {
	tracer trace.Tracer
	bound  uint64 // of 1<<63: below it an event is sampled
	meters *Meters
	node   string
	clean  scrubbed // of texts of errors; a handler is not in it

	tail tail
}

// newTracer keeps secrets out of the texts of errors, by the rules of the log.
func newTracer(t trace.Tracer, share float64, meters *Meters, node string, secrets ...string) *Tracer {
	return &Tracer{tracer: t, bound: uint64(share * (1 << 63)), meters: meters, node: node, clean: newScrubbed(nil, secrets)}
}

// Sample decides on one event: nil, it is not sampled. The decision follows from the trace's id, as OpenTelemetry's
// TraceIDRatioBased decides, so that another service with the same share agrees.
func (t *Tracer) Sample() *messages.Trace {
	if t == nil || t.bound == 0 {
		return nil
	}
	if id := rand.Uint64(); id>>1 < t.bound {
		return fresh(id)
	}
	return nil
}

// fresh makes ids, of which the low half of the trace's is given.
func fresh(low uint64) *messages.Trace {
	of := &messages.Trace{}
	binary.BigEndian.PutUint64(of.TraceID[:8], rand.Uint64())
	binary.BigEndian.PutUint64(of.TraceID[8:], low)
	binary.BigEndian.PutUint64(of.SpanID[:], rand.Uint64()|1) // never 0, which names no span
	of.TraceID[0] |= 1
	return of
}

// Delivered records the span of an event that is stored, or dropped: of one that was sampled, and, by the tail rule, of one that was
// slow, sent more than once, or dropped. Of the latter up to tailRate a second have a span of their own; the others of a second have
// one together (see tail). Their messages are stored by then, so that no worker's span continues them.
func (t *Tracer) Delivered(d *messages.Delivery, poolID int) {
	if t == nil {
		return
	}
	kept := "sampled"
	if d.Trace == nil {
		kept = "slow"
		switch {
		case d.Shed:
			kept = "shed"
		case d.Sends > 1:
			kept = "retried"
		}
		if !t.tail.admit(d, t.heldUp) {
			t.meters.SpanSummed()
			return
		}
		d.Trace = fresh(rand.Uint64())
	}
	_, span := t.tracer.Start(context.WithValue(context.Background(), given{}, d.Trace), "publish "+d.Kind.Label,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(d.Read), trace.WithAttributes(
			attribute.String("messaging.system", "nats"),
			attribute.String("messaging.operation.type", "send"),
			attribute.String("messaging.destination.name", d.Subject),
			attribute.String("messaging.message.id", d.ID),
			attribute.String("drover.event_type", d.Kind.Type),
			attribute.Int("drover.shard_id", d.ShardID),
			attribute.Int("drover.pool_id", poolID),
			attribute.Int64("drover.seq", d.Seq),
			attribute.Int("drover.sends", d.Sends),
			attribute.Bool("drover.spooled", d.Spooled),
			attribute.String("drover.kept", kept),
		))
	if !d.Sent.IsZero() {
		span.AddEvent("sent", trace.WithTimestamp(d.Sent))
	}
	switch {
	case d.Shed:
		span.SetStatus(codes.Error, "dropped: the spool is full, and backpressure.shed names this event")
	case d.Sends > 1:
		span.SetStatus(codes.Error, "sent more than once: a publish failed, or was not acknowledged in time")
	}
	span.End(trace.WithTimestamp(d.Acked))
	if !d.Shed {
		t.meters.exemplar(d, poolID)
	}
}

// heldUp records the events that the tail rule has no spans for, together.
func (t *Tracer) heldUp(s summary) {
	_, span := t.tracer.Start(context.Background(), "publishing held up", trace.WithTimestamp(s.from), trace.WithAttributes(
		attribute.String("drover.node", t.node),
		attribute.String("drover.kept", "summed"),
		attribute.Int("drover.events", s.events),
		attribute.Int("drover.events.retried", s.retried),
		attribute.Int("drover.events.shed", s.shed),
		attribute.Float64("drover.slowest_s", s.slowest.Seconds()),
	))
	if s.retried+s.shed > 0 {
		span.SetStatus(codes.Error, "publishes failed, or were not acknowledged in time, or events were dropped")
	}
	span.End(trace.WithTimestamp(s.to))
}

// flush records what the tail rule has summed up so far.
func (t *Tracer) flush() {
	if t != nil {
		t.tail.flush(t.heldUp)
	}
}

// Interrupted records that publishing had stopped, and why, until everything unacknowledged was sent again. Each of the events that
// this held up for long has a span of its own, by the tail rule.
func (t *Tracer) Interrupted(from, to time.Time, why error) {
	if t == nil {
		return
	}
	_, span := t.tracer.Start(context.Background(), "publishing interrupted", trace.WithTimestamp(from), trace.WithAttributes(attribute.String("drover.node", t.node)))
	text := "the connection to NATS was lost"
	if why != nil {
		text = t.clean.text(scrubString(why.Error()))
	}
	span.SetStatus(codes.Error, text)
	span.End(trace.WithTimestamp(to))
}

// given is the key of the ids that a span must have.
type given struct{}

// ids is the SDK's generator: a span that has ids already, which are in its message, keeps them.
type ids struct{}

// NewIDs implements sdktrace.IDGenerator.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	of, ok := ctx.Value(given{}).(*messages.Trace)
	if !ok {
		of = fresh(rand.Uint64())
	}
	return of.TraceID, of.SpanID
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return fresh(0).SpanID }
