package bench

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// windows are those of the raw publisher; the one with the best median counts.
var windows = [...]int{256, 4096, 16384}

// botShare is how many of drover's events come to one of the bot's, which takes ten times as long for each.
const botShare = 5

// warmUp is how many events go through before those that are measured: buffers have grown, and code is in the caches.
func (r *run) warmUp() int { return r.o.pick(20_000, 2000) }

// closely is how often a round measures the rows whose ratio is close to what must hold. On a virtual machine whose speed changes by
// half within a minute, one measurement of each would compare two phases of the machine.
const closely = 3

// throughput adds its rows to the list of a round. What is compared stands side by side: a virtual machine that was idle is fast for a
// while, and whoever came first in a round would look better.
func (r *run) throughput() []row {
	raw := func(window int) row {
		return row{name: rawRow(window), passes: r.o.pick(closely, 1),
			do: func(ctx context.Context, dir string) (values, error) { return r.raw(ctx, dir, window) }}
	}
	drover := func(compress string, passes int) row {
		return row{name: "drover " + compress, passes: passes, do: func(ctx context.Context, dir string) (values, error) {
			return r.saturated(ctx, dir, setting{compress: compress, profile: r.o.Profile}, r.o.Sessions, r.o.Events)
		}}
	}
	traced := row{name: tracedRow, passes: r.o.pick(closely, 1), do: func(ctx context.Context, dir string) (values, error) {
		return r.saturated(ctx, dir, setting{compress: "none", profile: r.o.Profile, traced: true}, r.o.Sessions, r.o.Events)
	}}
	return []row{
		raw(windows[0]), drover("zlib-stream", 1),
		raw(windows[1]), drover("none", r.o.pick(closely, 1)), traced,
		raw(windows[2]), drover("zstd-stream", 1),
		{name: botRow, do: func(ctx context.Context, dir string) (values, error) {
			return r.saturated(ctx, dir, setting{bot: true}, r.o.Sessions, r.o.Events/botShare)
		}},
	}
}

func rawRow(window int) string { return fmt.Sprintf("raw window %d", window) }

const botRow = "hand-written bot"

// tracedRow is drover none, whose telemetry leaves the process as well.
const tracedRow = "drover none, traces and metrics by OTLP"

