package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/localdb"
	"drover/system/store"
)

// seeded prints its seed, so that a failure can be run again.
func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func TestWorker_follows_the_model_over_random_traffic_and_a_replay_of_it_all_changes_nothing(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{})
	for _, e := range traffic(seeded(t), 1000, 6, 12) {
		r.publish(e)
	}
	r.settled("worker")
	r.equal()
	w.stop()

	rows := func() []string {
		return append(r.query(`SELECT to_jsonb(c)::text || c.xmin::text FROM communities c ORDER BY id`), append(
			r.query(`SELECT to_jsonb(p)::text || p.xmin::text FROM profiles p ORDER BY community_id, id`),
			r.query(`SELECT to_jsonb(a)::text FROM audit_logs a ORDER BY community_id, id`)...)...)
	}
	before := rows()
	if err := r.broker.JetStream().DeleteConsumer(t.Context(), "EVENTS", "worker"); err != nil {
		t.Fatal(err)
	}
	w = r.start(Options{Concurrency: 3, Batch: 50})
	r.settled("worker")
	differ(t, "rows after the replay", rows(), before)
	if got := w.meters.of("applied") + w.meters.of("superseded"); got != 0 {
		t.Errorf("got %d events applied again, want 0", got)
	}
}

const (
	guild1 = 700000000000000010
	user1  = 800000000000000001
	user2  = 800000000000000002
)

func create(name string, count int, members ...string) string {
	return fmt.Sprintf(`{"id":"%d","name":%q,"joined_at":"2026-01-02T03:04:05+00:00","member_count":%d,"members":[%s],"roles":[{"id":"1","name":"x"}]}`,
		guild1, name, count, strings.Join(members, ","))
}

func person(user uint64, nick, roles string) string {
	return fmt.Sprintf(`{"user":{"id":"%d","username":"u%d"},"nick":%s,"roles":[%s],"joined_at":"2026-01-02T03:04:05+00:00"}`, user, user%10, nick, roles)
}

// Each type by itself, with what it must leave in the tables written out.
func TestWorker_applies_each_type(t *testing.T) {
	r := newRig(t)
	r.start(Options{})
	for _, step := range []struct {
		name string
		e    told
		want []string
	}{
		{"member.join of a guild that nobody told of", told{typ: memberJoin, user: user1, data: person(user1, `"Bo"`, `"11","12"`)}, []string{
			`700000000000000010 "" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="Bo" roles=11,12 active=true left=false stale=false`}},
		{"guild.available", told{typ: guildAvailable, data: create("Farm", 9, person(user1, `null`, ``), person(user2, `null`, `"13"`))}, []string{
			`700000000000000010 "Farm" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=13 active=true left=false stale=false`}},
		{"guild.update", told{typ: guildUpdate, data: `{"id":"700000000000000010","name":"Barn"}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=13 active=true left=false stale=false`}},
		{"guild.leave, offline, keeps what is known", told{typ: guildLeave, data: `{"id":"700000000000000010","offline":true}`}, []string{
			`700000000000000010 "Barn" active=false shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=13 active=true left=false stale=false`}},
		{"guild.join in an outage", told{typ: guildJoin, data: `{"id":"700000000000000010","unavailable":true}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=13 active=true left=false stale=false`}},
		{"member.update with a NUL, which PostgreSQL cannot hold, and an offset that Go does not write", told{typ: memberUpdate, user: user2,
			data: strings.Replace(person(user2, `"Z\u0000ë"`, `"15","14"`), "05+00:00", "05+24:00", 1)}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			"700000000000000010/800000000000000002 \"u2\" nick=\"Z\uFFFDë\" roles=14,15 active=true left=false stale=false"}},
		{"member.update", told{typ: memberUpdate, user: user2, data: person(user2, `"Zoë"`, `"15","14"`)}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="Zoë" roles=14,15 active=true left=false stale=false`}},
		{"member.leave", told{typ: memberLeave, user: user2, data: `{"guild_id":"700000000000000010","user":{"id":"800000000000000002","username":"u2"}}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="Zoë" roles=14,15 active=false left=true stale=false`}},
		{"shard.gap", told{typ: shardGap, data: `{"reason":"session_lost"}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=true`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="Zoë" roles=14,15 active=false left=true stale=false`}},
		{"guild.available too large for NATS ends no gap", told{typ: guildAvailable, data: `{"drover_oversize":9000000}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=true`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="Zoë" roles=14,15 active=false left=true stale=false`}},
		{"guild.available of a large guild after a gap marks who is not listed", told{typ: guildAvailable, data: create("Barn", 5000, person(user2, `null`, ``))}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=true left=false stale=true`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles= active=true left=false stale=false`}},
		{"guild.available with all members says who has left", told{typ: guildAvailable, data: create("Barn", 1, person(user2, `null`, `"16"`))}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=false left=true stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=16 active=true left=false stale=false`}},
		{"guild.unavailable changes nothing", told{typ: "guild.unavailable", data: `{"id":"700000000000000010","unavailable":true}`}, []string{
			`700000000000000010 "Barn" active=true shard=2 stale=false`,
			`700000000000000010/800000000000000001 "u1" nick="-" roles= active=false left=true stale=false`,
			`700000000000000010/800000000000000002 "u2" nick="-" roles=16 active=true left=false stale=false`}},
	} {
		step.e.shard = 2
		if step.e.typ != shardGap {
			step.e.guild = guild1
		}
		r.send(step.e, true)
		r.settled("worker")
		differ(t, step.name, r.tables(), step.want)
	}
	want := []string{"community.here", "community.here", "community.here", "community.here", "community.here", "community.leave", "community.stale", "community.update",
		"profile.join", "profile.leave", "profile.leave", "profile.update", "profile.update"}
	differ(t, "audit log", r.audits(), want)
	if got := r.query("SELECT DISTINCT actor_type || ' ' || actor FROM audit_logs"); !slices.Equal(got, []string{"system drover worker"}) {
		t.Errorf("got %v, want the worker alone", got)
	}
}

