package cluster

import (
	"context"
	"errors"
	"time"
)

// observe lists leases and members every TTL/2, and whenever somebody doubts what is known; it reads preferences, and compares
// the settings of the cluster with ours. It ends with ctx.
func (n *Node) observe(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-n.relist:
		case <-ctx.Done():
			return
		}
		wait := n.o.TTL / 2
		if err := n.look(ctx); err != nil {
			wait = n.retry
		}
		timer.Reset(wait)
	}
}

// look does it once.
func (n *Node) look(ctx context.Context) error {
	began := time.Now()
	var leases, members []Entry
	err := n.ask(ctx, restOfStore, func(ctx context.Context) (err error) {
		if leases, err = n.o.Leases.List(ctx); err == nil {
			members, err = n.o.Members.List(ctx)
		}
		return err
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	now := time.Now()
	changed := n.leases.listed(leases, began, now)
	if n.members.listed(members, began, now) {
		changed, n.moved = true, now
	}
	n.leases.forget(now.Add(-3 * n.o.TTL))
	n.members.forget(now.Add(-3 * n.o.TTL))
	n.heard = began
	for pool := range n.holds {
		n.doubt(pool)
	}
	n.nameIsOurs()
	n.mu.Unlock()
	if changed {
		signal(n.kick)
	}
	return n.lookAtFleet(ctx)
}

// lookAtFleet compares settings and reads preferences.
func (n *Node) lookAtFleet(ctx context.Context) error {
	err := n.ask(ctx, restOfStore, func(ctx context.Context) error {
		if _, err := n.agree(ctx, n.whoMinds); err != nil {
			return err
		}
		e, err := n.o.Fleet.Get(ctx, preferKey)
		if errors.Is(err, ErrNotFound) {
			e = Entry{Key: preferKey}
		} else if err != nil {
			return err
		}
		n.hearFleet(e)
		return nil
	})
	var config *ConfigError
	if errors.As(err, &config) {
		n.fail(config)
		return nil
	}
	return err
}

// whoMinds looks for a live member with other settings than ours.
func (n *Node) whoMinds() (m member, lives, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.minds(&n.members)
}

// nameIsOurs looks whether another process has our name. Of two the one that came first keeps it. One that does not live
// is what an earlier process left behind: we wait until it runs out before we take pools, which costs nothing, since that
// process's leases live as long. Node.mu is held.
func (n *Node) nameIsOurs() {
	named := n.written
	for _, r := range n.members.rows {
		m := r.record
		if !r.present() || r.unread || m.name != n.o.Name || m.process == n.o.Process || m.draining {
			continue
		}
		epoch := m.epoch
		if epoch == 0 {
			epoch = r.revision
		}
		if !n.written || epoch > n.me.epoch {
			continue // it came later, and is told so itself
		}
		named = false
		if r.alive() {
			n.fail(&NameError{Name: m.name, Addr: m.addr})
		}
	}
	if named && !n.named {
		n.named = true
		signal(n.refresh)
	}
}

// watch has heard told of every change of a store, until ctx ends. After each interruption everything is listed. A change is a sign of
// life of p.
func (n *Node) watch(ctx context.Context, s Store, p part, heard func(Entry)) {
	for ctx.Err() == nil {
		_ = s.Watch(ctx, func(e Entry) { // it is a hint: why it ended does not matter
			n.answered(p)
			heard(e)
		})
		select {
		case <-time.After(n.retry):
		case <-ctx.Done():
		}
		signal(n.relist)
	}
}

func (n *Node) hearLease(e Entry) {
	n.mu.Lock()
	before := n.inherits(e.Key)
	changed := n.leases.hear(e, time.Now())
	pool, ok := parsePool(e.Key)
	expected := ok && !before && n.inherits(e.Key)
	if ok && changed {
		n.doubt(pool)
		if r := n.leases.rows[e.Key]; r.present() && !r.unread {
			delete(n.skipped, r.record.Process) // it takes pools
		}
	}
	n.mu.Unlock()
	if expected {
		n.o.Host.Expect(pool)
	}
	if changed {
		signal(n.kick)
	}
}

// inherits reports that a lease is another's who hands the pool over to this node. Node.mu is held.
func (n *Node) inherits(key string) bool {
	r := n.leases.rows[key]
	return r.present() && !r.unread && r.record.Heir == n.o.Process && r.record.Process != n.o.Process && !n.draining
}

// doubt has a lease renewed at once that we believe to hold and that is gone or another's, as it was just heard. Node.mu is held.
func (n *Node) doubt(pool int) {
	h, r := n.holds[pool], n.leases.rows[poolKey(pool)]
	if h != nil && !(r.present() && !r.unread && r.record.Process == n.o.Process) {
		signal(h.poke)
	}
}

func (n *Node) hearMember(e Entry) {
	n.mu.Lock()
	changed := n.members.hear(e, time.Now())
	if changed {
		n.moved = time.Now()
		if n.written && e.Revision == 0 && e.Key == n.me.key() {
			signal(n.refresh) // we ran out, or somebody deleted us
		}
	}
	n.mu.Unlock()
	if changed {
		signal(n.kick)
	}
}

func (n *Node) hearFleet(e Entry) {
	switch e.Key {
	case agreementKey:
		signal(n.relist)
	case preferKey:
		prefer, err := decodePrefer(e.Value)
		n.mu.Lock()
		news := err != nil && e.Revision > n.garbled
		if news {
			n.garbled = e.Revision
		}
		n.prefer = prefer
		n.mu.Unlock()
		if news {
			n.log.Warn("preferences cannot be read and are ignored", "key", preferKey, "err", err)
		}
		signal(n.kick)
	}
}
