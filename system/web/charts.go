package web

import (
	"fmt"
	"math"

	"drover/messages"
)

// chartView is a chart in words: the script draws it, and who does not see it, or has no script, reads the lines.
type chartView struct {
	ID, Title string
	Format    string // of its values: rate, ms, count or bytes
	Note      string
	Lines     []chartLine
}

// chartLine is one series of a chart.
type chartLine struct {
	Key, Label           string
	Now, Low, Mean, High string
}

// chartsOf are the charts of a node.
func chartsOf(r *rings) []chartView {
	line := func(measure int, label, format string) chartLine {
		return newLine(measureNames[measure], label, format, r.series(measure))
	}
	return []chartView{
		{"events", "Events", "rate", "per second", []chartLine{line(received, "received", "rate"), line(stored, "stored", "rate")}},
		{"publish", "Read to stored", "ms", "over a minute", []chartLine{line(median, "median", "ms"), line(slow, "p99", "ms")}},
		{"gateway", "Heartbeats to Discord", "ms", "of all shards", []chartLine{line(heartbeat, "median", "ms"), line(slowestHeartbeat, "slowest", "ms")}},
		{"waiting", "Waiting for NATS", "count", "events", []chartLine{line(inFlight, "in flight", "count"), line(onDisk, "on disk", "count")}},
		{"down", "Shards not ready", "count", "", []chartLine{line(notReady, "not ready", "count")}},
		{"memory", "Memory", "bytes", "of the process", []chartLine{line(memory, "from the system", "bytes"), line(heap, "in objects", "bytes")}},
	}
}

// shardCharts are those of one shard.
func shardCharts(s *messages.ShardSeries) []chartView {
	return []chartView{
		{"rate", "Events", "rate", "per second", []chartLine{newLine("rate", "received", "rate", s.Rate)}},
		{"heartbeat", "Heartbeats to Discord", "ms", "latency", []chartLine{newLine("heartbeat", "latency", "ms", s.Latency)}},
	}
}

func newLine(key, label, format string, values messages.Measured) chartLine {
	l := chartLine{Key: key, Label: label, Now: "–", Low: "–", Mean: "–", High: "–"}
	low, high, sum, n := math.Inf(1), 0.0, 0.0, 0
	for _, v := range values {
		if v != v {
			continue
		}
		low, high, sum, n = min(low, float64(v)), max(high, float64(v)), sum+float64(v), n+1
	}
	if n == 0 {
		return l
	}
	if newest := values[len(values)-1]; newest == newest {
		l.Now = measure(float64(newest), format)
	}
	l.Low, l.Mean, l.High = measure(low, format), measure(sum/float64(n), format), measure(high, format)
	return l
}

// measure writes a value for people, as the script does.
func measure(v float64, format string) string {
	switch format {
	case "rate":
		return rate(v) + "/s"
	case "ms":
		switch {
		case v < 1:
			return fmt.Sprintf("%.0f\u00a0µs", v*1000)
		case v < 1000:
			return significant(v) + "\u00a0ms"
		}
		return significant(v/1000) + "\u00a0s"
	case "bytes":
		return size(v)
	}
	return count(int64(v + 0.5))
}

// size writes bytes for people, in powers of 1,000 as drives and networks count them.
func size(v float64) string {
	for _, unit := range []string{"B", "KB", "MB", "GB"} {
		if v < 999.5 {
			if v >= 9.95 || unit == "B" {
				return fmt.Sprintf("%.0f\u00a0%s", v, unit)
			}
			return fmt.Sprintf("%.1f\u00a0%s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.1f\u00a0TB", v)
}
