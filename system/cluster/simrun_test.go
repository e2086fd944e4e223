package cluster

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Without a variable each script runs these seeds. More of them, a range of them, or one of them again:
//
//	DROVER_SIM_SEEDS=20000 go test -run Simulation ./system/cluster
//	DROVER_SIM_SEEDS=20001-40000 go test -run Simulation ./system/cluster
//	DROVER_SIM_SEED=4711 go test -v -run Simulation/chaos ./system/cluster
const defaultSeeds = 150

// seedsToRun are the first and the last seed, and whether it is one that failed.
func seedsToRun(t *testing.T) (first, last uint64, again bool) {
	number := func(text string) uint64 {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("DROVER_SIM_SEED and DROVER_SIM_SEEDS are numbers: %v", err)
		}
		return n
	}
	if one := os.Getenv("DROVER_SIM_SEED"); one != "" {
		return number(one), number(one), true
	}
	from, to, isRange := strings.Cut(os.Getenv("DROVER_SIM_SEEDS"), "-")
	switch {
	case isRange:
		return number(from), number(to), false
	case from != "":
		return 1, number(from), false
	}
	if raceDetector { // some fifteen times slower
		return 1, defaultSeeds / 15, false
	}
	return 1, defaultSeeds, false
}

func TestSimulation(t *testing.T) {
	for _, tt := range []struct {
		name    string
		script  func(*simulation)
		options func(seed uint64) simOptions
	}{
		{"one_fault_at_a_time", oneByOne, calmOptions},
		{"chaos", chaos, chaosOptions},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := simRun{gaps: map[string][]time.Duration{}}
			r.next, r.last, r.again = seedsToRun(t)
			began := time.Now()
			t.Run("seeds", func(t *testing.T) {
				for range runtime.GOMAXPROCS(0) {
					t.Run("", func(t *testing.T) {
						t.Parallel()
						for seed, ok := r.seed(); ok; seed, ok = r.seed() {
							o := tt.options(seed)
							o.verbose = r.again
							s := simulate(t, o, tt.script)
							r.add(s)
							if r.again {
								t.Logf("seed %d, trace %x:\n%s", seed, s.sum(), story(s.trace))
							}
							if len(s.failures) > 0 {
								t.Error(s.report(tt.name))
							}
						}
					})
				}
			})
			took := time.Since(began)
			t.Logf("%d seeds, %v of simulated time, %d requests in %v: %.0f seeds a second", r.ran, r.virtual.Round(time.Second),
				r.requests, took.Round(time.Millisecond), float64(r.ran)/took.Seconds())
			for _, cause := range slices.Sorted(maps.Keys(r.gaps)) {
				gaps := r.gaps[cause]
				slices.Sort(gaps)
				t.Logf("pools without a publisher after %-11s %6d times, median %8v, p99 %8v, at most %8v", cause+":", len(gaps),
					gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)*99/100].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
			}
		})
	}
}

// simRun is many seeds of one script.
type simRun struct {
	mu          sync.Mutex
	next, last  uint64
	again       bool // it is one seed that failed before
	ran, failed int
	virtual     time.Duration
	requests    int
	gaps        map[string][]time.Duration
}

// seed is the next one to run. After three that failed there are no more.
func (r *simRun) seed() (uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	return r.next - 1, r.next-1 <= r.last && r.failed < 3
}

func (r *simRun) add(s *simulation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran++
	r.virtual += s.trace[len(s.trace)-1].at
	r.requests += s.server.requests
	for cause, gaps := range s.gaps {
		r.gaps[cause] = append(r.gaps[cause], gaps...)
	}
	if len(s.failures) > 0 {
		r.failed++
	}
}

// report is what to know of a seed that failed.
func (s *simulation) report(script string) string {
	return fmt.Sprintf("seed %d: %s\n%d faults in all; the last steps:\n%s"+
		"to replay: DROVER_SIM_SEED=%d go test -v -count=20 -run 'Simulation/%s' ./system/cluster\n"+
		"(goroutines that wake at one instant run in any order, so that a replay may go another way now and then: hence -count)",
		s.seed, s.failures[0], len(s.failures), s.storyBefore(s.failures[0], 40), s.seed, script)
}

// calmOptions have a network that works, and strict bounds.
func calmOptions(seed uint64) simOptions {
	d := newDice(seed, "options")
	o := simOptions{
		seed: seed, pools: 3 + d.intn(8), ttl: 4 * time.Second, margin: 500 * time.Millisecond, gather: 2 * time.Second, every: 30 * time.Millisecond,
		noise: noise{quick: 5 * time.Millisecond},
		host:  hostNoise{serve: 150 * time.Millisecond, leave: 200 * time.Millisecond},
	}
	o.dark, o.ghost = o.ttl+2*time.Second, o.ttl+expiryLate+3*o.every
	o.handOver = time.Second
	return o
}

// chaosOptions have a network that does everything that one can, in most seeds.
func chaosOptions(seed uint64) simOptions {
	d := newDice(seed, "options")
	o := calmOptions(seed)
	if d.chance(0.3) {
		o.ttl, o.margin, o.gather = 10*time.Second, time.Second, 3*time.Second
	}
	// Faults overlap: whoever is back takes only what it held, for a TTL, and what it held may be another's.
	o.dark, o.ghost, o.handOver = 2*o.ttl+2*time.Second, o.ttl+expiryLate+3*o.every, 0
	if d.chance(0.8) {
		o.noise = noise{
			quick: 20 * time.Millisecond, slow: 0.01, slowest: o.ttl, lost: 0.01, lostReply: 0.01, late: 0.01, latest: 2 * o.ttl, deaf: 0.1,
		}
		o.host.fails = 0.05
		o.dark, o.ghost = 4*o.ttl, 3*o.ttl // many requests in a row may fail
	}
	return o
}
