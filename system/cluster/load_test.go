package cluster

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover/messages"
)

func TestLoad_after_a_crash_between_the_guild_set_and_the_session(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, data []byte) {
		t.Helper()
		if _, err := kv.Put(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	c := checkpoint(0, 1, 1, 2)
	save(t, store, c)
	put("guilds.0.0", nil) // no key of ours

	// The set of seq 105 was written, the session of seq 105 was not.
	put("guilds.1.0", encodeGuilds("session-0", 105, []uint64{1, 2, 3}))
	c.Acked[messages.Events], c.Guilds = 105, []uint64{1, 2, 3}
	wantLoaded(t, srv, 1, []int{0}, sessions(c))

	// The set of a new session was written, the session was not: it tells nothing of the old one.
	put("guilds.1.0", encodeGuilds("session-new", 1000, []uint64{4}))
	c.Acked[messages.Events], c.Guilds = 100, nil
	wantLoaded(t, srv, 1, []int{0}, sessions(c))

	// The very first set was written, and no session yet.
	if err := store.Forget(t.Context(), 1, 0); err != nil {
		t.Fatal(err)
	}
	put("guilds.1.0", encodeGuilds("session-0", 1, []uint64{4}))
	wantLoaded(t, srv, 1, []int{0}, sessions())
}

func TestLoad_ignores_what_it_cannot_read_and_says_so(t *testing.T) {
	srv := startServer(t)
	var log bytes.Buffer
	store, js := newStore(t, srv, SessionsOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	save(t, store, checkpoint(0, 4, 1), checkpoint(1, 4, 1), checkpoint(2, 4, 1), checkpoint(3, 4, 1))
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	other, _ := encodeSession(&messages.Checkpoint{ShardID: 0, Shards: 8, Session: "secret-session"}, time.Now())
	for key, data := range map[string]string{
		"shard.4.0": string(other), "shard.4.1": "\x00{secret-session", "guilds.4.2": "secret-session",
		"shard.4.9": "x", "shard.x.y": "x", "else": "x", // and what nobody asks for
	} {
		if _, err := kv.PutString(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Load(t.Context(), 4, []int{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	wantWritten(t, got)
	if diff := cmp.Diff(sessions(checkpoint(2, 4), checkpoint(3, 4, 1)), got); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{`key=shard.4.0 err="is of shard 0 of 8"`, `key=shard.4.1 err="is not the JSON of a session"`, `key=guilds.4.2 err="is not a guild set"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("a session in the log:\n%s", log.String())
	}
}

func TestLoad_tells_of_another_total(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	newer := checkpoint(1, 2, 2, 3)
	newer.Contact = newer.Contact.Add(time.Minute)
	oldest := checkpoint(0, 1, 7)
	oldest.Contact = oldest.Contact.Add(-time.Hour)
	save(t, store, checkpoint(0, 2, 1, 2), newer, oldest)

	other := &OtherTotal{Shards: 2, Contact: newer.Contact, Guilds: map[uint64]struct{}{1: {}, 2: {}, 3: {}}}
	wantLoaded(t, srv, 4, []int{0, 1}, Loaded{Sessions: map[int]messages.Checkpoint{}, Other: other})

	mine := checkpoint(0, 4, 1)
	save(t, store, mine)
	wantLoaded(t, srv, 4, []int{0, 1}, Loaded{Sessions: sessions(mine).Sessions, Other: other}) // shard 1 has none
	wantLoaded(t, srv, 4, []int{0}, sessions(mine))                                             // none is missing

	// A guild set that is not known makes the union worthless.
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), "guilds.2.0"); err != nil {
		t.Fatal(err)
	}
	other.Guilds = nil
	wantLoaded(t, srv, 4, []int{1}, Loaded{Sessions: map[int]messages.Checkpoint{}, Other: other})
	// So does a session that is not there; what has only a deletion's marker is not there.
	save(t, store, checkpoint(0, 2, 1, 2))
	if err := kv.Delete(t.Context(), "shard.2.0"); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, srv, 4, []int{1}, Loaded{Sessions: map[int]messages.Checkpoint{}, Other: other})

	if err := store.ForgetOther(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, srv, 4, []int{0, 1}, sessions(mine))
	wantKeys(t, store, "guilds.4.0", "shard.4.0")
}

func TestLoad_of_1000_shards_is_fast(t *testing.T) {
	const shards = 1000
	srv := startServer(t)
	store, _ := newStore(t, srv, SessionsOptions{})
	rnd := rand.New(rand.NewPCG(3, 4))
	ids, want := make([]int, shards), make([]messages.Checkpoint, shards)
	for id := range shards {
		ids[id], want[id] = id, checkpoint(id, shards, snowflakes(rnd, 250, id, shards)...)
	}
	var wg sync.WaitGroup
	for first := range 8 {
		wg.Go(func() {
			for id := first; id < shards; id += 8 {
				if err := store.Save(t.Context(), want[id]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	began := time.Now()
	got, err := store.Load(t.Context(), shards, ids)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("1000 shards with 250 guilds each were loaded in %v", took)
	if took > 10*time.Second { // some 0.1 s; far above, for a busy machine with the race detector
		t.Errorf("got %v, want at most 10s", took)
	}
	for _, c := range want { // cmp.Diff of it all takes longer than the rest
		if g := got.Sessions[c.ShardID]; g.Session != c.Session || !slices.Equal(g.Guilds, c.Guilds) {
			t.Errorf("shard %d: got session %q and %d guilds, want %q and %d", c.ShardID, g.Session, len(g.Guilds), c.Session, len(c.Guilds))
		}
	}
}

// Clocks of two nodes may differ by hours; a session that was served a moment ago can be resumed all the same.
func TestLoad_tells_the_last_contact_by_our_own_clock(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	for id, off := range []time.Duration{0, 2 * time.Second, -time.Hour, 3 * time.Hour} {
		c := checkpoint(id, 4)
		theirs := time.Now().Add(off)
		c.Contact = theirs.Add(-time.Minute)
		data, err := encodeSession(&c, theirs)
		if err == nil {
			_, err = kv.Put(t.Context(), shardKey{4, id}.session(), data)
		}
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := store.Load(t.Context(), 4, []int{id})
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(loaded.Sessions[id].Contact); age < 50*time.Second || age > 70*time.Second {
			t.Errorf("a clock that differs by %v: got a contact %v ago, want a minute", off, age)
		}
		if near := off.Abs() < clockSlack; near && !loaded.Sessions[id].Contact.Equal(time.UnixMilli(c.Contact.UnixMilli())) {
			t.Errorf("a clock that differs by %v: got %v, want %v as it was written", off, loaded.Sessions[id].Contact, c.Contact)
		}
	}
}
