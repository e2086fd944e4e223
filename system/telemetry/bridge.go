package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// traced puts the ids of the span that a line belongs to behind its other keys.
type traced struct{ slog.Handler }

// Handle implements slog.Handler.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if of := trace.SpanContextFromContext(ctx); of.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", of.TraceID().String()), slog.String("span_id", of.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }

// both writes each line to two handlers. What the first does not want the second does not get: they have one level.
type both struct{ first, second slog.Handler }

// Enabled implements slog.Handler.
func (b both) Enabled(ctx context.Context, level slog.Level) bool { return b.first.Enabled(ctx, level) }

// Handle implements slog.Handler.
func (b both) Handle(ctx context.Context, r slog.Record) error {
	return errors.Join(b.first.Handle(ctx, r.Clone()), b.second.Handle(ctx, r))
}

// WithAttrs implements slog.Handler.
func (b both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{b.first.WithAttrs(attrs), b.second.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (b both) WithGroup(name string) slog.Handler {
	return both{b.first.WithGroup(name), b.second.WithGroup(name)}
}

// scrubbed keeps secrets out of a handler that does not write lines: there the values themselves must be clean. It follows the
// rules of NewLogger.
type scrubbed struct {
	slog.Handler
	secrets []string // longer than minSecret
	groups  []string
}

func newScrubbed(to slog.Handler, secrets []string) scrubbed {
	s := scrubbed{Handler: to}
	for _, secret := range secrets {
		if secret = strings.TrimPrefix(strings.TrimSpace(secret), "Bot "); len(secret) >= minSecret {
			s.secrets = append(s.secrets, forms(secret)...)
		}
	}
	return s
}

// Handle implements slog.Handler.
func (s scrubbed) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, s.text(scrubString(r.Message)), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(s.attr(s.groups, a))
		return true
	})
	return s.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (s scrubbed) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = s.attr(s.groups, a)
	}
	s.Handler = s.Handler.WithAttrs(clean)
	return s
}

// WithGroup implements slog.Handler.
func (s scrubbed) WithGroup(name string) slog.Handler {
	s.Handler = s.Handler.WithGroup(name)
	s.groups = append(s.groups[:len(s.groups):len(s.groups)], name)
	return s
}

// attr is an attribute without secrets, of plain kinds only: what is a structure becomes its JSON.
func (s scrubbed) attr(groups []string, a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() == slog.KindGroup {
		inner := a.Value.Group()
		clean := make([]slog.Attr, len(inner))
		for i := range inner {
			clean[i] = s.attr(append(groups[:len(groups):len(groups)], a.Key), inner[i])
		}
		a.Value = slog.GroupValue(clean...)
		return a
	}
	a = scrub(groups, a)
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(s.text(a.Value.String()))
	case slog.KindAny:
		text, err := json.Marshal(a.Value.Any())
		if err != nil {
			text = []byte(`"` + redacted + `"`)
		}
		a.Value = slog.StringValue(s.text(string(text)))
	}
	return a
}

func (s scrubbed) text(of string) string {
	for _, secret := range s.secrets {
		of = strings.ReplaceAll(of, secret, redacted)
	}
	return of
}
