package stream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

func infoOf(t *testing.T, b *Broker, name string) *jetstream.StreamInfo {
	t.Helper()
	s, err := b.js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

func TestEnsureStreams_makes_the_contract_s_streams(t *testing.T) {
	e := startEmbedded(t)
	for _, c := range []struct {
		name    string
		o       Options
		storage jetstream.StorageType
	}{
		{"in files on the embedded server", Options{Server: e, Prefix: "embedded"}, jetstream.FileStorage},
		{"in memory on an external server", Options{URL: e.ClientURL(), Prefix: "external"}, jetstream.MemoryStorage},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := connect(t, c.o)
			for range 2 { // idempotent
				if err := b.EnsureStreams(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for name, want := range map[string]streamConfig{
				c.o.Prefix + "_EVENTS":   {Subjects: []string{c.o.Prefix + ".events.>"}, MaxAge: 5 * time.Minute, Duplicates: 2 * time.Minute},
				c.o.Prefix + "_COMMANDS": {Subjects: []string{c.o.Prefix + ".commands.>"}, MaxAge: time.Minute, Duplicates: time.Minute},
			} {
				got := infoOf(t, b, name).Config
				if got.Subjects[0] != want.Subjects[0] || got.MaxAge != want.MaxAge || got.Duplicates != want.Duplicates ||
					got.Storage != c.storage || got.Retention != jetstream.LimitsPolicy || got.MaxBytes != -1 || got.Replicas != 1 {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
			}
		})
	}
}

func TestEnsureStreams_at_once_makes_each_stream_once_and_takes_none_for_lost(t *testing.T) {
	made := make(chan string, 64)
	b := connect(t, Options{Server: startEmbedded(t), Hooks: Hooks{Made: func(s messages.Stream, again bool) {
		made <- fmt.Sprintf("%v again %t", s, again)
	}}})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if err := b.EnsureStreams(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	close(made)
	var got []string
	for text := range made {
		got = append(got, text)
	}
	if want := []string{"EVENTS again false", "COMMANDS again false"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnsureStreams_changes_what_NATS_lets_it_change_and_keeps_the_rest(t *testing.T) {
	e := startEmbedded(t)
	b := connect(t, Options{Server: e})
	if _, err := b.js.CreateStream(t.Context(), streamConfig{
		Name: "EVENTS", Subjects: []string{"events.member.*", "other.>"}, Storage: jetstream.MemoryStorage, MaxAge: time.Hour,
		Duplicates: time.Hour, Discard: jetstream.DiscardNew, MaxMsgs: 1000, NoAck: true, Description: "theirs",
	}); err != nil {
		t.Fatal(err)
	}
	b = connect(t, Options{Server: e, Events: StreamOptions{MaxBytes: 1 << 20, MaxAge: time.Minute, Duplicates: time.Hour}})
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := infoOf(t, b, "EVENTS").Config
	if strings.Join(got.Subjects, " ") != "events.> other.>" || got.MaxAge != time.Minute || got.Duplicates != time.Minute || got.MaxBytes != 1<<20 || got.NoAck {
		t.Errorf("got %+v, want our fields", got)
	}
	if got.Storage != jetstream.MemoryStorage || got.Discard != jetstream.DiscardNew || got.MaxMsgs != 1000 || got.Description != "theirs" {
		t.Errorf("got %+v, want the other fields as they were", got)
	}
}

func TestEnsureStreams_lets_events_stay_for_ever_where_bytes_bound_the_stream(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t), Events: StreamOptions{MaxBytes: 1 << 20}})
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := infoOf(t, b, "EVENTS").Config; got.MaxAge != 0 || got.MaxBytes != 1<<20 || got.Duplicates != 2*time.Minute {
		t.Errorf("got %+v, want no age, 1 MiB and 2 min", got)
	}
}

func TestEnsureStreams_names_the_field_that_cannot_be_changed_and_deletes_nothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		exists streamConfig
		o      StreamOptions
		field  string
		text   string
	}{
		{"storage", streamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Storage: jetstream.MemoryStorage}, StreamOptions{Storage: "file"},
			"storage", `set up EVENTS: storage is memory, wanted file: NATS cannot change it: configure storage "auto" or "memory"`},
		{"retention", streamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Retention: jetstream.WorkQueuePolicy}, StreamOptions{},
			"retention", "set up EVENTS: retention is workqueue, wanted limits"},
		{"subjects of another stream", streamConfig{Name: "ELSE", Subjects: []string{"events.member.>"}}, StreamOptions{},
			"subjects", "set up EVENTS: subjects is claimed by another stream, wanted events.>: configure streams.prefix"},
		{"replicas", streamConfig{Name: "EVENTS", Subjects: []string{"events.>"}}, StreamOptions{Replicas: 3},
			"replicas", "set up EVENTS: replicas is 1, wanted 3"},
		{"replicas of a new stream", streamConfig{Name: "ELSE", Subjects: []string{"else"}}, StreamOptions{Replicas: 3},
			"replicas", "set up EVENTS: replicas is more than the servers can hold, wanted 3"},
		{"mirror", streamConfig{Name: "EVENTS", Mirror: &jetstream.StreamSource{Name: "X"}}, StreamOptions{},
			"name", "configure another name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := startEmbedded(t)
			b := connect(t, Options{Server: e, Events: c.o})
			if _, err := b.js.CreateStream(t.Context(), c.exists); err != nil {
				t.Fatal(err)
			}
			err := b.EnsureStreams(t.Context())
			var wrong *StreamError
			if !errors.As(err, &wrong) || wrong.Field != c.field || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want a StreamError of %s with %q", err, c.field, c.text)
			}
			infoOf(t, b, c.exists.Name)
		})
	}
}

