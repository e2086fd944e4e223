package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

func TestSessions_an_absent_server_is_an_error_within_the_context(t *testing.T) {
	srv := startServer(t)
	store, _ := newStore(t, srv, SessionsOptions{})
	save(t, store, checkpoint(0, 1, 1))
	srv.stop()
	wantErrors(t, store, func(error) bool { return true })
	srv.start()
	nc, js := srv.connect()
	defer nc.Close()
	save(t, NewSessions(js, SessionsOptions{}), checkpoint(0, 1, 2)) // without Ensure
	wantLoaded(t, srv, 1, []int{0}, sessions(checkpoint(0, 1, 2)))
}

// hole is a dialer whose connections swallow what is written once it is open.
type hole struct{ open atomic.Bool }

func (h *hole) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return &holeConn{c, h}, err
}

type holeConn struct {
	net.Conn
	*hole
}

func (c *holeConn) Write(b []byte) (int, error) {
	if c.open.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestSessions_a_black_hole_blocks_no_longer_than_the_context(t *testing.T) {
	srv := startServer(t)
	dialer := &hole{}
	nc, err := nats.Connect(srv.srv.ClientURL(), nats.SetCustomDialer(dialer))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	store := NewSessions(js, SessionsOptions{})
	save(t, store, checkpoint(0, 1, 1))
	dialer.open.Store(true)
	wantErrors(t, store, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) })
}

// wantErrors calls every method with little time.
func wantErrors(t *testing.T, store *Sessions, ok func(error) bool) {
	t.Helper()
	for name, call := range map[string]func(context.Context) error{
		"Ensure":      store.Ensure,
		"Save":        func(ctx context.Context) error { return store.Save(ctx, checkpoint(0, 1, 1)) },
		"Load":        func(ctx context.Context) error { _, err := store.Load(ctx, 1, []int{0}); return err },
		"Forget":      func(ctx context.Context) error { return store.Forget(ctx, 1, 0) },
		"ForgetOther": func(ctx context.Context) error { return store.ForgetOther(ctx, 1) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		began := time.Now()
		if err := call(ctx); err == nil || !ok(err) {
			t.Errorf("%s: got %v", name, err)
		}
		if took := time.Since(began); took > 4*time.Second { // JetStream's own limit is 5 s; the machine may be busy
			t.Errorf("%s: took %v with a context of 200ms", name, took)
		}
		cancel()
	}
}

func TestSave_makes_a_bucket_again_that_is_gone_and_asks_for_the_guild_set(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	c := checkpoint(0, 2, 1, 2)
	save(t, store, c)
	if err := js.DeleteKeyValue(t.Context(), "drover_sessions"); err != nil {
		t.Fatal(err)
	}
	without := c
	without.Guilds = nil
	for range 2 { // until it is there
		if err := store.Save(t.Context(), without); !errors.Is(err, ErrGuildsGone) {
			t.Fatalf("got %v, want ErrGuildsGone", err)
		}
	}
	wantLoaded(t, srv, 2, []int{0}, sessions(without)) // it can be resumed all the same
	save(t, store, c, without)
	wantLoaded(t, srv, 2, []int{0}, sessions(c))

	if err := js.DeleteKeyValue(t.Context(), "drover_sessions"); err != nil {
		t.Fatal(err)
	}
	save(t, store, c) // with its guild set nothing is missing
	wantLoaded(t, srv, 2, []int{0}, sessions(c))
}

func TestSave_notices_a_bucket_that_another_process_has_made_again(t *testing.T) {
	srv := startServer(t)
	wrote, js := newStore(t, srv, SessionsOptions{})
	loaded, _ := newStore(t, srv, SessionsOptions{})
	save(t, wrote, checkpoint(0, 2, 1, 2), checkpoint(1, 2, 3))
	if _, err := loaded.Load(t.Context(), 2, []int{1}); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteKeyValue(t.Context(), "drover_sessions"); err != nil {
		t.Fatal(err)
	}
	newStore(t, srv, SessionsOptions{})
	for _, err := range []error{wrote.Save(t.Context(), checkpoint(0, 2)), loaded.Save(t.Context(), checkpoint(1, 2))} {
		if !errors.Is(err, ErrGuildsGone) {
			t.Errorf("got %v, want ErrGuildsGone", err)
		}
	}
	wantLoaded(t, srv, 2, []int{0, 1}, sessions(checkpoint(0, 2), checkpoint(1, 2)))
}

func TestPut_a_late_write_does_not_undo_a_newer_one(t *testing.T) {
	srv := startServer(t)
	store, js := newStore(t, srv, SessionsOptions{})
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint(0, 1, 1)
	save(t, store, c)
	late, _ := encodeSession(&c, time.Now())
	expected := store.revisions(shardKey{1, 0}).session
	c.Acked = [messages.Streams]int64{500, 500}
	save(t, store, c)
	if _, err := kv.Update(t.Context(), "shard.1.0", late, expected); !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		t.Fatalf("the late write: got %v, want it refused", err)
	}
	wantLoaded(t, srv, 1, []int{0}, sessions(c))

	// The answer to a write was lost: the revision is another one, and the next write finds it.
	for _, gone := range []bool{false, true} {
		if gone { // by hand, with a marker
			if err := kv.Delete(t.Context(), "shard.1.0"); err != nil {
				t.Fatal(err)
			}
		} else if _, err := kv.Put(t.Context(), "shard.1.0", late); err != nil {
			t.Fatal(err)
		}
		c.Acked[messages.Commands]++
		save(t, store, c, c)
		wantLoaded(t, srv, 1, []int{0}, sessions(c))
	}
}

