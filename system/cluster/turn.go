package cluster

import (
	"context"
	"slices"
	"time"
)

// gift is a pool that this node hands over because the plan gives it to another one.
type gift struct {
	pool  int
	to    string    // process
	until time.Time // then the next one may go, whatever became of it
}

// awaited is a pool that another process should have.
type awaited struct {
	process string
	since   time.Time
}

// turn looks at the plan once, and begins what this node has to do: it takes pools that are free and its own, hands over pools that
// are another's, and removes entries of its own that nobody serves. life ends what it begins.
func (n *Node) turn(life context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Sub(n.heard) > n.o.TTL || n.health.away() {
		return // what is known is too old to plan with
	}
	reserved := n.health.reservedFor(now) > 0
	members := n.planning(now, reserved)
	holders := n.held(now, members)
	n.plan = Plan(members, n.o.Pools, holders, n.prefer)
	n.gather(now, members)
	if n.draining {
		return
	}
	n.watchOthers(now, reserved)
	for pool := range n.o.Pools {
		n.take(life, pool, now, reserved)
	}
	n.wish(now)
	if !reserved {
		n.give(now)
	}
}

// planWithout makes the plan of those who stay. Node.mu is held.
func (n *Node) planWithout(now time.Time) {
	if now.Sub(n.heard) > n.o.TTL || n.health.away() {
		return
	}
	members := n.planning(now, false)
	for i := range members {
		members[i].Draining = members[i].Draining || members[i].ID == n.o.Process
	}
	n.plan = Plan(members, n.o.Pools, n.held(now, members), n.prefer)
}

// planning are the members that the plan is made of.
func (n *Node) planning(now time.Time, reserved bool) []Planned {
	var members []Planned
	for _, r := range n.members.rows {
		missed := !r.present() && reserved // while nobody knows who is only slow to come back
		switch {
		case r.unread || !r.present() && !missed:
		case !r.record.ready && !reserved: // in that time it is more likely back than new
		case now.Sub(r.seen) > 2*n.o.TTL && !missed: // the bucket lost its age limit, or this is not renewed although it is there
		case n.skip(r.record.process, now):
		default:
			members = append(members, r.record.planned())
		}
	}
	return members
}

// held is who holds each pool, by process. A lease that went without its holder, because it or its bucket was deleted or nobody could
// renew it, is the holder's for a little longer, and for as long as it may believe in it: it takes it again with its next renewal.
func (n *Node) held(now time.Time, members []Planned) map[int]string {
	live := make(map[string]bool, len(members))
	for _, m := range members {
		live[m.ID] = !m.Draining
	}
	holders := make(map[int]string, n.o.Pools)
	for _, r := range n.leases.rows {
		switch {
		case r.record.pool < 0 || r.unread:
		case r.present() || live[r.record.Process] && (r.believed(now, n.o.TTL) || now.Sub(r.gone) < n.o.TTL/2):
			holders[r.record.pool] = r.record.Process
		}
	}
	return holders
}

// gather ends the cold start: when others serve already, or after the time that is given to others for coming, and a little more
// for those that have come and are not ready.
func (n *Node) gather(now time.Time, members []Planned) {
	if n.gathered || n.joined.IsZero() {
		return
	}
	running, coming := false, false
	for _, r := range n.leases.rows {
		for _, m := range members {
			running = running || r.present() && r.record.Process == m.ID && m.ID != n.o.Process
		}
	}
	for _, r := range n.members.rows {
		coming = coming || r.present() && !r.unread && !r.record.ready && !r.record.draining
	}
	waited := now.Sub(n.joined)
	n.gathered = running || waited >= n.o.Gather && (!coming || waited >= n.o.Gather+n.o.TTL/2)
}

// take begins to serve pool if it is ours and free.
func (n *Node) take(life context.Context, pool int, now time.Time, reserved bool) {
	if n.holds[pool] != nil || now.Before(n.later[pool]) {
		return
	}
	delete(n.later, pool)
	r := n.leases.rows[poolKey(pool)]
	ours := n.plan[pool] == n.o.Process
	ghost := r.present() && !r.unread && r.record.Process == n.o.Process
	switch {
	case ghost && ours: // a request that seemed to fail: Acquire finds it
	case ghost && now.Sub(r.seen) < n.retry: // it may be old news of what we have just given back
		return
	case ghost:
	case r.present() || r.believed(now, n.o.TTL) && r.record.Process != n.o.Process || !ours || reserved && !n.letGo(r):
		return
	case !n.gathered && n.me.pinned == unpinned:
		return
	}
	h := &holding{pool: pool, ghost: ghost && !ours, leave: make(chan struct{}), poke: make(chan struct{}, 1), lease: n.newLease(pool)}
	n.holds[pool] = h
	n.holders.Go(func() { n.hold(life, h) })
}

