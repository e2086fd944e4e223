package worker

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// Whatever stands in a message, decode must say what it is, and its reason must hold nothing of the payload.
func FuzzDecode(f *testing.F) {
	f.Add(memberJoin, `{"event_id":"2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77","event_type":"member.join","shard_id":3,"timestamp":1770091567123,"guild_id":"7","channel_id":null,"user_id":"8","data":{"user":{"id":"8","username":"bo"},"roles":["1"],"joined_at":"2026-01-02T03:04:05+00:00"}}`)
	f.Add(guildAvailable, `{"event_id":"2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77","event_type":"guild.available","shard_id":3,"timestamp":1770091567123,"guild_id":"7","channel_id":null,"user_id":null,"data":{"id":"7","member_count":1,"members":[{"user":{"id":"8"}},{"user":{"id":"8"}}]}}`)
	f.Add(shardGap, `{"event_id":"2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77","event_type":"shard.gap","shard_id":3,"timestamp":1,"guild_id":null,"channel_id":null,"user_id":null,"data":{"reason":"shed"}}`)
	f.Fuzz(func(t *testing.T, typ, raw string) {
		ev, err := decode(typ, []byte(raw))
		var p *poison
		if err != nil {
			if !errors.As(err, &p) || p.class == "" {
				t.Fatalf("got %v, want poison", err)
			}
			return
		}
		if ev.gap != nil {
			return
		}
		c := ev.change
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("%+v cannot be written: %v", c, err)
		}
		if ev.guildID == 0 || ev.guildID > 1<<63-1 || c.EventID == "" || c.At.Before(time.UnixMilli(1)) {
			t.Errorf("got %+v", ev)
		}
		seen := map[int64]bool{}
		for _, m := range c.Members {
			if m.UserID <= 0 || seen[m.UserID] {
				t.Errorf("got user %d, want each once and above 0", m.UserID)
			}
			if strings.ContainsRune(m.Username, 0) || m.Nick != nil && strings.ContainsRune(*m.Nick, 0) {
				t.Errorf("got a NUL in %+v", m)
			}
			seen[m.UserID] = true
		}
	})
}

func TestDecode_a_list_is_complete_only_with_everybody(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     string
		listed   bool
		complete bool
	}{
		{"all", `{"id":"7","member_count":2,"members":[{"user":{"id":"1"}},{"user":{"id":"2"}}]}`, true, true},
		{"one twice", `{"id":"7","member_count":2,"members":[{"user":{"id":"1"}},{"user":{"id":"1"}}]}`, true, false},
		{"some", `{"id":"7","member_count":3,"members":[{"user":{"id":"1"}}]}`, true, false},
		{"nobody counted", `{"id":"7","members":[{"user":{"id":"1"}}]}`, true, false},
		{"an outage", `{"id":"7","unavailable":true}`, false, false},
		{"too large", `{"drover_oversize":9000000}`, false, false},
	} {
		raw := `{"event_id":"2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77","event_type":"guild.join","shard_id":0,"timestamp":1,"guild_id":"7","data":` + tt.data + `}`
		ev, err := decode(guildJoin, []byte(raw))
		if err != nil || ev.change.Listed != tt.listed || ev.change.Complete != tt.complete {
			t.Errorf("%s: got listed %t, complete %t, %v, want %t, %t", tt.name, ev.change.Listed, ev.change.Complete, err, tt.listed, tt.complete)
		}
	}
}

// What decode lets through must be writable as JSON and as PostgreSQL's timestamptz, else it would be tried for ever.
func TestDecode_a_time_is_one_that_can_be_written(t *testing.T) {
	for at, want := range map[string]string{
		"2026-01-02T03:04:05.678+00:00": "2026-01-02T03:04:05.678Z",
		"2026-01-02T03:04:05+24:00":     "2026-01-01T03:04:05Z",
		"2026-01-02T03:04:05-23:59":     "2026-01-03T03:03:05Z",
		"9999-12-31T23:59:59Z":          "9999-12-31T23:59:59Z",
		"9999-12-31T23:59:59-01:00":     "",
		"0001-01-01T00:00:00+01:00":     "",
		"0000-12-31T00:00:00Z":          "",
	} {
		raw := `{"event_id":"2f0c1c1e-6c52-8a37-9a5e-0d1c6f1f3b77","event_type":"member.join","shard_id":0,"timestamp":1,"guild_id":"7","data":{"user":{"id":"8"},"joined_at":"` + at + `"}}`
		ev, err := decode(memberJoin, []byte(raw))
		var p *poison
		if want == "" {
			if !errors.As(err, &p) || p.class != DeadData {
				t.Errorf("%s: got %v, want poison", at, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		text, err := json.Marshal(ev.change.Members[0].JoinedAt)
		if err != nil || string(text) != `"`+want+`"` {
			t.Errorf("%s: got %s, %v, want %s", at, text, err, want)
		}
	}
}

func TestOneLine_is_fit_for_a_header(t *testing.T) {
	if got := oneLine("a\r\nNats-Rollup: all\x00é", 100); strings.ContainsAny(got, "\r\n\x00") || got != "a??Nats-Rollup: all??" {
		t.Errorf("got %q", got)
	}
	if got := oneLine(strings.Repeat("x", 600), 500); len(got) != 500 {
		t.Errorf("got %d bytes, want 500", len(got))
	}
}

func TestBackoff_grows_to_its_bound(t *testing.T) {
	for delivered, want := range map[uint64]time.Duration{0: firstBackoff, 1: firstBackoff, 3: 4 * firstBackoff, 9: maxBackoff, 1000: maxBackoff} {
		if got := backoff(delivered); got > want || got < want*3/4 {
			t.Errorf("delivered %d times: got %v, want %v or up to a quarter less", delivered, got, want)
		}
	}
}
