package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestScan(t *testing.T) {
	for _, tt := range samples {
		t.Run(tt.name, func(t *testing.T) {
			var f Frame
			if err := Scan([]byte(tt.frame), &f); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(f.Op, string(f.T), f.S, " guild ", string(f.GuildID()), " channel ", string(f.ChannelID()), " user ", string(f.UserID()))
			want := fmt.Sprint(tt.op, tt.t, tt.s, " guild ", tt.guild, " channel ", tt.channel, " user ", tt.user)
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			agree(t, []byte(tt.frame))
		})
	}
}

func TestConformance50_unknown_and_missing_things_are_no_error(t *testing.T) {
	for _, name := range []string{"an op nobody knows", "a dispatch nobody knows", "integer ids", "direct message", "nothing at all", "ack", "escaped keys"} {
		found := false
		for _, tt := range samples {
			if tt.name != name {
				continue
			}
			found = true
			var f Frame
			if err := Scan([]byte(tt.frame), &f); err != nil {
				t.Errorf("%s: got %v, want no error", name, err)
			}
			if string(f.UserID()) != tt.user || string(f.GuildID()) != tt.guild {
				t.Errorf("%s: got guild %s and user %s, want %s and %s", name, f.GuildID(), f.UserID(), tt.guild, tt.user)
			}
		}
		if !found {
			t.Errorf("no sample %q", name)
		}
	}
	// An unknown t is passed on raw, byte for byte.
	const d = `{ "new" : [1.50, "\u0041"], "guild_id":"51" }`
	var f Frame
	if err := Scan([]byte(`{"op":0,"t":"SOMETHING_NEW","s":4,"d":`+d+`,"more":null}`), &f); err != nil {
		t.Fatal(err)
	}
	if string(f.D) != d || string(f.T) != "SOMETHING_NEW" || string(f.GuildID()) != "51" {
		t.Errorf("got t %s, d %s, guild %s; want SOMETHING_NEW, %s, 51", f.T, f.D, f.GuildID(), d)
	}
}

func TestScanRejects(t *testing.T) {
	tests := []struct{ name, in string }{
		{"an open object", `{"op":1`}, {"an open list", `{"d":[1,2`}, {"an open string", `{"t":"READY`},
		{"an open key", `{"op`}, {"no colon", `{"op" 1}`}, {"no value", `{"op":}`}, {"no value at the end", `{"op":`},
		{"a bare key", `{op:1}`}, {"a comma too many", `{"op":1,}`}, {"a comma too many in a list", `{"d":[1,]}`},
		{"a comma too few", `{"op":1 "s":2}`}, {"the wrong bracket", `{"d":[1}}`}, {"the wrong brace", `{"d":{"a":1]}`},
		{"something behind it", `{"op":1}x`}, {"a second object", `{"op":1}{}`}, {"a zero byte behind it", "{}\x00"},
		{"a bad literal", `{"d":nul}`}, {"a long literal", `{"d":nulll}`}, {"a capital literal", `{"d":True}`},
		{"a bad escape", `{"d":"\x"}`}, {"a short escape", `{"d":"\u12"}`}, {"half an escape", `{"d":"\`}, {"a bad hex digit", `{"d":"\u12g4"}`},
		{"a control character", "{\"d\":\"a\nb\"}"}, {"a zero byte", "{\"d\":\"12345678\x00\"}"},
		{"a leading zero", `{"d":01}`}, {"a lone minus", `{"d":-}`}, {"a plus", `{"d":+1}`}, {"a lone point", `{"d":1.}`},
		{"a leading point", `{"d":.5}`}, {"a lone exponent", `{"d":1e}`}, {"a lone exponent sign", `{"d":1e+}`}, {"not a number", `{"d":NaN}`},
		{"an op of the wrong type", `{"op":"1"}`}, {"a broken op", `{"op":1.5}`}, {"a large op", `{"op":99999999999999999999}`},
		{"an s of the wrong type", `{"s":"1"}`}, {"an s that is true", `{"s":true}`}, {"a t of the wrong type", `{"t":1}`}, {"a t that is an object", `{"t":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Frame
			var bad *ScanError
			if err := Scan([]byte(tt.in), &f); !errors.As(err, &bad) {
				t.Errorf("got %v, want a ScanError", err)
			}
			agree(t, []byte(tt.in))
		})
	}
	for _, in := range []string{"", " ", "[]", "null", "1", `"{}"`, "x", "\xef\xbb\xbf{}"} {
		var f Frame
		if err := Scan([]byte(in), &f); !errors.Is(err, ErrNoObject) {
			t.Errorf("Scan(%q): got %v, want ErrNoObject", in, err)
		}
	}
}

