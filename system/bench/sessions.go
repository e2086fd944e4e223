package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// sessionCounts are the numbers of gateway sessions over which the cost of an event must not change much.
var sessionCounts = [...]int{1, 25, 250, 1000}

// pacedRate is the total rate of the paced part, in events a second, whatever the number of sessions is.
const pacedRate = 20_000

// pacedSpans is how often a row measures the paced part; the one with the median bill counts. What NATS pays for an event that comes
// alone changes by two within seconds, and the figure is of the cheapest and the dearest of four rows.
const pacedSpans = 3

func sessionsRow(n int) string {
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}

// sessions measures what an event costs, by the number of sessions that it may come from.
func (r *run) sessions() []row {
	var list []row
	for _, n := range sessionCounts {
		count := n
		if r.o.Quick { // the same rows with fewer sessions
			count = min(n, 50)
		}
		list = append(list, row{name: sessionsRow(n), do: func(ctx context.Context, dir string) (values, error) { return r.many(ctx, dir, count) }})
	}
	return list
}

func (r *run) many(ctx context.Context, dir string, sessions int) (values, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := s.discord(ctx, sessions, "--guilds", strconv.Itoa(sessions), "--smooth"); err != nil {
		return nil, err
	}
	if err := s.run(ctx, setting{compress: "none"}); err != nil {
		return nil, err
	}
	if _, err := s.surge(ctx, r.warmUp(), ""); err != nil {
		return nil, err
	}
	v, err := s.surge(ctx, max(2*r.o.Events, sessions), "")
	if err != nil {
		return nil, err
	}
	spans := make([]values, pacedSpans)
	for i := range spans {
		if spans[i], err = s.paced(ctx, time.Duration(r.o.pick(4000, 500))*time.Millisecond); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(spans, func(a, b values) int { return cmp.Compare(a["paced_bill_us"], b["paced_bill_us"]) })
	maps.Copy(v, spans[len(spans)/2])
	return v, nil
}

// paced is what an event costs while pacedRate of them come in a second.
func (s *stage) paced(ctx context.Context, span time.Duration) (values, error) {
	before, err := s.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := s.bill()
	if err != nil {
		return nil, err
	}
	if err := s.flow(ctx, pacedRate, span); err != nil {
		return nil, err
	}
	after, err := s.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	paid, err := s.bill()
	if err != nil {
		return nil, err
	}
	n := float64(after.total() - before.total())
	v := values{
		"paced_cpu_us":       float64(paid.client-cost.client) / n / float64(time.Microsecond),
		"paced_nats_cpu_us":  float64(paid.nats-cost.nats) / n / float64(time.Microsecond),
		"paced_events_per_s": n / span.Seconds(),
	}
	v["paced_bill_us"] = v["paced_cpu_us"] + v["paced_nats_cpu_us"]
	return v, nil
}
