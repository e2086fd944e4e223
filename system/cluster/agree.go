package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// agreement is the key "plan" of the fleet bucket: the settings that all nodes of a bot have in common, such as the number of
// shards. Two nodes that differ there would run sessions that overlap.
type agreement struct {
	Version  int               `json:"version"`
	Settings map[string]string `json:"settings"` // by configuration key
}

const (
	agreementKey     = "plan"
	agreementVersion = 1
)

// ConfigError says that this node's configuration contradicts that of nodes which are running. They go on.
type ConfigError struct {
	Key          string // of the configuration
	Ours, Theirs string // a secret is a fingerprint here
	Node         string // a live node that has theirs
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("cluster: %s is %q here and %q on the running node %s: give all nodes the same value, or stop the others first",
		e.Key, e.Ours, e.Theirs, e.Node)
}

// NameError says that a running node has this one's name. It goes on.
type NameError struct{ Name, Addr string }

func (e *NameError) Error() string {
	return fmt.Sprintf("cluster: the node name %s belongs to a running node at %s: set cluster.node to another name", e.Name, e.Addr)
}

// fingerprint stands for settings in a member's record.
func fingerprint(settings map[string]string) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(h, "%q=%q\n", key, settings[key])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func decodeAgreement(data []byte) (map[string]string, error) {
	var a agreement
	switch {
	case len(data) > 4*maxRecord:
		return nil, errors.New("is too large for settings")
	case json.Unmarshal(data, &a) != nil:
		return nil, errors.New("is not the JSON of settings")
	case a.Version != agreementVersion:
		return nil, fmt.Errorf("has version %d, not %d", a.Version, agreementVersion)
	}
	return a.Settings, nil
}

// differ returns the first key, in the order of the alphabet, in which two settings differ.
func differ(ours, theirs map[string]string) (key string, differs bool) {
	keys := slices.Sorted(maps.Keys(ours))
	for k := range theirs {
		if _, known := ours[k]; !known {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		a, inOurs := ours[k]
		b, inTheirs := theirs[k]
		if a != b || inOurs != inTheirs {
			return k, true
		}
	}
	return "", false
}

// agree compares our settings with those of the cluster, once, and writes ours where there are none or where against tells that no
// live node minds. wait: a node that may mind is there, but whether it lives is not known yet.
func (n *Node) agree(ctx context.Context, against func() (m member, lives, there bool)) (wait bool, err error) {
	data, err := json.Marshal(agreement{Version: agreementVersion, Settings: n.o.Agree})
	if err != nil {
		return false, err
	}
	e, err := n.o.Fleet.Get(ctx, agreementKey)
	if errors.Is(err, ErrNotFound) {
		_, err = n.o.Fleet.Create(ctx, agreementKey, data)
		return errors.Is(err, ErrExists), noRace(err)
	}
	if err != nil {
		return false, err
	}
	theirs, err := decodeAgreement(e.Value)
	if err != nil {
		n.log.Warn("settings of the cluster cannot be read and are replaced if no other node lives", "key", agreementKey, "err", err)
	}
	key, differs := differ(n.o.Agree, theirs)
	if !differs {
		return false, nil
	}
	switch m, lives, there := against(); {
	case lives:
		return false, &ConfigError{Key: key, Ours: n.o.Agree[key], Theirs: theirs[key], Node: m.name}
	case there:
		return true, nil
	}
	n.log.Warn("settings of the cluster are replaced: no live node has the old ones", "setting", key, "old", theirs[key], "new", n.o.Agree[key])
	_, err = n.o.Fleet.Update(ctx, agreementKey, data, e.Revision)
	return errors.Is(err, ErrChanged), noRace(err)
}

// noRace drops the outcome that another node was faster: what it wrote is looked at next.
func noRace(err error) error {
	if errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// settle asks until the settings of the cluster are ours, or a live node has others: a *ConfigError.
func (n *Node) settle(ctx context.Context) error {
	seen := table[member]{decode: decodeMember, refuse: func(string, error) {}, rows: map[string]*row[member]{}}
	for {
		pause := n.o.TTL / 8
		err := n.ask(ctx, restOfStore, func(ctx context.Context) error {
			began := time.Now()
			entries, err := n.o.Members.List(ctx)
			if err != nil {
				return err
			}
			seen.listed(entries, began, time.Now())
			wait, err := n.agree(ctx, func() (member, bool, bool) { return n.minds(&seen) })
			if err == nil && !wait {
				pause = 0
			}
			return err
		})
		var config *ConfigError
		switch {
		case errors.As(err, &config):
			return config
		case err != nil:
			n.log.Warn("cluster cannot be asked for its settings, trying again", "err", err, "wait", pause)
		case pause == 0:
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// minds looks for a member with other settings than ours. One that is not written again may be what a process left behind that ended, for
// a TTL.
func (n *Node) minds(members *table[member]) (m member, lives, there bool) {
	for _, r := range members.rows {
		if !r.present() || r.unread || r.record.process == n.o.Process || r.record.config == n.config {
			continue
		}
		if m, there = r.record, true; r.alive() {
			return m, true, true
		}
	}
	return m, false, there
}
