package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	latencyNode = "latency drover"
	latencyBot  = "latency hand-written bot"
	latencyRate = 10_000 // events a second
)

// latency measures from the write of a frame by the simulator to the acknowledgement in the client, at a rate that leaves
// time to breathe.
func (r *run) latency() []row {
	span := time.Duration(r.o.pick(5000, 1000)) * time.Millisecond
	with := setting{compress: "none", acks: latencyRate * 60}
	bot := with
	bot.bot = true
	return []row{
		{name: latencyNode, do: func(ctx context.Context, dir string) (values, error) { return r.paced(ctx, dir, with, span) }},
		{name: latencyBot, do: func(ctx context.Context, dir string) (values, error) { return r.paced(ctx, dir, bot, span) }},
	}
}

func (r *run) paced(ctx context.Context, dir string, with setting, span time.Duration) (values, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.discord(ctx, r.o.Sessions, "--stamp", "--smooth", "--replay-buffer", strconv.Itoa(latencyRate)); err != nil {
		return nil, err
	}
	if with.bot {
		if err := r.makeStreams(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := s.run(ctx, with); err != nil {
		return nil, err
	}
	if err := s.flow(ctx, latencyRate, time.Second); err != nil {
		return nil, err
	}
	if _, err := s.nats.settled(ctx); err != nil {
		return nil, err
	}
	if _, err := s.sim.written(ctx); err != nil {
		return nil, err
	}
	if _, err := s.client.acks(ctx); err != nil {
		return nil, err
	}
	cost, err := s.bill()
	if err != nil {
		return nil, err
	}
	if err := s.flow(ctx, latencyRate, span); err != nil {
		return nil, err
	}
	if _, err := s.nats.settled(ctx); err != nil {
		return nil, err
	}
	paid, err := s.bill()
	if err != nil {
		return nil, err
	}
	sent, err := s.sim.written(ctx)
	if err != nil {
		return nil, err
	}
	acked, err := s.client.acks(ctx)
	if err != nil {
		return nil, err
	}
	list, err := join(sent, acked)
	if err != nil {
		return nil, err
	}
	v := values{
		"p50_ms": percentile(list, 50), "p99_ms": percentile(list, 99), "max_ms": list[len(list)-1],
		"events_per_s": float64(len(list)) / max(took(sent, acked), span).Seconds(), // longer where the client lags
	}
	v.charge(cost, paid, len(list))
	return v, nil
}

// flow lets traffic pass for a while.
func (s *stage) flow(ctx context.Context, perSecond float64, span time.Duration) error {
	if err := s.sim.rate(ctx, perSecond); err != nil {
		return err
	}
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.client.proc.Exited():
		return fmt.Errorf("bench: %s ended by itself (%s); see %s", s.client.what, s.client.proc.State(), s.client.log)
	case <-t.C:
	}
	return s.sim.rate(ctx, 0)
}

// took is how long it was from the first write to the last acknowledgement.
func took(sent, acked []Ack) time.Duration {
	first, last := sent[0].At, acked[0].At
	for _, s := range sent {
		first = min(first, s.At)
	}
	for _, a := range acked {
		last = max(last, a.At)
	}
	return time.Duration(last - first)
}

// join is the time from writing to acknowledgement of every dispatch in milliseconds, sorted. Each that was written must
// have been acknowledged.
func join(sent, acked []Ack) ([]float64, error) {
	type key struct {
		shard int32
		seq   int64
	}
	at := make(map[key]int64, len(acked))
	for _, a := range acked {
		at[key{a.Shard, a.Seq}] = a.At
	}
	list := make([]float64, 0, len(sent))
	for _, w := range sent {
		acked, ok := at[key{w.Shard, w.Seq}]
		if !ok {
			return nil, fmt.Errorf("bench: event %d of shard %d was written and no acknowledgement was noted", w.Seq, w.Shard)
		}
		list = append(list, float64(acked-w.At)/float64(time.Millisecond))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("bench: nothing was written")
	}
	slices.Sort(list)
	return list, nil
}
