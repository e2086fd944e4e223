package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	guildA = uint64(700000000000000001)
	guildB = uint64(700000000000000002)
)

// asked runs a query as a superuser and returns its one column.
func asked(t testing.TB, database, sql string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.OwnerURL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func community(t testing.TB, s *Store, guild uint64) {
	t.Helper()
	err := s.WithTenant(t.Context(), CommunityID(guild), func(ctx context.Context, tx *Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO communities (id, guild_id) VALUES ($1::uuid, $2)", tx.Community(), int64(guild))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWithTenant_sees_its_own_rows_alone_and_leaves_nothing_behind_in_a_pool_of_one(t *testing.T) {
	database := newDatabase(t)
	s, err := Open(t.Context(), Options{URL: server.PoolOfOneURL("app_worker", database), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	community(t, s, guildA)
	community(t, s, guildB)
	for _, guild := range []uint64{guildA, guildB} {
		err := s.WithTenant(t.Context(), CommunityID(guild), func(ctx context.Context, tx *Tx) error {
			rows, err := tx.Query(ctx, "SELECT guild_id FROM communities")
			if err != nil {
				return err
			}
			defer rows.Close()
			var got []int64
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return err
				}
				got = append(got, id)
			}
			if !slices.Equal(got, []int64{int64(guild)}) {
				t.Errorf("got %v, want %d alone", got, guild)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// The same server connection, outside of a tenant's transaction: no role, no tenant, no time-out of ours.
	var role, tenant, timeout string
	err = s.pool.QueryRow(t.Context(), "SELECT current_user, coalesce(current_setting('app.current_tenant', true), ''), current_setting('statement_timeout')").Scan(&role, &tenant, &timeout)
	if err != nil || role != "app_worker" || tenant != "" || timeout != "0" {
		t.Errorf("got %q, %q, %q, %v, want app_worker, no tenant, 0", role, tenant, timeout, err)
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM profiles").Scan(&left); err == nil {
		t.Errorf("the login role itself could read profiles (%d rows)", left)
	}
}

func TestAudit_is_written_in_the_same_transaction_and_gives_the_role_back(t *testing.T) {
	s, database := open(t, nil)
	community(t, s, guildA)
	fails := errors.New("the test wants it undone")
	for _, want := range []error{nil, fails} {
		err := s.WithTenant(t.Context(), CommunityID(guildA), func(ctx context.Context, tx *Tx) error {
			if err := tx.Audit(ctx, Audit{ID: derivedID("a", fmt.Sprint(want)), At: time.Now(), ActorType: "system", Actor: "test", Action: "test.done", Metadata: map[string]any{"n": 1}}); err != nil {
				return err
			}
			if n, err := tx.Exec(ctx, "UPDATE communities SET name = 'x'"); err != nil || n != 1 {
				t.Errorf("after the audit: got %d rows, %v, want the tenant's one", n, err)
			}
			if _, err := tx.Exec(ctx, "SAVEPOINT a"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ($1::uuid, 'user', 'me', 'forged')", tx.Community())
			if ClassOf(err) != Setup {
				t.Errorf("got %v, want the tenant's role to have no right to write audit rows", err)
			}
			if _, err := tx.Exec(ctx, "ROLLBACK TO a"); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	if got := asked(t, database, "SELECT action || ' ' || (metadata ->> 'n') FROM audit_logs"); !slices.Equal(got, []string{"test.done 1"}) {
		t.Errorf("got %v, want the committed row alone", got)
	}
}

func TestWithTenant_tries_a_deadlock_again_and_nothing_else(t *testing.T) {
	var mu sync.Mutex
	var retried []error
	s, database := open(t, func(o *Options) {
		o.OnRetry = func(err error) { mu.Lock(); defer mu.Unlock(); retried = append(retried, err) }
	})
	community(t, s, guildA)
	for _, user := range []int64{1, 2} {
		_, err := s.Apply(t.Context(), guildA, []Change{{EventID: derivedID("u", fmt.Sprint(user)), EventType: "member.join", Kind: MemberHere, Position: user, At: time.Now(), Members: []Member{{UserID: user}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a deadlock", func(t *testing.T) {
		var met sync.WaitGroup // both have their first lock before either asks for its second
		met.Add(2)
		var once [2]sync.Once
		var wg sync.WaitGroup
		for i, order := range [][]int64{{1, 2}, {2, 1}} {
			wg.Go(func() {
				err := s.WithTenant(t.Context(), CommunityID(guildA), func(ctx context.Context, tx *Tx) error {
					for n, user := range order {
						if n == 1 {
							once[i].Do(func() { met.Done(); met.Wait() })
						}
						if _, err := tx.Exec(ctx, "UPDATE profiles SET current_rank = coalesce(current_rank, 0) + 1 WHERE user_id = $1", user); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := asked(t, database, "SELECT current_rank::text FROM profiles ORDER BY user_id"); !slices.Equal(got, []string{"2", "2"}) {
			t.Errorf("got %v, want both transactions in effect once", got)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(retried) == 0 || ClassOf(retried[0]) != Conflict {
			t.Errorf("got retries %v, want one over a deadlock", retried)
		}
	})
	t.Run("a constraint", func(t *testing.T) {
		calls := 0
		err := s.WithTenant(t.Context(), CommunityID(guildA), func(ctx context.Context, tx *Tx) error {
			calls++
			_, err := tx.Exec(ctx, "INSERT INTO communities (id, guild_id) VALUES ($1::uuid, 1)", tx.Community())
			return err
		})
		if calls != 1 || ClassOf(err) != Permanent {
			t.Errorf("got %d calls, %v, want one and a permanent error", calls, err)
		}
	})
	t.Run("no end of them", func(t *testing.T) {
		calls := 0
		err := s.WithTenant(t.Context(), CommunityID(guildA), func(context.Context, *Tx) error {
			calls++
			return &pgconn.PgError{Code: "40001"}
		})
		if calls != DefaultAttempts || ClassOf(err) != Conflict {
			t.Errorf("got %d calls, %v, want %d and a conflict", calls, err, DefaultAttempts)
		}
	})
}

func TestClassOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want Class
	}{
		{"unique", &pgconn.PgError{Code: "23505"}, Permanent},
		{"text with a NUL", fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: "22P05"}), Permanent},
		{"deadlock", &pgconn.PgError{Code: "40P01"}, Conflict},
		{"serialization", &pgconn.PgError{Code: "40001"}, Conflict},
		{"no table", &pgconn.PgError{Code: "42P01"}, Setup},
		{"no right", &pgconn.PgError{Code: "42501"}, Setup},
		{"no such login", &pgconn.PgError{Code: "28P01"}, Setup},
		{"PgBouncer has none", &pgconn.PgError{Code: "08P01"}, Away},
		{"statement timeout", &pgconn.PgError{Code: "57014"}, Away},
		{"shutdown", &pgconn.PgError{Code: "57P01"}, Away},
		{"disk full", &pgconn.PgError{Code: "53100"}, Away},
		{"no connection", errors.New("dial tcp: refused"), Away},
		{"time", context.DeadlineExceeded, Away},
	} {
		if got := ClassOf(tt.err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOpen_never_shows_the_password(t *testing.T) {
	const secret = "hunter2 with/blank"
	for _, address := range []string{
		"postgres://me:hunter2 with/blank@host/db", "postgres://me:hunter2%20with%2Fblank@host:port/db", "host=h password='hunter2 with/blank' port=x",
		"postgres://me:hunter2%20with%2Fblank@127.0.0.1:1/db?sslmode=disable",
	} {
		s, err := Open(t.Context(), Options{URL: address, ConnectTimeout: time.Second})
		if err == nil {
			err = s.Ping(t.Context())
			s.Close()
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("got %v, want an error without the password", err)
		}
	}
	s, err := Open(t.Context(), Options{URL: strings.Replace(server.PoolURL("app_worker", newDatabase(t)), server.Password(), "wrong-password-0815", 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "0815") {
		t.Errorf("got %v, want a refusal without the password", err)
	}
}

func TestOpen_asks_for_TLS_as_the_URL_says(t *testing.T) {
	database := newDatabase(t)
	// The pool of these tests has no TLS: who demands it must not get a connection without.
	s, err := Open(t.Context(), Options{URL: strings.Replace(server.PoolURL("app_worker", database), "sslmode=disable", "sslmode=require", 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("got %v, want a refusal over TLS", err)
	}
}

// history makes changes of two guilds as a stream would hold them.
func history(rnd *rand.Rand, n int) []Change {
	out := make([]Change, n)
	for i := range out {
		c := Change{EventID: derivedID("h", fmt.Sprint(i)), Position: int64(i + 1), At: time.UnixMilli(1770000000000 + int64(i)*1000), ShardID: 3}
		m := Member{UserID: 1 + rnd.Int64N(4), Username: fmt.Sprintf("u%d", i), Roles: []int64{int64(i + 1)}}
		if nick := fmt.Sprintf("n%d", i); rnd.IntN(2) == 0 {
			m.Nick = &nick
		}
		name := fmt.Sprintf("name %d", i)
		switch rnd.IntN(8) {
		case 0:
			c.EventType, c.Kind = "guild.leave", CommunityLeft
		case 1:
			c.EventType, c.Kind, c.Name = "guild.update", CommunityRenamed, &name
		case 2:
			c.EventType, c.Kind, c.Name, c.Listed = "guild.available", CommunityHere, &name, true
			c.Members, c.Complete = []Member{m}, rnd.IntN(2) == 0
		case 3:
			c.EventType, c.Kind = "guild.join", CommunityHere
		case 4:
			c.EventType, c.Kind, c.Members = "member.leave", MemberLeft, []Member{m}
		default:
			c.EventType, c.Kind, c.Members = "member.update", MemberHere, []Member{m}
		}
		out[i] = c
	}
	return out
}

// When somebody left whom only a list of all members told of, and by which of several, may differ; not that they left.
func TestApply_comes_to_the_same_in_any_order_and_any_number_of_times(t *testing.T) {
	s, database := open(t, nil)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	for round := range 6 {
		changes := history(rnd, 60)
		straight, mixed := guildA+uint64(round)*10, guildA+uint64(round)*10+1
		if _, err := s.Apply(t.Context(), straight, changes); err != nil {
			t.Fatal(err)
		}
		shuffled := append(slices.Clone(changes), changes[:20]...)
		rnd.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		applied := 0
		for part := range slices.Chunk(shuffled, 7) {
			outcomes, err := s.Apply(t.Context(), mixed, part)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range outcomes {
				if o != Duplicate {
					applied++
				}
			}
		}
		if applied != len(changes) {
			t.Errorf("got %d changes taken, want each of %d once", applied, len(changes))
		}
		for _, table := range []struct{ name, sql string }{
			{"communities", `SELECT (to_jsonb(c) - 'id' - 'guild_id' - 'created_at' - 'updated_at' - 'joined_at' - 'event_at' - 'reconciled_at')::text FROM communities c WHERE guild_id = $1`},
			{"profiles", `SELECT (to_jsonb(p) - 'id' - 'community_id' - 'created_at' - 'updated_at' - 'event_at' - 'left_at' - 'member_position')::text FROM profiles p WHERE community_id = app_community_id($1) ORDER BY user_id`},
			{"audit_logs", `SELECT id::text || action FROM audit_logs WHERE community_id = app_community_id($1) AND NOT metadata ? 'reconciled' ORDER BY id`},
		} {
			got, want := asked(t, database, table.sql, int64(mixed)), asked(t, database, table.sql, int64(straight))
			if !slices.Equal(got, want) {
				t.Errorf("round %d: %s: got\n%s\nwant\n%s", round, table.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

func TestApply_of_one_guild_by_many_at_once_takes_each_change_once(t *testing.T) {
	s, database := open(t, nil)
	changes := history(rand.New(rand.NewPCG(1, 1)), 120)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for i := range 6 {
		wg.Go(func() {
			for part := range slices.Chunk(changes[i*10:], 15) {
				outcomes, err := s.Apply(context.Background(), guildA, part)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, o := range outcomes {
					if o != Duplicate {
						taken++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if taken != len(changes) {
		t.Errorf("got %d taken, want %d", taken, len(changes))
	}
	if got := asked(t, database, "SELECT count(*)::text FROM applied_events"); got[0] != fmt.Sprint(len(changes)) {
		t.Errorf("got %s ids, want %d", got[0], len(changes))
	}
}

func TestMarkStale_marks_once_and_what_an_error_left_over_later(t *testing.T) {
	s, database := open(t, nil)
	for i := range uint64(10) {
		if _, err := s.Apply(t.Context(), guildA+i, []Change{{EventID: derivedID("g", fmt.Sprint(i)), EventType: "guild.join", Kind: CommunityHere, Position: 5, At: time.Now(), ShardID: int(i % 2), Listed: true}}); err != nil {
			t.Fatal(err)
		}
	}
	gap := Gap{EventID: derivedID("gap", ""), ShardID: 1, Position: 10, At: time.Now(), Reason: "session_lost"}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := s.MarkStale(ctx, gap, 1, cancel) // the first one that is marked ends it
	if err == nil || first != 1 {
		t.Fatalf("got %d, %v, want 1 and an error", first, err)
	}
	rest, err := s.MarkStale(t.Context(), gap, 4, nil)
	if err != nil || rest != 4 {
		t.Fatalf("got %d, %v, want the other 4", rest, err)
	}
	if again, err := s.MarkStale(t.Context(), gap, 4, nil); err != nil || again != 0 {
		t.Fatalf("got %d, %v, want none", again, err)
	}
	got := asked(t, database, "SELECT shard_id || ' ' || count(stale_since) FROM communities GROUP BY shard_id ORDER BY 1")
	if !slices.Equal(got, []string{"0 0", "1 5"}) {
		t.Errorf("got %v, want the five of shard 1", got)
	}
	if got := asked(t, database, "SELECT count(*)::text FROM audit_logs WHERE action = 'community.stale'"); got[0] != "5" {
		t.Errorf("got %s audit rows, want 5", got[0])
	}
}

func TestProgress_never_goes_back(t *testing.T) {
	s, _ := open(t, nil)
	if got, err := s.Progress(t.Context(), "r"); got != 0 || err != nil {
		t.Fatalf("got %d, %v, want 0", got, err)
	}
	for _, p := range []int64{5, 9, 7} {
		if err := s.SetProgress(t.Context(), "r", p); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Progress(t.Context(), "r"); got != 9 || err != nil {
		t.Errorf("got %d, %v, want 9", got, err)
	}
}

// A password may be a word that errors have anyway.
func TestClean_hides_the_password_and_keeps_what_the_error_is(t *testing.T) {
	s := &Store{hide: secrets("deadlock")}
	err := s.clean("transaction", &pgconn.PgError{Severity: "ERROR", Code: "40P01", Message: "deadlock detected"})
	if ClassOf(err) != Conflict || !isConflict(err) {
		t.Errorf("got class %s, want %s", ClassOf(err), Conflict)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "deadlock") {
		t.Errorf("got %v, want the password hidden", err)
	}
}

// PostgreSQL writes a UUID in small letters, whoever wrote it how.
func TestApply_takes_an_id_in_capitals_once(t *testing.T) {
	s, database := open(t, nil)
	id := derivedID("capitals", "")
	for i, tt := range []struct {
		id   string
		want Outcome
	}{{strings.ToUpper(id), Applied}, {id, Duplicate}, {strings.ToUpper(id), Duplicate}} {
		got, err := s.Apply(t.Context(), guildA, []Change{{EventID: tt.id, EventType: "member.join", Kind: MemberHere, Position: int64(i + 1), At: time.Now(), Members: []Member{{UserID: 1}}}})
		if err != nil || got[0] != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.id, got, err, tt.want.Name())
		}
	}
	if got := asked(t, database, "SELECT (SELECT count(*) FROM profiles) || ' ' || (SELECT count(*) FROM audit_logs)"); got[0] != "1 1" {
		t.Errorf("got %s profiles and audit rows, want 1 1", got[0])
	}
}

// silent is a way to the database that stops carrying anything, without a word to either side, as when a host loses its power.
type silent struct {
	addr string
	off  atomic.Bool
}

func newSilent(t *testing.T, to string) *silent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &silent{addr: l.Addr().String()}
	var owned sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	carry := func(from, to net.Conn) {
		defer from.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			if p.off.Load() {
				<-ctx.Done()
			}
			if err != nil {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	owned.Go(func() { // ends with the listener
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			context.AfterFunc(ctx, func() { near.Close(); far.Close() })
			owned.Go(func() { carry(near, far) }) // these end with their connections, or with the test
			owned.Go(func() { carry(far, near) })
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); owned.Wait() })
	return p
}

func TestWithTenant_ends_where_the_database_falls_silent(t *testing.T) {
	database := newDatabase(t)
	u, err := url.Parse(server.PoolURL("app_worker", database))
	if err != nil {
		t.Fatal(err)
	}
	var s *Store
	t.Cleanup(func() { // after the way is cut, else it waits as long as the transaction
		if s != nil {
			s.Close()
		}
	})
	p := newSilent(t, u.Host)
	u.Host = p.addr
	s, err = Open(t.Context(), Options{URL: u.String(), ConnectTimeout: time.Second, StatementTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { // ends when the transaction does; if it does not, the test has failed
		ended <- s.WithTenant(context.Background(), CommunityID(guildA), func(ctx context.Context, tx *Tx) error {
			p.off.Store(true)
			_, err := tx.Exec(ctx, "SELECT 1")
			return err
		})
	}()
	select {
	case err := <-ended:
		if ClassOf(err) != Away {
			t.Errorf("got %v, want that the database is away", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it still waits for an answer")
	}
}
