package telemetry

import (
	"context"

	"drover/messages"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Life is the trace of one connection of a shard, from the dial until it serves or has failed, with a span for each step:
//
//	connect ── dial, hello, permit, identify     a new session
//	        └─ dial, hello, resume               one that goes on
//
// One goroutine owns it. A nil Life records nothing; all methods may be called after the end, and do nothing.
type Life struct {
	tracer *Tracer
	ctx    context.Context // of the whole
	span   trace.Span      // nil: it has ended
	step   trace.Span      // nil: between two steps
}

// Connect begins the trace of a connection with its first step, the dial. session is the one that it will resume, or empty;
// of it only the first characters are told. after is why the connection before ended, in a word, or empty.
func (t *Tracer) Connect(shardID, poolID int, session string, connection uint64, after string) *Life {
	if t == nil {
		return nil
	}
	l := &Life{tracer: t}
	l.ctx, l.span = t.tracer.Start(context.Background(), "connect", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.Int("drover.shard_id", shardID),
		attribute.Int("drover.pool_id", poolID),
		attribute.String("drover.node", t.node),
		attribute.String("drover.session", messages.ShortSession(session)),
		attribute.Int64("drover.connection", int64(connection)),
		attribute.String("drover.after", after),
	))
	l.Step("dial")
	return l
}

// Step ends the step before, which went well, and begins the next.
func (l *Life) Step(name string) {
	if l == nil || l.span == nil {
		return
	}
	l.endStep()
	_, l.step = l.tracer.tracer.Start(l.ctx, name, trace.WithSpanKind(trace.SpanKindClient))
}

// Ready ends the trace: the shard serves. how is identified or resumed.
func (l *Life) Ready(how, session string) {
	if l == nil || l.span == nil {
		return
	}
	l.endStep()
	l.span.AddEvent("ready")
	l.span.SetAttributes(attribute.String("drover.outcome", how), attribute.String("drover.session", messages.ShortSession(session)))
	l.end()
}

// Fail ends the trace, and the step that it had come to, with an error. reason is one word, closeCode Discord's or 0, text for people.
func (l *Life) Fail(reason string, closeCode int, text string) {
	if l == nil || l.span == nil {
		return
	}
	text = l.tracer.clean.text(scrubString(text))
	if l.step != nil {
		l.step.SetStatus(codes.Error, text)
		l.endStep()
	}
	l.span.SetAttributes(attribute.String("drover.outcome", "failed"), attribute.String("error.type", reason))
	if closeCode != 0 {
		l.span.SetAttributes(attribute.Int("drover.close_code", closeCode))
	}
	l.span.SetStatus(codes.Error, text)
	l.end()
}

// Context carries the trace to the log: a line with it has the trace's id, also after its end.
func (l *Life) Context() context.Context {
	if l == nil {
		return context.Background()
	}
	return l.ctx
}

func (l *Life) endStep() {
	if l.step != nil {
		l.step.End()
		l.step = nil
	}
}

func (l *Life) end() {
	l.span.End()
	l.span = nil
}
