package cluster

import (
	"testing"
	"time"
)

// TestSimulation_of_640_pools_on_40_nodes is 16,000 shards: what the store has to bear, and how long placing and recovering
// take. The times are simulated; how long that really takes says nothing.
func TestSimulation_of_640_pools_on_40_nodes(t *testing.T) {
	const shards = 25 // of a pool
	nodes, pools := 40, 640
	if raceDetector { // all nodes look at the plan whenever anything changes, in one process here: it takes a minute
		nodes, pools = 10, 160
	}
	o := calmOptions(1)
	o.pools, o.every = pools, 100*time.Millisecond
	o.ttl, o.margin, o.gather = 10*time.Second, time.Second, 5*time.Second
	o.noise = noise{quick: 5 * time.Millisecond, slow: 0.01, slowest: 100 * time.Millisecond}
	o.host = hostNoise{serve: time.Second, leave: 500 * time.Millisecond}
	o.dark, o.ghost = o.gather+o.ttl+2*time.Second, o.ttl+expiryLate+3*o.every
	s := simulate(t, o, func(s *simulation) {
		c := &simScript{simulation: s, moved: map[int]string{}}
		began := time.Now()
		for range nodes {
			time.Sleep(c.dice.upTo(50 * time.Millisecond))
			c.join(1)
		}
		booted := time.Since(began)
		placed := c.until(time.Minute, func() bool { return c.balance() == "" })
		t.Logf("%d nodes started within %v; %d pools, %d shards, were placed %v later", nodes, booted.Round(time.Millisecond), pools, pools*shards, placed)
		c.settle()

		renewals, requests := c.applied()
		lasts := 2 * c.ttl
		time.Sleep(lasts)
		moreRenewals, moreRequests := c.applied()
		t.Logf("at rest: %.0f renewals of leases a second, %.0f requests a second in all",
			float64(moreRenewals-renewals)/lasts.Seconds(), float64(moreRequests-requests)/lasts.Seconds())

		n := c.pick(c.healthy())
		held := 0
		for _, p := range c.served() {
			if p.last == n {
				held++
			}
		}
		n.kill()
		recovered := c.until(time.Minute, func() bool { return c.balance() == "" })
		t.Logf("one node with %d pools killed: all served again after %v, lease TTL %v", held, recovered, c.ttl)
	})
	if len(s.failures) > 0 {
		t.Errorf("%d faults, the first: %s", len(s.failures), s.failures[0])
	}
}

// until waits for what becomes true, and returns how long that took.
func (c *simScript) until(limit time.Duration, done func() bool) time.Duration {
	began := time.Now()
	for !done() {
		if time.Since(began) > limit {
			c.complain("not after %v: %s", limit, c.balance())
			break
		}
		time.Sleep(c.every)
	}
	return time.Since(began)
}

// applied is how many writes of leases, and requests of all kinds, the server has answered.
func (c *simScript) applied() (leases, requests int) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for _, n := range c.nodes {
		leases += n.client.applied["leases"]
	}
	return leases, c.server.requests
}
