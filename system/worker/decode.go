package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover/system/store"
)

// event is a stored event that the worker understands. Exactly one of change and gap counts.
type event struct {
	typ     string
	guildID uint64 // 0: of a shard
	change  store.Change
	gap     *store.Gap
}

// The event types that the worker subscribes to. guild.unavailable is not among them: an outage changes nothing.
const (
	guildJoin      = "guild.join"
	guildAvailable = "guild.available"
	guildLeave     = "guild.leave"
	guildUpdate    = "guild.update"
	memberJoin     = "member.join"
	memberLeave    = "member.leave"
	memberUpdate   = "member.update"
	shardGap       = "shard.gap"
)

// Types are the event types that the worker reads.
var Types = []string{guildJoin, guildAvailable, guildLeave, guildUpdate, memberJoin, memberLeave, memberUpdate, shardGap}

// The reasons of dead letters, which are the values of a metric's label.
const (
	DeadEnvelope = "envelope" // no envelope of drover's
	DeadIDs      = "ids"      // ids that cannot be
	DeadData     = "data"     // data that is not what its type promises
	DeadDatabase = "database" // PostgreSQL refuses the values for good
)

// DeadReasons lists all of them.
var DeadReasons = []string{DeadEnvelope, DeadIDs, DeadData, DeadDatabase}

// poison says that an event can never be applied. Its text holds no payload.
type poison struct{ class, text string }

func (p *poison) Error() string { return p.text }

func poisoned(class, format string, args ...any) error {
	return &poison{class, fmt.Sprintf(format, args...)}
}

// envelope is the part of an envelope that the worker needs. Fields that must be there are pointers.
type envelope struct {
	ID        *string         `json:"event_id"`
	Type      *string         `json:"event_type"`
	ShardID   *int            `json:"shard_id"`
	Timestamp *int64          `json:"timestamp"`
	GuildID   *string         `json:"guild_id"`
	UserID    *string         `json:"user_id"`
	Data      json.RawMessage `json:"data"`
}

var uuidRule = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// latest is the last instant that both JSON's dates and PostgreSQL hold.
var latest = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()

// decode reads an envelope that was stored under the subject of typ. The error is a *poison. Position is the caller's.
func decode(typ string, raw []byte) (event, error) {
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		return event{}, poisoned(DeadEnvelope, "no envelope: not the JSON that it should be, at byte %d", offset(err))
	}
	switch {
	case e.ID == nil || !uuidRule.MatchString(*e.ID):
		return event{}, poisoned(DeadEnvelope, "envelope: event_id is no UUID")
	case e.Type == nil || *e.Type != typ:
		return event{}, poisoned(DeadEnvelope, "envelope: event_type is not %s, which its subject says", typ)
	case e.ShardID == nil || *e.ShardID < 0 || *e.ShardID > math.MaxInt32:
		return event{}, poisoned(DeadEnvelope, "envelope: shard_id is no shard's number")
	case e.Timestamp == nil || *e.Timestamp <= 0 || *e.Timestamp > latest:
		return event{}, poisoned(DeadEnvelope, "envelope: timestamp is no time in Unix ms")
	case len(e.Data) == 0:
		return event{}, poisoned(DeadEnvelope, "envelope: there is no data")
	}
	at := time.UnixMilli(*e.Timestamp)
	if typ == shardGap {
		return gapOf(&e, at)
	}
	if e.GuildID == nil {
		return event{}, poisoned(DeadIDs, "guild_id is null, which %s cannot have", typ)
	}
	guild, err := snowflake("guild_id", *e.GuildID)
	if err != nil {
		return event{}, err
	}
	ev := event{typ: typ, guildID: uint64(guild), change: store.Change{EventID: *e.ID, EventType: typ, At: at, ShardID: *e.ShardID}}
	switch typ {
	case memberJoin, memberUpdate, memberLeave:
		return ev, ev.member(&e)
	}
	return ev, ev.guild(&e)
}

// offset is where in the text the decoder stopped; 0 where it does not say. The decoder's own words repeat the text.
func offset(err error) int64 {
	var syntax *json.SyntaxError
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &other):
		return other.Offset
	}
	return 0
}

// snowflake reads one of Discord's ids: a positive number of at most 63 bits, as PostgreSQL's bigint.
func snowflake(what, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, poisoned(DeadIDs, "%s is no id: want decimal digits of a number from 1 to 2^63-1", what)
	}
	return n, nil
}

func gapOf(e *envelope, at time.Time) (event, error) {
	var d struct {
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return event{}, poisoned(DeadData, "data of shard.gap: not what it should be, at byte %d", offset(err))
	}
	return event{typ: shardGap, gap: &store.Gap{EventID: *e.ID, ShardID: *e.ShardID, At: at, Reason: *words(&d.Reason)}}, nil
}

