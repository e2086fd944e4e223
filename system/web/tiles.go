package web

import (
	"fmt"
	"time"

	"drover/messages"
)

// tile is one number of the page, with its unit and a line that explains it.
type tile struct {
	ID, Label   string
	Value, Unit string
	Note        string
	Class       string // good, wait, bad, or nothing
	Bar         int    // percent of a bar; -1: none
	Spark       bool   // has a sparkline
	Line, Area  string // its points
}

func tiles(s *messages.NodeStatus, h *history, now time.Time) []tile {
	return []tile{traffic(s, h), ready(s), latencies(s), guilds(s), unacked(s), nats(s), budget(s, now)}
}

func traffic(s *messages.NodeStatus, h *history) tile {
	t := tile{ID: "rate", Label: "Events", Value: rate(h.rate()), Unit: "per second", Bar: -1, Spark: true}
	var peak float64
	t.Line, t.Area, peak = h.spark()
	t.Note = count(s.Traffic.Received) + " received"
	if peak > 0 {
		t.Note += " · peak " + rate(peak) + "/s in 3\u00a0min"
	}
	return t
}

func ready(s *messages.NodeStatus) tile {
	t := tile{ID: "ready", Label: "Shards ready", Value: count(s.ShardsReady), Unit: "of " + count(s.ShardsTotal), Bar: 0}
	switch missing := s.ShardsTotal - s.ShardsReady; {
	case s.ShardsTotal == 0:
		t.Note, t.Bar = "no shards on this node yet", -1
	case missing == 0:
		t.Note, t.Bar = "all of them", 100
	default:
		t.Note, t.Bar, t.Class = count(missing)+" to go", s.ShardsReady*100/s.ShardsTotal, "wait"
		if s.Budget.Waiting > 0 {
			t.Note += " · done in about " + about(s.Budget.ETA)
		}
	}
	return t
}

func latencies(s *messages.NodeStatus) tile {
	t := tile{ID: "latency", Label: "Latency, median", Bar: -1}
	t.Value, t.Unit = latency(s.Traffic.P50)
	p99, unit := latency(s.Traffic.P99)
	t.Note = "no events in the last minute"
	if s.Traffic.P99 > 0 {
		t.Note = fmt.Sprintf("p99 %s\u00a0%s · read to stored", p99, unit)
	}
	return t
}

func guilds(s *messages.NodeStatus) tile {
	return tile{ID: "guilds", Label: "Guilds", Value: count(s.GuildsTotal), Note: "on this node's shards", Bar: -1}
}

func unacked(s *messages.NodeStatus) tile {
	t := tile{ID: "unacked", Label: "Unacknowledged", Value: count(s.Traffic.Unacked), Note: "events on their way to JetStream", Bar: -1}
	switch {
	case s.Traffic.SpoolFull:
		t.Note, t.Class = "the spool is full: shards wait", "bad"
		return t
	case s.Traffic.Spooled > 0:
		t.Note, t.Class = count(s.Traffic.Spooled)+" of them on disk, until NATS takes them", "wait"
		return t
	}
	if s.Traffic.Failures > 0 {
		t.Note = plural(int(s.Traffic.Failures), "publish") + " tried again"
		if s.Traffic.Failures != 1 {
			t.Note = count(s.Traffic.Failures) + " publishes tried again"
		}
	}
	return t
}

func nats(s *messages.NodeStatus) tile {
	if s.NATSConnected {
		return tile{ID: "nats", Label: "NATS", Value: "Connected", Note: "events can be stored", Class: "word good", Bar: -1}
	}
	return tile{ID: "nats", Label: "NATS", Value: "Not connected", Note: "events wait until it is back", Class: "word bad", Bar: -1}
}

// budget shows the IDENTIFYs left today, and how many shards wait for a permit to send one.
func budget(s *messages.NodeStatus, now time.Time) tile {
	b := &s.Budget
	t := tile{ID: "budget", Label: "Identifies left", Value: "–", Note: "not asked for yet", Bar: -1}
	if b.Total > 0 {
		t.Value, t.Unit, t.Bar = count(b.Remaining), "of "+count(b.Total), max(0, b.Remaining)*100/b.Total
		t.Note = "resets in " + about(b.ResetAt.Sub(now))
		if b.ResetAt.Before(now) {
			t.Note = "for today"
		}
		if t.Bar < 10 {
			t.Class = "wait"
		}
	}
	if b.Waiting > 0 {
		t.Note = fmt.Sprintf("%s waiting · %d at a time", plural(b.Waiting, "shard"), max(b.MaxConcurrency, 1))
	}
	return t
}
