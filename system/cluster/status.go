package cluster

import (
	"cmp"
	"slices"
	"time"
)

// Status is what a node knows, for people and for metrics.
type Status struct {
	Node, Process string
	Draining      bool
	Away          bool           // the store does not answer
	Reserved      time.Duration  // for how long this node takes only what it held; 0: it is not restricted
	Members       []MemberStatus // by name
	Leases        []LeaseStatus  // by pool; pools without a lease are missing
	Plan          map[int]string // pool → name of the node that should serve it
	Prefer        map[int]string // pool → name, as Move wrote it down
	Counts        Counts
}

// MemberStatus is one member as this node sees it.
type MemberStatus struct {
	Name, Process, Addr, Version string
	Capacity                     int
	Pinned                       *int
	Ready, Draining              bool
	Skipped                      bool          // this node plans without it: it did not take a pool that is its own
	Pools                        int           // that it holds
	Seen                         time.Duration // since its last sign of life
}

// LeaseStatus is one lease as this node sees it.
type LeaseStatus struct {
	Pool          int
	Node, Process string // of its holder
	Epoch         uint64
	Mine, Valid   bool          // Valid is known of one's own only
	Remaining     time.Duration // of one's own until its deadline; of others an estimate until it runs out
}

// Counts are the node's counters since its start.
type Counts struct {
	Acquired   uint64 // leases, also those taken again after they ran out
	HandedOver uint64 // released in order
	Lost       uint64 // to another holder
	RanOut     uint64 // deadlines that passed before a renewal worked
	// Renewals by outcome. Of an unknown one nobody knows whether it worked; a lost one found the lease gone or another's.
	Renewed, RenewUnknown, RenewLost uint64
}

// Status returns what the node knows now.
func (n *Node) Status() Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	s := Status{
		Node: n.o.Name, Process: n.o.Process, Draining: n.draining, Away: n.health.away(), Reserved: max(n.health.reservedFor(now), 0),
		Plan: make(map[int]string, len(n.plan)), Prefer: make(map[int]string, len(n.prefer)), Counts: n.counts,
	}
	for _, w := range n.prefer {
		s.Prefer[w.Pool] = w.Node
	}
	for pool, process := range n.plan {
		s.Plan[pool] = n.nameOf(process)
	}
	pools := map[string]int{}
	for _, r := range n.leases.rows {
		if !r.present() || r.unread || r.record.pool < 0 || r.record.pool >= n.o.Pools {
			continue
		}
		pools[r.record.Process]++
		if n.holds[r.record.pool] == nil {
			s.Leases = append(s.Leases, othersLease(r, now, n.o.TTL))
		}
	}
	for _, h := range n.holds {
		if h.lease.Epoch() == 0 {
			continue // it is still to be acquired
		}
		s.Leases = append(s.Leases, LeaseStatus{
			Pool: h.pool, Node: n.o.Name, Process: n.o.Process, Epoch: h.lease.Epoch(), Mine: true,
			Valid: h.lease.Valid(), Remaining: max(h.lease.Remaining(), 0),
		})
	}
	slices.SortFunc(s.Leases, func(a, b LeaseStatus) int { return a.Pool - b.Pool })
	for _, r := range n.members.rows {
		if !r.present() || r.unread {
			continue
		}
		m := r.record
		s.Members = append(s.Members, MemberStatus{
			Name: m.name, Process: m.process, Addr: m.addr, Version: m.program, Capacity: m.capacity, Pinned: m.planned().Pinned,
			Ready: m.ready, Draining: m.draining, Skipped: n.skip(m.process, now), Pools: pools[m.process], Seen: now.Sub(r.seen),
		})
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Process, b.Process))
	})
	return s
}

func othersLease(r *row[leaseRow], now time.Time, ttl time.Duration) LeaseStatus {
	l, epoch := r.record, r.record.Epoch
	if epoch == 0 {
		epoch = r.revision
	}
	return LeaseStatus{Pool: l.pool, Node: l.Node, Process: l.Process, Epoch: epoch, Remaining: max(ttl-now.Sub(r.seen), 0)}
}
