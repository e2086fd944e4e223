package main

import (
	"bytes"
	"errors"
	"regexp"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// A worker that buries without end, or asks for room that it does not need, does not keep NATS from taking events: its account has limits. Without
// them it does, which shows that this test would notice.
func TestAccounts_leave_room_for_events_whatever_a_worker_stores(t *testing.T) {
	t.Parallel()
	limits := regexp.MustCompile(`jetstream: \{[^}]*\}`)
	for _, tt := range []struct {
		name string
		edit func(accounts string) string
		want bool // events are taken
	}{
		{"as we ship it", nil, true},
		{"without limits", func(accounts string) string { return limits.ReplaceAllString(accounts, "jetstream: enabled") }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSecured(t, false)
			s.configure(t, s.dir, tt.edit, "10GB", "10MB", "1GB", "1MB") // a thousandth of what we ship, which is full in no time
			s.process, s.url = s.serve(t, s.dir, "secure.conf")
			nc, _ := s.client(t, "worker")
			worker, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			dead := jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"dead.>"}}
			if tt.want {
				memory, large := dead, dead
				memory.Storage, large.MaxBytes = jetstream.MemoryStorage, 9<<20
				for _, c := range []jetstream.StreamConfig{memory, large} {
					if _, err := worker.CreateStream(t.Context(), c); err == nil {
						t.Errorf("got a stream of %d bytes in %v, want it refused", c.MaxBytes, c.Storage)
					}
				}
			}
			if _, err := worker.CreateStream(t.Context(), dead); err != nil {
				t.Fatal(err)
			}
			if n, err := fill(t, worker, "dead.events.member.join", 20<<20); err == nil {
				t.Fatalf("got %d bytes of dead letters taken, want an end to it", n)
			}
			_, admin := s.client(t, "admin")
			if _, err := admin.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}}); err != nil {
				t.Fatal(err)
			}
			n, err := fill(t, admin, "events.member.join", 6<<20)
			if got := err == nil; got != tt.want {
				t.Errorf("got %d bytes of events taken, %v, want that they are taken: %v", n, err, tt.want)
			}
		})
	}
}

// fill publishes until so many bytes are stored, or JetStream refuses. It returns how many it has taken.
func fill(t *testing.T, js jetstream.JetStream, subject string, size int) (n int, err error) {
	t.Helper()
	message := bytes.Repeat([]byte("x"), 64<<10)
	for ; n < size; n += len(message) {
		_, err := js.Publish(t.Context(), subject, message)
		var refused *jetstream.APIError
		if errors.As(err, &refused) {
			return n, err
		}
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
	}
	return n, nil
}
