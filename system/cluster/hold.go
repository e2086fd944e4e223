package cluster

import (
	"context"
	"errors"
	"time"
)

// hold runs one pool on this node: it acquires the lease, has the host serve, and renews until the pool is handed over, lost, or
// life ends. All of a pool's calls to Host come from here. It is a goroutine of its own, started by turn.
func (n *Node) hold(life context.Context, h *holding) {
	wait := time.Duration(0) // how long this node leaves the pool alone afterwards
	defer func() {
		n.mu.Lock()
		if wait > 0 {
			n.later[h.pool] = time.Now().Add(wait)
		}
		delete(n.holds, h.pool)
		n.mu.Unlock()
		signal(n.kick)
	}()
	switch err := n.askLease(life, h.lease.Acquire); {
	case errors.Is(err, ErrHeld):
		wait = n.retry
		signal(n.relist) // what we know is old
		return
	case err != nil: // the entry may be ours: the next try finds it
		wait = n.retry
		return
	}
	n.acquired(h)
	n.log.Info("lease acquired", "pool_id", h.pool, "epoch", h.lease.Epoch())
	if h.ghost {
		n.release(h)
		return
	}
	if n.serve(life, h) == nil {
		return
	}
	wait = n.o.TTL
	n.mu.Lock()
	for _, r := range n.members.rows {
		if r.present() && r.record.process != n.o.Process && r.record.ready && r.record.pinned == unpinned {
			wait = 4 * n.o.TTL // long enough that another one sees that we do not take it, and does
		}
	}
	n.mu.Unlock()
}

// errGivenBack ends a Serve that is still busy when the pool has to go.
var errGivenBack = errors.New("cluster: the pool is given back before it was served")

// serve has the host serve the pool until it is left or lost. It returns what Serve returned.
func (n *Node) serve(life context.Context, h *holding) (failure error) {
	serving, lost := context.WithCancelCause(life)
	defer lost(nil)
	lease := h.lease
	busy := start(func() error { return n.o.Host.Serve(serving, h.pool, lease) })
	leave, ends := h.leave, life.Done()
	wanted, leaving, told := false, false, false
	first := n.o.TTL / 4
	if !lease.Valid() { // the process stood still between the request and here
		first = 0
	}
	renewal := time.NewTimer(first)
	defer renewal.Stop()
	for {
		poked := false
		select {
		case err := <-busy:
			busy = nil
			switch {
			case leaving:
				if err != nil {
					n.log.Warn("pool was not left in order", "pool_id", h.pool, "err", err)
				}
				n.release(h)
				return failure
			case err != nil && wanted:
				n.log.Info("pool is given back before it was served", "pool_id", h.pool)
			case err != nil:
				n.log.Error("pool cannot be served here and is given back", "pool_id", h.pool, "err", err)
				failure, wanted = err, true
			default:
				n.mu.Lock()
				h.serving = true
				n.mu.Unlock()
				signal(n.kick)
			}
		case <-leave:
			if leave, wanted = nil, true; busy != nil && !leaving {
				lost(errGivenBack) // Serve may wait for somebody who does not come
			}
		case <-ends:
			ends, wanted = nil, true
		case <-h.poke:
			poked = true
		case <-renewal.C:
			poked = true
		}
		if poked {
			wait, err := n.renew(life, h)
			if err != nil {
				lost(err)
				n.drop(h, busy)
				return failure
			}
			renewal.Reset(wait)
			told = n.tell(h, told)
		}
		if wanted && !leaving && busy == nil {
			leaving = true
			busy = n.startLeaving(life, h)
			n.nameHeir(h)
		}
	}
}

