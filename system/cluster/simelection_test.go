package cluster

import (
	"testing"
	"time"
)

// In a cluster of NATS servers the buckets elect their leaders one by one, and until then any copy answers what is read. That is no sign
// that anybody could write: everybody's leases have run out when the first leader is there, and nobody is dead.
func TestSimulation_elections_that_outlast_leases_move_no_pool(t *testing.T) {
	for seed := range uint64(40) {
		o := calmOptions(seed + 1)
		o.pools = 8
		if s := simulate(t, o, longElection); len(s.failures) > 0 {
			t.Fatalf("seed %d: %s; the last steps:\n%s", seed+1, s.failures[0], s.storyBefore(s.failures[0], 40))
		}
	}
}

func longElection(s *simulation) {
	c := &simScript{simulation: s, moved: map[int]string{}}
	c.boot(3, func() int { return 1 })
	c.settle()
	before := c.served()
	for _, b := range []*modelBucket{c.leases, c.members, c.fleet} {
		c.fault(b.name+" has no leader", nil, -1)
		b.orphan()
		c.after(c.dice.between(c.ttl, 4*c.ttl), func() {
			c.fault(b.name+" has a leader", nil, -1)
			b.elect()
		})
	}
	c.ends.Wait()
	c.settle()
	time.Sleep(2 * c.ttl)
	c.movedAtMost("elections", before, 0)
}
