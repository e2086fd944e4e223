package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"drover/system/simtime"
)

// quiet is a network that does nothing but take a moment.
var quiet = noise{quick: 2 * time.Millisecond}

func newTestModel(seed uint64, ttl time.Duration, n noise) (*modelServer, *modelStore) {
	srv := newModelServer(seed)
	return srv, &modelStore{newModelClient(srv, "a", n), newModelBucket(srv, "leases", ttl)}
}

// testStore holds what is true of every Store, the model and the real one.
func testStore(t *testing.T, s Store) {
	t.Helper()
	ctx := t.Context()
	must := func(revision uint64, err error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return revision
	}
	want := func(what string, got, want error) {
		t.Helper()
		if !errors.Is(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	_, err := s.Get(ctx, "pool.0")
	want("Get of nothing", err, ErrNotFound)
	first := must(s.Create(ctx, "pool.0", []byte("a")))
	_, err = s.Create(ctx, "pool.0", []byte("b"))
	want("second Create", err, ErrExists)
	second := must(s.Update(ctx, "pool.0", []byte("a2"), first))
	_, err = s.Update(ctx, "pool.0", []byte("b"), first)
	want("Update of an old revision", err, ErrChanged)
	want("Delete of an old revision", s.Delete(ctx, "pool.0", first), ErrChanged)
	_, err = s.Update(ctx, "pool.1", []byte("b"), second)
	want("Update of nothing", err, ErrChanged)
	other := must(s.Create(ctx, "pool.1", []byte("c")))
	if first >= second || second >= other {
		t.Errorf("got revisions %d, %d, %d, want rising ones", first, second, other)
	}
	entries, err := s.List(ctx)
	slices.SortFunc(entries, func(x, y Entry) int { return int(x.Revision) - int(y.Revision) })
	if err != nil || len(entries) != 2 || entries[0].Revision != second || string(entries[0].Value) != "a2" || entries[1].Key != "pool.1" {
		t.Errorf("List: got %v, %v, want pool.0 at %d and pool.1", entries, err, second)
	}
	want("Delete", s.Delete(ctx, "pool.0", second), nil)
	want("Delete of nothing", s.Delete(ctx, "pool.0", second), ErrChanged)
	_, err = s.Update(ctx, "pool.0", []byte("a"), second)
	want("Update of what was deleted", err, ErrChanged)
	if again := must(s.Create(ctx, "pool.0", []byte("d"))); again <= other {
		t.Errorf("Create after Delete: got revision %d, want more than %d", again, other)
	}
}

func TestModel_answers_as_JetStream_does(t *testing.T) {
	t.Run("model", func(t *testing.T) {
		simtime.Run(t, func(t *testing.T) {
			_, s := newTestModel(1, 0, quiet)
			testStore(t, s)
		})
	})
	t.Run("JetStream", func(t *testing.T) {
		s, _ := newTestStore(t, startServer(t), "model", 0)
		testStore(t, s)
	})
}

func TestModel_expires_what_is_not_renewed(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		_, s := newTestModel(1, 4*time.Second, quiet)
		gone := make(chan time.Time, 1)
		ctx, stop := context.WithCancel(t.Context())
		watched := make(chan struct{})
		defer func() { stop(); <-watched }()
		go func() {
			defer close(watched)
			_ = s.Watch(ctx, func(e Entry) {
				if e.Revision == 0 {
					gone <- time.Now()
				}
			})
		}()
		revision, err := s.Create(ctx, "pool.0", nil)
		var renewed time.Time
		for range 5 {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			renewed = time.Now()
			revision, err = s.Update(ctx, "pool.0", nil, revision)
		}
		if lived := (<-gone).Sub(renewed); lived < 4*time.Second || lived > 4*time.Second+expiryLate+2*quiet.quick {
			t.Errorf("got expiry after %v, want 4s and at most %v", lived, expiryLate)
		}
		if _, err := s.Update(ctx, "pool.0", nil, revision); !errors.Is(err, ErrChanged) {
			t.Errorf("Update of what expired: got %v, want %v", err, ErrChanged)
		}
		if _, err := s.Create(ctx, "pool.0", nil); err != nil {
			t.Errorf("Create of what expired: %v", err)
		}
	})
}

func TestModel_applies_writes_whose_client_gave_up(t *testing.T) {
	for name, n := range map[string]noise{
		"late":        {quick: time.Millisecond, late: 1, latest: 20 * time.Second},
		"answer lost": {quick: time.Millisecond, lostReply: 1},
	} {
		t.Run(name, func(t *testing.T) {
			simtime.Run(t, func(t *testing.T) {
				_, s := newTestModel(7, 0, n)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if _, err := s.Create(ctx, "pool.0", nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("got %v, want the deadline", err)
				}
				time.Sleep(20 * time.Second)
				synctest.Wait()
				if s.bucket.entries["pool.0"] == nil {
					t.Error("the write was never applied")
				}
			})
		})
	}
}

func TestModel_of_a_server_that_is_away(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		srv, s := newTestModel(1, 4*time.Second, quiet)
		revision, err := s.Create(t.Context(), "pool.0", nil)
		if err != nil {
			t.Fatal(err)
		}
		srv.stop()
		if _, err := s.Update(t.Context(), "pool.0", nil, revision); err == nil || errors.Is(err, ErrChanged) {
			t.Errorf("got %v, want an error that says nothing", err)
		}
		srv.start()
		if revision, err = s.Update(t.Context(), "pool.0", nil, revision); err != nil {
			t.Errorf("after a restart within the time to live: %v", err)
		}
		srv.stop()
		time.Sleep(5 * time.Second)
		srv.start()
		if _, err := s.Get(t.Context(), "pool.0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("revision %d: got %v, want that it expired meanwhile", revision, err)
		}
	})
}

func TestModel_of_a_node_that_is_cut_off(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		srv, s := newTestModel(1, 0, quiet)
		other := &modelStore{newModelClient(srv, "b", quiet), s.bucket}
		s.client.cut()
		for range 8 { // half of them are held on the way
			if _, err := s.Create(t.Context(), "pool.0", []byte("cut")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
		}
		if _, err := other.Get(t.Context(), "pool.0"); !errors.Is(err, ErrNotFound) {
			t.Errorf("during the cut: got %v, want nothing", err)
		}
		s.client.heal()
		time.Sleep(time.Second)
		if e, err := other.Get(t.Context(), "pool.0"); err != nil || string(e.Value) != "cut" {
			t.Errorf("after the cut: got %q, %v, want the write that was held", e.Value, err)
		}
	})
}

func TestModel_of_a_node_that_stands_still(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		_, s := newTestModel(1, 0, quiet)
		began := time.Now()
		time.AfterFunc(time.Millisecond/10, s.client.pause)
		time.AfterFunc(15*time.Second, s.client.resume)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = s.Create(ctx, "pool.0", nil)
		if got := time.Since(began); got < 15*time.Second {
			t.Errorf("a request of the stopped process returned after %v, want 15s", got)
		}
		if s.bucket.entries["pool.0"] == nil {
			t.Error("what was sent before was not applied")
		}
	})
}
