package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// member is one process of the cluster, as its key in the members bucket says. It is comparable: two that are equal differ
// in nothing but when they were written.
type member struct {
	name, process, addr, program string
	home                         string
	capacity                     int
	pinned                       int // unpinned: any pool
	draining, ready              bool
	config                       string // fingerprint of what all nodes must have in common
	epoch                        uint64 // revision of its first write; 0 in that one
}

const unpinned = -1

// memberRecord is a member as it is written under its name and process.
type memberRecord struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Process  string `json:"process"`
	Addr     string `json:"addr"`
	Program  string `json:"program"`
	Capacity int    `json:"capacity"`
	Pinned   *int   `json:"pinned,omitempty"`
	Draining bool   `json:"draining,omitempty"`
	// Ready is not set by the first write: one whose answer was lost, and which comes through when its process is
	// gone, must not get pools.
	Ready  bool   `json:"ready,omitempty"`
	Config string `json:"config"`
	Home   string `json:"home,omitempty"`
	Epoch  uint64 `json:"epoch,omitempty"`
}

const memberVersion = 1

// Bounds of what other nodes may say. They are far above what is used, and keep sums of capacities from overflowing.
const (
	maxCapacity = 10_000
	maxPools    = 1 << 20
)

// key is where the member is written. A name may hold what a key may not; the process keeps two of one name apart.
func (m member) key() string {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, m.name)
	return name + "." + m.process
}

func (m member) encode() []byte {
	r := memberRecord{
		Version: memberVersion, Name: m.name, Process: m.process, Addr: m.addr, Program: m.program, Capacity: m.capacity,
		Draining: m.draining, Ready: m.ready, Config: m.config, Epoch: m.epoch, Home: m.home,
	}
	if m.pinned != unpinned {
		r.Pinned = &m.pinned
	}
	data, _ := json.Marshal(r) // strings, numbers and flags: it cannot fail
	return data
}

// decodeMember reads what stands under key. Its errors hold nothing of the record but numbers.
func decodeMember(key string, data []byte) (member, error) {
	var r memberRecord
	switch {
	case len(data) > maxRecord:
		return member{}, errors.New("is too large for a member")
	case json.Unmarshal(data, &r) != nil:
		return member{}, errors.New("is not the JSON of a member")
	case r.Version != memberVersion:
		return member{}, fmt.Errorf("has version %d, not %d", r.Version, memberVersion)
	case !validName(r.Name) || !validProcess(r.Process):
		return member{}, errors.New("has no valid name or process")
	case len(r.Addr) > 0 && !validName(r.Addr) || len(r.Program) > 0 && !validName(r.Program) || len(r.Config) > 0 && !validName(r.Config):
		return member{}, errors.New("has an address, version or fingerprint that cannot be one")
	case r.Capacity < 1 || r.Capacity > maxCapacity:
		return member{}, fmt.Errorf("has the capacity %d", r.Capacity)
	case r.Pinned != nil && (*r.Pinned < 0 || *r.Pinned >= maxPools):
		return member{}, fmt.Errorf("is pinned to pool %d", *r.Pinned)
	}
	m := member{
		name: r.Name, process: r.Process, addr: r.Addr, program: r.Program, capacity: r.Capacity, pinned: unpinned,
		draining: r.Draining, ready: r.Ready, config: r.Config, epoch: r.Epoch, home: r.Home,
	}
	if r.Pinned != nil {
		m.pinned = *r.Pinned
	}
	if m.key() != key {
		return member{}, errors.New("stands under another member's key")
	}
	return m, nil
}

// planned is the member as Plan sees it.
func (m member) planned() Planned {
	p := Planned{ID: m.process, Name: m.name, Weight: m.capacity, Draining: m.draining}
	if m.pinned != unpinned {
		p.Pinned = &m.pinned
	}
	return p
}

// validName allows what is fit to be shown: printable ASCII without spaces.
func validName(s string) bool {
	if len(s) == 0 || len(s) > 255 { // as long as cluster.node may be
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// validProcess allows what may stand in a key.
func validProcess(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
