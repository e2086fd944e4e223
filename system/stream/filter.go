package stream

import (
	"fmt"
	"path"
	"strings"

	"drover/messages"
)

// Filter chooses messages. The zero value chooses all.
type Filter struct {
	// Types are event types, of which one must match; '*' stands for any characters: member.*.
	Types   []string
	ShardID *int   // nil: all
	GuildID string // "" : all
}

func (f *Filter) check() error {
	for _, t := range f.Types {
		if _, err := path.Match(t, ""); err != nil || t == "" || strings.ContainsAny(t, " \t>/") {
			return fmt.Errorf("stream: filter: %q is not an event type like member.join or member.*", t)
		}
	}
	return nil
}

func (f *Filter) matches(e *Envelope) bool {
	if f.ShardID != nil && e.ShardID != *f.ShardID {
		return false
	}
	if f.GuildID != "" && (e.GuildID == nil || *e.GuildID != f.GuildID) {
		return false
	}
	for _, t := range f.Types {
		if ok, _ := path.Match(t, e.Type); ok {
			return true
		}
	}
	return len(f.Types) == 0
}

// subjects returns what to ask stream s for; wanted is false where nothing on it can match. The
// server's filter only saves traffic: matches decides.
func (f *Filter) subjects(b *Broker, s messages.Stream) (subjects []string, wanted bool) {
	if s == messages.Commands {
		const only = "interaction.create"
		for _, t := range f.Types {
			if ok, _ := path.Match(t, only); ok {
				return nil, true
			}
		}
		return nil, len(f.Types) == 0
	}
	seen := make(map[string]bool)
	for _, t := range f.Types {
		subject := t
		if before, found := strings.CutSuffix(t, ".*"); found {
			subject = before + ".>"
		}
		if strings.ContainsAny(subject, "*?[\\") {
			return nil, true // NATS has no such wildcard: take all
		}
		if subject = b.subject("events." + subject); !seen[subject] {
			seen[subject] = true
			subjects = append(subjects, subject)
		}
	}
	if overlapping(subjects) {
		return nil, true // which NATS refuses
	}
	return subjects, true
}

func overlapping(subjects []string) bool {
	for _, s := range subjects {
		root, wild := strings.CutSuffix(s, ">")
		for _, other := range subjects {
			if wild && other != s && strings.HasPrefix(other, root) {
				return true
			}
		}
	}
	return false
}
