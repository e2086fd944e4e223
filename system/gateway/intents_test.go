package gateway

import (
	"slices"
	"strings"
	"testing"
)

func TestParseIntents(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want Intents
	}{
		{"the default", []string{"GUILDS", "GUILD_MEMBERS"}, 3},
		{"any case, blanks", []string{" guilds ", "Guild_Messages", ""}, 513},
		{"a number", []string{"4609"}, 4609},
		{"a number and a name", []string{"1", "DIRECT_MESSAGE_POLLS"}, 33554433},
		{"nothing", nil, 0},
		{"zero", []string{"0"}, 0},
		{"all", []string{"all"}, 53608447},
		{"all but the privileged", []string{"all_unprivileged"}, 53575421},
		{"names of old", []string{"GUILD_BANS", "GUILD_EMOJIS_AND_STICKERS"}, 12},
		{"all as a number", []string{"53608447"}, AllIntents},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseIntents(tt.in); err != nil || got != tt.want {
				t.Errorf("got %d, %v; want %d", got, err, tt.want)
			}
		})
	}
}

func TestParseIntentsErrors(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"unknown", "KITTENS", []string{`"KITTENS"`, "known: GUILDS, GUILD_MEMBERS", "DIRECT_MESSAGE_POLLS"}},
		{"GUILD_ forgotten", "MEMBERS", []string{"did you mean GUILD_MEMBERS?"}},
		{"GUILD_ too much", "GUILD_MESSAGE_CONTENT", []string{"did you mean MESSAGE_CONTENT?"}},
		{"GUILD_ too much before an s", "GUILD_GUILDS", []string{"did you mean GUILDS?"}},
		{"misspelt", "GUILD_PRESENCE", []string{"did you mean GUILD_PRESENCES?"}},
		{"unknown bits", "131073", []string{"bit 17", "53608447"}},
		{"a high bit", "18446744073709551615", []string{"bit 63"}},
		{"too large", "18446744073709551616", []string{"not a number from 0 to"}},
		{"negative", "-1", []string{"not a number from 0 to"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseIntents([]string{"GUILDS", tt.in})
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestIntentNamesAndNumbersAgree(t *testing.T) {
	var sum Intents
	for _, in := range intentNames {
		if sum&in.bit != 0 {
			t.Errorf("%s: its bit has a name already", in.name)
		}
		sum |= in.bit
		if got, err := ParseIntents(in.bit.Names()); err != nil || got != in.bit {
			t.Errorf("%s: got %d, %v; want %d", in.name, got, err, in.bit)
		}
	}
	if sum != AllIntents {
		t.Errorf("got %d, want %d", sum, AllIntents)
	}
	if PrivilegedIntents != 33026 {
		t.Errorf("privileged: got %d, want 33026", PrivilegedIntents)
	}
	if got, want := AllIntents.Privileged(), []string{"GUILD_MEMBERS", "GUILD_PRESENCES", "MESSAGE_CONTENT"}; !slices.Equal(got, want) {
		t.Errorf("privileged: got %v, want %v", got, want)
	}
}