func TestWorker_an_event_that_is_stored_a_second_time_never_brings_old_state_back(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{})
	old := r.publish(told{typ: memberUpdate, guild: guild1, user: user1, data: person(user1, `"old"`, `"11"`)})
	r.publish(told{typ: memberUpdate, guild: guild1, user: user1, data: person(user1, `"new"`, `"12"`)})
	r.settled("worker")
	r.send(old, false) // beyond the duplicate window JetStream would take it again, with a new position
	r.settled("worker")
	r.equal()
	if got := w.meters.of("duplicate"); got != 1 {
		t.Errorf("got %d duplicates, want 1", got)
	}
}

func TestWorker_what_another_consumer_of_the_durable_took_and_never_acknowledged_comes_late_and_changes_nothing_newer(t *testing.T) {
	r := newRig(t)
	// The durable is made by a worker, which then stops.
	maker := r.start(Options{AckWait: time.Second})
	waitFor(t, "the consumer", func() bool { return maker.Status().Ready })
	maker.stop()
	r.publish(told{typ: memberJoin, guild: guild1, user: user1, data: person(user1, `"first"`, `"11"`)})
	r.publish(told{typ: memberLeave, guild: guild1, user: user2, data: `{"guild_id":"700000000000000010","user":{"id":"800000000000000002","username":"u2"}}`})
	r.stored()
	cons, err := r.broker.JetStream().Consumer(t.Context(), "EVENTS", "worker")
	if err != nil {
		t.Fatal(err)
	}
	taken, err := cons.Fetch(2) // a worker that dies with them
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range taken.Messages() {
		n++
	}
	if n != 2 {
		t.Fatalf("took %d, want 2", n)
	}
	w := r.start(Options{AckWait: time.Second})
	r.send(told{typ: memberUpdate, guild: guild1, user: user1, data: person(user1, `"second"`, `"12"`)}, true)
	r.send(told{typ: memberJoin, guild: guild1, user: user2, data: person(user2, `"back"`, `"13"`)}, true)
	waitFor(t, "the newer ones", func() bool { return w.meters.of("applied") == 2 })
	r.settled("worker")
	differ(t, "tables", r.tables(), []string{
		`700000000000000010 "" active=true shard=0 stale=false`,
		`700000000000000010/800000000000000001 "u1" nick="second" roles=12 active=true left=false stale=false`,
		`700000000000000010/800000000000000002 "u2" nick="back" roles=13 active=true left=false stale=false`,
	})
	if got := w.meters.of("superseded"); got != 2 {
		t.Errorf("got %d superseded, want the 2 that came late", got)
	}
	differ(t, "audit log", r.audits(), []string{"profile.join", "profile.join", "profile.leave", "profile.update"})
}

