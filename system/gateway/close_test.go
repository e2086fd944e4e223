package gateway

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestClassOf(t *testing.T) {
	want := map[int]Class{
		4001: NewSession, 4003: NewSession, 4005: NewSession, 4006: NewSession, 4007: NewSession, 4009: NewSession,
		4010: FatalShard, 4011: FatalShard,
		4004: FatalBot, 4012: FatalBot, 4013: FatalBot, 4014: FatalBot,
	}
	for code := -1; code < 6000; code++ { // whatever is not in the table is resumable
		if got := ClassOf(code); got != want[code] {
			t.Errorf("ClassOf(%d): got %v, want %v", code, got, want[code])
		}
	}
}

func TestCloseErrorFindsItsWayThroughWrapping(t *testing.T) {
	err := fmt.Errorf("shard 3: %w", NewCloseError(4009, "Session timed out."))
	var closed *CloseError
	if !errors.As(err, &closed) || closed.Class != NewSession {
		t.Fatalf("got %v, want a CloseError of class %v", err, NewSession)
	}
	if got, want := err.Error(), "shard 3: gateway: closed with 4009: session timed out"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := NewCloseError(1001, "be right back").Error(), `gateway: closed with 1001: going away: "be right back"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRemedyNamesWhatToChange(t *testing.T) {
	intents, err := ParseIntents([]string{"GUILDS", "GUILD_MEMBERS", "MESSAGE_CONTENT"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		code    int
		intents Intents
		want    []string
	}{
		{"bad token", 4004, 0, []string{"discord.token", "DISCORD_TOKEN", "developer portal"}},
		{"invalid shard", 4010, 0, []string{"pool.total_shards", "TOTAL_SHARDS"}},
		{"sharding required", 4011, 0, []string{"pool.total_shards", "2,500"}},
		{"invalid version", 4012, 0, []string{"update drover"}},
		{"invalid intents", 4013, 0, []string{"discord.intents", "DISCORD_INTENTS"}},
		{"disallowed intents, unknown which", 4014, 0, []string{"discord.intents", "developer portal"}},
		{"disallowed intents", 4014, intents, []string{"GUILD_MEMBERS, MESSAGE_CONTENT", "discord.intents", "developer portal"}},
		{"one disallowed intent", 4014, intents &^ (1 << 15), []string{"intent GUILD_MEMBERS:", "switch it on"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := NewCloseError(tt.code, "")
			e.Intents = tt.intents
			got := e.Remedy()
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
			if !e.Class.Fatal() {
				t.Errorf("class of %d: got %v, want a fatal one", tt.code, e.Class)
			}
		})
	}
	for _, code := range []int{0, 1000, 1006, 4000, 4001, 4009, 4999} {
		if got := NewCloseError(code, "").Remedy(); got != "" {
			t.Errorf("remedy of %d: got %q, want none", code, got)
		}
	}
}
