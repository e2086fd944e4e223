package messages

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEnvelope_has_eight_fields_in_order_and_the_data_unchanged(t *testing.T) {
	data := "{ \"a\" :1,\"u\":\"\\u00e9\",\"n\":1.50 }"
	tests := []struct {
		name  string
		event Event
		want  string
	}{
		{
			"all ids",
			Event{Kind: KindOf([]byte("MESSAGE_CREATE")), ShardID: 3, GuildID: []byte("70"), ChannelID: []byte("71"), UserID: []byte("72"), Data: []byte(data)},
			`{"event_id":"ID","event_type":"message.create","shard_id":3,"timestamp":1770091567123,"guild_id":"70","channel_id":"71","user_id":"72","data":` + data + `}`,
		},
		{
			"no ids, no data",
			Event{Kind: KindOf([]byte("FOO"))},
			`{"event_id":"ID","event_type":"foo","shard_id":0,"timestamp":1770091567123,"guild_id":null,"channel_id":null,"user_id":null,"data":null}`,
		},
		{
			"extra members come first",
			Event{Kind: KindOf([]byte("GUILD_MEMBER_ADD")), Data: []byte(data), Extra: []byte(`"x":1`)},
			`{"event_id":"ID","event_type":"member.join","shard_id":0,"timestamp":1770091567123,"guild_id":null,"channel_id":null,"user_id":null,"data":{"x":1,` + data[1:] + `}`,
		},
		{
			"extra members of an empty object",
			Event{Kind: KindOf([]byte("GUILD_MEMBER_ADD")), Data: []byte("{ }"), Extra: []byte(`"x":1`)},
			`{"event_id":"ID","event_type":"member.join","shard_id":0,"timestamp":1770091567123,"guild_id":null,"channel_id":null,"user_id":null,"data":{"x":1 }}`,
		},
		{
			"extra members have no place in what is no object",
			Event{Kind: KindOf([]byte("GUILD_MEMBER_ADD")), Data: []byte("[1]"), Extra: []byte(`"x":1`)},
			`{"event_id":"ID","event_type":"member.join","shard_id":0,"timestamp":1770091567123,"guild_id":null,"channel_id":null,"user_id":null,"data":[1]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.event.Read = time.UnixMilli(1770091567123)
			got := string(tt.event.AppendEnvelope(nil, "ID"))
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("got no valid JSON: %s", got)
			}
		})
	}
}

func TestEventID_is_a_version_8_uuid_of_session_and_sequence(t *testing.T) {
	sum := sha256.Sum256([]byte("3f0c9a1e77:1337"))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	want := fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	if got := EventID("3f0c9a1e77", 1337); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if EventID("a", 11) == EventID("a", 12) || EventID("a", 11) == EventID("b", 11) {
		t.Error("two events share an id")
	}
}

func TestKind_follows_the_table_of_the_contract(t *testing.T) {
	tests := []struct{ name, typ, subject string }{
		{"GUILD_UPDATE", "guild.update", "events.guild.update"},
		{"GUILD_MEMBER_ADD", "member.join", "events.member.join"},
		{"GUILD_MEMBER_REMOVE", "member.leave", "events.member.leave"},
		{"GUILD_MEMBER_UPDATE", "member.update", "events.member.update"},
		{"INTERACTION_CREATE", "interaction.create", "commands.interaction"},
		{"MESSAGE_CREATE", "message.create", "events.message.create"},
		{"GUILD_ROLE_CREATE", "guild.role_create", "events.guild.role_create"},
		{"GUILD_MEMBERS_CHUNK", "guild.members_chunk", "events.guild.members_chunk"},
		{"FOO", "foo", "events.foo"},
		{"foo_bar.>*", "foo.bar___", "events.foo.bar___"},
		{"SHARD_READY", "discord.shard_ready", "events.discord.shard_ready"},
		{"Ünknown Thing", "nknown_thing", "events.nknown_thing"},
		{"A_B\r\nX: y", "a.b__x__y", "events.a.b__x__y"},
		{"_", "unknown", "events.unknown"},
		{"", "unknown", "events.unknown"},
	}
	for _, tt := range tests {
		k := KindOf([]byte(tt.name))
		if k.Type != tt.typ || k.Subject != tt.subject {
			t.Errorf("%q: got %s on %s, want %s on %s", tt.name, k.Type, k.Subject, tt.typ, tt.subject)
		}
		if strings.ContainsAny(k.Name, " \r\n") {
			t.Errorf("%q: got name %q, which would end a header", tt.name, k.Name)
		}
		if strings.ContainsAny(k.Subject, " *>") || strings.Contains(k.Subject, "..") || strings.HasSuffix(k.Subject, ".") {
			t.Errorf("%q: got subject %q, which means something else to NATS", tt.name, k.Subject)
		}
	}
}

func TestKindOf_is_bounded_and_costs_no_allocation(t *testing.T) {
	known := []byte("MESSAGE_CREATE")
	want := KindOf(known)
	if n := testing.AllocsPerRun(100, func() {
		if KindOf(known) != want {
			t.Error("got another kind the second time")
		}
	}); n != 0 {
		t.Errorf("got %v allocations for a known kind, want 0", n)
	}
	for i := range 4 * maxKinds {
		KindOf(fmt.Appendf(nil, "FLOOD_%d", i))
	}
	if n := len(*kinds.Load()); n > maxKinds {
		t.Errorf("got %d kinds in the table, want at most %d", n, maxKinds)
	}
	seen := map[int]string{0: "none"}
	for _, k := range append(slices.Collect(maps.Values(*kinds.Load())), GuildJoin, GuildAvailable, GuildDegraded, GuildUnavailable, GuildLeave,
		ShardReadyKind, ShardResumedKind, ShardDownKind, ShardGapKind) {
		if other, taken := seen[k.Number]; taken || k.Number > maxKinds+9 {
			t.Errorf("%s: got number %d, which %s has or which leaves a hole", k.Name, k.Number, other)
		}
		seen[k.Number] = k.Name
	}
	for _, k := range []*Kind{KindOf([]byte("FLOOD_LAST")), RestoreKind("FLOOD_0", "of.an.earlier.version")} {
		if k.Number != 0 {
			t.Errorf("%s is made anew for each event: got number %d, want 0", k.Name, k.Number)
		}
	}
	if got := KindOf([]byte("FLOOD_LAST")); got.Label != "other" || got.Type != "flood.last" {
		t.Errorf("over the bound: got type %s with label %s, want flood.last with other", got.Type, got.Label)
	}
}

func TestEnvelope_costs_no_allocation(t *testing.T) {
	e := Event{Kind: KindOf([]byte("MESSAGE_CREATE")), GuildID: []byte("70"), Data: []byte(`{"id":"1"}`), Read: time.Now()}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendEnvelope(buf[:0], "ID") }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestSplice(t *testing.T) {
	raw := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"member", MemberJoin{raw(`"b\"o"`), raw(`"0"`)}.Append(nil), `"username":"b\"o","discriminator":0`},
		{"member with an old discriminator", MemberJoin{raw(`"bo"`), raw(`"0042"`)}.Append(nil), `"username":"bo","discriminator":42`},
		{"member without", MemberJoin{}.Append(nil), `"username":null,"discriminator":null`},
		{
			"command with group and subcommand",
			Interaction{ID: raw(`"75"`), Type: 2, Token: raw(`"t"`), Command: raw(`"roll"`), Group: raw(`"dice"`), Sub: raw(`"d20"`)}.Append(nil),
			`"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"t","command_name":"roll","subcommand":"dice d20"`,
		},
		{
			"command without subcommand",
			Interaction{ID: raw(`"75"`), Type: 4, Token: raw(`"t"`), Command: raw(`"roll"`)}.Append(nil),
			`"interaction_id":"75","interaction_type":"ApplicationCommandAutocomplete","interaction_token":"t","command_name":"roll"`,
		},
		{
			"component", Interaction{ID: raw(`"75"`), Type: 3, Token: raw(`"t"`)}.Append(nil),
			`"interaction_id":"75","interaction_type":"MessageComponent","interaction_token":"t"`,
		},
		{
			"unknown type", Interaction{Type: 9}.Append(nil),
			`"interaction_id":null,"interaction_type":"Unknown(9)","interaction_token":null`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if string(tt.got) != tt.want {
				t.Errorf("got  %s\nwant %s", tt.got, tt.want)
			}
			if !json.Valid([]byte("{" + string(tt.got) + "}")) {
				t.Errorf("got no valid members: %s", tt.got)
			}
		})
	}
}

