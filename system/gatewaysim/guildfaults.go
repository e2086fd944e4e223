package gatewaysim

import (
	"fmt"
	"time"
)

// GuildIDs lists the guilds of one shard, outages included.
func (s *Server) GuildIDs(shardID, shards int) []uint64 {
	var ids []uint64
	for _, g := range s.world.slice(shardID, shards) {
		ids = append(ids, s.world.guildID(g))
	}
	return ids
}

// JoinGuild adds the bot to a new guild and returns its id.
func (s *Server) JoinGuild() uint64 {
	g := s.world.join()
	s.toGuild(g, event{kind: kindGuildCreate, guild: g, seed: mix(s.opts.Seed, uint64(g))})
	return s.world.guildID(g)
}

// LeaveGuild removes the bot from a guild.
func (s *Server) LeaveGuild(guildID uint64) error {
	g, err := s.guild(guildID)
	if err != nil {
		return err
	}
	s.world.leave(g)
	s.toGuild(g, event{kind: kindGuildRemoved, guild: g})
	return nil
}

// GuildOutage makes a guild unavailable. With d above 0 it comes back by itself.
func (s *Server) GuildOutage(guildID uint64, d time.Duration) error {
	g, err := s.guild(guildID)
	if err != nil {
		return err
	}
	s.world.setOutage(g, true)
	s.toGuild(g, event{kind: kindGuildOutage, guild: g})
	if d > 0 {
		s.after(d, func() { _ = s.GuildBack(guildID) }) // it may have been left meanwhile
	}
	return nil
}

// GuildBack ends a guild's outage; of a guild without one it is a refresh.
func (s *Server) GuildBack(guildID uint64) error {
	g, err := s.guild(guildID)
	if err != nil {
		return err
	}
	s.world.setOutage(g, false)
	s.toGuild(g, event{kind: kindGuildCreate, guild: g, seed: mix(s.opts.Seed, uint64(g))})
	return nil
}

// HoldGuilds keeps back the GUILD_CREATEs of the last n guilds of every READY to
// come. They never load; GuildBack sends one late.
func (s *Server) HoldGuilds(n int) { s.faults.holdGuilds.Store(int64(max(0, n))) }

// GiantGuild sends a GUILD_CREATE of at least mib MiB (1 to 512) to the target's
// sessions, for a guild that they know.
func (s *Server) GiantGuild(t Target, mib int) (int, error) {
	if mib < 1 || mib > 512 {
		return 0, fmt.Errorf("gatewaysim: giant guild: %d MiB, want 1 to 512", mib)
	}
	return s.eachSession(t, func(ses *session) bool {
		ses.mu.Lock()
		guilds := ses.guilds
		ses.mu.Unlock()
		return len(guilds) > 0 && ses.add(event{kind: kindGuildGiant, guild: guilds[0], seed: uint64(mib) << 20})
	}), nil
}

func (s *Server) guild(id uint64) (uint32, error) {
	g, ok := s.world.indexOf(id)
	if !ok || s.world.left(g) {
		return 0, fmt.Errorf("gatewaysim: the bot is in no guild %d", id)
	}
	return g, nil
}

// toGuild dispatches e to every session that owns guild g and has the intent,
// and brings the lists of guilds up to date.
func (s *Server) toGuild(g uint32, e event) {
	id := s.world.guildID(g)
	for _, ses := range s.sessionList() {
		if !ses.owns(id) {
			continue
		}
		ses.listGuilds()
		if e.kind.allowed(ses.intents) {
			ses.add(e)
		}
	}
	s.retarget()
}
