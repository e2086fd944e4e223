package main

import (
	"testing"
	"time"
)

const mib = 1 << 20

func TestThrift_gives_the_collector_room_for_how_fast_it_fills(t *testing.T) {
	tests := []struct {
		name string
		rate float64 // bytes a second
		live uint64
		want int // percent
	}{
		{"an empty node", 0, 4 * mib, 100},
		{"a thousand quiet sessions", 600 << 10, 20 * mib, 20},
		{"a thousand quiet sessions with zlib", 600 << 10, 64 * mib, 7},
		{"some traffic", 10 * mib, 20 * mib, 100},
		{"all that a CPU can", 100 * mib, 10 * mib, 320},
		{"much that lives, and quiet: a collection is dear", mib, 500 * mib, 10},
		{"much that lives, and traffic: Go's own rule", 100 * mib, 500 * mib, 100},
		{"before the first collection", 0, 0, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := gcPercent(tt.rate, tt.live); got != tt.want {
				t.Errorf("got %d %%, want %d", got, tt.want)
			}
		})
	}
}

// spell is some seconds in which as much is allocated, and how much the process holds at their end.
type spell struct {
	seconds int
	rate    uint64 // bytes a second
	held    uint64
}

func TestThrift_gives_memory_back_when_nothing_needs_it(t *testing.T) {
	const quiet, busy = quietRate / 2, 50 * mib
	tests := []struct {
		name   string
		spells []spell
		want   []int // seconds at which memory is given back
	}{
		{"after the start", []spell{{2, busy, 80 * mib}, {10, quiet, 80 * mib}}, []int{5}},
		{"not while there is traffic", []spell{{100, busy, 200 * mib}}, nil},
		{"not in a short pause", []spell{{2, quiet, 80 * mib}, {5, busy, 80 * mib}, {2, quiet, 80 * mib}, {5, busy, 80 * mib}}, nil},
		{"not for little", []spell{{20, quiet, worthwhile}}, nil},
		{"for little after a burst, when it has faded", []spell{{3, busy, 18 * mib}, {20, quiet, 18 * mib}}, []int{6}},
		{"not for as little without one", []spell{{20, quiet, 18 * mib}}, nil},
		{"not twice for the same", []spell{{100, quiet, 80 * mib}}, []int{3}},
		{"again after a storm", []spell{{10, quiet, 80 * mib}, {60, busy, 300 * mib}, {10, quiet, 300 * mib}}, []int{3, 73}},
		{"again, but not at once", []spell{{3, quiet, 80 * mib}, {3, busy, 300 * mib}, {60, quiet, 300 * mib}}, []int{3, 13}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var th thrift
			now, u := time.Unix(0, 0), usage{allocated: 1, live: 10 * mib}
			th.step(now, u)
			var got []int
			second, free := 0, uint64(0) // free: given back of what is held
			for _, s := range tt.spells {
				if s.rate == busy {
					free = 0
				}
				for range s.seconds {
					second++
					now = now.Add(time.Second)
					u.allocated += s.rate
					u.held = s.held - free
					if _, release := th.step(now, u); release {
						got = append(got, second)
						free = s.held - min(s.held, 20*mib)
						u.held = s.held - free
						th.released(u)
					}
				}
			}
			if len(got) != len(tt.want) || len(got) > 0 && got[0] != tt.want[0] || len(got) > 1 && got[1] != tt.want[1] {
				t.Errorf("got memory given back at %v s, want %v", got, tt.want)
			}
		})
	}
}

func TestThrift_leaves_the_runtime_alone_while_nothing_changes(t *testing.T) {
	var th thrift
	now, u := time.Unix(0, 0), usage{live: 20 * mib}
	set := 0
	for i := range 100 {
		now = now.Add(time.Second)
		u.allocated += 600<<10 + uint64(i%2)<<10
		u.live += uint64(i%2) << 10
		if percent, _ := th.step(now, u); percent != 0 {
			set++
		}
	}
	if set != 1 {
		t.Errorf("got %d changes of the GC percentage, want one", set)
	}
	u.allocated += 100 * mib
	if percent, _ := th.step(now.Add(time.Second), u); percent < 150 {
		t.Errorf("got %d %% when traffic begins, want room at once", percent)
	}
}

// With much alive the collector leaves much lying until its next turn; to collect for that every few seconds would cost
// more than all else that an idle node does.
func TestThrift_does_not_collect_for_what_the_collector_will_use_again(t *testing.T) {
	var th thrift
	now, u := time.Unix(0, 0), usage{live: 300 * mib, held: 310 * mib}
	th.step(now, u)
	th.released(u)
	for second := range 600 {
		now = now.Add(time.Second)
		u.allocated += 3 * mib / 2
		u.held = 310*mib + u.allocated%(40*mib) // up to what gcPercent gives it
		if _, release := th.step(now, u); release {
			t.Fatalf("memory given back at %d s", second)
		}
	}
}

// What the collector marked in the middle of a storm is no measure of what lives after it: nothing is collected while nothing is allocated.
func TestThrift_gives_back_what_lived_only_in_a_storm(t *testing.T) {
	for _, given := range []bool{true, false} { // before the storm
		var th thrift
		now, u := time.Unix(0, 0), usage{live: 9 * mib, held: 19 * mib}
		th.step(now, u)
		if given {
			th.released(u)
		}
		u.allocated, u.live, u.held = 50*mib, 41*mib, 51*mib // buffers of 10,000 guilds, all in pools now
		second := 0
		for release := false; !release; second++ {
			if second == 20 {
				t.Fatalf("memory given back before: %v: 40 MiB that nobody uses are kept", given)
			}
			now = now.Add(time.Second)
			_, release = th.step(now, u)
		}
		th.released(u) // it did live: nothing changes
		for range 600 {
			now = now.Add(time.Second)
			if _, again := th.step(now, u); again {
				t.Fatal("memory given back again, with nothing allocated since")
			}
		}
	}
}

func TestThrift_gives_back_what_died_since_the_last_time(t *testing.T) {
	var th thrift
	now, u := time.Unix(0, 0), usage{live: 250 * mib, held: 260 * mib}
	th.step(now, u)
	th.released(u)
	u.live = 20 * mib // an outage is over, and the window is empty
	for range 20 {
		now = now.Add(time.Second)
		if _, release := th.step(now, u); release {
			return
		}
	}
	t.Error("240 MiB that nobody uses are kept")
}