// saturated measures a client that gets events as fast as it takes them.
func (r *run) saturated(ctx context.Context, dir string, with setting, sessions, events int) (values, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.discord(ctx, sessions); err != nil {
		return nil, err
	}
	if with.bot {
		if err := r.makeStreams(ctx, s); err != nil {
			return nil, err
		}
	}
	record := ""
	if with.profile != "" {
		record = filepath.Join(with.profile, filepath.Base(dir))
		if err := os.MkdirAll(record, 0o750); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	if with.traced {
		if with.sink, err = startSink(); err != nil {
			return nil, err
		}
		defer with.sink.close()
	}
	if err := s.run(ctx, with); err != nil {
		return nil, err
	}
	if _, err := s.surge(ctx, r.warmUp(), ""); err != nil {
		return nil, err
	}
	counted := 0.0
	if !with.bot {
		if counted, err = s.client.metric(ctx, routedMetric); err != nil {
			return nil, err
		}
	}
	v, err := s.surge(ctx, events, record)
	if err == nil && !with.bot {
		err = s.routed(ctx, counted, events)
	}
	if err == nil && with.traced {
		err = with.sink.took(ctx, s.client)
	}
	return v, err
}

// raw measures the raw publisher with one window.
func (r *run) raw(ctx context.Context, dir string, window int) (values, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	defer s.end()
	samples, err := r.sampled(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.makeStreams(ctx, s); err != nil {
		return nil, err
	}
	if s.client, err = startRaw(ctx, s, samples); err != nil {
		return nil, err
	}
	ask := func(what string, n int) (b []byte, err error) {
		return fetch(ctx, http.MethodPost, fmt.Sprintf("%s/%s?events=%d&window=%d", s.client.part, what, n, window), nil)
	}
	if _, err := ask("publish", r.warmUp()); err != nil {
		return nil, err
	}
	if _, err := ask("prepare", r.o.Events); err != nil {
		return nil, err
	}
	before, err := s.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := s.bill()
	if err != nil {
		return nil, err
	}
	answer, err := ask("publish", r.o.Events)
	if err != nil {
		return nil, err
	}
	paid, err := s.bill()
	if err != nil {
		return nil, err
	}
	var p published
	if err := json.Unmarshal(answer, &p); err != nil {
		return nil, err
	}
	after, err := s.nats.stores(ctx, before, r.o.Events)
	if err != nil {
		return nil, err
	}
	n, took := float64(r.o.Events), after.at.Sub(time.Unix(0, p.At)).Seconds()
	v := values{"events_per_s": n / took, "seconds": took, "allocs": float64(p.Allocs) / n}
	v.charge(cost, paid, r.o.Events)
	return v, s.nats.distinct(ctx, before, after)
}

// samples is how many of drover's messages the raw publisher repeats.
const samples = 4096

// sampled is a file with messages as drover stores them, and notes how the streams are set up. It is made once.
func (r *run) sampled(ctx context.Context) (string, error) {
	file := filepath.Join(r.o.Dir, "samples")
	if len(r.streams) > 0 {
		return file, nil
	}
	s, err := newStage(ctx, &r.o, "samples-of-drover")
	if err != nil {
		return "", err
	}
	defer s.end()
	if err := s.discord(ctx, r.o.Sessions); err != nil {
		return "", err
	}
	if err := s.run(ctx, setting{compress: "none"}); err != nil {
		return "", err
	}
	before, err := s.nats.settled(ctx)
	if err != nil {
		return "", err
	}
	if _, err := s.surge(ctx, samples, ""); err != nil {
		return "", err
	}
	after, err := s.nats.look(ctx)
	if err != nil {
		return "", err
	}
	var lists [len(streamNames)][]sample
	for i, name := range streamNames {
		st, err := s.nats.js.Stream(ctx, name)
		if err != nil {
			return "", fmt.Errorf("bench: stream %s: %w", name, err)
		}
		r.streams = append(r.streams, st.CachedInfo().Config)
		err = s.nats.read(ctx, name, before.last[i], after.last[i], false, func(m jetstream.Msg) {
			lists[i] = append(lists[i], sample{m.Subject(), m.Headers(), m.Data()})
		})
		if err != nil {
			return "", err
		}
	}
	list := shuffled(lists[0], lists[1])
	r.payload = 0
	for _, m := range list {
		r.payload += float64(len(m.Data)) / float64(len(list))
	}
	f, err := os.Create(file)
	if err != nil {
		return "", fmt.Errorf("bench: %w", err)
	}
	return file, errors.Join(gob.NewEncoder(f).Encode(list), f.Close())
}

// makeStreams sets the streams up as drover does, for what does not do it itself.
func (r *run) makeStreams(ctx context.Context, s *stage) error {
	if _, err := r.sampled(ctx); err != nil {
		return err
	}
	for _, config := range r.streams {
		if _, err := s.nats.js.CreateStream(ctx, config); err != nil {
			return fmt.Errorf("bench: stream %s: %w", config.Name, err)
		}
	}
	return nil
}

// shuffled mixes two lists evenly, so that the streams take turns as they do in drover.
func shuffled(a, b []sample) []sample {
	out := make([]sample, 0, len(a)+len(b))
	for i, j := 0, 0; i < len(a) || j < len(b); {
		if j == len(b) || i < len(a) && (2*i+1)*len(b) <= (2*j+1)*len(a) {
			out = append(out, a[i])
			i++
		} else {
			out = append(out, b[j])
			j++
		}
	}
	return out
}