func TestScanRejectsEveryCutMessage(t *testing.T) {
	for _, tt := range samples {
		whole := strings.TrimSpace(tt.frame)
		for cut := range len(whole) {
			var f Frame
			if Scan([]byte(whole[:cut]), &f) == nil {
				t.Errorf("%s cut to %d bytes: got no error", tt.name, cut)
			}
		}
	}
}

func TestScanBoundsDepth(t *testing.T) {
	nested := func(depth int) []byte {
		return []byte(`{"d":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`)
	}
	var f Frame
	if err := Scan(nested(maxDepth), &f); err != nil {
		t.Errorf("%d levels: got %v, want no error", maxDepth, err)
	}
	if err := Scan(nested(maxDepth+1), &f); err == nil {
		t.Errorf("%d levels: got no error", maxDepth+1)
	}
	if err := Scan(bytes.Repeat([]byte(`{"d":{"user":{"id":[`), 1<<20), &f); err == nil {
		t.Error("endless nesting: got no error")
	}
	mixed := `{"d":` + strings.Repeat(`[{"a":`, 500) + `1` + strings.Repeat(`}]`, 500) + `}`
	if err := Scan([]byte(mixed), &f); err != nil {
		t.Errorf("lists and objects in turns: got %v, want no error", err)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	b := benchFrame()
	var f Frame
	got := testing.AllocsPerRun(200, func() {
		if err := Scan(b, &f); err != nil {
			t.Fatal(err)
		}
		if f.GuildID() == nil || f.ChannelID() == nil || f.UserID() == nil || f.Unavailable() {
			t.Fatal("ids missing")
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// agree checks that Scan finds what encoding/json finds, and rejects what it rejects.
func agree(t *testing.T, b []byte) {
	t.Helper()
	var f Frame
	err := Scan(b, &f)
	top, ok := object(b)
	if !ok {
		if err == nil {
			t.Fatalf("Scan(%q): got no error, but encoding/json rejects it", b)
		}
		return
	}
	op, opErr := refInteger(top["op"], -1)
	s, sErr := refInteger(top["s"], 0)
	var name *string
	tErr := json.Unmarshal(or(top["t"], "null"), &name)
	if opErr != nil || sErr != nil || tErr != nil {
		if err == nil {
			t.Fatalf("Scan(%q): got no error, want one for op, s or t", b)
		}
		return
	}
	if err != nil {
		if deep(b) || doubled(b, len(top)) { // Scan judges each of several equal keys, the map has only the last
			return
		}
		t.Fatalf("Scan(%q): got %v, want no error", b, err)
	}
	wantT := ""
	if name != nil {
		wantT = *name
	}
	if int64(f.Op) != op || f.S != s || string(f.T) != wantT || (f.T == nil) != (name == nil) {
		t.Fatalf("Scan(%q): got op %d s %d t %q, want %d %d %q", b, f.Op, f.S, f.T, op, s, wantT)
	}
	if !bytes.Equal(f.D, top["d"]) || (f.D == nil) != (top["d"] == nil) {
		t.Fatalf("Scan(%q): got d %q, want %q", b, f.D, top["d"])
	}
	d, _ := object(top["d"])
	member, _ := object(d["member"])
	for _, at := range []struct {
		p    path
		want json.RawMessage
	}{
		{atGuildID, d["guild_id"]}, {atChannelID, d["channel_id"]}, {atUserID, d["user_id"]}, {atID, d["id"]},
		{atCreatorID, d["creator_id"]}, {atOwnerID, d["owner_id"]}, {atUserDotID, inner(d["user"], "id")},
		{atAuthorDotID, inner(d["author"], "id")}, {atMemberUserDotID, inner(member["user"], "id")},
		{atInviterDotID, inner(d["inviter"], "id")}, {atMetaGuildID, inner(d["meta"], "guild_id")},
		{atOptionsChannelID, inner(d["options"], "channel_id")},
	} {
		if got, want := string(f.id(at.p)), refID(at.want); got != want {
			t.Fatalf("Scan(%q): path %d: got id %q, want %q", b, at.p, got, want)
		}
	}
	for p, want := range map[path]json.RawMessage{
		atUsername: inner(d["user"], "username"), atDiscriminator: inner(d["user"], "discriminator"), atUnavailable: d["unavailable"],
		atType: d["type"], atToken: d["token"], atData: d["data"],
	} {
		if !bytes.Equal(f.raw(p), want) {
			t.Fatalf("Scan(%q): path %d: got %q, want %q", b, p, f.raw(p), want)
		}
	}
	f.Interaction() // whatever d is, it must not panic
	f.MemberJoin()
}

func object(b []byte) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil || m == nil {
		return nil, false
	}
	return m, true
}

func inner(b json.RawMessage, key string) json.RawMessage {
	m, _ := object(b)
	return m[key]
}

func or(b json.RawMessage, absent string) json.RawMessage {
	if b == nil {
		return json.RawMessage(absent)
	}
	return b
}

func refInteger(raw json.RawMessage, absent int64) (int64, error) {
	if raw == nil || string(raw) == "null" {
		return absent, nil
	}
	return strconv.ParseInt(string(raw), 10, 64)
}

func refID(raw json.RawMessage) string {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		text = text[1 : len(text)-1]
	}
	if len(text) < 1 || len(text) > 20 || strings.Trim(text, "0123456789") != "" {
		return ""
	}
	return text
}

func deep(b []byte) bool {
	return bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > maxDepth
}

// doubled reports whether the object b has more members than keys.
func doubled(b []byte, keys int) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	_, _ = d.Token() // the brace
	n := 0
	for d.More() {
		var value json.RawMessage
		_, _ = d.Token() // the key
		_ = d.Decode(&value)
		n++
	}
	return n > keys
}

func FuzzScan(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.frame))
	}
	for _, s := range []string{`{"op":1e2}`, `{"d":"` + "\xff\xfe" + `"}`, `{"t":"\ud800"}`, `{"d":{"a":[{},[],{"b":"\\\""}]}}`, `null`, `{"op":-0,"s":-1}`, `{"s":"","s":0}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}

// benchFrame is a MESSAGE_CREATE of about 1.4 KB, the mean size of a dispatch.
func benchFrame() []byte {
	const embed = `,"embeds":[{"type":"rich","title":"Weekly report","description":"The quick brown fox jumps over the lazy dog, and \"again\", until it is tired of it.","color":3447003,"fields":[{"name":"Messages","value":"1024","inline":true},{"name":"Members","value":"87","inline":true}]}]`
	return []byte(`{"t":"MESSAGE_CREATE","s":123456,"op":0,"d":{"id":"1200000000000000071","channel_id":"1200000000000000061","channel_type":0,"guild_id":"1200000000000000051","type":0,"content":"` +
		strings.Repeat("Lorem ipsum dolor sit amet. ", 9) + `","author":{"id":"1200000000000000042","username":"ada","global_name":"Ada","avatar":"a_0123456789abcdef0123456789abcdef","discriminator":"0","public_flags":0},"member":{"roles":["1200000000000000081","1200000000000000082"],"joined_at":"2025-05-06T07:08:09.000000+00:00","nick":null,"deaf":false,"mute":false,"flags":0},"timestamp":"2026-02-03T04:05:06.789000+00:00","edited_timestamp":null,"tts":false,"mention_everyone":false,"mentions":[{"id":"1200000000000000031","username":"mybot","bot":true,"member":{"roles":[]}}],"mention_roles":[],"attachments":[]` +
		embed + `,"components":[],"pinned":false,"flags":0,"nonce":"1200000000000000070"}}`)
}
