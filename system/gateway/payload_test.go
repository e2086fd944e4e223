package gateway

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseReady(t *testing.T) {
	tests := []struct {
		name, d string
		want    ReadyData
		fails   bool
	}{
		{
			name: "whole",
			d: `{"v":10,"session_id":"3f0c","resume_gateway_url":"wss://r.example","user":{"id":"900000000000000001","username":"b"},
				"guilds":[{"id":"700000000000000010","unavailable":true},{"unavailable":true,"id":700000000000000014}],
				"shard":[1,2],"application":{"id":"9","flags":1},"_trace":["x"],"private_channels":[]}`,
			want: ReadyData{SessionID: "3f0c", ResumeURL: "wss://r.example", UserID: 900000000000000001,
				Guilds: []uint64{700000000000000010, 700000000000000014}, Shard: []int{1, 2}},
		},
		{name: "bare", d: `{"session_id":"x"}`, want: ReadyData{SessionID: "x", Guilds: []uint64{}}},
		{name: "ids that are none", d: `{"session_id":"x","user":null,"guilds":[{"id":null},{"id":"-1"},{"id":"18446744073709551615"},{"id":[1]},{}]}`,
			want: ReadyData{SessionID: "x", Guilds: []uint64{18446744073709551615}}},
		{name: "no session", d: `{"guilds":[]}`, fails: true},
		{name: "no object", d: `[]`, fails: true},
		{name: "guilds of another kind", d: `{"session_id":"x","guilds":7}`, fails: true},
		{name: "absent", d: ``, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseReady([]byte(tt.d))
			if (err != nil) != tt.fails {
				t.Fatalf("error %v", err)
			}
			if err == nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestReadyIsForTheShardThatWasAskedFor(t *testing.T) {
	for shard, want := range map[string]bool{`[1,2]`: true, `null`: true, `[0,2]`: false, `[1,3]`: false, `[]`: false, `[1]`: false} {
		r, err := ParseReady([]byte(`{"session_id":"x","shard":` + shard + `}`))
		if err != nil || r.For(1, 2) != want {
			t.Errorf("shard %s: got %v, want %v (%v)", shard, !want, want, err)
		}
	}
}

func TestParseHello(t *testing.T) {
	tests := []struct {
		d     string
		want  time.Duration
		fails bool
	}{
		{d: `{"heartbeat_interval":41250,"_trace":["x"]}`, want: 41250 * time.Millisecond},
		{d: `{"heartbeat_interval":41250.5}`, want: 41250500 * time.Microsecond},
		{d: `{"heartbeat_interval":0}`, fails: true},
		{d: `{"heartbeat_interval":-5}`, fails: true},
		{d: `{"heartbeat_interval":1e300}`, fails: true},
		{d: `{"heartbeat_interval":"5"}`, fails: true},
		{d: `{}`, fails: true},
		{d: `null`, fails: true},
		{d: ``, fails: true},
	}
	for _, tt := range tests {
		got, err := ParseHello([]byte(tt.d))
		if (err != nil) != tt.fails || got != tt.want {
			t.Errorf("%s: got %v, %v, want %v", tt.d, got, err, tt.want)
		}
	}
}

func TestPayloadsAreWhatDiscordDocuments(t *testing.T) {
	o := SessionOptions{Token: `a"b`, Intents: 4609, ShardID: 1, Shards: 2, LargeThreshold: 50,
		Presence: json.RawMessage(`{"since":null,"activities":[{"name":"with tests","type":0}],"status":"online","afk":false}`)}
	tests := []struct{ got, want string }{
		{string(AppendHeartbeat(nil, 0)), `{"op":1,"d":null}`},
		{string(AppendHeartbeat(nil, 251)), `{"op":1,"d":251}`},
		{string(AppendResume(nil, o.Token, "3f0c", 1337)), `{"op":6,"d":{"token":"a\"b","session_id":"3f0c","seq":1337}}`},
		{string(AppendIdentify(nil, o)), `{"op":2,"d":{"token":"a\"b","intents":4609,"shard":[1,2],"large_threshold":50,` +
			`"properties":{"os":"linux","browser":"drover","device":"drover"},"presence":` + string(o.Presence) + `}}`},
	}
	for _, tt := range tests {
		got := strings.Replace(tt.got, fmt.Sprintf(`"os":%q`, properties().OS), `"os":"linux"`, 1)
		if got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		name, names string
		change      func(*SessionOptions)
	}{
		{"token", "token", func(o *SessionOptions) { o.Token = "" }},
		{"shard", "shard 2 of 2", func(o *SessionOptions) { o.ShardID = 2 }},
		{"no shards", "shard 0 of 0", func(o *SessionOptions) { o.ShardID, o.Shards = 0, 0 }},
		{"threshold", "large threshold 49", func(o *SessionOptions) { o.LargeThreshold = 49 }},
		{"url", "url", func(o *SessionOptions) { o.URL = "gopher://x" }},
		{"presence", "presence", func(o *SessionOptions) { o.Presence = json.RawMessage(`{`) }},
		{"rand", "random", func(o *SessionOptions) { o.Rand = nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := shardOptions()
			tt.change(&o)
			err := o.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.names) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want an error that names %q", err, tt.names)
			}
		})
	}
}

// readyOf returns the d of a READY with so many guilds.
func readyOf(guilds int) []byte {
	var b strings.Builder
	b.WriteString(`{"v":10,"session_id":"x","shard":[0,1],"guilds":[`)
	for i := range guilds {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"unavailable":true,"id":"%d"}`, 700000000000000000+i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkParseReady(b *testing.B) {
	d := readyOf(2500)
	b.SetBytes(int64(len(d)))
	b.ReportAllocs()
	for b.Loop() {
		if r, err := ParseReady(d); err != nil || len(r.Guilds) != 2500 {
			b.Fatal(err)
		}
	}
}
