package cluster

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover/messages"
)

// snowflakes are n ids as Discord makes them for the guilds of one shard of total: spread over ten years.
func snowflakes(rnd *rand.Rand, n, shardID, total int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		at := rnd.Uint64N(uint64(10 * 365 * 24 * time.Hour / time.Millisecond))
		at += (uint64(shardID+total) - at%uint64(total)) % uint64(total) // (id >> 22) % total is the shard
		ids[i] = at<<22 | rnd.Uint64N(1<<22)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func TestRecords_are_written_as_earlier_versions_wrote_them(t *testing.T) {
	c := messages.Checkpoint{
		ShardID: 3, Shards: 16, Session: "abc", ResumeURL: "wss://r.example", Fingerprint: "f1", Connection: 7,
		Contact: time.UnixMilli(1770091567123), Acked: [messages.Streams]int64{120, 118}, Stored: [messages.Streams]uint64{math.MaxUint64, 40},
	}
	const want = `{"version":1,"session":"abc","resume_url":"wss://r.example","fingerprint":"f1","shards":16,"shard_id":3,"connection":7,` +
		`"acked":{"COMMANDS":118,"EVENTS":120},"stored":{"COMMANDS":40,"EVENTS":18446744073709551615},"contact":1770091567123,"written_at":1770091568000}`
	data, err := encodeSession(&c, time.UnixMilli(1770091568000))
	if err != nil || string(data) != want {
		t.Errorf("got %s, error %v, want %s", data, err, want)
	}
	got, err := decodeSession([]byte(want), 16, 3)
	if err != nil {
		t.Fatal(err)
	}
	c.Written = time.UnixMilli(1770091568000)
	if diff := cmp.Diff(c, got); diff != "" {
		t.Error(diff)
	}
	const packed = "0103616263780301048103" // 1, "abc", 120, three guilds: 1, 5, 390
	if got := hex.EncodeToString(encodeGuilds("abc", 120, []uint64{390, 1, 5, 1})); got != packed {
		t.Errorf("got guild record %s, want %s", got, packed)
	}
}

func TestRecords_that_are_something_else_are_refused(t *testing.T) {
	good := `{"version":1,"session":"s","shards":4,"shard_id":2,"acked":{"EVENTS":1,"COMMANDS":1}}`
	if _, err := decodeSession([]byte(good), 4, 2); err != nil {
		t.Fatalf("the least record: got %v, want it read", err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"no_json", "{", "<", "is not the JSON of a session"},
		{"other_version", `"version":1`, `"version":2`, "has version 2, not 1"},
		{"no_version", `"version":1`, `"v":1`, "has version 0, not 1"},
		{"other_shard", `"shard_id":2`, `"shard_id":3`, "is of shard 3 of 4"},
		{"other_total", `"shards":4`, `"shards":8`, "is of shard 2 of 8"},
		{"no_session", `"session":"s"`, `"session":""`, "names no session"},
		{"unknown_stream", `COMMANDS`, `ORDERS`, "has no acknowledged sequence number of COMMANDS"},
		{"negative", `"EVENTS":1`, `"EVENTS":-1`, "has no acknowledged sequence number of EVENTS"},
		{"fraction", `"EVENTS":1`, `"EVENTS":1.5`, "is not the JSON of a session"},
		{"cut", `1}}`, ``, "is not the JSON of a session"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeSession([]byte(strings.Replace(good, tt.old, tt.new, 1)), 4, 2)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestGuildRecord_is_small_and_keeps_every_id(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name   string
		guilds []uint64
		want   int // bytes at most
	}{
		{"none", []uint64{}, 16},
		{"extremes", []uint64{0, 1, math.MaxUint64}, 32},
		{"2500", snowflakes(rnd, 2500, 3, 16), 19_000},
		{"100000", snowflakes(rnd, 100_000, 0, 1), 700_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := encodeGuilds("0123456789", 42, tt.guilds)
			if len(data) > tt.want {
				t.Errorf("got %d bytes, want at most %d", len(data), tt.want)
			}
			got, err := decodeGuilds(data)
			if err != nil {
				t.Fatal(err)
			}
			if got.session != "0123456789" || got.seq != 42 || !slices.Equal(got.guilds, tt.guilds) || got.guilds == nil {
				t.Errorf("got session %q, seq %d and %d guilds, want what was packed", got.session, got.seq, len(got.guilds))
			}
			for n := range min(len(data), 100) {
				if _, err := decodeGuilds(data[:n]); err == nil {
					t.Errorf("the first %d bytes alone: want them refused", n)
				}
			}
			if _, err := decodeGuilds(append(data, 0)); err == nil {
				t.Error("a byte too many: want it refused")
			}
		})
	}
}

func FuzzGuildRecord(f *testing.F) {
	f.Add(encodeGuilds("session", 1<<62, []uint64{1, 2, math.MaxUint64}))
	f.Add(encodeGuilds("", 0, nil))
	f.Add([]byte{guildVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})                                           // 4 billion guilds
	f.Add([]byte{guildVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'x'})                 // a session id beyond the end
	f.Add([]byte{guildVersion, 0, 0, 2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})          // wraps around
	f.Add([]byte{guildVersion, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})                // a negative seq
	f.Add([]byte{guildVersion, 0, 0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}) // a varint too long
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeGuilds(data)
		if err != nil {
			return
		}
		if !slices.IsSorted(r.guilds) || len(slices.Compact(slices.Clone(r.guilds))) != len(r.guilds) {
			t.Fatalf("got %v, want rising ids", r.guilds)
		}
		again, err := decodeGuilds(encodeGuilds(r.session, r.seq, r.guilds))
		if err != nil || again.session != r.session || again.seq != r.seq || !slices.Equal(again.guilds, r.guilds) {
			t.Fatalf("got %+v, error %v, want %+v", again, err, r)
		}
	})
}
