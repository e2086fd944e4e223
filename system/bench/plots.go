package bench

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// plot is a picture of a group.
type plot struct{ file, text string }

var plotOf = map[string]plot{
	"throughput": {"throughput.svg", "Events a second, stored by JetStream"},
	"sessions":   {"sessions.svg", "Processor time of an event over the number of sessions"},
}

// WritePlots writes a picture of each group that has one and was measured into a folder, which it makes.
func (r *Report) WritePlots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: plots: %w", err)
	}
	drawn := 0
	for group, p := range plotOf {
		if !r.has(group) {
			continue
		}
		draw := r.drawThroughput
		if group == "sessions" {
			draw = r.drawSessions
		}
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(draw()), 0o644); err != nil {
			return fmt.Errorf("bench: plots: %w", err)
		}
		drawn++
	}
	if drawn == 0 {
		return errors.New("bench: nothing to plot: --only must name throughput or sessions")
	}
	return nil
}

// row is a measured row; nil where it is not there.
func (r *Report) row(name string) *Row {
	for i := range r.Rows {
		if r.Rows[i].Name == name {
			return &r.Rows[i]
		}
	}
	return nil
}

// caption says in one line what a picture is of.
func (r *Report) caption() string {
	var version string
	if len(r.Versions) > 0 {
		version = r.Versions[0].Version
	}
	return fmt.Sprintf("drover %s · %s · %s, %d cores · median of %d, lines: lowest and highest",
		version, r.Date.Format("2006-01-02"), r.Machine.CPU, r.Machine.Cores, r.Rounds)
}

// drawThroughput draws a bar for the best raw window, for drover's rows and for the bot.
func (r *Report) drawThroughput() string {
	type bar struct {
		label, class string
		Spread
	}
	var bars []bar
	for _, window := range windows {
		row := r.row(rawRow(window))
		if row == nil {
			continue
		}
		s := row.Values["events_per_s"]
		if len(bars) == 0 || s.Median > bars[0].Median {
			bars = []bar{{fmt.Sprintf("raw publish, window %d", window), "raw", s}}
		}
	}
	for _, c := range []struct{ name, label, class string }{
		{"drover none", "drover, no compression", "ours"}, {"drover zstd-stream", "drover, zstd-stream", "ours"},
		{"drover zlib-stream", "drover, zlib-stream", "ours"}, {botRow, botRow, "other"},
	} {
		if row := r.row(c.name); row != nil {
			bars = append(bars, bar{c.label, c.class, row.Values["events_per_s"]})
		}
	}
	most := 1.0
	for _, b := range bars {
		most = max(most, b.Max)
	}
	const left, width, high = 190.0, 420.0, 34.0
	c := newCanvas(760, 84+high*float64(len(bars)), plotOf["throughput"].text, r.caption())
	x := func(v float64) float64 { return left + v/most*width }
	for i, b := range bars {
		y := 64 + high*float64(i)
		c.text(left-10, y+16, "end", "", b.label)
		c.rect(left, y+2, max(1, x(b.Median)-left), 20, b.class)
		c.whisker(x(b.Min), y+12, x(b.Max), y+12)
		c.text(x(b.Max)+10, y+16, "start", "number", grouped(fmt.Sprintf("%.0f", b.Median)))
	}
	return c.String()
}

// drawSessions draws processor time over sessions, on a logarithmic axis.
func (r *Report) drawSessions() string {
	lines := []struct{ value, label, class string }{
		{"cpu_us", "saturated", "ours"}, {"paced_cpu_us", fmt.Sprintf("at %s events/s", grouped(fmt.Sprint(pacedRate))), "other"},
	}
	most := 1.0
	for _, n := range sessionCounts {
		if row := r.row(sessionsRow(n)); row != nil {
			for _, l := range lines {
				most = max(most, row.Values[l.value].Max)
			}
		}
	}
	step := tick(most)
	most = math.Ceil(most/step) * step
	const left, right, top, bottom = 70.0, 600.0, 70.0, 300.0
	c := newCanvas(760, 350, plotOf["sessions"].text, r.caption())
	x := func(n int) float64 {
		last := float64(sessionCounts[len(sessionCounts)-1])
		return left + 20 + math.Log(float64(n))/math.Log(last)*(right-left-40)
	}
	y := func(v float64) float64 { return bottom - v/most*(bottom-top) }
	for v := 0.0; v <= most+step/2; v += step {
		c.line(left, y(v), right, y(v), "grid")
		c.text(left-8, y(v)+4, "end", "number", fmt.Sprintf("%g µs", v))
	}
	for _, n := range sessionCounts {
		c.text(x(n), bottom+20, "middle", "number", fmt.Sprint(n))
	}
	c.text((left+right)/2, bottom+40, "middle", "", "sessions")
	labelled := 0.0 // where the last label stands
	for _, l := range lines {
		var points []string
		at := 0.0
		for _, n := range sessionCounts {
			row := r.row(sessionsRow(n))
			if row == nil {
				continue
			}
			s := row.Values[l.value]
			c.line(x(n), y(s.Min), x(n), y(s.Max), "whisker")
			c.dot(x(n), y(s.Median), l.class)
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(s.Median)))
			at = y(s.Median)
		}
		c.path(strings.Join(points, " "), l.class)
		if labelled != 0 && math.Abs(at-labelled) < 16 { // the lines end at one place
			at = labelled + math.Copysign(16, at-labelled)
		}
		labelled = at
		c.text(right+6, at+4, "start", l.class+"-text", l.label)
	}
	return c.String()
}

// tick is a round step that parts an axis up to most into four to eight.
func tick(most float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.1, 0.2, 0.25, 0.5, 1} {
		if most/(step*f) <= 8 {
			return step * f
		}
	}
	return step
}
