package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"drover/messages"
	"drover/system/cluster"
)

// way is from where to where a pool goes, and ways where each of some does.
func way(s cluster.Step) string {
	if s.From == "" {
		return "to " + s.To
	}
	return "from " + s.From + " to " + s.To
}

func ways(steps []cluster.Step) string {
	var all []string
	for _, s := range steps {
		all = append(all, fmt.Sprintf("(%d %s)", s.Pool, way(s)))
	}
	return strings.Join(all, " ")
}

// cost says what it takes to move pools.
func (s *shards) cost(ctx context.Context, o *cluster.Operator, v cluster.View, steps []cluster.Step, where string) error {
	all, err := o.Shards(ctx, len(v.Members), answerTime)
	if err != nil {
		return err
	}
	moving := map[int]bool{}
	for _, step := range steps {
		moving[step.Pool] = true
	}
	resumes, identifies := 0, 0
	for _, shard := range all {
		switch {
		case !moving[shard.Pool]:
		case shard.Session == "":
			identifies++
		default:
			resumes++
		}
	}
	return s.say("%d pools with %d shards would move %s: %s", len(steps), resumes+identifies, where, price(resumes, identifies))
}

// price says what so many RESUMEs and IDENTIFYs take.
func price(resumes, identifies int) string {
	text := fmt.Sprintf("%d RESUMEs, %d IDENTIFYs, about a second without events for each shard", resumes, identifies)
	if identifies > 0 {
		text += fmt.Sprintf(", and up to %v for the last that identifies (%v between two; less where max_concurrency is above 1)",
			time.Duration(identifies)*cluster.Spacing, cluster.Spacing)
	}
	return text
}

// show writes tables for people.
func (s *shards) show(v cluster.View, all []messages.ShardStatus) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(w, "\t") // Flush tells of errors
			}
			_, _ = fmt.Fprint(w, c)
		}
		_, _ = fmt.Fprintln(w)
	}
	row("NODE", "ADDRESS", "VERSION", "CAPACITY", "POOLS", "STATE")
	for _, m := range v.Members {
		row(m.Name, m.Addr, m.Version, m.Capacity, m.Pools, memberState(m))
	}
	ready := map[int]int{}
	count := map[int]int{}
	for _, shard := range all {
		count[shard.Pool]++
		if shard.State == messages.Ready {
			ready[shard.Pool]++
		}
	}
	row()
	row("POOL", "NODE", "SHARDS READY", "LEASE", "PLANNED")
	for _, p := range v.Pools {
		node, lease, planned := p.Node, fmt.Sprintf("%.1f s, epoch %d", p.Remaining, p.Epoch), p.Planned
		if node == "" {
			node, lease = "nobody", "–"
		}
		if p.Wished != "" {
			planned += " (moved to " + p.Wished + ")"
		}
		row(p.Pool, node, fmt.Sprintf("%d of %d", ready[p.Pool], count[p.Pool]), lease, planned)
	}
	row()
	row("SHARD", "NODE", "STATE", "SESSION", "RECEIVED", "ACKNOWLEDGED", "GUILDS", "LATENCY", "LAST ERROR")
	for _, shard := range all {
		row(shard.ID, shard.Node, shard.State, shard.Session, shard.SeqReceived, shard.SeqAcked, shard.Guilds,
			fmt.Sprintf("%.0f ms", shard.HeartbeatLatencyMS), printable(shard.LastError))
	}
	if v.Away {
		row()
		row("The key-value store of NATS does not answer: leases are not renewed, and nobody takes pools over.")
	}
	return w.Flush()
}

func memberState(m cluster.MemberView) string {
	switch {
	case m.Draining:
		return "draining"
	case !m.Ready:
		return "joining"
	case m.Pinned != nil:
		return fmt.Sprintf("ready, pool %d only", *m.Pinned)
	}
	return "ready"
}

func names(v cluster.View) string {
	var all []string
	for _, m := range v.Members {
		all = append(all, m.Name)
	}
	return strings.Join(all, ", ")
}
