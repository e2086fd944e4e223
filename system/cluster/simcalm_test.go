package cluster

import (
	"slices"
	"time"
)

// oneByOne waits for calm after every fault, so that what each of them costs can be judged.
func oneByOne(s *simulation) {
	c := &simScript{simulation: s, moved: map[int]string{}}
	c.boot(2+c.dice.intn(3), func() int { return 1 })
	c.settle()
	for range 2 + c.dice.intn(3) {
		if c.failed() {
			return // what follows would be judged by a state that is wrong already
		}
		time.Sleep(c.dice.upTo(c.ttl)) // any phase of the renewals
		nodes := c.healthy()
		fault := loneFaults[c.dice.intn(len(loneFaults))]
		if len(nodes) == 1 {
			fault = join
		}
		fault(c, c.pick(nodes), nodes, c.served())
		c.ends.Wait()
		time.Sleep(c.ttl * 3 / 2) // a node that was cut off is careful for a TTL
		c.settle()
	}
}

// loneFault is one fault. n is a node by chance of all nodes, before is who served.
type loneFault func(c *simScript, n *simNode, nodes []*simNode, before []poolState)

var loneFaults = []loneFault{
	func(c *simScript, n *simNode, _ []*simNode, before []poolState) {
		n.kill()
		c.settle()
		c.movedOnly("kill", before, n)
	},
	func(c *simScript, n *simNode, _ []*simNode, before []poolState) {
		c.terminate(n)
		c.settle()
		c.movedOnly("stop", before, n)
	},
	join,
	func(c *simScript, n *simNode, _ []*simNode, before []poolState) {
		c.pause(n, c.dice.upTo(c.ttl/2))
		c.ends.Wait()
		c.settle()
		c.movedAtMost("a short pause", before, 0)
	},
	func(c *simScript, n *simNode, _ []*simNode, _ []poolState) {
		c.pause(n, c.dice.between(c.ttl*2, 4*c.ttl))
	},
	func(c *simScript, n *simNode, _ []*simNode, before []poolState) {
		c.cut(n, c.dice.upTo(c.ttl/4))
		c.ends.Wait()
		c.settle()
		c.movedAtMost("a short cut", before, 0)
	},
	func(c *simScript, n *simNode, _ []*simNode, _ []poolState) {
		c.cut(n, c.dice.between(c.ttl*2, 4*c.ttl))
	},
	func(c *simScript, _ *simNode, _ []*simNode, before []poolState) {
		c.outage(c.dice.upTo(4 * c.ttl))
		c.ends.Wait()
		c.settle()
		time.Sleep(2 * c.ttl)
		c.movedAtMost("store away", before, 0)
	},
	func(c *simScript, _ *simNode, _ []*simNode, before []poolState) {
		c.election(4 * c.ttl)
		c.ends.Wait()
		c.settle()
		time.Sleep(2 * c.ttl)
		c.movedAtMost("elections", before, 0)
	},
	func(c *simScript, n *simNode, nodes []*simNode, _ []poolState) {
		pool := c.dice.intn(c.pools)
		c.move(pool, n)
		c.ends.Wait()
		time.Sleep(2 * c.ttl)
		c.settle()
		there := 0 // pools that were moved to that node by hand; it has no room for all of them, maybe
		for _, name := range c.moved {
			if name == n.name {
				there++
			}
		}
		if got := c.served()[pool].last; got != n && there <= c.pools/len(nodes) {
			c.complain("after move of pool %d to %s it is served by %s", pool, n.process, got.who())
		}
	},
	func(c *simScript, _ *simNode, nodes []*simNode, _ []poolState) { // rolling restart
		for _, n := range nodes {
			c.terminate(n)
			n.again()
			c.settle()
		}
	},
	func(c *simScript, n *simNode, _ []*simNode, before []poolState) { // two nodes of one name
		twin := c.start(n.name, 1, nil)
		c.mu.Lock()
		twin.twin, twin.draining = true, true
		c.mu.Unlock()
		select {
		case <-twin.done:
		case <-time.After(2 * c.ttl):
			c.complain("%s has the name of %s, and runs", twin.process, n.process)
		}
		c.movedAtMost("a twin", before, 0)
	},
	func(c *simScript, _ *simNode, _ []*simNode, before []poolState) {
		all := []*modelBucket{c.leases, c.members, c.fleet}
		if i := c.dice.intn(4); i < len(all) {
			all = all[i : i+1]
		}
		for _, b := range all {
			c.wipe(b)
		}
		time.Sleep(2 * c.ttl)
		c.settle()
		c.movedAtMost("a deleted bucket", before, 0)
	},
}

func join(c *simScript, _ *simNode, nodes []*simNode, before []poolState) {
	c.join(1)
	c.settle()
	c.movedAtMost("join", before, (c.pools+len(nodes))/(len(nodes)+1))
}

func (c *simScript) complain(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(format, args...)
}

func (c *simScript) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.failures) > 0
}

// served is the state of all pools.
func (c *simScript) served() []poolState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state)
}

// movedOnly checks that no pool but n's went to another node, not even for a while.
func (c *simScript) movedOnly(fault string, before []poolState, n *simNode) {
	for pool, now := range c.served() {
		if was := before[pool]; was.last != n && was.moves != now.moves {
			c.complain("%s of %s moved pool %d from %s to %s", fault, n.process, pool, was.last.who(), now.last.who())
		}
	}
}

func (c *simScript) movedAtMost(fault string, before []poolState, limit int) {
	moves := 0
	for pool, now := range c.served() {
		moves += now.moves - before[pool].moves
	}
	if moves > limit {
		c.complain("%s moved %d pools, want at most %d", fault, moves, limit)
	}
}
