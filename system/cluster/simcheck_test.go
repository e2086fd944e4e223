package cluster

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// What must be true at any instant is checked where it could become false: at each change of a lease in
// the server, before anybody hears of it, and each time that the pools publish, some 20 ms apart.

// leaseChanged is told of every change of a lease, under the server's lock.
func (s *simulation) leaseChanged(key string, was, is *modelEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pool, ok := s.poolOf(key)
	if !ok {
		s.fail("a lease has the key %q", key)
		return
	}
	st := &s.state[pool]
	before, owner := st.holder, (*simNode)(nil)
	switch {
	case is == nil:
	case was != nil && bytes.Equal(was.Value, is.Value):
		owner = before // as nearly always; decoding takes long
	default:
		record, err := decodeLease(is.Value)
		if owner = s.byProcess[record.Process]; err != nil || owner == nil {
			s.fail("the lease of pool %d names nobody: %s", pool, is.Value)
		}
	}
	switch st.holder = owner; {
	case is == nil:
		s.note("free", before, pool)
	case was == nil:
		s.note("taken", owner, pool)
	}
	for _, n := range s.nodes {
		if l := n.pools[pool].lease; n != owner && !n.ended && l != nil && l.Valid() {
			s.fail("the lease of pool %d has become %s's while %s's is valid for another %v", pool, owner.who(), n.process, l.Remaining())
		}
	}
}

func (s *simulation) poolOf(key string) (int, bool) {
	var pool int
	_, err := fmt.Sscanf(key, "pool.%d", &pool)
	return pool, err == nil && pool >= 0 && pool < s.pools
}

// publish has every pool of every node publish, as far as it may, and checks what must be true then.
func (s *simulation) publish() {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for pool := range s.state {
		s.state[pool].publisher = nil
	}
	for _, n := range s.nodes {
		if n.ended || n.client.isPaused() {
			continue
		}
		for pool := range n.pools {
			p := &n.pools[pool]
			if p.reading && s.teeth.fromAnswer {
				n.believe(pool)
			}
			if p.reading && (s.teeth.ignoresValid || p.lease.Valid()) {
				s.published(n, pool, now)
			}
		}
	}
	s.checkDark(now)
}

// published is one publish batch of a pool.
func (s *simulation) published(n *simNode, pool int, now time.Time) {
	st := &s.state[pool]
	if st.publisher != nil {
		s.fail("%s and %s publish for pool %d", st.publisher.process, n.process, pool)
	}
	switch e := s.leases.entries[s.keys[pool]]; {
	case e == nil && st.holder == n && now.Sub(s.wiped) < s.ttl/2: // it was deleted, and the next renewal finds out
	case e == nil || st.holder != n:
		s.fail("%s publishes for pool %d, and the lease in the store is not its own", n.process, pool)
	case e.written.Add(s.ttl).Sub(now) < s.margin:
		s.fail("%s publishes for pool %d %v before its lease may expire, want at least the margin", n.process, pool, e.written.Add(s.ttl).Sub(now))
	}
	epoch := n.pools[pool].lease.Epoch()
	if epoch < st.epoch || epoch == st.epoch && st.last != n {
		s.fail("%s publishes for pool %d under epoch %d, and %s did under %d before", n.process, pool, epoch, st.last.who(), st.epoch)
	}
	st.epoch = epoch
	if st.last != nil && st.last != n {
		s.moves++
		st.moves++
		s.note("moved", n, pool)
	}
	if gap := now.Sub(st.at); st.last != nil && gap > 2*s.every {
		s.gap(n, pool, gap)
	}
	st.publisher, st.last, st.at = n, n, now
}

// gap is for how long nobody published for a pool that n publishes for now.
func (s *simulation) gap(n *simNode, pool int, lasted time.Duration) {
	s.gaps[s.cause] = append(s.gaps[s.cause], lasted)
	if s.handOver == 0 {
		return
	}
	switch s.cause {
	case "start", "stop", "drain", "move":
		if lasted > s.handOver {
			s.fail("after %s pool %d had no publisher for %v, want at most %v", s.cause, pool, lasted, s.handOver)
		}
		fallthrough
	case "kill":
		if s.state[pool].last == n {
			s.fail("after %s of another pool %d stood still for %v and stayed on %s", s.cause, pool, lasted, n.process)
		}
	}
}

