package cluster

import (
	"context"
	"time"
)

// clear removes what processes left in the stores that have ended for sure: before anything is served, and once.
func (n *Node) clear(ctx context.Context) error {
	for {
		err := func() error {
			for _, s := range []Store{n.o.Leases, n.o.Members} {
				entries, err := s.List(ctx)
				if err != nil {
					return err
				}
				for _, e := range entries {
					if !n.ended(e) {
						continue
					}
					if err := s.Delete(ctx, e.Key, e.Revision); err != nil && !known(err) {
						return err
					}
				}
			}
			return nil
		}()
		if err == nil {
			return nil
		}
		n.log.Warn("leases of earlier processes cannot be removed, trying again", "err", err, "wait", n.retry)
		select {
		case <-time.After(n.retry):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ended reports that an entry is of a process that has ended: it had our home.
func (n *Node) ended(e Entry) bool {
	if l, err := decodeLease(e.Value); err == nil && l.Home == n.o.Home {
		return true
	}
	m, err := decodeMember(e.Key, e.Value)
	return err == nil && m.home == n.o.Home
}
