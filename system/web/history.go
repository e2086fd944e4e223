package web

import (
	"fmt"
	"strings"
	"time"

	"drover/messages"
)

// history holds the totals of the last minutes, one sample per tick, to draw and to compute rates from. It is
// not safe for concurrent use.
type history struct {
	samples []sample // oldest first
}

type sample struct {
	at       time.Time
	received uint64
	byType   map[string]uint64 // only of the newest smooth samples
}

const (
	keep   = 180 // samples: three minutes at one per second
	smooth = 5   // samples that a shown rate is the mean of: calm to look at, yet honest within seconds
)

func (h *history) add(at time.Time, t *messages.Traffic) {
	if n := len(h.samples); n > 0 && t.Received < h.samples[n-1].received {
		h.samples = nil // the counters began anew
	}
	if len(h.samples) == keep+1 {
		h.samples = append(h.samples[:0], h.samples[1:]...)
	}
	h.samples = append(h.samples, sample{at, t.Received, t.ByType})
	if old := len(h.samples) - 2 - smooth; old >= 0 {
		h.samples[old].byType = nil
	}
}

// since is the newest part of the history that rates are computed over; ok is false while there is none.
func (h *history) since() (from, to sample, ok bool) {
	n := len(h.samples)
	if n < 2 {
		return from, to, false
	}
	from, to = h.samples[max(0, n-1-smooth)], h.samples[n-1]
	return from, to, to.at.After(from.at)
}

// rate is the events per second received of late.
func (h *history) rate() float64 {
	from, to, ok := h.since()
	if !ok {
		return 0
	}
	return float64(to.received-from.received) / to.at.Sub(from.at).Seconds()
}

// rateOf is the events per second of one type.
func (h *history) rateOf(eventType string) float64 {
	from, to, ok := h.since()
	if !ok || to.byType[eventType] < from.byType[eventType] {
		return 0
	}
	return float64(to.byType[eventType]-from.byType[eventType]) / to.at.Sub(from.at).Seconds()
}

// The sparkline's own units; the style sheet stretches them.
const (
	sparkWidth  = keep
	sparkHeight = 40
)

// spark is the history of the rate as the points of an SVG polyline, newest at the right edge, those of the area
// below it, and the highest value. The points are empty while there is nothing to draw.
func (h *history) spark() (line, area string, peak float64) {
	n := len(h.samples)
	if n < 2 {
		return "", "", 0
	}
	rates := make([]float64, 0, n-1)
	for i := 1; i < n; i++ {
		from, to := h.samples[max(0, i-3)], h.samples[i] // three ticks: a burst within one tick is no spike
		if took := to.at.Sub(from.at).Seconds(); took > 0 {
			rates = append(rates, float64(to.received-from.received)/took)
			peak = max(peak, rates[len(rates)-1])
		}
	}
	var out strings.Builder
	for i, r := range rates {
		x := sparkWidth - (len(rates) - 1 - i)
		y := sparkHeight - 2.0
		if peak > 0 {
			y -= r / peak * (sparkHeight - 4)
		}
		fmt.Fprintf(&out, "%d,%.1f ", x, y)
	}
	line = strings.TrimSpace(out.String())
	area = fmt.Sprintf("%d,%d %s %d,%d", sparkWidth-len(rates)+1, sparkHeight, line, sparkWidth, sparkHeight)
	return line, area, peak
}