func TestWorker_poison_goes_to_the_dead_letters_and_holds_up_nobody(t *testing.T) {
	r := newRig(t)
	r.query("ALTER TABLE profiles ADD CONSTRAINT no_such_nick CHECK (nick <> 'no such nick')") // what only the database refuses
	r.start(Options{Prefix: ""})
	envelope := func(typ, guild, user, data string) []byte {
		return fmt.Appendf(nil, `{"event_id":"%s","event_type":"%s","shard_id":1,"timestamp":1770000000000,"guild_id":%s,"channel_id":null,"user_id":%s,"data":%s}`,
			messages.EventID("poison", rand.Int64()), typ, guild, user, data)
	}
	good := `"700000000000000010"`
	cases := []struct {
		name, typ string
		body      []byte
		class     string
		reason    string
	}{
		{"no JSON", memberJoin, []byte(`{"event_id`), DeadEnvelope, "JSON"},
		{"no id", memberJoin, []byte(`{"event_id":"x","event_type":"member.join","shard_id":1,"timestamp":1,"guild_id":"1","data":{}}`), DeadEnvelope, "event_id"},
		{"another type", memberJoin, envelope(memberLeave, good, "null", `{}`), DeadEnvelope, "subject"},
		{"a shard below 0", memberJoin, bytes.Replace(envelope(memberJoin, good, "null", `{}`), []byte(`"shard_id":1`), []byte(`"shard_id":-1`), 1), DeadEnvelope, "shard_id"},
		{"a time that cannot be", memberJoin, bytes.Replace(envelope(memberJoin, good, "null", `{}`), []byte(`1770000000000`), []byte(`999999999999999999`), 1), DeadEnvelope, "timestamp"},
		{"no guild", memberJoin, envelope(memberJoin, "null", "null", `{}`), DeadIDs, "guild_id"},
		{"a guild of 0", memberJoin, envelope(memberJoin, `"0"`, "null", `{}`), DeadIDs, "guild_id"},
		{"a guild beyond 63 bits", memberJoin, envelope(memberJoin, `"9223372036854775808"`, "null", `{}`), DeadIDs, "guild_id"},
		{"two guilds", guildUpdate, envelope(guildUpdate, good, "null", `{"id":"5","name":"x"}`), DeadIDs, "guild_id"},
		{"no user", memberJoin, envelope(memberJoin, good, "null", `{"nick":null}`), DeadIDs, "user"},
		{"two users", memberJoin, envelope(memberJoin, good, `"5"`, person(user1, "null", "")), DeadIDs, "user_id"},
		{"a role that is none", memberJoin, envelope(memberJoin, good, "null", person(user1, "null", `"admin"`)), DeadIDs, "role"},
		{"a time in words", memberJoin, envelope(memberJoin, good, "null", `{"user":{"id":"5","username":"x"},"joined_at":"yesterday"}`), DeadData, "joined_at"},
		{"data of another kind", guildUpdate, envelope(guildUpdate, good, "null", `[1]`), DeadData, "byte"},
		{"a time that PostgreSQL cannot hold", memberJoin, envelope(memberJoin, good, "null", `{"user":{"id":"5","username":"x"},"joined_at":"0000-01-01T00:00:00Z"}`), DeadData, "joined_at"},
		{"what a constraint refuses", memberUpdate, envelope(memberUpdate, good, "null", person(user1, `"no such nick"`, ``)), DeadDatabase, "SQLSTATE 23514"},
	}
	for _, c := range cases {
		r.raw("events."+c.typ, c.body, "", false)
		// Of the same guild, in the same batch: it must not suffer.
		r.publish(told{typ: memberUpdate, guild: guild1, user: user2, data: person(user2, `"`+c.class+`"`, `"17"`)})
	}
	r.settled("worker")
	r.equal()
	letters := r.dead("DEAD")
	if len(letters) != len(cases) {
		t.Fatalf("got %d dead letters, want %d", len(letters), len(cases))
	}
	for _, c := range cases {
		i := slices.IndexFunc(letters, func(m *jetstream.RawStreamMsg) bool { return bytes.Equal(m.Data, c.body) })
		if i < 0 {
			t.Errorf("%s: there is no such dead letter", c.name)
			continue
		}
		h := letters[i].Header
		if h.Get(HeaderDeadClass) != c.class || !strings.Contains(h.Get(HeaderDeadReason), c.reason) || letters[i].Subject != "dead.events."+c.typ ||
			h.Get(HeaderDeadStream) != "EVENTS" || h.Get(HeaderDeadSeq) == "" || h.Get(messages.HeaderEvent) != "TEST" {
			t.Errorf("%s: got %s %v, want %s with %q", c.name, letters[i].Subject, h, c.class, c.reason)
		}
	}
}