// letGo reports that r's lease is free because its holder gave it up, and did not just run out while nobody could renew: the holder
// is back, or had said that it goes.
func (n *Node) letGo(r *row[leaseRow]) bool {
	if r == nil || r.unread {
		return false
	}
	for _, m := range n.members.rows {
		if !m.unread && m.record.process == r.record.Process {
			return m.present() && m.record.ready || m.record.draining
		}
	}
	return false
}

// wish looks which pools of this node should be another's, and since when: what is heard of leases and of members comes by two ways, and
// a plan made of the new half of one and the old half of the other is gone in a moment.
func (n *Node) wish(now time.Time) {
	for pool, h := range n.holds {
		switch to := n.plan[pool]; {
		case to == "" || to == n.o.Process || h.ghost || h.leaving || !h.serving:
			delete(n.wished, pool)
		case n.wished[pool].process != to:
			n.wished[pool] = awaited{to, now}
		}
	}
	for pool := range n.wished {
		if n.holds[pool] == nil {
			delete(n.wished, pool)
		}
	}
}

// give hands one pool over that is another's, if no other is under way: every move is a RESUME of all its shards. What a change of
// the members asks for waits until they have been the same for a while; what was moved by hand does not.
func (n *Node) give(now time.Time) {
	if g := n.giving; g != nil {
		r := n.leases.rows[poolKey(g.pool)]
		taken := n.holds[g.pool] == nil && r.present() && r.record.Process != n.o.Process
		if !taken && now.Before(g.until) {
			return
		}
		n.giving = nil
	}
	quiet := now.Sub(n.moved) >= n.o.TTL/2
	for pool := range n.o.Pools {
		w, wished := n.wished[pool]
		if !wished || now.Sub(w.since) < n.retry || !n.holds[pool].lease.Valid() || n.silent(w.process, now) {
			continue
		}
		to := w.process
		if !quiet && !slices.Contains(n.prefer, Preference{pool, n.nameOf(to)}) {
			continue
		}
		n.log.Info("pool goes to another node", "pool_id", pool, "to", n.nameOf(to))
		n.giving = &gift{pool: pool, to: to, until: now.Add(n.o.LeaveTimeout + n.o.TTL)}
		n.holds[pool].handOver()
		return
	}
}

// silent reports that a process has not been heard of for longer than it should: it may be dead, and not everything that
// follows from that is known.
func (n *Node) silent(process string, now time.Time) bool {
	for _, r := range n.members.rows {
		if !r.unread && r.record.process == process {
			return now.Sub(r.seen) > n.o.TTL/2
		}
	}
	return true
}

// watchOthers looks for free pools that the member which should take them does not take, and has the plan do without it until it takes
// one.
func (n *Node) watchOthers(now time.Time, reserved bool) {
	for process, until := range n.skipped {
		if now.After(until) {
			delete(n.skipped, process)
		}
	}
	for pool := range n.o.Pools {
		to := n.plan[pool]
		if n.leases.rows[poolKey(pool)].present() || to == "" || to == n.o.Process || reserved || !n.gathered {
			delete(n.awaited, pool)
			continue
		}
		a := n.awaited[pool]
		if a.process != to {
			n.awaited[pool] = awaited{to, now}
			continue
		}
		// A TTL for a node that may take only what it held, a quarter for the rest.
		if wait := now.Sub(a.since); wait > n.o.TTL+n.o.TTL/4+n.o.Gather {
			delete(n.awaited, pool)
			n.skipped[to] = now.Add(10 * n.o.TTL)
			n.log.Warn("node does not take a pool that is its own, others do", "pool_id", pool, "other", n.nameOf(to), "wait", wait)
			signal(n.kick)
		}
	}
}

func (n *Node) skip(process string, now time.Time) bool {
	until, skipped := n.skipped[process]
	return skipped && now.Before(until) && process != n.o.Process
}

// nameOf is the name of a process's node, for people.
func (n *Node) nameOf(process string) string {
	for _, r := range n.members.rows {
		if !r.unread && r.record.process == process {
			return r.record.name
		}
	}
	return process
}
