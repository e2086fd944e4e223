package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// natsServer is a NATS server in this process that keeps its port and its files over restarts.
type natsServer struct {
	t    testing.TB
	opts server.Options
	srv  *server.Server
}

func startServer(t testing.TB) *natsServer {
	t.Helper()
	s := &natsServer{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	}}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() {
	s.t.Helper()
	opts := s.opts // the server writes into its options
	var err error
	if s.srv, err = server.NewServer(&opts); err != nil {
		s.t.Fatal(err)
	}
	s.srv.Start()
	if !s.srv.ReadyForConnections(30 * time.Second) {
		s.t.Fatal("the NATS server is not ready within 30 s")
	}
	s.opts.Port = opts.Port
}

func (s *natsServer) stop() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}

// connect connects as package stream does: what cannot be sent now fails.
func (s *natsServer) connect() (*nats.Conn, jetstream.JetStream) {
	s.t.Helper()
	nc, err := nats.Connect(s.srv.ClientURL(), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(5*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, js
}

// newStore is a store with its bucket, as a process of its own would have it.
func newStore(t testing.TB, s *natsServer, o SessionsOptions) (*Sessions, jetstream.JetStream) {
	t.Helper()
	_, js := s.connect()
	store := NewSessions(js, o)
	eventually(t, "the bucket is set up", func() bool {
		err := store.Ensure(t.Context())
		// A busy server may still be about to move the folder of the stream of this name that was deleted just before.
		var api *jetstream.APIError
		if errors.As(err, &api) && api.Description == "error creating store for stream" {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		return true
	})
	return store, js
}

func checkpoint(shardID, shards int, guilds ...uint64) messages.Checkpoint {
	return messages.Checkpoint{
		ShardID: shardID, Shards: shards, Session: fmt.Sprintf("session-%d", shardID), ResumeURL: "wss://resume.example",
		Fingerprint: "f", Contact: time.UnixMilli(1770091567123), Connection: 3,
		Acked: [messages.Streams]int64{100, 90}, Stored: [messages.Streams]uint64{1000, 50}, Guilds: guilds,
	}
}

func save(t testing.TB, s *Sessions, checkpoints ...messages.Checkpoint) {
	t.Helper()
	for _, c := range checkpoints {
		if err := s.Save(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// wantLoaded compares what a new process would find.
func wantLoaded(t testing.TB, s *natsServer, total int, shardIDs []int, want Loaded) {
	t.Helper()
	_, js := s.connect()
	got, err := NewSessions(js, SessionsOptions{}).Load(t.Context(), total, shardIDs)
	if err != nil {
		t.Fatal(err)
	}
	wantWritten(t, got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// wantWritten looks at when the server took the checkpoints, and takes it out of them.
func wantWritten(t testing.TB, got Loaded) {
	t.Helper()
	for id, c := range got.Sessions {
		if age := time.Since(c.Written); age < 0 || age > time.Minute {
			t.Errorf("shard %d: got written %v ago, want a moment", id, age)
		}
		c.Written = time.Time{}
		got.Sessions[id] = c
	}
}

func sessions(checkpoints ...messages.Checkpoint) Loaded {
	l := Loaded{Sessions: map[int]messages.Checkpoint{}}
	for _, c := range checkpoints {
		l.Sessions[c.ShardID] = c
	}
	return l
}

func TestSessions_another_process_finds_what_was_saved(t *testing.T) {
	srv := startServer(t)
	wantLoaded(t, srv, 4, []int{0, 1}, sessions()) // not even a bucket
	store, _ := newStore(t, srv, SessionsOptions{})
	wantLoaded(t, srv, 4, []int{0, 1}, sessions())
	none := checkpoint(1, 4)
	none.Guilds = []uint64{} // in none, and knows it
	first, unknown := checkpoint(0, 4, 9, 5), checkpoint(2, 4)
	save(t, store, first, none, unknown)
	if r := store.revisions(shardKey{4, 0}); r.guilds >= r.session {
		t.Errorf("got the guild set at revision %d and the session at %d, want the guild set first", r.guilds, r.session)
	}
	first.Guilds = nil // as it was: it is not written again, and not deleted
	first.Acked, first.Contact = [messages.Streams]int64{110, 111}, time.Time{}
	save(t, store, first)
	first.Guilds = []uint64{5, 9}
	wantLoaded(t, srv, 4, []int{0, 1, 2, 3}, sessions(first, none, unknown))
	wantLoaded(t, srv, 4, []int{1}, sessions(none)) // only what was asked for
}

func TestSessions_survive_a_restart_of_the_server(t *testing.T) {
	srv := startServer(t)
	store, _ := newStore(t, srv, SessionsOptions{})
	c := checkpoint(0, 1, 1, 2)
	save(t, store, c)
	srv.stop()
	srv.start()
	wantLoaded(t, srv, 1, []int{0}, sessions(c))
}

func TestForget_leaves_nothing_of_the_shard(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	if err := store.Forget(t.Context(), 16, 1); err != nil { // there is nothing
		t.Fatal(err)
	}
	save(t, store, checkpoint(1, 16, 1), checkpoint(11, 16, 1), checkpoint(1, 161, 1))
	if err := store.Forget(t.Context(), 16, 1); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, store, "guilds.16.11", "guilds.161.1", "shard.16.11", "shard.161.1")
	save(t, store, checkpoint(1, 16)) // a new session, whose guild set is still to come
	if err := js.DeleteKeyValue(t.Context(), "drover_sessions"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{store.Forget(t.Context(), 16, 1), store.ForgetOther(t.Context(), 16)} {
		if err != nil {
			t.Errorf("without a bucket: got %v, want nothing to do", err)
		}
	}
}

func wantKeys(t *testing.T, s *Sessions, want ...string) {
	t.Helper()
	got, err := s.bucket.keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSessions_of_two_bots_do_not_meet(t *testing.T) {
	srv := startServer(t)
	a, _ := newStore(t, srv, SessionsOptions{Prefix: "a"})
	b, _ := newStore(t, srv, SessionsOptions{Prefix: "b"})
	save(t, a, checkpoint(0, 1, 1))
	wantKeys(t, b)
	save(t, b, checkpoint(0, 2, 2))
	for _, err := range []error{a.ForgetOther(t.Context(), 1), b.Forget(t.Context(), 1, 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantKeys(t, a, "guilds.1.0", "shard.1.0")
	wantKeys(t, b, "guilds.2.0", "shard.2.0")
	wantLoaded(t, srv, 1, []int{0}, sessions()) // no prefix is a third bot
}

func TestSave_keeps_100000_guilds_and_more_cost_only_the_guild_set(t *testing.T) {
	srv := startServer(t) // with max_payload 1 MiB, the default
	var log bytes.Buffer
	store, _ := newStore(t, srv, SessionsOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	rnd := rand.New(rand.NewPCG(5, 6))
	c := checkpoint(0, 1, snowflakes(rnd, 100_000, 0, 1)...)
	save(t, store, c)
	wantLoaded(t, srv, 1, []int{0}, sessions(c))

	c.Acked[messages.Events], c.Guilds = 101, snowflakes(rnd, 300_000, 0, 1)
	save(t, store, c)
	c.Guilds = nil // and not the older set, which would pass for this one
	wantLoaded(t, srv, 1, []int{0}, sessions(c))
	if !strings.Contains(log.String(), "guild set is larger than NATS allows") {
		t.Errorf("got log %q, want it said", log.String())
	}
}

func TestSave_refuses_a_checkpoint_without_a_session(t *testing.T) {
	srv := startServer(t)
	store, _ := newStore(t, srv, SessionsOptions{})
	c := checkpoint(3, 4, 1)
	c.Session = ""
	if err := store.Save(t.Context(), c); err == nil || !strings.Contains(err.Error(), "shard 3") {
		t.Errorf("got %v, want it refused", err)
	}
	wantKeys(t, store)
}

// A write that hung in a dead node's connection must not undo what the next holder of the pool has kept.
func TestSave_of_an_older_epoch_is_refused_once_a_newer_one_was_kept(t *testing.T) {
	srv := startServer(t)
	old, _ := newStore(t, srv, SessionsOptions{})
	next, _ := newStore(t, srv, SessionsOptions{})
	of := func(epoch uint64, acked int64) messages.Checkpoint {
		c := checkpoint(0, 1, 1, 2)
		c.Epoch, c.Acked = epoch, [messages.Streams]int64{acked, acked}
		return c
	}
	save(t, old, of(5, 10), of(5, 11))
	save(t, next, of(9, 12))
	late := of(5, 13)
	for range 2 {
		if err := old.Save(t.Context(), late); !errors.Is(err, ErrSuperseded) {
			t.Fatalf("got %v, want ErrSuperseded", err)
		}
		late.Guilds = nil
	}
	wantLoaded(t, srv, 1, []int{0}, sessions(of(9, 12)))
	save(t, old, of(10, 14)) // it is its turn again
	wantLoaded(t, srv, 1, []int{0}, sessions(of(10, 14)))
}
