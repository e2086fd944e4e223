package cluster

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
)

// Planned is a member as Plan sees it.
type Planned struct {
	ID       string // of the process
	Name     string // of the node; preferences name it, and ties are broken by it
	Weight   int    // capacity; less than 1 counts as 1
	Pinned   *int   // the only pool it may have; nil: any
	Draining bool   // it gets nothing
}

// Preference is the wish that a pool be served by the node of that name.
type Preference struct {
	Pool int    `json:"pool"`
	Node string `json:"node"`
}

// Plan says which member should hold each pool: from 0 to pools-1 to an ID. Pools that nobody may have are missing in it.
//
// now has the present holders by pool; of prefer later ones go before earlier ones. The result depends on the arguments only,
// and not on the order of members.
//
//   - Of n pools a member of weight w among W has n·w/W, rounded down or up: no two equal ones differ by more than one pool.
//   - Within that, what is preferred goes where it is preferred; then pools stay where they are; the rest goes by hash. So
//     no plan moves more than it must, and what is planned already is planned again.
//   - A pinned pool goes to a member that is pinned to it, and a pinned member gets nothing else. While no such member
//     lives, the pool is one like the others.
func Plan(members []Planned, pools int, now map[int]string, prefer []Preference) map[int]string {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b Planned) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	out := make(map[int]string, pools)
	var free []Planned
	for _, m := range members {
		switch {
		case m.Draining:
		case m.Pinned == nil:
			free = append(free, m)
		case *m.Pinned >= 0 && *m.Pinned < pools:
			// Of two that are pinned to one pool the holder keeps it.
			if _, taken := out[*m.Pinned]; !taken || now[*m.Pinned] == m.ID {
				out[*m.Pinned] = m.ID
			}
		}
	}
	if len(free) == 0 {
		return out
	}
	var open []int
	for p := range pools {
		if _, taken := out[p]; !taken {
			open = append(open, p)
		}
	}
	maps.Copy(out, share(free, open, now, prefer))
	return out
}

// share spreads pools over members, which are sorted and neither pinned nor draining.
func share(members []Planned, pools []int, now map[int]string, prefer []Preference) map[int]string {
	q := newQuotas(members, len(pools))
	out := make(map[int]string, len(pools))
	byName, byID := map[string]int{}, map[string]int{}
	hashes := make([]uint64, len(members))
	for i, m := range members {
		hashes[i] = hashName(m.Name)
		byID[m.ID] = i
		if _, twice := byName[m.Name]; !twice {
			byName[m.Name] = i
		}
	}
	put := func(p, i int) {
		if _, placed := out[p]; !placed && q.room(i) {
			q.take(i)
			out[p] = members[i].ID
		}
	}
	for _, w := range slices.Backward(prefer) {
		i, known := byName[w.Node]
		if _, open := slices.BinarySearch(pools, w.Pool); !known || !open {
			continue
		}
		if holder, ok := byID[now[w.Pool]]; ok && members[holder].Name == w.Node {
			i = holder // of two processes with that name the one that has it
		}
		put(w.Pool, i)
	}
	for _, p := range pools {
		if i, ok := byID[now[p]]; ok {
			put(p, i)
		}
	}
	for _, p := range pools {
		if _, placed := out[p]; placed {
			continue
		}
		best, top := -1, uint64(0)
		for i := range members {
			if !q.room(i) {
				continue
			}
			if s := score(hashes[i], p); best < 0 || s > top {
				best, top = i, s
			}
		}
		put(p, best) // there is room for as many as there are pools
	}
	return out
}

// quotas are how many pools each member may get.
type quotas struct {
	low   []int  // its share, rounded down
	whole []bool // its share is a whole number: it gets no more than low
	extra int    // how many members may get one more than low
	load  []int
}

func newQuotas(members []Planned, pools int) *quotas {
	q := &quotas{low: make([]int, len(members)), whole: make([]bool, len(members)), load: make([]int, len(members)), extra: pools}
	sum := 0
	for _, m := range members {
		sum += max(m.Weight, 1)
	}
	for i, m := range members {
		share := pools * max(m.Weight, 1)
		q.low[i], q.whole[i] = share/sum, share%sum == 0
		q.extra -= q.low[i]
	}
	return q
}

func (q *quotas) room(i int) bool {
	return q.load[i] < q.low[i] || q.load[i] == q.low[i] && q.extra > 0 && !q.whole[i]
}

func (q *quotas) take(i int) {
	if q.load[i]++; q.load[i] > q.low[i] {
		q.extra--
	}
}

// score is how much the node whose name has this hash wants pool: rendezvous hashing.
func score(name uint64, pool int) uint64 {
	// FNV leaves names that differ in the last character near each other: MurmurHash3's finalizer spreads them.
	s := name ^ uint64(pool)*0x9e3779b97f4a7c15
	s = (s ^ s>>33) * 0xff51afd7ed558ccd
	s = (s ^ s>>33) * 0xc4ceb9fe1a85ec53
	return s ^ s>>33
}

func hashName(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return h.Sum64()
}
