package gateway

import (
	"strings"
	"testing"
)

func TestEventsTable(t *testing.T) {
	if got, want := len(events), 79; got != want {
		t.Errorf("got %d dispatches, want %d", got, want)
	}
	for name, row := range events {
		if row.user == nowhere && row.elseUser != nowhere {
			t.Errorf("%s: a second place for the user, but no first", name)
		}
		if strings.HasPrefix(name, "MESSAGE_") && (row.guild != atGuildID || row.channel != atChannelID) {
			t.Errorf("%s: got guild %d and channel %d, want %d and %d", name, row.guild, row.channel, atGuildID, atChannelID)
		}
		if _, err := ParseIntents(strings.Fields(row.intents)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIntentsOf(t *testing.T) {
	for name, want := range map[string]Intents{
		"READY": 0, "INTERACTION_CREATE": 0, "FOO": 0, "GUILD_CREATE": 1, "GUILD_MEMBER_ADD": 2,
		"MESSAGE_CREATE": 512 + 4096, "MESSAGE_POLL_VOTE_ADD": 1<<24 + 1<<25, "THREAD_MEMBERS_UPDATE": 3,
	} {
		if got := IntentsOf(name); got != want {
			t.Errorf("IntentsOf(%s): got %d, want %d", name, got, want)
		}
	}
}