// guildData is what the worker needs of GUILD_CREATE, GUILD_UPDATE and GUILD_DELETE.
type guildData struct {
	ID          string       `json:"id"`
	Name        *string      `json:"name"`
	Unavailable bool         `json:"unavailable"`
	JoinedAt    *string      `json:"joined_at"`
	MemberCount int          `json:"member_count"`
	Members     []memberData `json:"members"`
	Oversize    *int64       `json:"drover_oversize"` // the data was too large for NATS, and is not here
}

func (ev *event) guild(e *envelope) error {
	var d guildData
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return poisoned(DeadData, "data of %s: not what it should be, at byte %d", ev.typ, offset(err))
	}
	if d.Oversize == nil && d.ID != *e.GuildID {
		return poisoned(DeadIDs, "id in the data of %s is not guild_id", ev.typ)
	}
	c := &ev.change
	switch ev.typ {
	case guildLeave:
		c.Kind = store.CommunityLeft
		return nil
	case guildUpdate:
		c.Kind, c.Name = store.CommunityRenamed, words(d.Name)
		return nil
	}
	c.Kind = store.CommunityHere
	var err error
	if c.JoinedAt, err = instant("joined_at", d.JoinedAt); err != nil || d.Oversize != nil || d.Unavailable {
		return err
	}
	c.Name, c.Listed = words(d.Name), true
	seen := make(map[int64]int, len(d.Members))
	for i := range d.Members {
		m, err := d.Members[i].member()
		if err != nil {
			return err
		}
		if at, twice := seen[m.UserID]; twice {
			c.Members[at] = m
			continue
		}
		seen[m.UserID] = len(c.Members)
		c.Members = append(c.Members, m)
	}
	// Without the intent GUILD_MEMBERS, and of a large guild, Discord lists only some.
	c.Complete = d.MemberCount > 0 && len(c.Members) >= d.MemberCount
	return nil
}

// memberData is a guild member as Discord writes it.
type memberData struct {
	User *struct {
		ID       string `json:"id"`
		Username string `json:"username"`
	} `json:"user"`
	Nick     *string  `json:"nick"`
	Roles    []string `json:"roles"`
	JoinedAt *string  `json:"joined_at"`
}

func (d *memberData) member() (store.Member, error) {
	if d.User == nil {
		return store.Member{}, poisoned(DeadIDs, "a member has no user")
	}
	user, err := snowflake("a user's id", d.User.ID)
	if err != nil {
		return store.Member{}, err
	}
	m := store.Member{UserID: user, Username: *words(&d.User.Username), Nick: words(d.Nick), Roles: make([]int64, len(d.Roles))}
	for i, r := range d.Roles {
		if m.Roles[i], err = snowflake("a role's id", r); err != nil {
			return m, err
		}
	}
	slices.Sort(m.Roles) // Discord's order says nothing, and changes
	m.JoinedAt, err = instant("joined_at", d.JoinedAt)
	return m, err
}

func (ev *event) member(e *envelope) error {
	var d memberData
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return poisoned(DeadData, "data of %s: not what it should be, at byte %d", ev.typ, offset(err))
	}
	m, err := d.member()
	if err != nil {
		return err
	}
	if e.UserID != nil && *e.UserID != strconv.FormatInt(m.UserID, 10) {
		return poisoned(DeadIDs, "user's id in the data of %s is not user_id", ev.typ)
	}
	ev.change.Kind = store.MemberHere
	if ev.typ == memberLeave {
		ev.change.Kind = store.MemberLeft
	}
	ev.change.Members = []store.Member{m}
	return nil
}

// instant reads one of Discord's times.
func instant(what string, text *string) (*time.Time, error) {
	if text == nil || *text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return nil, poisoned(DeadData, "%s is no time in ISO 8601", what)
	}
	// Written in UTC: Go reads offsets that it does not write.
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return nil, poisoned(DeadData, "%s is not in the years 1 to 9999", what)
	}
	return &t, nil
}

// words are a text that people have chosen, without the one character that PostgreSQL cannot hold: a single nick must not
// make a guild's whole list of members a dead letter.
func words(text *string) *string {
	if text == nil || !strings.ContainsRune(*text, 0) {
		return text
	}
	clean := strings.ReplaceAll(*text, "\x00", "\uFFFD")
	return &clean
}

// oneLine makes a text fit for a header: one line, printable, not longer than most bytes.
func oneLine(text string, most int) string {
	out := bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, []byte(text))
	if len(out) > most {
		out = out[:most]
	}
	return string(out)
}
