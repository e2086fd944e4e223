package worker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// model is what the tables should hold: events applied one after the other, with nothing of the worker's in it.
type model struct {
	communities map[uint64]*community
	seen        map[string]bool
	audits      []string // actions
	events      []string // ids of events that each have one audit row
}

type community struct {
	name   string
	active bool
	shard  int
	stale  bool
	users  map[uint64]*member
}

type member struct {
	active bool
	name   string
	nick   string
	roles  []string
	stale  bool
	silent bool // no event or list told of it since the gap
}

func newModel() *model {
	return &model{communities: map[uint64]*community{}, seen: map[string]bool{}}
}

func (m *model) apply(e told) {
	if m.seen[e.id] {
		return
	}
	m.seen[e.id] = true
	if e.typ == shardGap {
		for _, c := range m.communities {
			if c.shard == e.shard && c.active {
				c.stale = true
				for _, u := range c.users {
					u.silent = true
				}
				m.audits = append(m.audits, "community.stale")
			}
		}
		return
	}
	m.events = append(m.events, e.id)
	c := m.communities[e.guild]
	if c == nil {
		c = &community{active: true, users: map[uint64]*member{}}
		m.communities[e.guild] = c
	}
	c.shard = e.shard
	var d struct {
		Name        *string
		Unavailable bool
		MemberCount int `json:"member_count"`
		Members     []memberData
	}
	var one memberData
	err := json.Unmarshal([]byte(e.data), &d)
	if err == nil && strings.HasPrefix(e.typ, "member.") {
		err = json.Unmarshal([]byte(e.data), &one)
	}
	if err != nil {
		panic(err)
	}
	user := func(d *memberData) {
		u := c.users[e.user]
		if d.User != nil {
			var id uint64
			_, _ = fmt.Sscan(d.User.ID, &id)
			if u = c.users[id]; u == nil {
				u = &member{}
				c.users[id] = u
			}
		}
		u.active, u.silent, u.stale = true, false, false
		u.name, u.nick = d.User.Username, "-"
		if d.Nick != nil {
			u.nick = *d.Nick
		}
		u.roles = slices.Sorted(slices.Values(d.Roles))
	}
	switch e.typ {
	case guildLeave:
		c.active = false
		m.audits = append(m.audits, "community.leave")
	case guildUpdate:
		c.name = *d.Name
		m.audits = append(m.audits, "community.update")
	case memberLeave:
		u := c.users[e.user]
		if u == nil {
			u = &member{nick: "-", name: one.User.Username}
			c.users[e.user] = u
		}
		u.active, u.stale, u.silent = false, false, false
		m.audits = append(m.audits, "profile.leave")
	case memberJoin, memberUpdate:
		user(&one)
		m.audits = append(m.audits, strings.Replace(e.typ, "member", "profile", 1))
	case guildJoin, guildAvailable:
		c.active = true
		m.audits = append(m.audits, "community.here")
		if d.Unavailable {
			return
		}
		if d.Name != nil {
			c.name = *d.Name
		}
		listed := map[string]bool{}
		for i := range d.Members {
			user(&d.Members[i])
			listed[d.Members[i].User.ID] = true
		}
		for id, u := range c.users {
			switch {
			case listed[fmt.Sprint(id)] || !u.active:
			case len(listed) >= d.MemberCount && d.MemberCount > 0:
				u.active, u.stale = false, false
				m.audits = append(m.audits, "profile.leave")
			case c.stale && u.silent:
				u.stale = true
			}
		}
		c.stale = false
	}
}

// text lists the model's rows in the words of tables.
func (m *model) text() []string {
	var out []string
	for guild, c := range m.communities {
		out = append(out, fmt.Sprintf("%d %q active=%t shard=%d stale=%t", guild, c.name, c.active, c.shard, c.stale))
		for id, u := range c.users {
			out = append(out, fmt.Sprintf("%d/%d %q nick=%q roles=%s active=%t left=%t stale=%t",
				guild, id, u.name, u.nick, strings.Join(u.roles, ","), u.active, !u.active, u.stale))
		}
	}
	slices.Sort(out)
	return out
}

// tables lists the rows of the database in the same words.
func (r *rig) tables() []string {
	r.t.Helper()
	out := r.query(`SELECT guild_id || ' ' || to_json(name)::text || ' active=' || active || ' shard=' || shard_id || ' stale=' || (stale_since IS NOT NULL) FROM communities`)
	out = append(out, r.query(`SELECT c.guild_id || '/' || user_id || ' ' || to_json(username)::text || ' nick=' || to_json(coalesce(nick, '-'))::text || ' roles=' || array_to_string(roles, ',') ||
		' active=' || p.active || ' left=' || (p.left_at IS NOT NULL) || ' stale=' || (p.stale_since IS NOT NULL)
		FROM profiles p JOIN communities c ON c.id = p.community_id`)...)
	slices.Sort(out)
	return out
}

