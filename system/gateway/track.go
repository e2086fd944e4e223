package gateway

import (
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"drover/messages"
)

// Tracker knows of one shard which guilds it serves and how far its session has been read. It decides
// what a GUILD_CREATE or GUILD_DELETE means, and which dispatches were read before.
//
// It belongs to the goroutine that reads the shard's connection and outlives connections and sessions.
// Seq, Guilds, Pending and Known may be called by any goroutine.
type Tracker struct {
	guilds map[uint64]guildState // 17 to 40 bytes for each
	begun  bool                  // a session was tracked: guilds is what the shard had
	told   told

	seq     atomic.Int64
	count   atomic.Int64
	pending atomic.Int64
}

// guildState is what the shard last heard of a guild that the bot is in.
type guildState uint8

const (
	unknownGuild   guildState = iota // not in the map
	pendingGuild                     // listed in READY, not loaded yet
	pendingNew                       // the same, and it was not in the session before: joined meanwhile
	availableGuild                   // loaded
	outageGuild                      // unavailable
	outageNew                        // the same, and nobody was told yet that the bot joined it
)

// told reports whether consumers know that the bot is in a guild of this state.
func (s guildState) told() bool { return s == pendingGuild || s == availableGuild || s == outageGuild }

// Verdict says what a dispatch is.
type Verdict struct {
	Kind *messages.Kind // to publish it as; nil where Dup
	Dup  bool           // its sequence number was read before: not to be published again
	Gap  int64          // how many sequence numbers were left out before it; 0 is right
}

// NewTracker returns a Tracker that knows no session.
func NewTracker() *Tracker {
	return &Tracker{guilds: make(map[uint64]guildState)}
}

// Keep has the Tracker remember how the guild set was at each sequence number that Known was not asked for yet. Call it
// before Restore and Begin, and only where somebody asks.
func (t *Tracker) Keep() {
	t.told.mu.Lock()
	defer t.told.mu.Unlock()
	t.told.keep = true
}

// Restore makes a Tracker go on where an earlier process was: a RESUME goes on from seq, and guilds is what consumers
// were told that the bot is in. nil: not known, so that the next READY is taken like the first one ever.
func (t *Tracker) Restore(seq int64, guilds []uint64) {
	t.guilds = make(map[uint64]guildState, len(guilds))
	for _, id := range guilds {
		t.guilds[id] = availableGuild // or in an outage, which changes nothing in what is told next
	}
	t.begun = guilds != nil
	t.seq.Store(seq)
	t.count.Store(int64(len(t.guilds)))
	t.pending.Store(0)
	t.told.begin(slices.Sorted(maps.Keys(t.guilds)), t.begun)
}

// Session counts the sessions that began here, by Begin or Restore.
func (t *Tracker) Session() uint64 {
	t.told.mu.Lock()
	defer t.told.mu.Unlock()
	return t.told.session
}

// Known returns the guild set, by rising id, as consumers were told it by the events up to acked, which must not fall
// within a session. version rises whenever the set changes; 0 says that the set is not known, or that Keep was not
// called. ok is false where session, a value of Session, is over: acked means nothing then. The caller must not change
// guilds.
func (t *Tracker) Known(session uint64, acked int64) (guilds []uint64, version uint64, ok bool) {
	return t.told.asOf(session, acked)
}

// Begin starts a new session from its READY: the sequence number of the READY itself, and the guilds
// that it lists, all of which will be loaded next. The guild set of the session before decides which
// of them were joined meanwhile: their first GUILD_CREATE is a join, no load. Begin returns those
// that were left meanwhile, by rising id; no dispatch tells of them. The first session has no such
// set, so its guilds are neither.
func (t *Tracker) Begin(seq int64, guilds []uint64) (left []uint64) {
	next := make(map[uint64]guildState, len(guilds))
	for _, id := range guilds {
		state := pendingGuild
		switch before := t.guilds[id]; {
		case before == pendingNew, before == outageNew, before == unknownGuild && t.begun:
			state = pendingNew
		}
		next[id] = state
	}
	for id, state := range t.guilds {
		if _, ok := next[id]; !ok && state.told() { // of the others nobody knows
			left = append(left, id)
		}
	}
	slices.Sort(left)
	t.guilds, t.begun = next, true
	var known []uint64 // the others follow with their joins
	for id, state := range next {
		if state.told() {
			known = append(known, id)
		}
	}
	slices.Sort(known)
	t.told.begin(known, true)
	t.seq.Store(seq)
	t.count.Store(int64(len(next)))
	t.pending.Store(int64(len(next)))
	return left
}

// Resume says that a RESUME goes on with the same session from seq. What was read beyond seq is going
// to come again, and stays a duplicate. The guild set is kept (Discord sends no GUILD_CREATEs again).
func (t *Tracker) Resume(seq int64) {
	t.seq.Store(max(t.seq.Load(), seq))
}

