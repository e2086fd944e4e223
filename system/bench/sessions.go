package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// sessionCounts are the numbers of gateway sessions over which the cost of an event must not change much.
var sessionCounts = [...]int{1, 25, 250, 1000}

// pacedRate is the total rate of the paced part, in events a second, whatever the number of sessions is.
const pacedRate = 20_000

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
	before, err := s.nats.settled(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := s.bill()
	if err != nil {
		return nil, err
	}
	span := time.Duration(r.o.pick(4000, 500)) * time.Millisecond
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
	v["paced_cpu_us"] = float64(paid.client-cost.client) / n / float64(time.Microsecond)
	v["paced_nats_cpu_us"] = float64(paid.nats-cost.nats) / n / float64(time.Microsecond)
	v["paced_bill_us"] = v["paced_cpu_us"] + v["paced_nats_cpu_us"]
	v["paced_events_per_s"] = n / span.Seconds()
	return v, nil
}
