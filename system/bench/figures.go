package bench

import "fmt"

// Verdict is what a figure is worth.
type Verdict string

// The verdicts.
const (
	Goal   Verdict = "goal"   // the goal is reached
	Met    Verdict = "met"    // what must hold does
	Missed Verdict = "missed" // it does not
	None   Verdict = ""       // nothing was asked, or --quick
)

// Figure is a number that the benchmark is about, with what it must hold and what is the goal.
type Figure struct {
	ID, Text, Unit string
	Group          string
	AtLeast        bool    // the larger the better; else the smaller
	Must, Goal     float64 // both 0: it is only reported
	format         string
	whole          bool                           // of the medians of all rounds, since it compares rows that each swing; else the median over rounds
	of             func(r, medians round) float64 // of one round; medians is made of those of all
}

// judge compares with the limits.
func (f *Figure) judge(v float64) Verdict {
	reaches := func(limit float64) bool { return f.AtLeast && v >= limit || !f.AtLeast && v <= limit }
	switch {
	case f.Must == 0 && f.Goal == 0:
		return None
	case reaches(f.Goal):
		return Goal
	case reaches(f.Must):
		return Met
	}
	return Missed // also where there is no number
}

// Limit writes a limit as it stands in the table.
func (f *Figure) Limit(v float64) string {
	if v == 0 {
		return "–"
	}
	sign := "≤ "
	if f.AtLeast {
		sign = "≥ "
	}
	return sign + f.Number(v)
}

// Number writes a value with its unit.
func (f *Figure) Number(v float64) string {
	text := fmt.Sprintf(f.format, v)
	if f.Unit == "%" {
		text = fmt.Sprintf(f.format, 100*v)
	}
	switch f.Unit {
	case "":
		return text
	case "×", "%":
		return text + f.Unit
	}
	return text + " " + f.Unit
}

// overCap says of a window that drover does not take what happens instead.
func overCap(window int) string {
	if window > 1<<20 {
		return " (dialled again with zlib-stream)"
	}
	return ""
}

// Figures is the table of what is promised, with the limits: the one place for them.
func Figures() []Figure {
	var list []Figure
	add := func(group string, f Figure) {
		f.Group = group
		list = append(list, f)
	}
	for _, c := range []struct {
		compress           string
		must, goal         float64 // of the raw publisher
		botMust, botWanted float64 // times the bot
	}{
		{"none", 0.85, 0.95, 10, 12},
		{"zstd-stream", 0.65, 0.75, 8, 10},
		{"zlib-stream", 0.48, 0.55, 6, 7},
	} {
		row := "drover " + c.compress
		add("throughput", Figure{
			ID: "raw-" + c.compress, Text: "acked events/s, " + c.compress + ", ÷ raw PublishMsgAsync (best window)",
			AtLeast: true, Must: c.must, Goal: c.goal, format: "%.2f",
			// The best of three in each round would be the luckiest one, on a machine whose speed comes and goes.
			of: func(r, medians round) float64 {
				return r.of(row, "events_per_s") / r.of(medians.best("events_per_s", rawRow(windows[0]), rawRow(windows[1]), rawRow(windows[2])), "events_per_s")
			},
		})
		add("throughput", Figure{
			ID: "bot-" + c.compress, Text: "acked events/s, " + c.compress + ", ÷ hand-written bot", Unit: "×",
			AtLeast: true, Must: c.botMust, Goal: c.botWanted, format: "%.1f",
			of: func(r, _ round) float64 { return r.of(row, "events_per_s") / r.of(botRow, "events_per_s") },
		})
	}
	add("throughput", Figure{ID: "telemetry", Text: "acked events/s with 1 % traces and metrics by OTLP ÷ without, none",
		AtLeast: true, Must: 0.95, Goal: 0.98, format: "%.2f",
		of: func(r, _ round) float64 { return r.of(tracedRow, "events_per_s") / r.of("drover none", "events_per_s") }})
	add("throughput", Figure{ID: "cpu", Text: "CPU per event, saturated, none", Unit: "µs", Must: 5.5, Goal: 4.5, format: "%.2f",
		of: func(r, _ round) float64 { return r.of("drover none", "cpu_us") }})
	add("throughput", Figure{ID: "allocs", Text: "allocations per event, saturated, none", Must: 8, Goal: 7, format: "%.2f",
		of: func(r, _ round) float64 { return r.of("drover none", "allocs") }})
	add("latency", Figure{
		ID: "latency", Text: "written → acknowledged at a paced rate, p99, ÷ hand-written bot's", Must: 0.25, Goal: 0.15, format: "%.3f",
		of: func(r, _ round) float64 { return r.of(latencyNode, "p99_ms") / r.of(latencyBot, "p99_ms") },
	})
	for _, sessions := range idleSessions {
		must, goal := 40.0, 30.0
		if sessions >= 1000 {
			must, goal = 80, 60
		}
		for _, compress := range idleCompress {
			add("memory", Figure{
				ID: fmt.Sprintf("idle-%d-%s", sessions, compress), Text: fmt.Sprintf("memory above the empty process, %d idle sessions, %s", sessions, compress),
				Unit: "MB", Must: must, Goal: goal, format: "%.1f",
				of: func(r, _ round) float64 { return r.of(idleRow(sessions, compress), "above_mb") },
			})
		}
	}
	for i, window := range zstdWindows {
		f := Figure{
			ID: "zstd-" + windowName(window), Text: "memory of a session after traffic, zstd-stream, peer's window " + windowName(window) + overCap(window),
			Unit: "MB", format: "%.2f",
			of: func(r, _ round) float64 { return r.of(zstdRow(window), "per_session_mb") },
		}
		if i == 0 {
			f.Must, f.Goal = 0.4, 0.25
		}
		add("memory", f)
	}
	add("memory", Figure{ID: "guilds", Text: "memory per 1,000 guilds, after 10,000 GUILD_CREATEs of 5–60 KB", Unit: "MB", Must: 2, Goal: 0.5, format: "%.2f",
		of: func(r, _ round) float64 { return r.of(guildRow, "per_1000_mb") }})
	var rows []string
	for _, n := range sessionCounts {
		rows = append(rows, sessionsRow(n))
	}
	add("sessions", Figure{ID: "even", Text: "CPU per event at 1, 25, 250, 1000 sessions, saturated: most ÷ least − 1", Unit: "%",
		format: "%.0f", whole: true, of: func(r, _ round) float64 { return r.unevenness("cpu_us", rows...) }})
	add("sessions", Figure{ID: "even-paced", Text: "the same at 20,000 events/s in all", Unit: "%", format: "%.0f", whole: true,
		of: func(r, _ round) float64 { return r.unevenness("paced_cpu_us", rows...) }})
	// What an operator pays for an event: both processes'.
	add("sessions", Figure{ID: "even-bill", Text: "the same of drover and NATS together", Unit: "%", Must: 0.25, Goal: 0.15, format: "%.0f", whole: true,
		of: func(r, _ round) float64 { return r.unevenness("paced_bill_us", rows...) }})
	return list
}