// audits lists the actions in the audit log, sorted.
func (r *rig) audits() []string {
	r.t.Helper()
	return slices.Sorted(slices.Values(r.query(`SELECT action FROM audit_logs`)))
}

// equal compares the tables and the audit log with the model.
func (r *rig) equal() {
	r.t.Helper()
	differ(r.t, "tables", r.tables(), r.model.text())
	differ(r.t, "audit log", r.audits(), slices.Sorted(slices.Values(r.model.audits)))
}

// same is equal where events may have come out of order. The facts must be the same all the same; what follows from the moment of a
// gap or of a list may not be: who was marked uncertain, and through which event a member is known to have left.
func (r *rig) same() {
	r.t.Helper()
	without := func(lines []string) []string {
		for i := range lines {
			lines[i], _, _ = strings.Cut(lines[i], " stale=")
		}
		return lines
	}
	differ(r.t, "tables", without(r.tables()), without(r.model.text()))
	counted := func(actions []string) []string {
		return slices.DeleteFunc(actions, func(a string) bool { return a == "community.stale" || a == "profile.leave" })
	}
	differ(r.t, "audit log", counted(r.audits()), counted(slices.Sorted(slices.Values(r.model.audits))))
	ids := slices.Sorted(slices.Values(r.query("SELECT id::text FROM audit_logs WHERE NOT metadata ? 'event_id'")))
	differ(r.t, "events in the audit log", ids, slices.Sorted(slices.Values(r.model.events)))
}

func differ(t testing.TB, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Helper()
	var more, less []string
	for _, line := range got {
		if !slices.Contains(want, line) {
			more = append(more, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			less = append(less, line)
		}
	}
	t.Errorf("%s: got %d rows, want %d\nonly got:  %s\nonly want: %s", what, len(got), len(want),
		strings.Join(more[:min(len(more), 10)], "\n           "), strings.Join(less[:min(len(less), 10)], "\n           "))
}

// traffic makes n random events of a few guilds.
func traffic(rnd *rand.Rand, n, guilds, users int) []told {
	out := make([]told, 0, n)
	for range n {
		guild := 700000000000000000 + uint64(rnd.IntN(guilds))<<22
		user := 800000000000000000 + uint64(rnd.IntN(users))
		e := told{guild: guild, shard: int(guild >> 22 % 4)}
		switch k := rnd.IntN(40); {
		case k == 0:
			e.typ, e.data = guildLeave, fmt.Sprintf(`{"id":"%d"}`, guild)
		case k == 1:
			e.typ, e.data = guildUpdate, fmt.Sprintf(`{"id":"%d","name":"name %d"}`, guild, rnd.IntN(1000))
		case k <= 3:
			e.typ = []string{guildJoin, guildAvailable}[k-2]
			var list []string
			first := rnd.IntN(users)
			for i := range rnd.IntN(users) {
				list = append(list, memberText(rnd, 800000000000000000+uint64((first+i)%users)))
			}
			count := len(list) + rnd.IntN(2)*5
			e.data = fmt.Sprintf(`{"id":"%d","name":"guild %d","joined_at":"2026-01-02T03:04:05.678+00:00","member_count":%d,"members":[%s]}`,
				guild, rnd.IntN(1000), count, strings.Join(list, ","))
		case k == 4:
			e.typ, e.guild, e.data = shardGap, 0, `{"reason":"session_lost","session":"abcdefgh","last_acked_seq":1,"from":0,"to":1}`
		case k < 12:
			e.typ, e.user, e.data = memberLeave, user, fmt.Sprintf(`{"guild_id":"%d","user":{"id":"%d","username":"user %d"}}`, guild, user, user%100)
		case k < 20:
			e.typ, e.user, e.data = memberJoin, user, memberText(rnd, user)
		default:
			e.typ, e.user, e.data = memberUpdate, user, memberText(rnd, user)
		}
		out = append(out, e)
	}
	return out
}

func memberText(rnd *rand.Rand, user uint64) string {
	nick := "null"
	if rnd.IntN(2) == 0 {
		nick = fmt.Sprintf(`"nick %d"`, rnd.IntN(1000))
	}
	var roles []string
	for range rnd.IntN(5) {
		role := fmt.Sprintf(`"%d"`, 900000000000000000+rnd.IntN(20))
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
	}
	return fmt.Sprintf(`{"user":{"id":"%d","username":"user %d"},"nick":%s,"roles":[%s],"joined_at":"2026-01-02T03:04:05.678+00:00"}`,
		user, user%100, nick, strings.Join(roles, ","))
}
