package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// preferences is the key "prefer" of the fleet bucket: pools that somebody moved by hand. They are an input of the plan, so
// that the next plan does not undo it.
type preferences struct {
	Version int          `json:"version"`
	Pools   []Preference `json:"pools"` // one per pool at most, the newest last
}

const (
	preferKey     = "prefer"
	preferVersion = 1
)

// decodePrefer reads preferences; none are none.
func decodePrefer(data []byte) ([]Preference, error) {
	if len(data) == 0 {
		return nil, nil
	}
	var p preferences
	switch {
	case len(data) > 256*maxRecord: // a preference of every pool of the largest bot
		return nil, errors.New("is too large for preferences")
	case json.Unmarshal(data, &p) != nil:
		return nil, errors.New("is not the JSON of preferences")
	case p.Version != preferVersion:
		return nil, fmt.Errorf("has version %d, not %d", p.Version, preferVersion)
	}
	for _, w := range p.Pools {
		if w.Pool < 0 || w.Pool >= maxPools || !validName(w.Node) {
			return nil, fmt.Errorf("has an impossible preference of pool %d", w.Pool)
		}
	}
	return p.Pools, nil
}

// Move writes down that pool should be served by the live node of that name; all nodes plan with it from then on. No node gets
// more than its share for that: another pool of the node moves instead, also one that was moved there earlier, and the steps that
// come back name it. An empty name removes the preference.
func (n *Node) Move(ctx context.Context, pool int, node string) ([]Step, error) {
	steps, err := n.WouldMove(pool, node)
	if err != nil {
		return nil, err
	}
	for {
		err := n.ask(ctx, restOfStore, func(ctx context.Context) error { return n.writePrefer(ctx, pool, node) })
		if errors.Is(err, ErrChanged) || errors.Is(err, ErrExists) {
			continue // somebody else moved a pool this instant
		}
		if err != nil {
			return nil, fmt.Errorf("cluster: move pool %d: %w", pool, err)
		}
		return steps, nil
	}
}

// mayMove refuses nodes that no pool can be moved to. Node.mu is held.
func (n *Node) mayMove(node string) error {
	var names []string
	var refusal error
	for _, r := range n.members.rows {
		if !r.present() || r.unread {
			continue
		}
		m := r.record
		names = append(names, m.name)
		switch {
		case m.name != node:
		case m.draining: // of two processes of that name the other one may be its successor
			refusal = fmt.Errorf("cluster: node %s is draining: choose another one", node)
		case m.pinned != unpinned:
			return fmt.Errorf("cluster: node %s serves pool %d only: choose another one", node, m.pinned)
		default:
			return nil
		}
	}
	if refusal != nil {
		return refusal
	}
	slices.Sort(names)
	return fmt.Errorf("cluster: no live node is called %q: there are %s", node, strings.Join(slices.Compact(names), ", "))
}

// wished are preferences with a newer one; an empty name takes back what there is.
func wished(prefer []Preference, pool int, node string) []Preference {
	prefer = slices.DeleteFunc(slices.Clone(prefer), func(w Preference) bool { return w.Pool == pool })
	if node != "" {
		prefer = append(prefer, Preference{pool, node})
	}
	return prefer
}

func (n *Node) writePrefer(ctx context.Context, pool int, node string) error {
	e, err := n.o.Fleet.Get(ctx, preferKey)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return err
	}
	pools, err := decodePrefer(e.Value)
	if err != nil {
		n.log.Warn("preferences cannot be read and are replaced", "key", preferKey, "err", err)
	}
	if node == "" && !slices.ContainsFunc(pools, func(w Preference) bool { return w.Pool == pool }) {
		return nil
	}
	data, err := json.Marshal(preferences{Version: preferVersion, Pools: wished(pools, pool, node)})
	if err != nil {
		return err
	}
	if missing {
		e.Revision, err = n.o.Fleet.Create(ctx, preferKey, data)
	} else {
		e.Revision, err = n.o.Fleet.Update(ctx, preferKey, data, e.Revision)
	}
	if err == nil {
		n.hearFleet(Entry{Key: preferKey, Value: data, Revision: e.Revision})
	}
	return err
}
