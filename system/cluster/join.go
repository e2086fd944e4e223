package cluster

import (
	"context"
	"errors"
	"time"
)

// keepMember writes this node's member every TTL/4, and at once when something about it changes. It ends with ctx.
func (n *Node) keepMember(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var revision uint64
	for {
		select {
		case <-timer.C:
		case <-n.refresh:
		case <-ctx.Done():
			return
		}
		wait := n.o.TTL / 4
		if err := n.ask(ctx, memberWrites, func(ctx context.Context) (err error) {
			revision, err = n.writeMember(ctx, revision)
			return err
		}); err != nil {
			wait = n.retry
		}
		timer.Reset(wait)
	}
}

// writeMember writes the member over last, its revision; 0: it is not known whether there is one. It returns the new one.
func (n *Node) writeMember(ctx context.Context, last uint64) (uint64, error) {
	n.mu.Lock()
	m := n.me
	m.draining = n.draining
	n.mu.Unlock()
	if last == 0 {
		// Not ready: only who was told that this was written writes again.
		m.ready, m.epoch = false, 0
		revision, err := n.o.Members.Create(ctx, m.key(), m.encode())
		if errors.Is(err, ErrExists) { // an earlier request came through that seemed to fail; nobody else writes this key
			var e Entry
			if e, err = n.o.Members.Get(ctx, m.key()); err == nil {
				revision = e.Revision
			}
		}
		if err != nil {
			return 0, err
		}
		last, m.epoch = revision, revision
		n.wrote(m, revision)
	}
	n.mu.Lock()
	m.ready = n.named
	n.mu.Unlock()
	revision, err := n.o.Members.Update(ctx, m.key(), m.encode(), last)
	if errors.Is(err, ErrChanged) {
		var e Entry
		e, err = n.o.Members.Get(ctx, m.key())
		switch {
		case errors.Is(err, ErrNotFound):
			n.log.Warn("node was no member any more and joins again")
			return n.writeMember(ctx, 0)
		case err == nil: // a write whose answer was lost
			revision, err = n.o.Members.Update(ctx, m.key(), m.encode(), e.Revision)
		}
	}
	if err != nil {
		return last, err
	}
	n.wrote(m, revision)
	return revision, nil
}

// wrote takes in that the store has m.
func (n *Node) wrote(m member, revision uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	first := !n.written
	n.me, n.written = m, true
	if n.members.hear(Entry{Key: m.key(), Value: m.encode(), Revision: revision}, now) {
		n.moved = now
		signal(n.kick)
	}
	if first {
		signal(n.relist) // who came first is known now
	}
	if m.ready && n.joined.IsZero() {
		n.joined = now
		time.AfterFunc(n.o.Gather, func() { signal(n.kick) }) // once: the next look by itself may be far away
		n.log.Info("node joined the cluster", "addr", m.addr, "capacity", m.capacity)
	}
	if m.draining {
		select {
		case <-n.announce:
		default:
			close(n.announce)
		}
	}
}

// resign removes the member at the end of Run: nobody has to wait for its TTL.
func (n *Node) resign() {
	ctx, cancel := context.WithTimeout(n.patient, n.patience)
	defer cancel()
	n.mu.Lock()
	key := n.me.key()
	n.mu.Unlock()
	e, err := n.o.Members.Get(ctx, key)
	if err == nil {
		err = n.o.Members.Delete(ctx, key, e.Revision)
	}
	if err != nil && !known(err) {
		n.log.Warn("node cannot take itself out of the cluster, it runs out", "err", err, "ttl", n.o.TTL)
	}
}
