package cluster

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func TestBudget_learns_what_Discord_tells(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	mid := budget{Total: 1000, Spent: 100, End: noon.Add(10 * time.Hour), MaxConcurrency: 1, Identified: []byte{1}, Era: 3}
	for _, tt := range []struct {
		name       string
		have       budget
		told       Limit
		spent, era int
		end        time.Duration // after noon
		forgotten  bool          // who has identified
	}{
		{"first_of_all", budget{}, Limit{Total: 1000, Remaining: 990, ResetAfter: time.Hour}, 10, 1, time.Hour, true},
		{"lags_behind", mid, Limit{Total: 1000, Remaining: 950, ResetAfter: 10 * time.Hour}, 100, 3, 10 * time.Hour, false},
		{"others_spend_too", mid, Limit{Total: 1000, Remaining: 800, ResetAfter: 10 * time.Hour}, 200, 4, 10 * time.Hour, false},
		{"window_ends_a_little_later", mid, Limit{Total: 1000, Remaining: 950, ResetAfter: 10*time.Hour + time.Minute}, 100, 3, 10*time.Hour + time.Minute, false},
		{"window_ends_earlier", mid, Limit{Total: 1000, Remaining: 950, ResetAfter: 5 * time.Hour}, 100, 3, 5 * time.Hour, false},
		{"next_window", mid, Limit{Total: 1000, Remaining: 1000, ResetAfter: 23 * time.Hour}, 0, 4, 23 * time.Hour, true},
		{"no_window_yet", mid, Limit{Total: 1000, Remaining: 1000}, 100, 3, 10 * time.Hour, false},
		{"no_window_at_all", budget{}, Limit{Total: 1000, Remaining: 1000}, 0, 1, 24 * time.Hour, true},
		{"window_over_here", budget{Total: 1000, Spent: 1000, End: noon, Era: 1}, Limit{Total: 1000, Remaining: 997, ResetAfter: time.Hour}, 3, 2, time.Hour, true},
		{"more_a_day", mid, Limit{Total: 2000, Remaining: 1900, ResetAfter: 10 * time.Hour}, 100, 3, 10 * time.Hour, false},
		{"more_left_than_there_is", budget{}, Limit{Total: 1, Remaining: 5, ResetAfter: time.Hour}, 0, 1, time.Hour, true},
		{"nothing", mid, Limit{}, 100, 3, 10 * time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.have
			b.learn(tt.told, noon)
			if b.Spent != tt.spent || b.Era != tt.era || !b.End.Equal(noon.Add(tt.end)) || (b.Identified == nil) != tt.forgotten {
				t.Errorf("got %+v, want %d spent, era %d, end at noon + %v, forgotten %v", b, tt.spent, tt.era, tt.end, tt.forgotten)
			}
		})
	}
}

func TestBudget_a_refund_leaves_nothing(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var b budget
	b.learn(Limit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour}, now)
	b.spend(3, false, now)
	for _, shardID := range []int{3, 70} {
		before := b
		if c := b.spend(shardID, false, now); b.Spent != 2 || !b.repeats(shardID) || !b.refund(c, now) {
			t.Errorf("shard %d: got %+v, want it counted and taken back", shardID, b)
		}
		if b.Spent != before.Spent || b.repeats(70) || !b.repeats(3) || b.loops(now) != 0 {
			t.Errorf("shard %d: got %+v, want %+v", shardID, b, before)
		}
	}
	old := b.spend(4, false, now)
	b.roll(now.Add(2 * time.Hour))
	b.spend(5, false, now)
	if b.refund(old, now) || b.Spent != 1 {
		t.Errorf("got %d spent, want 1: the window of before does not lower this one's", b.Spent)
	}
}

func TestBudget_any_24_hours_have_no_more_repetitions_than_the_governor_allows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var b budget
	b.learn(Limit{Total: 100, Remaining: 100, ResetAfter: 13 * time.Hour}, now)
	var at []time.Time
	for end := now.Add(10 * 24 * time.Hour); now.Before(end); now = now.Add(time.Duration(rnd.Int64N(int64(20 * time.Minute)))) {
		b.roll(now)
		if h := b.holds(1, true, 0, now); h.why == "" {
			b.spend(1, true, now)
			at = append(at, now)
		} else if !h.until.After(now) {
			t.Fatalf("held back until %v, which is not after %v", h.until, now)
		}
		if len(b.Loops) > loopHours {
			t.Fatalf("got %d hours, want at most %d", len(b.Loops), loopHours)
		}
	}
	if len(at) < 300 {
		t.Errorf("got %d in ten days: what else holds them back?", len(at))
	}
	for i := range at {
		if i >= 50 && at[i].Sub(at[i-50]) < 24*time.Hour {
			t.Fatalf("got 51 within %v, want at most 50 within 24h", at[i].Sub(at[i-50]))
		}
	}
}

func FuzzBudget(f *testing.F) {
	b := budget{Total: 1000, Spent: 3, End: time.Unix(1e9, 0).UTC(), MaxConcurrency: 16, Shards: 4, Identified: []byte{7}, Loops: []hour{{1, 2}}, Era: 1}
	f.Add(b.encode(), 3)
	f.Add([]byte(`{"total":1000000,"max_concurrency":1,"loops":[{"hour":1,"count":-1}]}`), 900_000)
	f.Fuzz(func(t *testing.T, data []byte, shardID int) {
		b, err := readBudget(data)
		if err != nil {
			return
		}
		shardID &= maxShards - 1
		now := time.Unix(1.8e9, 0)
		b.roll(now)
		b.holds(shardID, true, 10, now)
		before := b.Spent
		if c := b.spend(shardID, false, now); !b.repeats(shardID) || !b.refund(c, now) || b.Spent != before {
			t.Errorf("got %+v after %s", b, data)
		}
		again, err := readBudget(b.encode())
		if err != nil || !reflect.DeepEqual(again.encode(), b.encode()) {
			t.Errorf("got %+v, %v, want %+v", again, err, b)
		}
	})
}
