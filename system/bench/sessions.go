package bench

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// sessionCounts are the numbers of gateway sessions over which the cost of an event must not change much.
var sessionCounts = [...]int{1, 25, 250, 1000}

// pacedRate is the total rate of the paced part, in events a second, whatever the number of sessions is.
const pacedRate = 20_000

// sessionLaps is how often a round's race measures each row. What NATS pays for an event that comes alone changes by two within seconds,
// and the figure is of the cheapest and the dearest of the rows.
const sessionLaps = 5

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
		list = append(list, row{name: sessionsRow(n), laps: r.o.pick(sessionLaps, 1),
			open: func(ctx context.Context, dir string) (contender, error) { return r.openMany(ctx, dir, count) }})
	}
	return list
}

// many is drover with a number of sessions, in a flood and at a pace.
type many struct {
	*stage
	events int
	warmUp int // events before them
	span   time.Duration
}

// openMany starts drover for so many sessions.
func (r *run) openMany(ctx context.Context, dir string, sessions int) (contender, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	m := &many{stage: s, events: max(r.o.Events/2, sessions), warmUp: max(r.warmUp(), sessions), span: time.Duration(r.o.pick(4000, 500)) * time.Millisecond}
	err = m.discord(ctx, sessions, "--guilds", strconv.Itoa(sessions), "--smooth")
	if err == nil {
		err = m.run(ctx, setting{compress: "none"})
	}
	if err != nil {
		m.end()
		return nil, err
	}
	return m, nil
}

// lap implements contender.
func (m *many) lap(ctx context.Context) (values, error) {
	if _, err := m.surge(ctx, m.warmUp, ""); err != nil {
		return nil, err
	}
	v, err := m.surge(ctx, m.events, "")
	if err != nil {
		return nil, err
	}
	paced, err := m.paced(ctx, m.span)
	if err != nil {
		return nil, err
	}
	maps.Copy(v, paced)
	return v, m.nats.purge(ctx)
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