// checkDark looks for pools that nobody publishes for, although nothing has gone wrong for longer than it takes.
func (s *simulation) checkDark(now time.Time) {
	if s.server.back != nil || s.leaderless() || !slices.ContainsFunc(s.eligible(), func(n *simNode) bool { return n.pinned == nil }) {
		s.calm = now
	}
	for pool := range s.state {
		st := &s.state[pool]
		since := st.at
		if since.Before(s.calm) {
			since = s.calm
		}
		if dark := now.Sub(since); dark > s.dark {
			s.fail("pool %d has no publisher, %v after the last fault, want at most %v", pool, dark, s.dark)
			st.at = now // once
		}
		s.checkGhost(pool, now)
	}
}

// leaderless reports that a bucket takes no write. It is under the server's lock.
func (s *simulation) leaderless() bool {
	return s.leases.elected != nil || s.members.elected != nil || s.fleet.elected != nil
}

// checkGhost looks for leases that keep a pool from being served and are nobody's, or of a node that knows nothing of it.
func (s *simulation) checkGhost(pool int, now time.Time) {
	st := &s.state[pool]
	e := s.leases.entries[s.keys[pool]]
	if e == nil || e.created != st.ghost {
		st.ghost, st.ghostSince = 0, now
		if e != nil {
			st.ghost = e.created
		}
	}
	if n := st.holder; n != nil && !n.ended && n.pools[pool].lease != nil && (n.pools[pool].lease.Valid() || n.pools[pool].leaving) {
		st.ghostSince = now
	}
	if s.leaderless() { // nothing expires without a leader of its own, and nobody can mark what it took
		st.ghostSince = now
	}
	if lasts := now.Sub(st.ghostSince); e != nil && lasts > s.ghost {
		s.fail("the lease of pool %d has been a ghost's for %v, want at most %v", pool, lasts, s.ghost)
		st.ghostSince = now // once
	}
}

// eligible are the nodes that could serve. Under s.mu.
func (s *simulation) eligible() []*simNode {
	var nodes []*simNode
	for _, n := range s.nodes {
		if !n.ended && !n.draining && !n.client.isPaused() && !n.client.isCut() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// checkStatus compares what the nodes say of themselves with who publishes.
func (s *simulation) checkStatus() {
	s.mu.Lock()
	nodes, state := s.eligible(), slices.Clone(s.state)
	s.mu.Unlock()
	for _, n := range nodes {
		mine, want := []int(nil), []int(nil)
		for _, l := range n.node.Status().Leases { // it is not asked under the lock: what it logs would need that
			if l.Mine && l.Valid {
				mine = append(mine, l.Pool)
			}
		}
		for pool := range state {
			if state[pool].last == n {
				want = append(want, pool)
			}
		}
		if !slices.Equal(mine, want) {
			s.mu.Lock()
			s.fail("%s says that it has the pools %v, and publishes for %v", n.process, mine, want)
			s.mu.Unlock()
		}
	}
}

// balance says what is wrong with who serves what; "" if nothing is.
func (s *simulation) balance() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	weight, open, pinned := 0, s.pools, map[int]bool{}
	for _, n := range s.eligible() {
		switch {
		case n.pinned == nil:
			weight += n.capacity
		case !pinned[*n.pinned]:
			pinned[*n.pinned] = true
			open--
		}
	}
	load := map[*simNode]int{}
	for pool := range s.state {
		n := s.state[pool].publisher
		switch load[n]++; {
		case n == nil:
			return fmt.Sprintf("nobody publishes for pool %d", pool)
		case pinned[pool] && (n.pinned == nil || *n.pinned != pool):
			return fmt.Sprintf("%s has pool %d, to which another is pinned", n.process, pool)
		}
	}
	for _, n := range s.nodes {
		share := open * n.capacity
		low, high := share/max(weight, 1), (share+weight-1)/max(weight, 1)
		switch {
		case n.draining || n.ended:
			low, high = 0, 0
		case n.pinned != nil:
			low, high = 0, 1
		}
		if load[n] < low || load[n] > high {
			return fmt.Sprintf("%s has %d pools, want %d to %d", n.process, load[n], low, high)
		}
	}
	return ""
}