func TestWorker_goes_on_when_NATS_comes_back(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{AckWait: time.Second, Batch: 16})
	for part := range slices.Chunk(traffic(seeded(t), 300, 5, 8), 150) {
		begin := w.meters.of("changes")
		for _, e := range part {
			r.publish(e)
		}
		waitFor(t, "work", func() bool { return w.meters.of("changes") > begin })
		r.restartNATS()
	}
	r.settled("worker")
	r.same()
}

func TestWorker_a_missing_grant_is_no_poison_and_shows_at_ready_until_somebody_gives_it(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{})
	waitFor(t, "a worker that is ready", func() bool { return w.Status().Ready })
	r.query("REVOKE INSERT ON audit_logs FROM app_system")
	for _, e := range traffic(seeded(t), 50, 3, 5) {
		if e.typ != shardGap {
			r.publish(e)
		}
	}
	waitFor(t, "events given back", func() bool { return w.meters.of("retry setup") > 5 })
	if s := w.Status(); s.Ready || !strings.Contains(strings.Join(s.Reasons, ";"), "audit_logs") {
		t.Errorf("got %+v, want it not to be ready, and to say why", s)
	}
	r.query("GRANT INSERT ON audit_logs TO app_system")
	r.settled("worker")
	r.same()
	if !w.Status().Ready || w.meters.of("dead") != 0 {
		t.Errorf("got %+v and %d dead letters, want it ready and none", w.Status(), w.meters.of("dead"))
	}
}

