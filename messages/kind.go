package messages

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Stream names one of the two JetStream streams, before configuration gives it its real name.
type Stream uint8

// The streams of the contract.
const (
	Events   Stream = iota // everything but interactions; subject events.<type>
	Commands               // interactions, which die within seconds; subject commands.interaction
	streams
)

// Streams counts the streams, for arrays indexed by Stream.
const Streams = int(streams)

// String returns the stream's default name.
func (s Stream) String() string {
	if s == Commands {
		return "COMMANDS"
	}
	return "EVENTS"
}

// Kind is what consumers know of a type of event. Kinds are shared and never change: compare and
// cache them by pointer.
type Kind struct {
	Name    string // Discord's t, as in the header Drover-Event: GUILD_MEMBER_ADD; printable ASCII
	Type    string // drover's event_type: member.join
	Subject string // without the configured prefix: events.member.join
	Stream  Stream
	// Label is Type as a metric label: bounded, "other" once Discord (or an attacker) has sent more
	// names than maxKinds.
	Label string
	// Number tells the kinds apart that live for ever, from 1 on without a hole: an index of a small table. 0: this one may be
	// made anew for each event.
	Number int
}

// The kinds that a guild's dispatches take by the state of the shard's guild set (contract §2).
var (
	GuildJoin        = lasting("GUILD_CREATE", "guild.join")
	GuildAvailable   = lasting("GUILD_CREATE", "guild.available")
	GuildDegraded    = lasting("GUILD_CREATE", "guild.unavailable") // an outage told by a GUILD_CREATE
	GuildUnavailable = lasting("GUILD_DELETE", "guild.unavailable")
	GuildLeave       = lasting("GUILD_DELETE", "guild.leave")
)

// The kinds of drover's own life-cycle events.
var (
	ShardReadyKind   = lasting("DROVER_SHARD_READY", "shard.ready")
	ShardResumedKind = lasting("DROVER_SHARD_RESUMED", "shard.resumed")
	ShardDownKind    = lasting("DROVER_SHARD_DOWN", "shard.down")
	ShardGapKind     = lasting("DROVER_SHARD_GAP", "shard.gap")
)

// renamed are the dispatches whose type does not follow the rule of words.
var renamed = map[string]string{
	"GUILD_MEMBER_ADD":    "member.join",
	"GUILD_MEMBER_REMOVE": "member.leave",
	"GUILD_MEMBER_UPDATE": "member.update",
	"INTERACTION_CREATE":  "interaction.create",
}

// InteractionCreate is the name of the one dispatch that goes to the stream Commands.
const InteractionCreate = "INTERACTION_CREATE"

// maxKinds bounds the table of known kinds, and with it memory and metric series. Discord
// documents 79 dispatches.
const maxKinds = 256

// kinds is copied on write, so that KindOf reads it without a lock and without an allocation.
var (
	kinds     atomic.Pointer[map[string]*Kind]
	kindsLock sync.Mutex
)

// KindOf returns the kind of a dispatch by Discord's t. Guild creates and deletes have no kind of
// their own here: the tracker picks one of the Guild kinds. Any goroutine may call it.
func KindOf(t []byte) *Kind {
	if m := kinds.Load(); m != nil {
		if k, ok := (*m)[string(t)]; ok {
			return k
		}
	}
	return learn(string(t))
}

func learn(name string) *Kind {
	kindsLock.Lock()
	defer kindsLock.Unlock()
	var known map[string]*Kind
	if m := kinds.Load(); m != nil {
		known = *m
	}
	if k, ok := known[name]; ok {
		return k
	}
	if len(known) >= maxKinds {
		k := newKind(name, typeOf(name))
		k.Label = "other"
		return k
	}
	k := lasting(name, typeOf(name))
	next := make(map[string]*Kind, len(known)+1)
	for n, k := range known {
		next[n] = k
	}
	next[name] = k
	kinds.Store(&next)
	return k
}

// numbers counts the kinds that lasting made; guarded by kindsLock once the package is initialized.
var numbers int

// lasting returns a kind that lives for ever.
func lasting(name, typ string) *Kind {
	k := newKind(name, typ)
	numbers++
	k.Number = numbers
	return k
}

func newKind(name, typ string) *Kind {
	k := &Kind{Name: strings.Map(printable, name), Type: typ, Subject: "events." + typ, Label: typ}
	if name == InteractionCreate {
		k.Stream, k.Subject = Commands, "commands.interaction"
	}
	return k
}

// RestoreKind returns the kind that was stored under these two names: what KindOf, the tracker or drover itself had
// chosen. Any goroutine may call it.
func RestoreKind(name, typ string) *Kind {
	for _, k := range []*Kind{
		GuildJoin, GuildAvailable, GuildDegraded, GuildUnavailable, GuildLeave,
		ShardReadyKind, ShardResumedKind, ShardDownKind, ShardGapKind,
	} {
		if k.Name == name && k.Type == typ {
			return k
		}
	}
	if k := KindOf([]byte(name)); k.Type == typ {
		return k
	}
	return newKind(name, typ) // the name was cleaned, so that the type no longer follows from it
}

// printable keeps what may stand in a header: a t is a name, but nothing makes the peer send one.
func printable(r rune) rune {
	if r > ' ' && r < 0x7f {
		return r
	}
	return '_'
}

// typeOf makes drover's event type of Discord's t: the first word, a dot, the rest, in lower case.
// Characters that could mean something in a subject become underscores first.
func typeOf(name string) string {
	if t, ok := renamed[name]; ok {
		return t
	}
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, name)
	first, rest, found := strings.Cut(clean, "_")
	typ := strings.ToLower(first)
	if found {
		typ += "." + strings.ToLower(rest)
	}
	typ = strings.Trim(typ, ".")
	switch {
	case typ == "":
		return "unknown"
	case first == "SHARD" && found: // ours: a dispatch must not pass for a life-cycle event
		return "discord.shard_" + strings.ToLower(rest)
	}
	return typ
}
