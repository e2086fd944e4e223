package gateway

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	almost := 1 - 1e-12
	tests := []struct {
		name        string
		attempt     int
		base, limit time.Duration
		want        time.Duration // ceiling
	}{
		{"first is jitter", 0, dialBase, dialCap, time.Second},
		{"first is jitter whatever the base", 0, identifyBase, identifyCap, time.Second},
		{"base", 1, dialBase, dialCap, time.Second},
		{"doubled", 2, dialBase, dialCap, 2 * time.Second},
		{"doubled again", 3, dialBase, dialCap, 4 * time.Second},
		{"and again", 4, dialBase, dialCap, 8 * time.Second},
		{"under the cap", 6, dialBase, dialCap, 32 * time.Second},
		{"cap", 7, dialBase, dialCap, time.Minute},
		{"cap for ever", 1 << 40, dialBase, dialCap, time.Minute},
		{"identify base", 1, identifyBase, identifyCap, 5 * time.Second},
		{"identify doubled", 7, identifyBase, identifyCap, 320 * time.Second},
		{"identify cap", 8, identifyBase, identifyCap, 10 * time.Minute},
		{"base over the cap", 1, time.Hour, time.Minute, time.Minute},
		{"a cap that doubling would pass over", 63, time.Second, 1<<63 - 1, 1<<63 - 1},
		{"negative attempt", -1, dialBase, dialCap, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Backoff(tt.attempt, tt.base, tt.limit, 0); got != 0 {
				t.Errorf("got %v for 0, want 0", got)
			}
			if got := Backoff(tt.attempt, tt.base, tt.limit, 0.5); got < tt.want/2-1 || got > tt.want/2+1 {
				t.Errorf("got %v for 0.5, want %v", got, tt.want/2)
			}
			if got := Backoff(tt.attempt, tt.base, tt.limit, almost); got < tt.want*9/10 && tt.want < 1<<60 || got > tt.want {
				t.Errorf("got %v for almost 1, want just under %v", got, tt.want)
			}
		})
	}
}

func TestBackoffIsSpreadOverItsWholeRange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var sum time.Duration
	low, high := dialCap, time.Duration(0)
	const n = 10_000
	for range n {
		d := Backoff(20, dialBase, dialCap, rnd.Float64())
		sum, low, high = sum+d, min(low, d), max(high, d)
	}
	mustBetween(t, "mean", sum/n, 29*time.Second, 31*time.Second)
	mustBetween(t, "lowest", low, 0, time.Second)
	mustBetween(t, "highest", high, 59*time.Second, dialCap-1)
}

func TestInvalidWaitIs1To5Seconds(t *testing.T) {
	mustBetween(t, "lowest", invalidWait(0), time.Second, time.Second)
	mustBetween(t, "highest", invalidWait(1-1e-9), 5*time.Second-time.Microsecond, 5*time.Second)
}
