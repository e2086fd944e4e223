package main

import (
	"math"
	"time"
)

// thrift decides how much the process allocates between two collections, and when it gives memory back to the system.
//
// Go's own rule, as much again as lives, suits neither end of drover. A node that carries 100,000 events a second keeps
// little and would collect many times a second. A node whose thousand sessions are quiet would let the garbage of minutes
// grow to the size of all that lives, and keep what a storm of guilds has taken. So the room between two collections
// follows from how fast it fills.
//
// It is a plain value: no clock and no runtime in it. The zero value is useful.
type thrift struct {
	at        time.Time
	allocated uint64
	rate      float64 // bytes a second: falls slowly, so that a pause between bursts changes nothing
	percent   int

	quiet      int       // steps in a row in which little was allocated
	burst      bool      // since memory was given back last there was one that was not quiet
	lived      uint64    // when memory was given back last
	spare      uint64    // held beyond that then
	releasedAt time.Time // zero: not yet
}

// usage is what the runtime says of itself, in bytes.
type usage struct {
	allocated uint64 // since the start
	live      uint64 // what the collector marks: the live heap, stacks and globals
	held      uint64 // from the system and not given back
}

const (
	thriftTick = time.Second

	// A collection costs about 1 ms of CPU for each MB that lives. Every 2 s, or every second for 10 MB, is 1 % of a CPU.
	collectEvery = 2 * time.Second
	livePerSec   = 10 << 20

	leastRoom = 4 << 20  // bytes; less saves nothing that is worth a collection. A thousand idle sessions fill it in half a minute
	mostRoom  = 32 << 20 // bytes; more makes collections no cheaper that anybody would notice. From here on Go's own rule holds

	quietRate  = 2 << 20          // bytes a second that a thousand idle sessions stay below
	quietTicks = 3                // steps below it until memory is given back: nothing is waiting for it then
	giveEvery  = 10 * time.Second // at most: what is given back costs page faults when it is needed again
	worthwhile = 8 << 20          // bytes more to spare than after the last time; less than leastRoom comes and goes by itself
	afterBurst = 4 << 20          // the same after a time that was not quiet: nothing else would give its rest back
)

// step takes in what is used now. percent is the new value for the runtime's GC percentage, 0: as it was. release says
// that memory is to be given back now; the caller does that and calls released.
func (t *thrift) step(now time.Time, u usage) (percent int, release bool) {
	if t.at.IsZero() {
		t.at, t.allocated = now, u.allocated
		return 0, false
	}
	took := now.Sub(t.at).Seconds()
	if took <= 0 {
		return 0, false
	}
	rate := float64(u.allocated-t.allocated) / took
	t.at, t.allocated = now, u.allocated
	t.rate = max(rate, t.rate/2)
	if t.quiet++; rate > quietRate {
		t.quiet, t.burst = 0, true
	}
	if next := gcPercent(t.rate, u.live); changes(t.percent, next) {
		t.percent, percent = next, next
	}
	least, live := uint64(worthwhile), u.live
	if t.burst { // what the collector marked in the middle of it may have died since, and it does not look again while all is quiet
		least, live = afterBurst, min(u.live, t.lived)
	}
	// What the collector leaves lying until its next turn is no reason: it will be used again.
	least += uint64(max(float64(gcPercent(t.rate, u.live))/100*float64(u.live)-leastRoom, 0))
	release = t.quiet >= quietTicks && u.held > live+t.spare+least && (t.releasedAt.IsZero() || now.Sub(t.releasedAt) >= giveEvery)
	return percent, release
}

// released notes that memory was given back.
func (t *thrift) released(u usage) {
	t.releasedAt, t.lived, t.allocated, t.burst = t.at, u.live, u.allocated, false
	t.spare = u.held - min(u.live, u.held)
}

// gcPercent is the room between two collections, in percent of what lives.
func gcPercent(rate float64, live uint64) int {
	every := max(collectEvery.Seconds(), float64(live)/livePerSec)
	room := min(max(rate*every, leastRoom), max(mostRoom, float64(live)))
	return int(math.Ceil(room * 100 / max(float64(live), 1<<20)))
}

// changes reports whether a new value is worth setting: that stops the world for a moment.
func changes(from, to int) bool {
	return from == 0 || to > from+from/8 || to < from-from/8
}