func TestEnsureStreams_says_that_JetStream_is_off(t *testing.T) {
	d := startNATS(t)
	d.kill()
	d.args = d.args[:4] // address and port only
	d.start()
	b := connect(t, Options{URL: d.url()})
	if err := b.EnsureStreams(t.Context()); !errors.Is(err, ErrNoJetStream) {
		t.Fatalf("got %v, want %v", err, ErrNoJetStream)
	}
}

func TestEnsureStreams_reports_what_it_made(t *testing.T) {
	e := startEmbedded(t)
	type made struct {
		stream messages.Stream
		again  bool
	}
	var got []made
	b := connect(t, Options{Server: e, Hooks: Hooks{Made: func(s messages.Stream, again bool) { got = append(got, made{s, again}) }}})
	for range 2 {
		if err := b.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.js.DeleteStream(t.Context(), "COMMANDS"); err != nil {
		t.Fatal(err)
	}
	if err := b.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []made{{messages.Events, false}, {messages.Commands, false}, {messages.Commands, true}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestConnect_refuses_options_that_can_never_work(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"no url", Options{}, "stream: nats url: no server given"},
		{"a scheme of another kind", Options{URL: "nats://a:4222,http://user:secret@b"}, `stream: nats url: server 2 of 2: the scheme is "http"; expected nats, tls, ws or wss`},
		{"a bad port", Options{URL: "nats://user:secret@host:99999"}, "stream: nats url: server 1 of 1: the port is not between 1 and 65535"},
		{"a port that is no number", Options{URL: "nats://user:secret@host:port"}, "stream: nats url: server 1 of 1: not a URL; expected nats://host:port"},
		{"no host", Options{URL: "nats://"}, "stream: nats url: server 1 of 1: the host is missing; expected nats://host:port"},
		{"two credentials", Options{URL: "a", User: "u", Token: "secret"}, "stream: credentials: give only one of user, token, creds file and nkey file"},
		{"a password alone", Options{URL: "a", Password: "secret"}, "stream: credentials: a password without a user"},
		{"no creds file", Options{URL: "a", CredsFile: "/nowhere/x.creds"}, "stream: creds file: open /nowhere/x.creds: no such file or directory"},
		{"an empty creds file", Options{URL: "a", CredsFile: "/dev/null"}, "stream: creds file: /dev/null holds no user JWT and seed"},
		{"no nkey file", Options{URL: "a", NKeyFile: "/nowhere/seed"}, "stream: nkey file: /nowhere/seed: "},
		{"an empty nkey file", Options{URL: "a", NKeyFile: "/dev/null"}, "stream: nkey file: /dev/null: "},
		{"no authority", Options{URL: "a", TLS: TLSOptions{CAFile: "/nowhere/ca.pem"}}, "stream: tls authority: open /nowhere/ca.pem"},
		{"an empty authority", Options{URL: "a", TLS: TLSOptions{CAFile: "/dev/null"}}, "stream: tls authority: /dev/null holds no PEM certificate"},
		{"half a certificate", Options{URL: "a", TLS: TLSOptions{CertFile: "x"}}, "stream: tls certificate: certificate and key go together, one of them is missing"},
		{"a bad prefix", Options{URL: "a", Prefix: "a.b"}, `stream: prefix: "a.b" may hold`},
		{"a bad storage", Options{URL: "a", Events: StreamOptions{Storage: "disk"}}, `stream: options of EVENTS: storage: "disk" is none of auto, memory, file`},
		{"a bad window", Options{URL: "a", Window: -1}, "stream: window: -1 is below 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := Connect(t.Context(), c.o)
			if err == nil {
				b.Close()
				t.Fatalf("got no error, want %s", c.want)
			}
			if !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestRedact_takes_secrets_out_of_errors(t *testing.T) {
	r := newRedact(Options{URL: "nats://user:hunter2@a:1, tls://t0ken@b:2", Password: "pass", Token: "tok"})
	err := r.clean(errors.Join(nats.ErrTimeout, errors.New("dial nats://user:hunter2@a:1 and tls://t0ken@b: pass tok hunter2")))
	for _, secret := range []string{"hunter2", "t0ken", "pass", "tok"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, which holds %s", err, secret)
		}
	}
	if !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("got %v, want it to be %v", err, nats.ErrTimeout)
	}
}