// start runs f in a goroutine whose end is its result.
func start(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// startLeaving has the host leave the pool, within LeaveTimeout, and not at all longer when the node is in a hurry.
func (n *Node) startLeaving(life context.Context, h *holding) <-chan error {
	ctx, cancel := context.WithTimeout(life, n.o.LeaveTimeout)
	n.mu.Lock()
	h.leaving, h.stopLeave = true, cancel
	if n.rushed {
		cancel()
	}
	n.mu.Unlock()
	return start(func() error {
		defer cancel()
		return n.o.Host.Leave(ctx, h.pool)
	})
}

// nameHeir has the lease say at once who gets it next, who may then prepare while this node leaves the pool.
func (n *Node) nameHeir(h *holding) {
	n.mu.Lock()
	heir := n.plan[h.pool]
	n.mu.Unlock()
	if heir != "" && heir != n.o.Process {
		h.lease.bequeath(heir)
		signal(h.poke)
	}
}

// renew extends the lease, or acquires it again if it ran out and nobody took it. It returns when to do so next; an error
// means that the pool is another's.
func (n *Node) renew(life context.Context, h *holding) (wait time.Duration, lost error) {
	began := time.Now()
	err := n.askLease(life, h.lease.Renew)
	n.mu.Lock()
	switch {
	case err == nil:
		n.counts.Renewed++
	case errors.Is(err, ErrLost):
		n.counts.RenewLost++
	default:
		n.counts.RenewUnknown++
	}
	n.mu.Unlock()
	if errors.Is(err, ErrLost) {
		switch err = n.askLease(life, h.lease.Acquire); {
		case err == nil:
			n.acquired(h)
			n.log.Info("lease acquired again, nobody held it in between", "pool_id", h.pool, "epoch", h.lease.Epoch())
		case errors.Is(err, ErrHeld), errors.Is(err, ErrInterrupted):
			return 0, err
		}
	}
	if err != nil {
		return n.retry, nil
	}
	return max(n.o.TTL/4-time.Since(began), n.retry), nil
}

// tell logs when the lease ran out while nobody could renew it, and when it is valid again.
func (n *Node) tell(h *holding, told bool) bool {
	valid := h.lease.Valid()
	switch {
	case !valid && !told:
		n.mu.Lock()
		n.counts.RanOut++
		n.mu.Unlock()
		n.log.Warn("lease ran out: the pool keeps its connections and publishes nothing until it is renewed", "pool_id", h.pool)
	case valid && told:
		n.log.Info("lease is valid again", "pool_id", h.pool, "epoch", h.lease.Epoch())
	}
	return !valid
}

// drop ends the service of a pool that is another's. busy is what the host is doing with it.
func (n *Node) drop(h *holding, busy <-chan error) {
	h.lease.revoke()
	n.mu.Lock()
	n.counts.Lost++
	if h.stopLeave != nil {
		h.stopLeave()
	}
	n.mu.Unlock()
	if busy != nil {
		<-busy
	}
	n.log.Warn("lease was lost to another node", "pool_id", h.pool, "epoch", h.lease.Epoch())
	n.o.Host.Drop(h.pool)
	signal(n.relist)
}

// acquired takes in that the lease is ours.
func (n *Node) acquired(h *holding) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !h.ghost {
		n.counts.Acquired++
	}
	n.leases.hear(Entry{Key: poolKey(h.pool), Value: h.lease.value(h.lease.attempt, h.lease.Epoch()), Revision: h.lease.revision}, time.Now())
	signal(n.kick)
}

// release gives the lease back. If nobody answers it runs out.
func (n *Node) release(h *holding) {
	h.lease.revoke()
	ctx, cancel := context.WithTimeout(n.patient, n.o.TTL/2)
	defer cancel()
	for {
		err := n.askLease(ctx, h.lease.Release)
		if err == nil {
			break
		}
		select {
		case <-time.After(n.retry):
			continue
		case <-ctx.Done():
			n.log.Warn("lease cannot be given back, it runs out", "pool_id", h.pool, "err", err, "ttl", n.o.TTL)
			return
		}
	}
	n.log.Info("lease given back", "pool_id", h.pool, "epoch", h.lease.Epoch())
	n.mu.Lock()
	if !h.ghost {
		n.counts.HandedOver++
	}
	n.leases.hear(Entry{Key: poolKey(h.pool), Deleted: true}, time.Now())
	n.mu.Unlock()
}

func (n *Node) newLease(pool int) *Lease {
	return NewLease(LeaseOptions{
		Store: n.o.Leases, Key: poolKey(pool), Node: n.o.Name, Process: n.o.Process, Home: n.o.Home, TTL: n.o.TTL, Margin: n.o.Margin,
		Marks: n.o.Fleet, MarkKey: markKey(pool),
	})
}
