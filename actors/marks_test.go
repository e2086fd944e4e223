package actors

import (
	"testing"

	"pgregory.net/rapid"

	"drover/messages"
)

func TestMarks_follow_the_oldest_that_is_open_in_any_order_of_acks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, 1000).Draw(t, "first")
		m := newMarks(first)
		seq := first
		open := map[int64]bool{}
		want := func() int64 { // by the definition, without the data structure
			lowest := seq + 1
			for s := range open {
				lowest = min(lowest, s)
			}
			return lowest - 1
		}
		steps := map[string]func(*rapid.T){
			"sent": func(t *rapid.T) {
				seq++
				open[seq] = true
				m.sent(seq)
			},
			"sent and taken back": func(t *rapid.T) {
				m.sent(seq + 1)
				m.unsent(seq + 1)
			},
			"sent again after a panic": func(t *rapid.T) {
				if open[seq] {
					m.sent(seq)
				}
			},
			"skip": func(t *rapid.T) {
				seq++
				m.skip(seq)
			},
			"acked": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				s := rapid.SampledFrom(keys(open)).Draw(t, "seq")
				delete(open, s)
				m.Acked(messages.Events, s)
			},
			"acked again": func(t *rapid.T) {
				s := rapid.Int64Range(first, seq).Draw(t, "seq")
				if !open[s] {
					m.Acked(messages.Events, s) // a late acknowledgement after a replay
				}
			},
			"": func(t *rapid.T) {
				if got := m.acked(); got != want() {
					t.Fatalf("got mark %d, want %d with %d open", got, want(), len(open))
				}
			},
		}
		t.Repeat(steps)
	})
}

func TestMarks_are_bounded_by_what_is_in_flight(t *testing.T) {
	m := newMarks(0)
	for seq := int64(1); seq <= 200_000; seq++ {
		m.sent(seq)
		if seq > 100 {
			m.Acked(messages.Events, seq-100)
		}
	}
	if got := cap(m.open); got > 4096 {
		t.Errorf("got room for %d events with 100 in flight, want little more than that", got)
	}
	if got := m.acked(); got != 200_000-100 {
		t.Errorf("got mark %d, want %d", got, 200_000-100)
	}
}

func keys(m map[int64]bool) []int64 {
	var out []int64
	for seq := int64(0); len(out) < len(m); seq++ {
		if m[seq] {
			out = append(out, seq)
		}
	}
	return out
}
