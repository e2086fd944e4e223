package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/localdb"
	"drover/system/store"
	"drover/system/stream"
)

// startDatabase is PostgreSQL and PgBouncer with a migrated database.
func startDatabase(t *testing.T) *localdb.Server {
	t.Helper()
	srv, err := localdb.Start(t.Context(), localdb.Options{})
	if errors.Is(err, localdb.ErrNotInstalled) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, step := range []func() error{
		func() error { return srv.CreateDatabase(t.Context(), "drover", "") },
		func() error { return store.Up(t.Context(), srv.OwnerURL("drover")) },
		func() error { return srv.EnableLogins(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return srv
}

func TestWorker_as_a_process_waits_for_what_is_not_there_works_and_ends_in_order(t *testing.T) {
	t.Parallel()
	srv := startDatabase(t)
	_, natsURL := startNATS(t)
	srv.StopPool() // the worker starts before its database
	w := startDrover(t, []string{"DATABASE_URL=" + srv.PoolURL("app_worker", "drover"), "NATS_URL=" + natsURL, "HTTP_PORT=127.0.0.1:0"}, "worker")
	addr := w.logged("listening")["http"]
	url := fmt.Sprintf("http://%v", addr)
	await(t, "not ready, with reasons, but healthy", func() (bool, string) {
		code, body := httpGet(t, url+"/ready")
		health, _ := httpGet(t, url+"/health")
		return code == http.StatusServiceUnavailable && health == http.StatusOK && strings.Contains(body, "the database") && strings.Contains(body, "no stream EVENTS"), body
	})
	if err := srv.StartPool(t.Context()); err != nil {
		t.Fatal(err)
	}
	broker, err := stream.Connect(t.Context(), stream.Options{URL: natsURL, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	if err := broker.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "ready", func() (bool, string) {
		code, body := httpGet(t, url+"/ready")
		return code == http.StatusOK && strings.Contains(body, `"reasons":[]`), body
	})
	join := &messages.Event{
		Kind: messages.KindOf([]byte("GUILD_MEMBER_ADD")), Session: "s", Seq: 1, Read: time.Now(), GuildID: []byte("700000000000000010"),
		Data: []byte(`{"user":{"id":"800000000000000003","username":"bo"},"roles":["11"],"nick":"Bo"}`),
	}
	js := broker.JetStream()
	if _, err := js.Publish(t.Context(), join.Kind.Subject, join.AppendEnvelope(nil, join.EventID()), jetstream.WithMsgID(join.EventID())); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), join.Kind.Subject, []byte("poison")); err != nil {
		t.Fatal(err)
	}
	await(t, "both in the metrics", func() (bool, string) {
		_, body := httpGet(t, url+"/metrics")
		return strings.Contains(body, `worker_events_total{event_type="member.join",outcome="applied"} 1`) &&
			strings.Contains(body, `worker_dead_letters_total{reason="envelope"} 1`) && strings.Contains(body, "worker_database_connected 1") &&
			strings.Contains(body, "worker_transaction_duration_seconds_count 1"), body
	})
	admin, err := store.Open(t.Context(), store.Options{URL: srv.PoolURL("app_admin", "drover")})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if got, err := admin.Census(t.Context()); err != nil || got != (store.Census{Communities: 1, Profiles: 1, Audits: 1}) {
		t.Errorf("got %+v, %v, want one of each", got, err)
	}
	if code, _ := httpGet(t, url+"/"); code != http.StatusNotFound {
		t.Errorf("got %d for the status page, which a worker has not, want 404", code)
	}
	w.signal(syscall.SIGTERM)
	if code := w.ended(); code != 0 {
		t.Errorf("got exit code %d after SIGTERM, want 0", code)
	}
	if strings.Contains(w.stderr.String()+w.stdout.String(), srv.Password()) {
		t.Error("the database's password stands in the output")
	}
}

func TestWorker_says_what_it_lacks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  []string
		want string
	}{
		{"no database", nil, "DATABASE_URL"},
		{"another kind of database", []string{"DATABASE_URL=mysql://me:hunter2@host/db"}, "postgres://"},
		{"no streams", []string{"DATABASE_URL=postgres://me:hunter2@host/db", "NATS_URL=none"}, "nats.url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := startDrover(t, tt.env, "worker")
			w.wantExit(2, tt.want)
			if strings.Contains(w.stderr.String(), "hunter2") {
				t.Error("the password stands in the output")
			}
		})
	}
}

func TestDemo_with_a_database_shows_rows_that_the_worker_applied(t *testing.T) {
	t.Parallel()
	startDatabase(t) // so that this test is skipped, with its reason, where the demo could only say it
	demo := startDrover(t, nil, "demo", "--with-db", "--plain", "--shards", "2", "--max-concurrency", "2", "--http-addr", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	demo.match(demo.stdout, `PostgreSQL: 20 communities, [1-9][\d,]* members, [1-9][\d,]* audit rows`)
	demo.stop()
	if !strings.Contains(demo.stdout.String(), "PostgreSQL held 20 communities") {
		t.Error("its last words do not say what PostgreSQL held")
	}
}

func TestDemo_with_a_database_says_what_to_install(t *testing.T) {
	t.Parallel()
	err := noDatabase(fmt.Errorf("localdb: %w: install both, on Debian with apt-get install postgresql pgbouncer", localdb.ErrNotInstalled))
	if code := exitCode(err, true); code != exitUsage || !strings.Contains(err.Error(), "apt-get install") || !strings.Contains(err.Error(), "without --with-db") {
		t.Errorf("got exit code %d, %v, want %d and what to do", code, err, exitUsage)
	}
	if err := noDatabase(errors.New("x")); exitCode(err, true) != exitFailure {
		t.Errorf("got %v, want a plain failure", err)
	}
}
