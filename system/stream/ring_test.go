package stream

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The ring against a plain list, under any order of pushes, sends, acknowledgements (also of earlier
// sends) and rewinds.
func TestRing_keeps_order_and_frees_each_event_once_under_any_order_of_acks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type live struct {
			seq   int64
			token uint64
			sent  bool
		}
		window := rapid.IntRange(1, 9).Draw(t, "window")
		r := newRing(window)
		var model []live   // unacknowledged, in order
		var stale []uint64 // tokens that must match nothing any more
		var pushed int64
		unsent := func() int {
			return slices.IndexFunc(model, func(l live) bool { return !l.sent })
		}
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				if r.used() == window {
					t.Skip("full")
				}
				pushed++
				r.push(&item{seq: pushed}, uint64(pushed))
				model = append(model, live{seq: pushed})
			},
			"send": func(t *rapid.T) {
				token, it, ok := r.send(0)
				i := unsent()
				if ok != (i >= 0) {
					t.Fatalf("got send %v, want %v", ok, i >= 0)
				}
				if !ok {
					return
				}
				if it.seq != model[i].seq {
					t.Fatalf("got %d sent, want %d", it.seq, model[i].seq)
				}
				if model[i].token != 0 {
					stale = append(stale, model[i].token)
				}
				model[i].token, model[i].sent = token, true
			},
			"ack": func(t *rapid.T) {
				var with []int
				for i, l := range model {
					if l.token != 0 {
						with = append(with, i)
					}
				}
				if len(with) == 0 {
					t.Skip("nothing sent")
				}
				i := rapid.SampledFrom(with).Draw(t, "which")
				var it item
				ok := r.ack(model[i].token, uint64(model[i].seq), &it)
				if !ok || it.seq != model[i].seq {
					t.Fatalf("got %d, %v, want %d, true", it.seq, ok, model[i].seq)
				}
				stale = append(stale, model[i].token)
				model = slices.Delete(model, i, i+1)
			},
			"late ack": func(t *rapid.T) {
				if len(stale) == 0 {
					t.Skip("nothing stale")
				}
				if r.ack(rapid.SampledFrom(stale).Draw(t, "which"), 1, new(item)) {
					t.Fatal("a late acknowledgement freed an event")
				}
			},
			"rewind": func(t *rapid.T) {
				r.rewind()
				for i := range model {
					model[i].sent = false
				}
			},
			"": func(t *rapid.T) {
				flying := 0
				for _, l := range model {
					if l.sent {
						flying++
					}
				}
				if r.live != len(model) || r.flying != flying {
					t.Fatalf("got live %d flying %d, want %d %d", r.live, r.flying, len(model), flying)
				}
				want, passed := 0, pushed
				if len(model) > 0 {
					want, passed = int(pushed-model[0].seq+1), model[0].seq-1
				}
				// Everything before the oldest unacknowledged event is certain: that is what outlives the process.
				if r.stored != uint64(passed) || r.record != uint64(passed) {
					t.Fatalf("got stored %d, record %d, want %d", r.stored, r.record, passed)
				}
				if r.used() != want {
					t.Fatalf("got %d slots used, want %d", r.used(), want)
				}
				if s := r.oldest(); (s == nil) != (len(model) == 0) || s != nil && s.seq != model[0].seq {
					t.Fatalf("got oldest %v, want %v", s, model)
				}
			},
		})
	})
}
