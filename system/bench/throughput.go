package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// windows are those of the raw publisher; the one with the best median counts.
var windows = [...]int{256, 4096, 16384}

// botShare is how many of drover's events come to one of the bot's, which takes ten times as long for each.
const botShare = 5

// warmUp is how many events go through before anything is measured: buffers have grown, and code is in the caches.
func (r *run) warmUp() int { return r.o.pick(20_000, 2000) }

// laps is how often a round's race measures each of the rows that it compares, and closely those of which the ratio must be near 1: one
// lap differs from the next by a tenth or more.
const laps, closely = 3, 6

// throughput adds its rows to the list of a round.
func (r *run) throughput() []row {
	var list []row
	add := func(name string, laps int, open func(ctx context.Context, dir string) (contender, error)) {
		list = append(list, row{name: name, laps: r.o.pick(laps, 1), warm: !r.o.Quick && laps > 1, open: open})
	}
	client := func(name string, laps, events int, with setting) {
		add(name, laps, func(ctx context.Context, dir string) (contender, error) {
			return r.openSaturated(ctx, dir, with, events)
		})
	}
	for _, window := range windows {
		add(rawRow(window), laps, func(ctx context.Context, dir string) (contender, error) { return r.openRaw(ctx, dir, window) })
	}
	client("drover zstd-stream", laps, r.o.Events, setting{compress: "zstd-stream", profile: r.o.Profile})
	client("drover zlib-stream", laps, r.o.Events, setting{compress: "zlib-stream", profile: r.o.Profile})
	client("drover none", closely, r.o.Events, setting{compress: "none", profile: r.o.Profile})
	client(tracedRow, closely, r.o.Events, setting{compress: "none", profile: r.o.Profile, traced: true})
	client(botRow, 1, r.o.Events/botShare, setting{bot: true})
	return list
}

func rawRow(window int) string { return fmt.Sprintf("raw window %d", window) }

const botRow = "hand-written bot"

// tracedRow is drover none, whose telemetry leaves the process as well.
const tracedRow = "drover none, traces and metrics by OTLP"

// saturated is a client that gets events as fast as it takes them.
type saturated struct {
	*stage
	with   setting
	events int    // of a lap
	warmUp int    // events before them
	record string // folder for profiles; empty: none
}

// openSaturated starts a client.
func (r *run) openSaturated(ctx context.Context, dir string, with setting, events int) (contender, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	c := &saturated{stage: s, with: with, events: events, warmUp: r.warmUp()}
	if with.profile != "" {
		c.record = filepath.Join(with.profile, filepath.Base(dir))
	}
	if err := c.begin(ctx, r); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

func (c *saturated) begin(ctx context.Context, r *run) (err error) {
	if c.record != "" {
		if err := os.MkdirAll(c.record, 0o750); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	if err := c.discord(ctx, r.o.Sessions); err != nil {
		return err
	}
	if c.with.bot {
		if err := r.makeStreams(ctx, c.stage); err != nil {
			return err
		}
	}
	if c.with.traced {
		if c.with.sink, err = startSink(); err != nil {
			return err
		}
	}
	return c.run(ctx, c.with)
}

// lap implements contender. Whoever has waited for its turn has given memory back and is cold.
func (c *saturated) lap(ctx context.Context) (values, error) {
	if _, err := c.surge(ctx, c.warmUp, ""); err != nil {
		return nil, err
	}
	v, err := c.counted(ctx)
	if err != nil {
		return nil, err
	}
	return v, c.nats.purge(ctx)
}

// counted is a surge of which everything that should arrive somewhere must have.
func (c *saturated) counted(ctx context.Context) (values, error) {
	if c.with.bot {
		return c.surge(ctx, c.events, "")
	}
	routed, err := c.client.metric(ctx, routedMetric)
	if err != nil {
		return nil, err
	}
	var exported [2]int64
	if c.with.traced {
		exported = c.with.sink.soFar()
	}
	v, err := c.surge(ctx, c.events, c.record)
	if err == nil {
		err = c.routed(ctx, routed, c.events)
	}
	if err == nil && c.with.traced {
		err = c.with.sink.took(ctx, c.client, exported)
	}
	return v, err
}

// end implements contender.
func (c *saturated) end() {
	c.stage.end()
	if c.with.sink != nil {
		c.with.sink.close()
	}
}

// rawPublisher is the raw publisher with one window.
type rawPublisher struct {
	*stage
	window, events, warmUp int
}

// openRaw starts a raw publisher.
func (r *run) openRaw(ctx context.Context, dir string, window int) (contender, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	p := &rawPublisher{stage: s, window: window, events: r.o.Events, warmUp: r.warmUp()}
	if err := p.begin(ctx, r); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

func (p *rawPublisher) begin(ctx context.Context, r *run) error {
	samples, err := r.sampled(ctx)
	if err != nil {
		return err
	}
	if err := r.makeStreams(ctx, p.stage); err != nil {
		return err
	}
	p.client, err = startRaw(ctx, p.stage, samples)
	return err
}

func (p *rawPublisher) ask(ctx context.Context, what string, n int) ([]byte, error) {
	return fetch(ctx, http.MethodPost, fmt.Sprintf("%s/%s?events=%d&window=%d", p.client.part, what, n, p.window), nil)
}

// lap implements contender.
func (p *rawPublisher) lap(ctx context.Context) (values, error) {
	if _, err := p.ask(ctx, "publish", p.warmUp); err != nil {
		return nil, err
	}
	if _, err := p.ask(ctx, "prepare", p.events); err != nil {
		return nil, err
	}
	before, err := p.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := p.bill()
	if err != nil {
		return nil, err
	}
	answer, err := p.ask(ctx, "publish", p.events)
	if err != nil {
		return nil, err
	}
	paid, err := p.bill()
	if err != nil {
		return nil, err
	}
	var did published
	if err := json.Unmarshal(answer, &did); err != nil {
		return nil, err
	}
	after, err := p.nats.stores(ctx, before, p.events)
	if err != nil {
		return nil, err
	}
	n, took := float64(p.events), after.at.Sub(time.Unix(0, did.At)).Seconds()
	v := values{"events_per_s": n / took, "seconds": took, "allocs": float64(did.Allocs) / n}
	v.charge(cost, paid, p.events)
	if err := p.nats.distinct(ctx, before, after); err != nil {
		return nil, err
	}
	return v, p.nats.purge(ctx)
}