func TestLifeCycle_has_the_contracts_data_and_a_stable_id(t *testing.T) {
	at := time.UnixMilli(1770091567123)
	tests := []struct {
		name, typ, header, data string
		l                       LifeCycle
	}{
		{"ready", "shard.ready", "DROVER_SHARD_READY", `{"session":"3f0c9a1e","guilds":4}`, LifeCycle{Ready: &ReadyData{"3f0c9a1e", 4}}},
		{"resumed", "shard.resumed", "DROVER_SHARD_RESUMED", `{"session":"3f0c9a1e","from_seq":7,"replayed":2}`, LifeCycle{Resumed: &ResumedData{"3f0c9a1e", 7, 2}}},
		{"down", "shard.down", "DROVER_SHARD_DOWN", `{"reason":"closed","close_code":4009,"next":"identify"}`, LifeCycle{Down: &DownData{"closed", 4009, "identify"}}},
		{
			"gap", "shard.gap", "DROVER_SHARD_GAP", `{"reason":"session_lost","session":"3f0c9a1e","last_acked_seq":9,"from":1,"to":2}`,
			LifeCycle{Gap: &GapData{"session_lost", "3f0c9a1e", 9, 1, 2}},
		},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.l.Session, tt.l.Seq, tt.l.Connection, tt.l.At = "3f0c9a1e77", 10, 3, at
			e := tt.l.Event()
			if e.Kind.Type != tt.typ || e.Kind.Name != tt.header || string(e.Data) != tt.data {
				t.Errorf("got %s %s %s, want %s %s %s", e.Kind.Type, e.Kind.Name, e.Data, tt.typ, tt.header, tt.data)
			}
			again := tt.l
			again.At = at.Add(time.Hour)
			if got := again.Event().ID; got != e.ID {
				t.Errorf("told again: got id %s, want %s", got, e.ID)
			}
			again.Connection++
			if got := again.Event().ID; got == e.ID || seen[e.ID] {
				t.Errorf("another connection's: got the same id %s", got)
			}
			seen[e.ID] = true
		})
	}
}
