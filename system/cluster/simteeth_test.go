package cluster

import (
	"strings"
	"testing"
	"time"
)

// A simulation that finds nothing may be one that cannot find anything. So each rule is broken here, and it has to
// notice, within some seeds, and for the right reason.
func TestSimulation_has_teeth(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script func(*simulation)
		breaks func(*simOptions)
		want   string // in what is reported
	}{
		{"a node that publishes without asking its lease", chaos, func(o *simOptions) { o.teeth.ignoresValid = true }, " publish for pool"},
		{"a deadline that counts from the answer", chaos, func(o *simOptions) {
			o.teeth.fromAnswer = true
			o.noise.slow, o.noise.slowest = 0.1, o.ttl
		}, "before its lease may expire"},
		{"a store whose Create overwrites", chaos, func(o *simOptions) { o.teeth.forgiving = true }, "has become"},
		{"a store that expires what is still believed in", chaos, func(o *simOptions) { o.teeth.hasty = 2 * time.Second }, "has become nobody's"},
		{"a pool that is served by nobody", oneByOne, func(o *simOptions) { o.teeth.servesNobody = true }, "has no publisher"},
		{"a store that keeps the leases of the dead", oneByOne, func(o *simOptions) { o.teeth.hasty = -time.Minute }, "has been a ghost's"},
		{"shards that take long to leave", oneByOne, func(o *simOptions) { o.host.leave = 3 * time.Second }, "had no publisher for"},
		{"nodes that take what is free when the store is back", longOutage, func(o *simOptions) { o.teeth.careless = true }, "store away moved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const seeds = 40
			for seed := range uint64(seeds) {
				o := calmOptions(seed + 1)
				tt.breaks(&o)
				s := simulate(t, o, tt.script)
				for _, failure := range s.failures {
					if strings.Contains(failure, tt.want) {
						t.Logf("seed %d: %s", seed+1, failure)
						return
					}
				}
			}
			t.Errorf("got nothing in %d seeds, want a report of %q", seeds, tt.want)
		})
	}
}

func longOutage(s *simulation) {
	c := &simScript{simulation: s, moved: map[int]string{}}
	c.boot(3, func() int { return 1 })
	c.settle()
	before := c.served()
	c.outage(2 * c.ttl)
	c.ends.Wait()
	c.settle()
	c.movedAtMost("store away", before, 0)
}
