package cluster

import (
	"fmt"
	"sync"
	"time"
)

// simScript is what happens to a cluster: cold start, faults by seed, quiet.
type simScript struct {
	*simulation
	names int
	moved map[int]string // names of nodes by pool: moves by hand
	ends  sync.WaitGroup // of faults that are still to end
}

// boot starts nodes at about the same time.
func (c *simScript) boot(nodes int, capacity func() int) {
	for range nodes {
		time.Sleep(c.dice.upTo(c.gather / 4))
		c.join(capacity())
	}
}

func (c *simScript) join(capacity int) *simNode {
	c.names++
	return c.start(fmt.Sprintf("node-%d", c.names), capacity, nil)
}

func (c *simScript) pick(nodes []*simNode) *simNode { return nodes[c.dice.intn(len(nodes))] }

// healthy are the nodes that nothing is wrong with.
func (c *simScript) healthy() []*simNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eligible()
}

// after has something happen later, whatever else happens meanwhile.
func (c *simScript) after(d time.Duration, f func()) {
	c.ends.Go(func() {
		time.Sleep(d)
		f()
	})
}

// chaos strikes again and again, also while the last faults are still there.
func chaos(s *simulation) {
	c := &simScript{simulation: s, moved: map[int]string{}}
	if c.dice.chance(0.2) {
		pool := c.dice.intn(c.pools)
		c.start("node-pinned", 1, &pool)
	}
	c.boot(2+c.dice.intn(3), func() int { return 1 + c.dice.intn(2) })
	for range 3 + c.dice.intn(5) {
		time.Sleep(c.dice.upTo(2 * c.ttl))
		c.strike()
	}
	c.ends.Wait()
	c.settle()
}

func (c *simScript) strike() {
	nodes := c.healthy()
	if len(nodes) == 0 {
		return // enough
	}
	n, lasts := c.pick(nodes), c.dice.upTo(3*c.ttl)
	if c.dice.chance(0.3) {
		lasts = c.dice.upTo(c.ttl / 4)
	}
	switch fault := c.dice.intn(9); {
	case fault == 0:
		n.kill()
		c.after(lasts, func() { n.again() })
	case fault == 1:
		c.restart(n, lasts)
	case fault == 2:
		c.join(1 + c.dice.intn(2))
	case fault == 3:
		c.pause(n, lasts)
	case fault == 4:
		c.cut(n, lasts)
	case fault == 5:
		c.outage(lasts)
	case fault == 6 && len(nodes) > 1:
		c.drain(n)
		c.after(lasts, func() { c.restart(n, 0) })
	case fault == 7:
		c.move(c.dice.intn(c.pools), n)
	default: // all nodes restarted, one after the other, without waiting for calm
		c.after(0, func() {
			for _, n := range nodes {
				if c.terminate(n) {
					n.again()
				}
			}
		})
	}
}

// terminate stops a node and waits until it has ended. It reports whether it was the one to do it.
func (c *simScript) terminate(n *simNode) bool {
	c.mu.Lock()
	stopping := n.stopping || n.ended
	n.stopping = true
	c.mu.Unlock()
	if stopping {
		return false
	}
	n.stop()
	<-n.done
	return true
}

func (c *simScript) restart(n *simNode, after time.Duration) {
	c.after(0, func() {
		if c.terminate(n) {
			time.Sleep(after)
			n.again()
		}
	})
}

func (c *simScript) pause(n *simNode, lasts time.Duration) {
	c.fault("pause", n, -1)
	n.client.pause()
	c.after(lasts, func() {
		c.fault("resume", n, -1)
		n.client.resume()
		c.publish() // at that instant, before the node hears of anything
	})
}

func (c *simScript) cut(n *simNode, lasts time.Duration) {
	c.fault("cut", n, -1)
	n.client.cut()
	c.after(lasts, func() {
		c.fault("healed", n, -1)
		n.client.heal()
	})
}

func (c *simScript) outage(lasts time.Duration) {
	c.fault("store away", nil, -1)
	c.server.stop()
	c.after(lasts, func() {
		c.fault("store back", nil, -1)
		c.server.start()
	})
}

// election kills the leader of some buckets in a cluster of NATS servers: each has another one after a time of its own.
func (c *simScript) election(most time.Duration) {
	for _, b := range []*modelBucket{c.leases, c.members, c.fleet} {
		if c.dice.chance(0.7) {
			c.fault(b.name+" has no leader", nil, -1)
			b.orphan()
			c.after(c.dice.upTo(most), func() {
				c.fault(b.name+" has a leader", nil, -1)
				b.elect()
			})
		}
	}
}

func (c *simScript) drain(n *simNode) {
	c.fault("drain", n, -1)
	c.mu.Lock()
	n.draining = true
	c.mu.Unlock()
	c.ends.Go(func() { n.node.Drain(c.ctx) })
}

func (c *simScript) wipe(b *modelBucket) {
	c.fault(b.name+" deleted", nil, -1)
	c.mu.Lock()
	c.wiped = time.Now()
	c.mu.Unlock()
	b.wipe()
}

func (c *simScript) move(pool int, n *simNode) {
	c.fault("move", n, pool)
	c.moved[pool] = n.name
	c.ends.Go(func() { _, _ = n.node.Move(c.ctx, pool, n.name) })
}

// settle waits until every pool is served, and load is in balance, for a second without a break. The limit has room for the time
// for which the plan does without a node that did not take what was its own.
func (c *simScript) settle() {
	began, limit := time.Now(), 15*c.ttl+time.Duration(c.pools)*2*time.Second
	for good := 0; good < 10; {
		time.Sleep(100 * time.Millisecond)
		wrong := c.balance()
		if good++; wrong != "" {
			good = 0
		}
		if time.Since(began) > limit {
			c.complain("not settled after %v without a fault: %s", limit, wrong)
			return
		}
	}
	if c.handOver > 0 {
		c.checkStatus()
	}
}
