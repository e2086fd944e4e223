package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// diary is a log that is read by tests.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(d, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// lines counts the lines by message and key.
func (d *diary) lines(t *testing.T) map[string]int {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[string]int{}
	for line := range strings.Lines(d.text.String()) {
		var fields struct{ Msg, Key string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		counts[fields.Msg+" "+fields.Key]++
	}
	return counts
}

// What anybody with rights on the buckets may have written: each value under keys that are used, and under some that are not.
var garbage = [][]byte{
	nil, []byte("garbage\x00\x1b[2J\r\n"), bytes.Repeat([]byte("x"), 900_000), []byte("[]"), []byte("null"), []byte(`"text"`), []byte("{}"), []byte("1e999"),
	[]byte(`{"version":1,"name":7,"process":{},"capacity":"much"}`),
	[]byte(`{"version":1,"name":"a\nb","process":"p","capacity":1}`),
	[]byte(`{"version":1,"name":"a","process":"p","capacity":-1,"pinned":-5}`),
	[]byte(`{"version":1,"node":"` + strings.Repeat("n", 300) + `","process":"p"}`),
	[]byte(`{"version":1,"pools":[{"pool":-1,"node":"a"}]}`),
	[]byte(`{"version":99999999999999999999}`),
	[]byte(strings.Repeat(`{"settings":`, 2000) + "1" + strings.Repeat("}", 2000)),
	[]byte(`{"total":-1,"spent":9223372036854775807,"max_concurrency":-3,"loops":[{"hour":-1,"count":-1}]}`),
}

var oddKeys = []string{"pool.-1", "pool.1048576", "pool.999999999999999999999", "pool.1.2", "odd", "a.b.c", "na\x01me\x7f", "sch\u00e4f", "slot.-1", "slot.x"}

// litter writes all of it into a bucket, the used keys last and over and over.
func litter(t *testing.T, js jetstream.JetStream, bucket string, used ...string) {
	t.Helper()
	for i, value := range garbage {
		for _, key := range append([]string{oddKeys[i%len(oddKeys)]}, used...) {
			if _, err := js.Publish(t.Context(), "$KV."+bucket+"."+key, value); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
	}
}

func TestNode_garbage_in_the_buckets_is_told_once_and_ignored(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	var d diary
	a := newTestNode(t, srv, "a", 4, func(o *NodeOptions) { o.Log = d.log() })
	b := newTestNode(t, srv, "b", 4)
	referee(t, 4, a, b)
	a.run(t)
	b.run(t)
	spread(t, 4, a, b)
	had := [][]int{a.pools(), b.pools()}
	for round := range 2 {
		litter(t, a.js, "drover_members", "x.y", "a.p")
		litter(t, a.js, "drover_leases", "pool.77", "pool.4")
		litter(t, a.js, "drover_fleet", preferKey, agreementKey, "held.77")
		renewed := a.Status().Counts.Renewed
		eventually(t, "several lists and renewals", func() bool { return a.Status().Counts.Renewed > renewed+4 })
		if got := [][]int{a.pools(), b.pools()}; fmt.Sprint(got) != fmt.Sprint(had) {
			t.Errorf("round %d: got pools %v, want %v: nothing moved", round, got, had)
		}
	}
	if _, err := a.Move(t.Context(), had[0][0], "b"); err != nil { // over preferences that cannot be read
		t.Error(err)
	}
	eventually(t, "it moves", func() bool { return slices.Contains(b.pools(), had[0][0]) })
	told := 0
	for line, n := range d.lines(t) {
		told += n
		// Garbage that another garbage replaced may be new to a node that listed in between.
		if most := 2 * len(garbage); n > most {
			t.Errorf("got %d times %q, want no more than the %d writes", n, line, most)
		}
	}
	if told == 0 {
		t.Error("got no line, want garbage told")
	}
	var quiet diary
	c := newTestNode(t, srv, "c", 4, func(o *NodeOptions) { o.Log = quiet.log() })
	for _, key := range []string{preferKey, "held.0"} {
		if _, err := a.js.Publish(t.Context(), "$KV.drover_fleet."+key, []byte("garbage")); err != nil {
			t.Fatal(err)
		}
	}
	c.run(t)
	eventually(t, "it joins", func() bool { return len(c.pools()) > 0 })
	renewed := c.Status().Counts.Renewed
	eventually(t, "several lists", func() bool { return c.Status().Counts.Renewed > renewed+4 })
	for line, n := range quiet.lines(t) {
		if n > 1 {
			t.Errorf("got %d times %q, want one line for what stays the same", n, line)
		}
	}
}

// Somebody overwrites a lease: whoever had it cannot know by whom, and stops; the pool is served again when the entry runs out.
func TestNode_a_lease_that_somebody_overwrites_is_left_and_taken_again(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 2), newTestNode(t, srv, "b", 2)
	referee(t, 2, a, b)
	a.run(t)
	b.run(t)
	spread(t, 2, a, b)
	pool := a.pools()[0]
	if _, err := a.js.Publish(t.Context(), "$KV.drover_leases."+poolKey(pool), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is dropped", func() bool { return a.host.seen(fmt.Sprint("drop ", pool)) })
	spread(t, 2, a, b)
}

func TestPermits_garbage_in_their_buckets_is_told_once_and_ignored(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	_, js := srv.connect()
	var d diary
	p := NewPermits(Limit{}, d.log())
	p.spacing = 20 * time.Millisecond
	slots := NewJetStreamStore(js, StoreOptions{Bucket: "drover_identify", TTL: 2 * time.Second})
	fleet := NewJetStreamStore(js, StoreOptions{Bucket: "drover_fleet"})
	for _, s := range []*JetStreamStore{slots, fleet} {
		if err := s.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	litter(t, js, "drover_identify", "slot.0")
	litter(t, js, "drover_fleet", budgetKey)
	p.Share(Shared{Slots: slots, Fleet: fleet, Process: "p", SlotTTL: 2 * time.Second, Margin: 100 * time.Millisecond})
	done := make(chan struct{})
	go func() { defer close(done); p.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
	p.Update(Limit{Total: 1000, Remaining: 1000, MaxConcurrency: 1, Shards: 1})
	for range 3 {
		if _, err := js.Publish(t.Context(), "$KV.drover_fleet."+budgetKey, []byte("garbage")); err != nil {
			t.Fatal(err)
		}
		permit, err := p.Acquire(t.Context(), 0, false)
		if err != nil {
			t.Fatal(err)
		}
		permit.Spent()
		permit.Done()
	}
	if got := p.Budget(); got.Total != 1000 || got.Remaining < 990 || got.Remaining > 997 {
		t.Errorf("got %+v, want three of 1000 spent", got)
	}
	litter(t, js, "drover_fleet", budgetKey)
	eventually(t, "it is told", func() bool {
		return d.lines(t)["identify budget unreadable, counted anew from what Discord tells "] > 0
	})
	before := d.lines(t)["identify budget unreadable, counted anew from what Discord tells "]
	for range 5 { // each looks at it
		if err := p.shared.account.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.lines(t)["identify budget unreadable, counted anew from what Discord tells "]; got > before+1 {
		t.Errorf("got it told %d times while it stayed the same, want once", got-before)
	}
}

func TestSessions_of_more_shards_than_any_bot_has_are_no_sessions(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	record := strings.NewReplacer("TOTAL", fmt.Sprint(maxShards+1)).Replace(
		`{"version":1,"session":"s","resume_url":"wss://x","shards":TOTAL,"shard_id":0,"acked":{"EVENTS":1,"COMMANDS":1},"contact":1}`)
	if _, err := js.Publish(t.Context(), fmt.Sprintf("$KV.drover_sessions.shard.%d.0", maxShards+1), []byte(record)); err != nil {
		t.Fatal(err)
	}
	if loaded, err := store.Load(t.Context(), 4, []int{0}); err != nil || loaded.Other != nil {
		t.Errorf("got %+v, %v, want nobody to believe in that many shards", loaded.Other, err)
	}
	litter(t, js, "drover_sessions", "shard.4.0", "guilds.4.0", "shard.5.0", "guilds.5.0")
	if loaded, err := store.Load(t.Context(), 4, []int{0, 1}); err != nil || len(loaded.Sessions) != 0 || loaded.Other != nil {
		t.Errorf("got %+v, %v, want nothing", loaded, err)
	}
	save(t, store, checkpoint(0, 4, 1, 2))
	wantLoaded(t, srv, 4, []int{0}, sessions(checkpoint(0, 4, 1, 2)))
}
