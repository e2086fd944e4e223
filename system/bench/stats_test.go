package bench

import (
	"math"
	"testing"
	"time"
)

func TestSpread_is_median_and_ends(t *testing.T) {
	tests := []struct {
		name string
		list []float64
		want Spread
	}{
		{"one", []float64{3}, Spread{3, 3, 3}},
		{"odd", []float64{9, 1, 5}, Spread{5, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	}
	for _, tt := range tests {
		if got := spread(tt.list); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := spread(nil); !math.IsNaN(got.Median) {
		t.Errorf("nothing: got %v, want no number", got)
	}
}

func TestPercentile_is_a_value_of_the_list(t *testing.T) {
	var list []float64
	for i := range 200 {
		list = append(list, float64(i+1))
	}
	tests := []struct{ p, want float64 }{{0, 1}, {50, 100}, {99, 198}, {99.9, 200}, {100, 200}}
	for _, tt := range tests {
		if got := percentile(list, tt.p); got != tt.want {
			t.Errorf("p%v: got %v, want %v", tt.p, got, tt.want)
		}
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("got %v of nothing, want no number", got)
	}
}

func TestJoin_pairs_by_shard_and_sequence(t *testing.T) {
	at := time.Now().UnixNano()
	ms := int64(time.Millisecond)
	sent := []Ack{{0, 7, at}, {1, 7, at + ms}}
	got, err := join(sent, []Ack{{1, 7, at + 2*ms}, {0, 7, at + 5*ms}, {0, 6, at}})
	if err != nil || len(got) != 2 || got[0] != 1 || got[1] != 5 {
		t.Errorf("got %v, %v, want 1 and 5 ms", got, err)
	}
	if _, err := join(sent, []Ack{{0, 7, at}}); err == nil {
		t.Error("an event without an acknowledgement was left out in silence")
	}
	if _, err := join(nil, nil); err == nil {
		t.Error("nothing was measured, in silence")
	}
}

func TestShuffled_keeps_order_and_mixes_evenly(t *testing.T) {
	var a, b []sample
	for range 6 {
		a = append(a, sample{Subject: "a"})
	}
	for range 2 {
		b = append(b, sample{Subject: "b"})
	}
	text := ""
	for _, s := range shuffled(a, b) {
		text += s.Subject
	}
	if text != "aabaaaba" {
		t.Errorf("got %s, want the rare ones spread", text)
	}
	if got := shuffled(nil, b); len(got) != 2 {
		t.Errorf("got %v, want what is there", got)
	}
}
