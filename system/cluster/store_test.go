package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func newTestStore(t testing.TB, s *natsServer, name string, ttl time.Duration) (*JetStreamStore, jetstream.JetStream) {
	t.Helper()
	_, js := s.connect()
	return NewJetStreamStore(js, StoreOptions{Bucket: "drover_" + name, TTL: ttl}), js
}

// eventually waits until ok, which is asked again and again.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func keysOf(t testing.TB, s Store) []string {
	t.Helper()
	entries, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	return keys
}

func TestStore_says_for_certain_what_happened(t *testing.T) {
	srv := startServer(t)
	s, _ := newTestStore(t, srv, "leases", time.Minute)
	ctx := t.Context()
	first, err := s.Create(ctx, "pool.1", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	wantErr := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	_, err = s.Create(ctx, "pool.1", []byte("b"))
	wantErr("create what exists", err, ErrExists)
	_, err = s.Update(ctx, "pool.1", []byte("b"), first-1)
	wantErr("update another revision", err, ErrChanged)
	_, err = s.Update(ctx, "pool.2", []byte("b"), first)
	wantErr("update nothing", err, ErrChanged)
	_, err = s.Update(ctx, "pool.2", []byte("b"), 0)
	wantErr("update as a create", err, ErrChanged)
	wantErr("delete another revision", s.Delete(ctx, "pool.1", first+1), ErrChanged)
	wantErr("delete any revision", s.Delete(ctx, "pool.1", 0), ErrChanged)
	_, err = s.Get(ctx, "pool.2")
	wantErr("get nothing", err, ErrNotFound)
	second, err := s.Update(ctx, "pool.1", []byte("b"), first)
	if err != nil || second <= first {
		t.Errorf("update: got revision %d after %d, %v", second, first, err)
	}
	e, err := s.Get(ctx, "pool.1")
	if err != nil || string(e.Value) != "b" || e.Revision != second || e.Key != "pool.1" {
		t.Errorf("get: got %+v, %v", e, err)
	}
	wantErr("delete", s.Delete(ctx, "pool.1", second), nil)
	_, err = s.Get(ctx, "pool.1")
	wantErr("get what was deleted", err, ErrNotFound)
	if keys := keysOf(t, s); len(keys) != 0 {
		t.Errorf("list after the delete: got %v, want nothing", keys)
	}
	third, err := s.Create(ctx, "pool.1", []byte("c"))
	if err != nil || third <= second {
		t.Errorf("create again: got revision %d after %d, %v", third, second, err)
	}
}

func TestStore_keys_expire_unless_they_are_updated_and_the_watch_hears_of_it(t *testing.T) {
	srv := startServer(t)
	s, _ := newTestStore(t, srv, "leases", 500*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan Entry, 100)
	ended := make(chan error)
	if err := s.Ensure(ctx); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- s.Watch(ctx, func(e Entry) { heard <- e }) }()
	probe, err := s.Create(ctx, "probe", nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the watch hears", func() bool {
		probe, err = s.Update(ctx, "probe", nil, probe)
		return len(heard) > 0
	})
	if _, err := s.Create(ctx, "pool.1", []byte("a")); err != nil {
		t.Fatal(err)
	}
	kept, err := s.Create(ctx, "pool.2", []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		select {
		case e := <-heard:
			if e.Key == "pool.2" && e.Revision == 0 {
				t.Error("the key that is kept expired")
			}
			return e.Key == "pool.1" && e.Revision == 0
		default:
			return false
		}
	}
	eventually(t, "the watch hears that pool.1 expired", func() bool {
		if kept, err = s.Update(ctx, "pool.2", []byte("b"), kept); err != nil {
			t.Fatal(err)
		}
		return gone()
	})
	if keys := keysOf(t, s); !slices.Contains(keys, "pool.2") || slices.Contains(keys, "pool.1") {
		t.Errorf("got keys %v, want pool.2 without pool.1", keys)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch: got %v, want canceled", err)
	}
}

func TestStore_lists_more_keys_than_one_answer_has(t *testing.T) {
	srv := startServer(t)
	s, js := newTestStore(t, srv, "leases", time.Minute)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "drover_leases")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1100 {
		if _, err := js.PublishAsync(fmt.Sprintf("$KV.drover_leases.pool.%d", i), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if err := kv.Delete(t.Context(), "pool.7"); err != nil {
		t.Fatal(err)
	}
	if keys := keysOf(t, s); len(keys) != 1099 || slices.Contains(keys, "pool.7") {
		t.Errorf("got %d keys, want 1099 without pool.7", len(keys))
	}
}

func TestStore_a_bucket_that_is_deleted_is_made_again_with_higher_revisions(t *testing.T) {
	srv := startServer(t)
	s, js := newTestStore(t, srv, "leases", time.Minute)
	ctx := t.Context()
	first, err := s.Create(ctx, "pool.1", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	watching := s.bucket.remade()
	go func() { ended <- s.Watch(ctx, func(Entry) {}) }()
	tests := []struct {
		name string
		ask  func() error
		want error
	}{
		{"update", func() error { _, err := s.Update(ctx, "pool.1", nil, first); return err }, ErrChanged},
		{"delete", func() error { return s.Delete(ctx, "pool.1", first) }, ErrChanged},
		{"get", func() error { _, err := s.Get(ctx, "pool.1"); return err }, ErrNotFound},
		{"list", func() error { _, err := s.List(ctx); return err }, nil},
		{"create", func() error {
			again, err := s.Create(ctx, "pool.1", nil)
			if again <= first {
				t.Errorf("got revision %d after %d, want a higher one", again, first)
			}
			return err
		}, nil},
	}
	for _, test := range tests {
		if err := js.DeleteKeyValue(ctx, "drover_leases"); err != nil {
			t.Fatal(err)
		}
		if err := test.ask(); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	<-watching
	if err := <-ended; err == nil {
		t.Error("the watch of the deleted bucket: got no error")
	}
	info, err := js.Stream(ctx, "KV_drover_leases")
	if err != nil {
		t.Fatal(err)
	}
	if c := info.CachedInfo().Config; c.Storage != jetstream.FileStorage || c.MaxAge != time.Minute || c.MaxMsgsPerSubject != 1 || c.SubjectDeleteMarkerTTL == 0 {
		t.Errorf("got %+v", c)
	}
}

func TestStore_keys_survive_a_restart_of_the_server_within_their_time(t *testing.T) {
	srv := startServer(t)
	s, _ := newTestStore(t, srv, "leases", time.Minute)
	first, err := s.Create(t.Context(), "pool.1", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	srv.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Update(ctx, "pool.1", nil, first); err == nil || known(err) {
		t.Errorf("without a server: got %v, want an unknown outcome", err)
	}
	srv.start()
	eventually(t, "the update goes through", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Update(ctx, "pool.1", []byte("b"), first)
		return err == nil
	})
}

func TestStore_the_lifetime_of_an_existing_bucket_is_changed(t *testing.T) {
	srv := startServer(t)
	old, js := newTestStore(t, srv, "leases", 0)
	if err := old.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := NewJetStreamStore(js, StoreOptions{Bucket: "drover_leases", TTL: 2 * time.Second})
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_drover_leases")
	if err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.MaxAge != 2*time.Second || !c.AllowMsgTTL || c.SubjectDeleteMarkerTTL != 2*time.Second {
		t.Errorf("got age %v, message TTL %v, markers %v", c.MaxAge, c.AllowMsgTTL, c.SubjectDeleteMarkerTTL)
	}
}