// Check says what the dispatch f is, and changes nothing. READY belongs to Begin; Check has nothing
// to say on it.
func (t *Tracker) Check(f *Frame) Verdict {
	if string(f.T) == "READY" {
		return Verdict{Kind: messages.KindOf(f.T)}
	}
	seq := t.seq.Load()
	if f.S <= seq {
		return Verdict{Dup: true}
	}
	kind := t.guildKind(f)
	if kind == nil {
		kind = messages.KindOf(f.T)
	}
	return Verdict{Kind: kind, Gap: f.S - seq - 1}
}

// Accept records f once the publisher has it, or once it is certain that it will not be published:
// sequence number and guild set move together, so a dispatch that was not accepted is judged alike
// when it comes again.
func (t *Tracker) Accept(f *Frame) {
	if f.S <= t.seq.Load() {
		return
	}
	if c, ok := t.change(f); ok && c.named && c.before != c.after {
		t.set(c.id, c.before, c.after)
		if is := c.after.told(); is != c.before.told() {
			t.told.record(f.S, c.id, is)
		}
	}
	t.seq.Store(f.S)
}

// Pass records f without its change of the guild set, which has it already: an event that is replayed although an
// earlier process stored it.
func (t *Tracker) Pass(f *Frame) { t.seq.Store(max(t.seq.Load(), f.S)) }

// Seq returns the newest sequence number that was accepted; 0 before the first READY.
func (t *Tracker) Seq() int64 { return t.seq.Load() }

// Guilds counts the guilds that the bot is in on this shard, those in an outage included.
func (t *Tracker) Guilds() int { return int(t.count.Load()) }

// Pending counts the guilds of READY that were neither loaded nor reported unavailable yet.
func (t *Tracker) Pending() int { return int(t.pending.Load()) }

// guildKind returns the kind of a GUILD_CREATE or GUILD_DELETE, and nil for any other dispatch.
func (t *Tracker) guildKind(f *Frame) *messages.Kind {
	c, ok := t.change(f)
	switch {
	case !ok:
		return nil
	case !c.create && c.after == unknownGuild:
		return messages.GuildLeave
	case !c.create:
		return messages.GuildUnavailable
	case c.before == unknownGuild, c.before == pendingNew, c.before == outageNew:
		return messages.GuildJoin
	case c.after == outageGuild:
		return messages.GuildDegraded
	}
	return messages.GuildAvailable
}

// guildChange is what a GUILD_CREATE or GUILD_DELETE makes of its guild.
type guildChange struct {
	create        bool
	id            uint64
	named         bool // id is valid; a dispatch without one changes nothing
	before, after guildState
}

// change is the one table of guild availability. ok is false for a dispatch of another kind.
func (t *Tracker) change(f *Frame) (c guildChange, ok bool) {
	c.create = string(f.T) == "GUILD_CREATE"
	if !c.create && string(f.T) != "GUILD_DELETE" {
		return c, false
	}
	id, err := strconv.ParseUint(string(f.GuildID()), 10, 64)
	c.id, c.named = id, err == nil
	c.before = availableGuild // where no guild is named: surely not a join
	if c.named {
		c.before = t.guilds[id]
	}
	switch away := f.Unavailable(); {
	case c.create && away, away && c.before != pendingNew && c.before != outageNew:
		// A GUILD_CREATE also of a guild that nobody knows: the bot joined it during an outage.
		c.after = outageGuild
	case c.create:
		c.after = availableGuild
	case away:
		c.after = outageNew
	}
	return c, true
}

func (t *Tracker) set(id uint64, before, after guildState) {
	if after == unknownGuild {
		delete(t.guilds, id)
	} else {
		t.guilds[id] = after
	}
	t.count.Store(int64(len(t.guilds)))
	if before == pendingGuild || before == pendingNew {
		t.pending.Add(-1)
	}
}

// Loading decides when a shard counts as loaded after READY, although some guilds may never come.
type Loading struct {
	begun, moved time.Time
	pending      int
}

// Limits of Loading.
const (
	loadIdle = 15 * time.Second // without a guild loaded
	loadCap  = 75 * time.Second // in all
)

// BeginLoading starts with READY at now.
func BeginLoading(now time.Time, pending int) Loading {
	return Loading{begun: now, moved: now, pending: pending}
}

// Done reports whether the shard counts as loaded at now with so many guilds pending: none are left,
// none was loaded for 15 s, or READY was 75 s ago. Guilds that come later are still loads, no joins.
func (l *Loading) Done(now time.Time, pending int) bool {
	if pending != l.pending {
		l.moved, l.pending = now, pending
	}
	return pending == 0 || now.Sub(l.moved) >= loadIdle || now.Sub(l.begun) >= loadCap
}
