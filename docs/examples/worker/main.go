// Worker is an example: it reads drover's events from JetStream, and continues the trace of each one that is sampled.
//
//	NATS_URL=nats://127.0.0.1:4222 OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 go run ./docs/examples/worker
//
// Copy it: it imports nothing of drover. A test runs it against a real node (system/telemetry/continued_test.go).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// envelope is what drover publishes; see docs/events.md.
type envelope struct {
	EventID   string          `json:"event_id"`
	EventType string          `json:"event_type"`
	ShardID   int             `json:"shard_id"`
	GuildID   *string         `json:"guild_id"`
	Data      json.RawMessage `json:"data"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("worker failed", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tracer, shutdown, err := tracing(ctx)
	if err != nil {
		return err
	}
	defer shutdown()
	nc, err := nats.Connect(os.Getenv("NATS_URL")) // empty is an error that says so
	if err != nil {
		return fmt.Errorf("worker: nats: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("worker: jetstream: %w", err)
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "EVENTS", jetstream.ConsumerConfig{Durable: "example-worker"})
	if err != nil {
		return fmt.Errorf("worker: consumer: %w", err)
	}
	reading, err := consumer.Consume(func(m jetstream.Msg) { handle(ctx, tracer, m) })
	if err != nil {
		return fmt.Errorf("worker: consume: %w", err)
	}
	defer reading.Stop()
	slog.Info("worker reads", "stream", "EVENTS")
	<-ctx.Done()
	return nil
}

// tracing exports by OTLP, or as OTEL_TRACES_EXPORTER says. drover has decided which events are sampled: the worker follows.
func tracing(ctx context.Context) (trace.Tracer, func(), error) {
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("worker: exporter: %w", err)
	}
	of, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "example-worker")), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("worker: resource: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(of), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())),
	)
	shutdown := func() {
		last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := provider.Shutdown(last); err != nil {
			slog.Warn("spans not exported", "err", err)
		}
	}
	return provider.Tracer("example-worker"), shutdown, nil
}

// headers lets OpenTelemetry read a NATS message. Its own carrier for HTTP would look for Traceparent: NATS keeps the case of names.
type headers nats.Header

func (h headers) Get(key string) string { return nats.Header(h).Get(key) }
func (h headers) Set(key, value string) { nats.Header(h).Set(key, value) }
func (h headers) Keys() (keys []string) {
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

// handle works on one event in a span that continues drover's.
func handle(ctx context.Context, tracer trace.Tracer, m jetstream.Msg) {
	ctx = propagation.TraceContext{}.Extract(ctx, headers(m.Headers()))
	ctx, span := tracer.Start(ctx, "process "+m.Subject(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", m.Subject()),
		attribute.String("messaging.message.id", m.Headers().Get("Nats-Msg-Id")),
	))
	defer span.End()
	if err := work(ctx, m.Data()); err != nil {
		span.SetStatus(codes.Error, err.Error())
		_ = m.Term() // it will not become readable
		return
	}
	_ = m.Ack() // one that is lost makes JetStream deliver the event again
}

// work is yours: what the bot does about an event. The same event may come twice; its event_id tells.
func work(ctx context.Context, body []byte) error {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return fmt.Errorf("worker: envelope: %w", err)
	}
	slog.DebugContext(ctx, "event", "event_type", e.EventType, "shard_id", e.ShardID)
	return nil
}
