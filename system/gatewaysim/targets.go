package gatewaysim

import (
	"math/rand/v2"
	"sort"
)

// targets is where traffic may go. Immutable; found anew when a session or a
// guild comes or goes.
type targets struct {
	list   []target
	groups map[int]map[int][]*session // by shard count, then shard
	apart  bool                       // no two sessions own the same guild
}

type target struct {
	ses    *session
	guilds []uint32 // available ones
	mix    *mixTable
}

// draw makes one event for the session.
func (p *target) draw(rnd *rand.Rand, at int64) event {
	e := event{kind: p.mix.draw(rnd.Uint64()), seed: rnd.Uint64(), at: at, flags: background}
	if !kinds[e.kind].direct {
		e.guild = p.guilds[rnd.IntN(len(p.guilds))]
	}
	return e
}

// retarget makes traffic look for its targets before its next burst.
func (s *Server) retarget() { s.traffic.stale.Store(true) }

// findTargets lists the sessions that can take events now.
func (s *Server) findTargets() *targets {
	type key struct {
		intents       uint64
		guild, direct bool
	}
	tg := &targets{groups: map[int]map[int][]*session{}}
	mixes := map[key]*mixTable{}
	for _, ses := range s.sessionList() {
		ses.mu.Lock()
		ok, guilds := ses.active && !ses.dead, ses.guilds
		ses.mu.Unlock()
		if !ok {
			continue
		}
		guilds = s.world.available(guilds)
		k := key{ses.intents, len(guilds) > 0, ses.shardID == 0}
		if mixes[k] == nil {
			mixes[k] = newMix(k.intents, k.guild, k.direct)
		}
		if mixes[k].total > 0 {
			tg.list = append(tg.list, target{ses, guilds, mixes[k]})
		}
		if tg.groups[ses.shards] == nil {
			tg.groups[ses.shards] = map[int][]*session{}
		}
		tg.groups[ses.shards][ses.shardID] = append(tg.groups[ses.shards][ses.shardID], ses)
	}
	tg.apart = len(tg.groups) <= 1
	for _, group := range tg.groups {
		for _, twins := range group {
			tg.apart = tg.apart && len(twins) == 1
		}
	}
	// By shard, not in the order of a map: the same seed draws the same shards.
	sort.Slice(tg.list, func(i, j int) bool {
		a, b := tg.list[i].ses, tg.list[j].ses
		return a.shardID < b.shardID || a.shardID == b.shardID && a.id < b.id
	})
	return tg
}
