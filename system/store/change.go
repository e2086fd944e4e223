package store

import "time"

// Change is what one event of the streams does to the tables of one community.
type Change struct {
	EventID   string // the envelope's event_id, a UUID: a change is applied once, however often it comes
	EventType string // guild.join
	Kind      ChangeKind
	// Position orders the changes of all streams that there ever were. Each fact in the tables carries the position of
	// what set it, and never gives way to an older one, in whatever order changes come.
	Position int64
	At       time.Time // when drover read the event
	ShardID  int

	Name     *string    // of the community; nil: the event does not tell
	JoinedAt *time.Time // when the bot joined; nil: the event does not tell
	// Members are the ones that the event tells of: the one of a member's event, and what a GUILD_CREATE lists.
	Members []Member
	// Listed says that a CommunityHere came with what is in the guild, so that it ends a gap.
	Listed bool
	// Complete says that Members are all members that the community has. It goes with Listed.
	Complete bool
}

// ChangeKind is the way in which a Change is applied.
type ChangeKind uint8

// The kinds of changes.
const (
	CommunityHere    ChangeKind = iota // the bot is in the guild, and Members is what it saw there
	CommunityRenamed                   // the guild's own facts changed
	CommunityLeft                      // the bot is no member any more; what is known of the guild stays
	MemberHere                         // Members[0] is a member, with these roles and this nick
	MemberLeft                         // Members[0] is no member any more; only its id and name count
)

// Member is one member of a guild as an event tells of it. The JSON form is that of the statements.
type Member struct {
	UserID   int64      `json:"user_id"`
	Username string     `json:"username"`
	Nick     *string    `json:"nick"`
	Roles    []int64    `json:"roles"`
	JoinedAt *time.Time `json:"joined_at"` // nil: the event does not tell
}

// Outcome is what became of a Change.
type Outcome uint8

// The outcomes.
const (
	Applied    Outcome = iota // it is in the tables, with its audit row
	Superseded                // every fact in it was older than what the tables hold: only its audit row was written
	Duplicate                 // its id was applied before: nothing was written
)

// Name is the outcome as a metric's label.
func (o Outcome) Name() string {
	switch o {
	case Applied:
		return "applied"
	case Superseded:
		return "superseded"
	}
	return "duplicate"
}
