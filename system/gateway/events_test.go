package gateway

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
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

// pathNames are the places of ids in the words of the reference table.
var pathNames = map[path]string{
	nowhere: "", atGuildID: "guild_id", atChannelID: "channel_id", atUserID: "user_id", atID: "id",
	atCreatorID: "creator_id", atOwnerID: "owner_id", atUserDotID: "user.id", atAuthorDotID: "author.id",
	atMemberUserDotID: "member.user.id", atInviterDotID: "inviter.id", atMetaGuildID: "meta.guild_id",
	atOptionsChannelID: "options.channel_id",
}

// The reference table is not part of the repository: where a checkout of the project's documents lies
// beside it, our table is compared with it.
func TestEventsAgreeWithTheReferenceTable(t *testing.T) {
	b, err := os.ReadFile("../../../shared/docs/gateway_events.json")
	if errors.Is(err, fs.ErrNotExist) {
		return // TestEventsTable and the samples stand on their own
	}
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Event   string
		Intents []string
		Guild   any `json:"guild_id"`
		Channel any `json:"channel_id"`
		User    any `json:"user_id"`
	}
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(events) {
		t.Errorf("got %d dispatches, want %d", len(events), len(rows))
	}
	text := func(v any) string {
		switch v := v.(type) {
		case string:
			return v
		case []any:
			return v[0].(string) + "|" + v[1].(string)
		}
		return ""
	}
	for _, want := range rows {
		row, ok := events[want.Event]
		if !ok {
			t.Errorf("%s: not in our table", want.Event)
			continue
		}
		user := pathNames[row.user]
		if row.elseUser != nowhere {
			user += "|" + pathNames[row.elseUser]
		}
		got := strings.Join([]string{pathNames[row.guild], pathNames[row.channel], user, row.intents}, " ")
		ref := strings.Join([]string{text(want.Guild), text(want.Channel), text(want.User), strings.Join(want.Intents, " ")}, " ")
		if got != ref {
			t.Errorf("%s: got %q, want %q", want.Event, got, ref)
		}
	}
}
