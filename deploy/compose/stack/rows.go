package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"drover/system/audit"
)

// rows is what the worker's tables should hold, or hold. It has nothing of the worker's in it.
type rows struct {
	communities map[string]bool // active, by guild
	profiles    map[string]bool // active, by guild/user
	events      []string        // ids of the events that have an audit row of their own, sorted
}

// dispatch names one of Discord's.
type dispatch struct {
	session string
	seq     int64
}

// expected applies what is stored in its order, once each, with the bytes that the simulator sent.
func expected(sent []audit.Sent, stored []audit.Stored) (rows, error) {
	data := map[dispatch]func() []byte{}
	for _, s := range sent {
		data[dispatch{s.Session, s.Seq}] = s.D
	}
	r := rows{communities: map[string]bool{}, profiles: map[string]bool{}}
	seen := map[string]bool{}
	for _, s := range stored {
		switch s.Type {
		case "guild.join", "guild.available", "guild.update", "guild.leave", "member.join", "member.update", "member.leave":
		default:
			continue
		}
		if seen[s.ID] {
			continue
		}
		seen[s.ID] = true
		d := data[dispatch{s.Session, s.Seq}]
		if d == nil {
			return r, fmt.Errorf("%s %s was never sent", s.Type, s.ID)
		}
		if err := r.apply(s.Type, d()); err != nil {
			return r, fmt.Errorf("%s: %w", s.Type, err)
		}
		r.events = append(r.events, s.ID)
	}
	slices.Sort(r.events)
	return r, nil
}

// apply makes one event's change.
func (r *rows) apply(typ string, data []byte) error {
	type user struct {
		ID string `json:"id"`
	}
	var d struct {
		ID          string `json:"id"`
		GuildID     string `json:"guild_id"`
		Unavailable bool   `json:"unavailable"`
		MemberCount int    `json:"member_count"`
		User        user   `json:"user"`
		Members     []struct {
			User user `json:"user"`
		} `json:"members"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	switch typ {
	case "guild.leave":
		r.communities[d.ID] = false
	case "guild.update":
		if _, ok := r.communities[d.ID]; !ok {
			r.communities[d.ID] = true
		}
	case "guild.join", "guild.available":
		r.communities[d.ID] = true
		if d.Unavailable {
			return nil
		}
		if d.MemberCount > 0 && len(d.Members) >= d.MemberCount { // the list is whole: who is not in it has left
			for key := range r.profiles {
				if strings.HasPrefix(key, d.ID+"/") {
					r.profiles[key] = false
				}
			}
		}
		for _, m := range d.Members {
			r.profiles[d.ID+"/"+m.User.ID] = true
		}
	default:
		if _, ok := r.communities[d.GuildID]; !ok {
			r.communities[d.GuildID] = true
		}
		r.profiles[d.GuildID+"/"+d.User.ID] = typ != "member.leave"
	}
	return nil
}

// held reads the worker's tables, as a superuser whom no tenant's policy binds.
func held(ctx context.Context, url string) (rows, error) {
	r := rows{communities: map[string]bool{}, profiles: map[string]bool{}}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return r, err
	}
	defer conn.Close(ctx)
	active := func(into map[string]bool, sql string) error {
		list, err := conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		var key string
		var is bool
		_, err = pgx.ForEachRow(list, []any{&key, &is}, func() error { into[key] = is; return nil })
		return err
	}
	if err := active(r.communities, "SELECT guild_id::text, active FROM communities"); err != nil {
		return r, err
	}
	if err := active(r.profiles, "SELECT c.guild_id || '/' || p.user_id, p.active FROM profiles p JOIN communities c ON c.id = p.community_id"); err != nil {
		return r, err
	}
	list, err := conn.Query(ctx, "SELECT id::text FROM audit_logs WHERE NOT metadata ? 'event_id'")
	if err != nil {
		return r, err
	}
	r.events, err = pgx.CollectRows(list, pgx.RowTo[string])
	slices.Sort(r.events)
	return r, err
}

// differs says where two sets of rows do; empty: nowhere.
func (r rows) differs(want rows) string {
	for _, t := range []struct {
		name      string
		got, want map[string]bool
	}{{"communities", r.communities, want.communities}, {"members", r.profiles, want.profiles}} {
		for key, w := range t.want {
			if g, ok := t.got[key]; !ok || g != w {
				return fmt.Sprintf("%s: %s is there %v and active %v, want active %v (%d rows, want %d)", t.name, key, ok, g, w, len(t.got), len(t.want))
			}
		}
		if len(t.got) != len(t.want) {
			return fmt.Sprintf("%d %s, want %d", len(t.got), t.name, len(t.want))
		}
	}
	if !slices.Equal(r.events, want.events) {
		return fmt.Sprintf("%d events have an audit row of their own, want exactly the %d that are stored", len(r.events), len(want.events))
	}
	return ""
}

func count(m map[string]bool) (n int) {
	for _, is := range m {
		if is {
			n++
		}
	}
	return n
}
