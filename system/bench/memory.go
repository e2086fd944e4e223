package bench

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"drover/system/process"
)

var (
	idleSessions = [...]int{250, 1000}
	idleCompress = [...]string{"none", "zlib-stream"}
	zstdWindows  = [...]int{128 << 10, 1 << 20, 8 << 20}
)

const (
	guildRow     = "10000 guilds"
	plainTraffic = "100 sessions after traffic, none"
)

func idleRow(sessions int, compress string) string {
	return fmt.Sprintf("%d idle sessions, %s", sessions, compress)
}

func zstdRow(window int) string { return "100 sessions after traffic, zstd " + windowName(window) }

func windowName(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d KiB", bytes>>10)
}

// memory measures what is resident in the node's process above what it was before Discord was there.
func (r *run) memory() []row {
	var list []row
	for _, sessions := range idleSessions {
		for _, compress := range idleCompress {
			list = append(list, row{name: idleRow(sessions, compress), calm: true, do: func(ctx context.Context, dir string) (values, error) {
				return r.resident(ctx, dir, load{sessions: r.o.pick(sessions, 20), compress: compress})
			}})
		}
	}
	traffic := load{sessions: r.o.pick(100, 10), rate: 5000, span: time.Duration(r.o.pick(6000, 500)) * time.Millisecond}
	plain := traffic
	plain.compress = "none"
	list = append(list, row{name: plainTraffic, do: func(ctx context.Context, dir string) (values, error) { return r.resident(ctx, dir, plain) }})
	for _, window := range zstdWindows {
		l := traffic
		l.compress, l.args = "zstd-stream", []string{"--zstd-window", strconv.Itoa(window)}
		if window == 1<<20 {
			l.span *= 3 // until the window is full; the next larger one is not used
		}
		list = append(list, row{name: zstdRow(window), do: func(ctx context.Context, dir string) (values, error) { return r.resident(ctx, dir, l) }})
	}
	guilds := load{sessions: 4, guilds: r.o.pick(10_000, 200), compress: "none", args: []string{"--guild-size", "5000-60000"}}
	return append(list, row{name: guildRow, do: func(ctx context.Context, dir string) (values, error) { return r.resident(ctx, dir, guilds) }})
}

// load is what a node has to do while its memory is measured.
type load struct {
	sessions, guilds int // guilds: 0: three for two sessions
	compress         string
	rate             float64 // events a second; 0: none
	span             time.Duration
	args             []string // of the simulator
}

// resident measures one load.
func (r *run) resident(ctx context.Context, dir string, l load) (values, error) {
	s, err := newStage(ctx, &r.o, dir)
	if err != nil {
		return nil, err
	}
	defer s.end()
	guilds := l.guilds
	if guilds == 0 {
		guilds = l.sessions * 3 / 2
	}
	if err := s.discord(ctx, l.sessions, append([]string{"--guilds", strconv.Itoa(guilds)}, l.args...)...); err != nil {
		return nil, err
	}
	if err := s.sim.order(ctx, "rest", map[string]int{"status": 503, "count": -1}, nil); err != nil {
		return nil, err
	}
	if s.client, err = startNode(ctx, s, setting{compress: l.compress}); err != nil {
		return nil, err
	}
	err = s.client.await(ctx, "drover makes its streams", func() (bool, string) {
		_, err := s.nats.js.Stream(ctx, streamNames[1])
		return err == nil, fmt.Sprint(err)
	})
	if err != nil {
		return nil, err
	}
	empty, err := s.steady(ctx, time.Duration(r.o.pick(3000, 300))*time.Millisecond)
	if err != nil {
		return nil, err
	}
	if err := s.sim.order(ctx, "clear", struct{}{}, nil); err != nil {
		return nil, err
	}
	if err := s.client.ready(ctx); err != nil {
		return nil, err
	}
	if err := s.guildsStored(ctx, guilds); err != nil {
		return nil, err
	}
	if l.rate > 0 {
		if err := s.flow(ctx, l.rate, l.span); err != nil {
			return nil, err
		}
		if _, err := s.nats.settled(ctx); err != nil {
			return nil, err
		}
	}
	full, err := s.steady(ctx, time.Duration(r.o.pick(10_000, 300))*time.Millisecond)
	if err != nil {
		return nil, err
	}
	v := values{"empty_mb": empty, "above_mb": full - empty}
	switch {
	case l.guilds > 0:
		v["per_1000_mb"] = (full - empty) / float64(l.guilds) * 1000
	case l.rate > 0:
		v["per_session_mb"] = (full - empty) / float64(l.sessions)
	}
	return v, nil
}

// guildsStored waits until every guild was read and stored.
func (s *stage) guildsStored(ctx context.Context, guilds int) error {
	return s.client.await(ctx, "all guilds are stored", func() (bool, string) {
		now, err := s.nats.look(ctx)
		return err == nil && now.total() >= uint64(guilds), fmt.Sprintf("%d messages for %d guilds (%v)", now.total(), guilds, err)
	})
}

// steady is the resident memory of the client in MB (a million bytes) at the end of a while in which nothing happens: the
// median of its last second.
func (s *stage) steady(ctx context.Context, while time.Duration) (float64, error) {
	var list []float64
	began := time.Now()
	err := process.Until(ctx, patience, "memory is steady", func() (bool, string) {
		n, err := s.client.proc.RSS()
		if err != nil {
			return false, err.Error()
		}
		if time.Since(began) >= while-time.Second {
			list = append(list, float64(n)/1e6)
		}
		return time.Since(began) >= while, ""
	})
	slices.Sort(list)
	return percentile(list, 50), err
}
