package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drover/system/process"
	"drover/system/stream"
)

// The NATS servers of a run: one, or a cluster of them.

// startBrokers starts as many as the plan has, and returns when their JetStream answers.
func (r *run) startBrokers(ctx context.Context, log io.Writer) error {
	count := max(r.plan.Brokers, 1)
	var routes []string
	for i := range count {
		addr, err := process.FreeAddr()
		if err != nil {
			return err
		}
		r.addrs = append(r.addrs, addr)
		if r.plan.Embedded {
			return nil // it is drover's own
		}
		b := &broker{program: r.o.Broker, addr: addr, dir: r.dir, env: r.basic()}
		if r.o.NATS != "" {
			b.program, b.stock = []string{r.o.NATS}, true
		}
		if count > 1 {
			b.name = fmt.Sprintf("nats-%d", i+1)
			b.dir = filepath.Join(r.dir, b.name)
			if err := os.Mkdir(b.dir, 0o750); err != nil {
				return fmt.Errorf("audit: %w", err)
			}
			if b.route, err = process.FreeAddr(); err != nil {
				return err
			}
			routes = append(routes, b.route)
		}
		r.brokers = append(r.brokers, b)
	}
	r.nats = r.brokers[0]
	for _, b := range r.brokers {
		b.routes = routes
		if err := b.start(ctx); err != nil {
			return err
		}
	}
	if count == 1 {
		return nil
	}
	c, err := stream.Connect(ctx, stream.Options{URL: r.natsURL(), Name: "drover audit", Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer c.Close()
	return process.Until(ctx, patience, "the NATS cluster has a leader", func() (bool, string) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := c.JetStream().AccountInfo(ctx)
		return err == nil, fmt.Sprint(err)
	})
}

// natsURL leads to all brokers, past the proxies.
func (r *run) natsURL() string { return "nats://" + strings.Join(r.addrs, ",nats://") }

// replicas is who leads a stream and how many followers have all of it.
func (r *run) replicas(ctx context.Context, name string) (leader string, current int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := r.recorder.broker.JetStream().Stream(ctx, name)
	if err != nil {
		return "", 0, err
	}
	c := s.CachedInfo().Cluster
	if c == nil || c.Leader == "" {
		return "", 0, errors.New("it has no leader")
	}
	for _, p := range c.Replicas {
		if p.Current && !p.Offline {
			current++
		}
	}
	return c.Leader, current, nil
}

// leaderOf waits until every broker has a whole copy of a stream, and returns the one that leads it: with fewer copies the next
// death would be another plan's.
func (r *run) leaderOf(ctx context.Context, name string) (*broker, error) {
	var leader string
	err := process.Until(ctx, patience, "stream "+name+" has all its copies", func() (bool, string) {
		l, current, err := r.replicas(ctx, name)
		leader = l
		return err == nil && current == len(r.brokers)-1, fmt.Sprintf("leader %q, %d followers are current (%v)", l, current, err)
	})
	if err != nil {
		return nil, err
	}
	for _, b := range r.brokers {
		if b.name == leader {
			return b, nil
		}
	}
	return nil, fmt.Errorf("audit: stream %s is led by %s, which is none of ours", name, leader)
}
