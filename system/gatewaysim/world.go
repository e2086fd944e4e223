package gatewaysim

import (
	"sync"
	"time"
)

// world is the set of guilds that the bot is in. Guild i has an id that follows
// from i and the seed, so nothing is stored per guild but what changed.
// Safe for concurrent use.
type world struct {
	seed       uint64
	guildBytes [2]int // Options.GuildBytes

	mu     sync.RWMutex
	n      int              // guilds that ever existed: indexes 0..n-1
	gone   map[uint32]bool  // the bot was removed
	outage map[uint32]bool  // unavailable
	asked  map[uint64]int64 // whole-guild op 8: guild id → time of the last, Unix ns
}

const (
	// firstGuildTime is a multiple of every usual shard count (2, 3, … 16, 25,
	// 32, 64, 100), so that guild i is on shard i % n.
	firstGuildTime = 166_889_923_200
	discordEpoch   = 1_420_070_400_000 // Unix ms
)

func newWorld(seed uint64, guilds int) *world {
	return &world{seed: seed, n: guilds, gone: map[uint32]bool{}, outage: map[uint32]bool{}, asked: map[uint64]int64{}}
}

// guildID is pure: it needs no lock.
func (w *world) guildID(i uint32) uint64 {
	return (firstGuildTime+uint64(i))<<22 | mix(w.seed, uint64(i))&0x3fffff
}

// indexOf is the guild with that id, if it exists.
func (w *world) indexOf(id uint64) (uint32, bool) {
	i := id>>22 - firstGuildTime
	w.mu.RLock()
	n := w.n
	w.mu.RUnlock()
	if i >= uint64(n) || w.guildID(uint32(i)) != id {
		return 0, false
	}
	return uint32(i), true
}

// botID is the bot's user id and application id.
func (w *world) botID() uint64 { return 900000000000000001 }

// slice lists the guilds of shardID out of shards that the bot is in, outages included.
func (w *world) slice(shardID, shards int) []uint32 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	// firstGuildTime + i ≡ shardID (mod shards)
	first := (uint64(shardID) + uint64(shards) - firstGuildTime%uint64(shards)) % uint64(shards)
	var list []uint32
	for i := first; i < uint64(w.n); i += uint64(shards) {
		if !w.gone[uint32(i)] {
			list = append(list, uint32(i))
		}
	}
	return list
}

func (w *world) out(i uint32) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.outage[i]
}

// available is list without guilds in an outage; list itself if there are none.
func (w *world) available(list []uint32) []uint32 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if len(w.outage) == 0 {
		return list
	}
	var left []uint32
	for _, g := range list {
		if !w.outage[g] {
			left = append(left, g)
		}
	}
	return left
}

// guilds counts the guilds that the bot is in.
func (w *world) guilds() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.n - len(w.gone)
}

func (w *world) left(i uint32) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.gone[i]
}

// join adds a guild and returns its index.
func (w *world) join() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return uint32(w.n - 1)
}

func (w *world) leave(i uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone[i] = true
	delete(w.outage, i)
}

func (w *world) setOutage(i uint32, out bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if out {
		w.outage[i] = true
	} else {
		delete(w.outage, i)
	}
}

// membersWait is how long a whole-guild op 8 for guild has to wait, 0 if it may
// go now (which is then counted): one per guild and bot every 30 s.
func (w *world) membersWait(guild uint64, now time.Time) time.Duration {
	const every = 30 * time.Second
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.asked[guild]
	if wait := every - time.Duration(now.UnixNano()-last); ok && wait > 0 {
		return wait
	}
	if len(w.asked) > 1<<16 {
		clear(w.asked) // bounded; forgetting is harmless
	}
	w.asked[guild] = now.UnixNano()
	return 0
}

// shardOf is Discord's routing: unsigned 64-bit arithmetic.
func shardOf(guildID uint64, shards int) int { return int((guildID >> 22) % uint64(shards)) }

// snowflakeAt makes an id of that time. Before Discord's epoch, which is where
// a synctest bubble starts, the time since 1970 stands in.
func snowflakeAt(ms int64, low uint64) uint64 {
	if ms >= discordEpoch {
		ms -= discordEpoch
	}
	return uint64(ms)<<22 | low&0x3fffff
}

// mix is a splitmix64 step: a cheap hash of two numbers.
func mix(a, b uint64) uint64 {
	z := a + (b+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
