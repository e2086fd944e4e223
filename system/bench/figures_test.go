package bench

import (
	"math"
	"testing"
)

func TestFigures_hold_the_promised_limits(t *testing.T) {
	want := map[string][2]float64{
		"raw-none": {0.85, 0.95}, "raw-zstd-stream": {0.65, 0.75}, "raw-zlib-stream": {0.48, 0.55},
		"bot-none": {10, 12}, "bot-zstd-stream": {8, 10}, "bot-zlib-stream": {6, 7},
		"telemetry": {0.95, 0.98}, "cpu": {5.5, 4.5}, "allocs": {8, 7}, "latency": {0.25, 0.15},
		"idle-250-none": {40, 30}, "idle-250-zlib-stream": {40, 30}, "idle-1000-none": {80, 60}, "idle-1000-zlib-stream": {80, 60},
		"zstd-128 KiB": {0.4, 0.25}, "zstd-1 MiB": {}, "zstd-8 MiB": {}, "guilds": {2, 0.5},
		"even": {}, "even-paced": {}, "even-bill": {0.25, 0.15},
	}
	for _, f := range Figures() {
		limits, ok := want[f.ID]
		if !ok || limits != [2]float64{f.Must, f.Goal} {
			t.Errorf("%s: got %v and %v, want %v", f.ID, f.Must, f.Goal, limits)
		}
		if f.AtLeast != (f.Goal > f.Must) {
			t.Errorf("%s: the goal %v is no step behind %v", f.ID, f.Goal, f.Must)
		}
		delete(want, f.ID)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestFigure_judges(t *testing.T) {
	most := Figure{Must: 5.5, Goal: 4.5}
	least := Figure{Must: 0.85, Goal: 0.95, AtLeast: true}
	tests := []struct {
		name string
		f    Figure
		v    float64
		want Verdict
	}{
		{"small enough for the goal", most, 4.5, Goal},
		{"small enough", most, 5.5, Met},
		{"too large", most, 5.51, Missed},
		{"large enough for the goal", least, 0.95, Goal},
		{"large enough", least, 0.85, Met},
		{"too small", least, 0.84, Missed},
		{"no number", most, math.NaN(), Missed},
		{"nothing was asked", Figure{}, 1, None},
	}
	for _, tt := range tests {
		if got := tt.f.judge(tt.v); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A ratio is the median of the rounds' ratios, and not the ratio of medians; what it compares with is the row with the best
// median, and not the one that was lucky in a round.
func TestFigure_measures_ratios_by_round(t *testing.T) {
	var rounds []round
	for _, got := range [][3]float64{{90, 100, 99}, {40, 50, 80}, {190, 200, 1}} {
		rounds = append(rounds, round{
			"drover none": {"events_per_s": got[0]}, rawRow(256): {"events_per_s": got[1]}, rawRow(4096): {"events_per_s": got[2]}, rawRow(16384): {"events_per_s": 1},
		})
	}
	m := figure(t, "raw-none").measure(rounds, typical(summary(rounds)), false)
	if m.Spread == nil || *m.Spread != (Spread{0.9, 0.8, 0.95}) || m.Verdict != Met {
		t.Errorf("got %+v, %q, want 0.9 [0.8–0.95], met", m.Spread, m.Verdict)
	}
	if m := figure(t, "raw-none").measure(rounds, nil, true); m.Verdict != None {
		t.Errorf("got %q, want no verdict for a quick run", m.Verdict)
	}
	delete(rounds[1], "drover none")
	if m := figure(t, "raw-none").measure(rounds, nil, false); m.Spread != nil || m.Verdict != Missed {
		t.Errorf("got %+v, %q, want nothing measured, and so missed", m.Spread, m.Verdict)
	}
}

// Rows that each swing are compared by their medians.
func TestFigure_measures_evenness_by_medians(t *testing.T) {
	var rounds []round
	for _, cpu := range [][4]float64{{4, 4, 4, 9}, {4, 9, 4, 5}, {4, 4, 4, 5}} {
		r := round{}
		for i, n := range sessionCounts {
			r[sessionsRow(n)] = values{"paced_bill_us": cpu[i]}
		}
		rounds = append(rounds, r)
	}
	m := figure(t, "even-bill").measure(rounds, typical(summary(rounds)), false)
	if m.Spread == nil || *m.Spread != (Spread{0.25, 0.25, 1.25}) || m.Verdict != Met {
		t.Errorf("got %+v, %q, want 25%%, met", m.Spread, m.Verdict)
	}
}

func figure(t *testing.T, id string) Figure {
	t.Helper()
	for _, f := range Figures() {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("there is no figure %s", id)
	return Figure{}
}