// lagging answers its first reads from a copy of the bucket that is behind.
type lagging struct {
	jetstream.KeyValue
	behind []jetstream.KeyValueEntry
}

func (l *lagging) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if len(l.behind) > 0 {
		old := l.behind[0]
		l.behind = l.behind[1:]
		return old, nil
	}
	return l.KeyValue.Get(ctx, key)
}

// In a NATS cluster any copy of a bucket answers a read.
func TestPut_what_a_copy_that_is_behind_says_does_not_replace_a_newer_checkpoint(t *testing.T) {
	srv := startServer(t)
	old, js := newStore(t, srv, SessionsOptions{})
	next, _ := newStore(t, srv, SessionsOptions{})
	kv, err := js.KeyValue(t.Context(), "drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint(0, 1, 1)
	c.Epoch = 5
	save(t, old, c)
	behind, err := kv.Get(t.Context(), "shard.1.0")
	if err != nil {
		t.Fatal(err)
	}
	late, _ := encodeSession(&c, time.Now())
	c.Epoch = 9
	save(t, next, c)
	key := shardKey{1, 0}
	_, _, err = put(t.Context(), &lagging{kv, []jetstream.KeyValueEntry{behind}}, key.session(), late, behind.Revision(),
		func(found []byte) error { return superseded(found, key, 5) })
	if err == nil {
		t.Error("got no error, want it refused")
	}
	wantLoaded(t, srv, 1, []int{0}, sessions(c))
}

func TestSave_of_many_shards_at_once_makes_a_lost_bucket_once(t *testing.T) {
	srv := startServer(t)
	var log bytes.Buffer
	store, js := newStore(t, srv, SessionsOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := js.DeleteKeyValue(t.Context(), "drover_sessions"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var ids []int
	var want []messages.Checkpoint
	for id := range 50 {
		c := checkpoint(id, 50, uint64(id))
		ids, want = append(ids, id), append(want, c)
		wg.Go(func() {
			if err := store.Save(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantLoaded(t, srv, 50, ids, sessions(want...))
	if made := strings.Count(log.String(), "bucket created"); made != 2 {
		t.Errorf("got the bucket made %d times, want 2:\n%s", made, log.String())
	}
}

func TestEnsure_judges_the_bucket_that_exists(t *testing.T) {
	srv := startServer(t)
	_, js := srv.connect()
	create := func(c jetstream.KeyValueConfig) {
		t.Helper()
		if _, err := js.CreateKeyValue(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	create(jetstream.KeyValueConfig{Bucket: "memory_sessions", Storage: jetstream.MemoryStorage})
	create(jetstream.KeyValueConfig{Bucket: "mirror_sessions", Storage: jetstream.FileStorage, Mirror: &jetstream.StreamSource{Name: "memory_sessions"}})
	create(jetstream.KeyValueConfig{Bucket: "ttl_sessions", Storage: jetstream.FileStorage, History: 5, TTL: time.Hour})
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_stream_sessions", Subjects: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]string{
		"memory": "cluster: bucket memory_sessions is kept in memory, so that what is in it would die with the NATS server: " +
			"delete it (nats kv del memory_sessions), and drover makes it again with file storage",
		"mirror": "cluster: bucket mirror_sessions is a mirror or sealed, and cannot be written: choose another streams.prefix, or delete the bucket",
		"stream": "cluster: bucket stream_sessions is a stream and no bucket: choose another streams.prefix, or delete the stream KV_stream_sessions",
	} {
		store := NewSessions(js, SessionsOptions{Prefix: prefix})
		var unusable *BucketError
		if err := store.Ensure(t.Context()); !errors.As(err, &unusable) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", prefix, err, want)
		}
		if err := store.Save(t.Context(), checkpoint(0, 1)); !errors.As(err, &unusable) {
			t.Errorf("%s: Save: got %v, want a BucketError", prefix, err)
		}
	}
	store := NewSessions(js, SessionsOptions{Prefix: "ttl"})
	for range 2 {
		if err := store.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := js.Stream(t.Context(), "KV_ttl_sessions")
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.MaxAge != 0 || c.MaxMsgsPerSubject != 5 {
		t.Errorf("got max age %v and history %d, want 0 and the operator's 5", c.MaxAge, c.MaxMsgsPerSubject)
	}
	save(t, store, checkpoint(0, 1, 1))
	if err := store.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, store, "guilds.1.0", "shard.1.0") // kept
}

func TestEnsure_makes_a_file_bucket_and_several_processes_agree(t *testing.T) {
	srv := startServer(t)
	var wg sync.WaitGroup
	for range 8 {
		_, js := srv.connect()
		wg.Go(func() {
			if err := NewSessions(js, SessionsOptions{}).Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, js := srv.connect()
	stream, err := js.Stream(t.Context(), "KV_drover_sessions")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	if c.Storage != jetstream.FileStorage || c.MaxMsgsPerSubject != 1 || c.MaxAge != 0 || c.Replicas != 1 {
		t.Errorf("got storage %v, history %d, max age %v, replicas %d, want file, 1, none, 1", c.Storage, c.MaxMsgsPerSubject, c.MaxAge, c.Replicas)
	}
	three := NewSessions(js, SessionsOptions{Replicas: 3})
	if err := three.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "set up bucket drover_sessions") {
		t.Errorf("replicas on a server alone: got %v, want it named", err)
	}
}
