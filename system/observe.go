package system

import (
	"context"
	"log/slog"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system/stream"
	"drover/system/telemetry"
)

// exported translates the configuration of what leaves the process.
func exported(c config.Telemetry) telemetry.Export {
	return telemetry.Export{
		Traces: c.Traces, Metrics: c.Metrics, Logs: c.Logs, Endpoint: c.Endpoint.Reveal(), Protocol: c.Protocol,
		Sampler: c.Sampler, Ratio: c.SamplerArg,
	}
}

// Log is the node's log, which is exported as well where the configuration says so. It is Options.Log otherwise.
func (s *System) Log() *slog.Logger { return s.log }

// lastExport is how long a node that stops waits for whoever receives its telemetry, once for metrics and once for the rest. Too high:
// it is killed before it has ended.
const lastExport = time.Second

// endMetrics exports the last metrics. The actors are still there to be asked for the gauges.
func (s *System) endMetrics() { s.export(s.telemetry.EndMetrics) }

// closeTelemetry exports what is left, when nobody makes any more.
func (s *System) closeTelemetry() { s.export(s.telemetry.Shutdown) }

func (s *System) export(last func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), lastExport)
	defer cancel()
	if err := last(ctx); err != nil {
		s.o.Log.Warn("the last telemetry was not exported", "err", err)
	}
}

// traced has the publisher tell of events that are worth a span, where traces are on.
func (s *System) traced(o *stream.PublisherOptions) {
	t := s.telemetry.Tracer
	if t == nil {
		return
	}
	o.Slow = s.cfg.Telemetry.Slow
	o.OnDelivered = func(d messages.Delivery) { t.Delivered(&d, s.cfg.Pool.PoolOf(d.ShardID)) }
}

// routed counts an acknowledged event, on NATS' goroutine.
func (s *System) routed(a stream.Ack) {
	s.telemetry.Meters.Routed(a.ShardID, s.cfg.Pool.PoolOf(a.ShardID), a.At, a.Took)
	if s.o.Acked != nil && a.Seq > 0 {
		s.o.Acked(a.ShardID, a.Seq)
	}
}