func TestWorker_a_database_that_is_away_for_a_while_costs_nothing(t *testing.T) {
	t.Parallel()
	srv, err := localdb.Start(t.Context(), localdb.Options{}) // of its own: others need theirs
	if errors.Is(err, localdb.ErrNotInstalled) {
		t.Skipf("%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	for _, err := range []error{srv.CreateDatabase(t.Context(), "migrated", ""), store.Up(t.Context(), srv.OwnerURL("migrated")), srv.EnableLogins(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r := rigOn(t, srv)
	w := r.start(Options{AckWait: time.Second, Batch: 20})
	events := traffic(seeded(t), 300, 5, 8)
	flood := func(part []told) {
		for _, e := range part {
			r.publish(e)
		}
	}
	flood(events[:100])
	srv.StopPostgres()
	flood(events[100:200])
	waitFor(t, "the worker to notice", func() bool { s := w.Status(); return s.Live && !s.Ready && !s.DatabaseConnected })
	if err := srv.StartPostgres(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the worker to be ready", func() bool { return w.Status().Ready })
	srv.StopPool()
	flood(events[200:])
	waitFor(t, "the worker to notice", func() bool { return !w.Status().DatabaseConnected })
	if err := srv.StartPool(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.settled("worker")
	waitFor(t, "the worker to be ready", func() bool { return w.Status().Ready })
	r.same()
	if w.meters.of("retry away") == 0 || w.meters.of("dead") != 0 {
		t.Errorf("got %v, want events given back and no dead letters", w.meters.n)
	}
}

// unsure is a database whose answer to a commit is lost now and then: nobody knows then whether it was committed.
type unsure struct {
	Store
	calls atomic.Int64
}

func (u *unsure) Apply(ctx context.Context, guildID uint64, changes []store.Change) ([]store.Outcome, error) {
	outcomes, err := u.Store.Apply(ctx, guildID, changes)
	if n := u.calls.Add(1); n < 20 && n%3 == 1 && err == nil {
		return nil, errors.New("the test lost the answer")
	}
	return outcomes, err
}

func TestWorker_a_commit_whose_answer_is_lost_is_not_repeated(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{Store: &unsure{Store: r.store()}, Batch: 10})
	for _, e := range traffic(seeded(t), 300, 4, 6) {
		r.publish(e)
	}
	r.settled("worker")
	r.same()
	if w.meters.of("duplicate") == 0 || w.meters.of("retry away") == 0 {
		t.Errorf("got %v, want events given back and found to be applied", w.meters.n)
	}
}

func TestWorker_two_of_one_durable_share_the_events_and_come_to_the_same(t *testing.T) {
	r := newRig(t)
	one, two := r.start(Options{Batch: 8}), r.start(Options{Batch: 8})
	waitFor(t, "both at work", func() bool { return one.Status().Ready && two.Status().Ready })
	for _, e := range traffic(seeded(t), 800, 4, 10) {
		r.publish(e)
	}
	r.settled("worker")
	r.same()
	a, b := one.meters.of("changes"), two.meters.of("changes")
	if a == 0 || b == 0 {
		t.Errorf("got %d and %d changes, want both to have worked", a, b)
	}
	t.Logf("%d and %d changes, %d superseded, %d duplicates", a, b, one.meters.of("superseded")+two.meters.of("superseded"), one.meters.of("duplicate")+two.meters.of("duplicate"))
}

func TestWorker_with_a_prefix_has_names_of_its_own(t *testing.T) {
	r := newRig(t)
	bot := r.connect("bot")
	if err := bot.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.start(Options{Prefix: "bot"})
	r.raw("bot.events."+memberJoin, []byte("x"), "", false)
	waitFor(t, "a dead letter", func() bool {
		s, err := r.broker.JetStream().Stream(t.Context(), "bot_DEAD")
		return err == nil && s.CachedInfo().State.Msgs == 1
	})
	if got := r.dead("bot_DEAD")[0].Subject; got != "bot.dead.events.member.join" {
		t.Errorf("got %s", got)
	}
	if _, err := r.broker.JetStream().Consumer(t.Context(), "bot_EVENTS", "bot_worker"); err != nil {
		t.Error(err)
	}
}

// What is in hand is acknowledged. What the server sends to a subscription that has just ended reaches nobody: it counts as unacknowledged, but the server queues it
// again by itself. Whatever else were left would come only after AckWait, for which this test does not wait.
func TestWorker_ends_with_everything_acknowledged_or_given_back(t *testing.T) {
	r := newRig(t)
	long := 10 * time.Minute
	first := r.start(Options{Batch: 16, AckWait: long})
	for _, e := range traffic(seeded(t), 500, 5, 8) {
		r.publish(e)
	}
	waitFor(t, "work", func() bool { return first.meters.of("changes") > 100 })
	first.stop() // fails the test if the drain fails
	cons, err := r.broker.JetStream().Consumer(t.Context(), "EVENTS", "worker")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events are unacknowledged behind the drain", cons.CachedInfo().NumAckPending)
	r.start(Options{AckWait: long})
	r.settled("worker")
	r.equal()
}

func TestWorker_events_that_the_stream_threw_away_unread_make_every_community_stale(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{})
	r.publish(told{typ: guildJoin, guild: guild1, shard: 1, data: create("Farm", 1, person(user1, "null", ""))})
	r.settled("worker")
	waitFor(t, "its progress to be noted", func() bool {
		return len(r.query("SELECT name FROM worker_state WHERE name = 'EVENTS/worker'")) == 1
	})
	w.stop()
	r.send(told{typ: memberLeave, guild: guild1, user: user1, data: person(user1, "null", "")}, true)
	r.stored()
	s, err := r.broker.JetStream().Stream(t.Context(), "EVENTS")
	if err == nil {
		err = s.Purge(t.Context()) // as its age would have done
	}
	if err != nil {
		t.Fatal(err)
	}
	late := &unhurried{Store: r.store()}
	r.start(Options{Store: late})
	waitFor(t, "a stale community", func() bool {
		return len(r.query("SELECT guild_id::text FROM communities WHERE stale_since IS NOT NULL")) == 1
	})
	if got := r.query("SELECT metadata ->> 'reason' FROM audit_logs WHERE action = 'community.stale'"); !slices.Equal(got, []string{ReasonLate}) {
		t.Errorf("got %v, want %s", got, ReasonLate)
	}
	if late.hurried.Load() {
		t.Error("all communities have to be marked within a time that knows nothing of how many there are")
	}
}

// unhurried sees whether marking has a deadline.
type unhurried struct {
	Store
	hurried atomic.Bool
}

func (u *unhurried) MarkStale(ctx context.Context, g store.Gap, width int, progress func()) (int, error) {
	if _, limited := ctx.Deadline(); limited {
		u.hurried.Store(true)
	}
	return u.Store.MarkStale(ctx, g, width, progress)
}

// slow is a database that takes as long as the test wants.
type slow struct {
	Store
	free chan struct{} // closed: it works
}

func (s *slow) Apply(ctx context.Context, guildID uint64, changes []store.Change) ([]store.Outcome, error) {
	select {
	case <-s.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Store.Apply(ctx, guildID, changes)
}

func TestWorker_is_not_stuck_when_nobody_has_asked_for_long_and_a_transaction_is_under_way(t *testing.T) {
	r := newRig(t)
	s := &slow{Store: r.store(), free: make(chan struct{})}
	w := r.start(Options{Store: s})
	r.send(told{typ: guildUpdate, guild: guild1, data: `{"id":"700000000000000010","name":"x"}`}, true)
	waitFor(t, "an event in hand", func() bool { return w.hand.Load() == 1 })
	if got := w.Status(); !got.Live { // the first time that anybody asks
		t.Errorf("got %v, want it to be alive", got.Reasons)
	}
	close(s.free)
	r.settled("worker")
}

// steady notes whether marking a community counts as progress.
type steady struct {
	Store
	w     *Worker
	moved atomic.Bool
}

func (s *steady) MarkStale(_ context.Context, _ store.Gap, _ int, progress func()) (int, error) {
	before := s.w.finished.Load()
	progress()
	s.moved.Store(s.w.finished.Load() > before)
	return 1, nil
}

func TestWorker_that_marks_communities_for_long_is_not_stuck(t *testing.T) {
	r := newRig(t)
	s := &steady{Store: r.store()}
	w, err := New(Options{Broker: r.broker, Store: s})
	if err != nil {
		t.Fatal(err)
	}
	s.w = w
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }() // ends with ctx
	r.send(told{typ: shardGap, data: `{"reason":"shed"}`}, true)
	r.settled("worker")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !s.moved.Load() {
		t.Error("a community that was marked is no progress: /health would fail after a while")
	}
}

func TestWorker_a_database_without_the_tables_is_not_ready_and_gets_no_events(t *testing.T) {
	r := newRig(t)
	r.query("ALTER TABLE worker_state RENAME TO elsewhere") // as if nobody had migrated
	w := r.start(Options{})
	waitFor(t, "the reason at /ready", func() bool {
		s := w.Status()
		return s.Live && !s.Ready && strings.Contains(strings.Join(s.Reasons, ";"), "worker_state")
	})
	r.query("ALTER TABLE elsewhere RENAME TO worker_state")
	waitFor(t, "the worker to be ready", func() bool { return w.Status().Ready })
}

func TestWorker_says_when_its_stream_comes_from_a_clock_that_is_behind(t *testing.T) {
	r := newRig(t)
	r.query("INSERT INTO worker_state (name, position) VALUES ('EVENTS/worker', $1)", time.Now().Add(time.Hour).UnixNano())
	w := r.start(Options{})
	waitFor(t, "the reason at /ready", func() bool {
		s := w.Status()
		return s.Live && !s.Ready && strings.Contains(strings.Join(s.Reasons, ";"), "clock of the NATS server")
	})
}

func TestWorker_leaves_a_stream_alone_that_only_has_the_name_of_its_dead_letters(t *testing.T) {
	r := newRig(t)
	js := r.broker.JetStream()
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"parrots.>"}, MaxAge: 8760 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	w := r.start(Options{})
	waitFor(t, "the reason at /ready", func() bool { return strings.Contains(strings.Join(w.Status().Reasons, ";"), "worker.dead.name") })
	info, err := s.Info(t.Context())
	if err != nil || info.Config.MaxAge != 8760*time.Hour || info.Config.MaxBytes != -1 {
		t.Errorf("got %+v, %v, want the stream as it was", info, err)
	}
	// One of the operator's that takes our letters among others is ours too.
	other := s.CachedInfo().Config
	other.Subjects = []string{"parrots.>", "dead.events.>"}
	if _, err := js.UpdateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the worker to be ready", func() bool { return w.Status().Ready })
	r.raw("events."+memberJoin, []byte("x"), "", false)
	r.settled("worker")
	if got := r.dead("DEAD"); len(got) != 1 {
		t.Errorf("got %d letters, want 1", len(got))
	}
}

func TestWorker_a_dead_letter_that_the_stream_has_no_room_for_leaves_its_headers(t *testing.T) {
	r := newRig(t)
	r.start(Options{Dead: DeadOptions{MaxBytes: 8192}})
	r.raw("events."+memberJoin, []byte("short"), "", false)
	r.raw("events."+memberJoin, bytes.Repeat([]byte("long"), 3000), "", false)
	r.settled("worker")
	letters := r.dead("DEAD")
	if len(letters) != 2 {
		t.Fatalf("got %d letters, want 2", len(letters))
	}
	if long := letters[1]; len(long.Data) != 0 || long.Header.Get(HeaderDeadBytes) != "12000" || long.Header.Get(HeaderDeadReason) == "" {
		t.Errorf("got %d bytes and %v, want the headers alone", len(long.Data), long.Header)
	}
}

func TestWorker_holds_no_more_bytes_than_it_has_room_for(t *testing.T) {
	const size, guilds, most = 20_000, 40, 5
	r := newRig(t)
	s := &slow{Store: r.store(), free: make(chan struct{})}
	for i := range uint64(guilds) {
		guild := guild1 + i<<22
		r.publish(told{typ: guildUpdate, guild: guild, data: fmt.Sprintf(`{"id":"%d","name":"x","description":%q}`, guild, strings.Repeat("x", size))})
	}
	r.stored()
	w := r.start(Options{Store: s, InHandBytes: most * (size + 1000), Concurrency: 4})
	peak := int64(0)
	look := func() { peak = max(peak, w.hand.Load()) }
	waitFor(t, "all to be delivered, and some in hand", func() bool {
		look()
		cons, err := r.broker.JetStream().Consumer(t.Context(), "EVENTS", "worker")
		return err == nil && cons.CachedInfo().NumAckPending == guilds && w.hand.Load() >= most
	})
	close(s.free)
	waitFor(t, "all of it", func() bool { look(); return r.empty() })
	r.equal()
	if peak > most {
		t.Errorf("got %d events in hand at once, want at most %d", peak, most)
	}
	// One that is larger than all of the room is worked on too.
	r.publish(told{typ: guildUpdate, guild: guild1, data: fmt.Sprintf(`{"id":"%d","name":"y","description":%q}`, uint64(guild1), strings.Repeat("x", 10*size))})
	r.settled("worker")
	r.equal()
}

func TestWorker_a_stream_that_is_made_again_is_read_from_its_beginning(t *testing.T) {
	r := newRig(t)
	w := r.start(Options{})
	for range 20 { // so that the numbers of the new stream are below those of the old one
		r.publish(told{typ: memberUpdate, guild: guild1, user: user1, data: person(user1, `"before"`, "")})
	}
	r.settled("worker")
	js := r.broker.JetStream()
	if err := js.DeleteStream(t.Context(), "EVENTS"); err != nil {
		t.Fatal(err)
	}
	if err := r.broker.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.publish(told{typ: memberUpdate, guild: guild1, user: user1, data: person(user1, `"after"`, "")})
	waitFor(t, "the event of the new stream", func() bool { return w.meters.of("applied") == 21 })
	r.equal()
}

func BenchmarkWorker(b *testing.B) {
	for _, guilds := range []int{10, 1000} {
		b.Run(fmt.Sprintf("%d_guilds", guilds), func(b *testing.B) {
			r := newRig(b)
			rnd := rand.New(rand.NewPCG(1, 1))
			events := traffic(rnd, b.N, guilds, 50)
			for _, e := range events {
				if e.typ != shardGap {
					r.send(e, true)
				}
			}
			r.stored()
			b.ResetTimer()
			w := r.start(Options{})
			waitFor(b, "all of it", func() bool { return w.Status().InHand == 0 && w.meters.of("changes") > 0 && r.empty() })
			b.StopTimer()
			b.ReportMetric(float64(w.meters.of("changes"))/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(w.meters.of("changes"))/float64(w.meters.of("transactions")), "events/tx")
		})
	}
}
