package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"drover/system/store"
)

// steps is the number of migrations.
const steps = 6

// empty makes a database without anything of ours.
func empty(t *testing.T) string {
	t.Helper()
	return database(t, "")
}

func up(t *testing.T, m store.Migrator) []store.Migration {
	t.Helper()
	done, err := m.Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// leftovers is what of ours is in schema public.
func leftovers(t *testing.T, name string) string {
	t.Helper()
	return ask(t, owner(t, name), `SELECT concat_ws(', ',
		(SELECT string_agg(relname, ', ') FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname <> 'drover_migrations'),
		(SELECT string_agg(proname, ', ') FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
		(SELECT string_agg(policyname, ', ') FROM pg_policies),
		(SELECT 'schema foundation' FROM pg_namespace WHERE nspname = 'foundation'))`)
}

func TestMigrate_up_down_and_up_again(t *testing.T) {
	name := empty(t)
	m := store.Migrator{URL: server.OwnerURL(name)}
	if got := len(up(t, m)); got != steps {
		t.Fatalf("up: got %d migrations, want %d", got, steps)
	}
	if got := len(up(t, m)); got != 0 {
		t.Errorf("up twice: got %d migrations, want none", got)
	}
	a := newArena(t, name)
	for version := int64(steps - 1); version >= 0; version-- {
		done, err := m.Down(t.Context(), version)
		if err != nil || len(done) != 1 {
			t.Fatalf("down to %d: got %d migrations and %v, want 1", version, len(done), err)
		}
	}
	if got := leftovers(t, name); got != "" {
		t.Errorf("down to 0: left %s", got)
	}
	list, err := m.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != steps || slices.ContainsFunc(list, func(one store.Migration) bool { return !one.At.IsZero() }) {
		t.Errorf("status: got %v, want %d that are not applied", list, steps)
	}
	if got := len(up(t, m)); got != steps {
		t.Errorf("up again: got %d migrations, want %d", got, steps)
	}
	do(t, a.judge, people)
	for _, broken := range newArena(t, name).broken(t) {
		t.Error(broken)
	}
	if list, err = m.Status(t.Context()); err != nil || slices.ContainsFunc(list, func(one store.Migration) bool { return one.At.IsZero() }) {
		t.Errorf("status: got %v %v, want that all are applied", list, err)
	}
}

func TestMigrate_two_processes_at_once(t *testing.T) {
	name := empty(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	commands, outs := make([]*exec.Cmd, 2), make([]bytes.Buffer, 2)
	for i := range commands {
		commands[i] = exec.CommandContext(t.Context(), self)
		commands[i].Env = append(os.Environ(), migrateOnly+"="+server.OwnerURL(name))
		commands[i].Stdout, commands[i].Stderr = &outs[i], &outs[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for i, c := range commands {
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, outs[i].String())
		}
		got = append(got, strings.TrimSpace(outs[i].String()))
	}
	slices.Sort(got)
	if want := []string{"applied 0", fmt.Sprintf("applied %d", steps)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: one does all, the other waits", got, want)
	}
	if got := ask(t, owner(t, name), "SELECT count(*) || ' ' || count(DISTINCT version_id) FROM drover_migrations WHERE version_id > 0"); got != fmt.Sprintf("%d %d", steps, steps) {
		t.Errorf("versions: got %s, want each once", got)
	}
}

func TestMigrate_says_what_is_wrong(t *testing.T) {
	name := empty(t)
	pw := server.Password()
	direct := server.OwnerURL(name)
	tests := []struct {
		name, url string
		want      []string
	}{
		{"through PgBouncer", server.PoolURL("app_rw", name), []string{"pooler", "5432"}},
		{"as a role without rights", server.DirectURL("app_rw", name), []string{"app_rw", "lacks a right", "CREATEROLE"}},
		{"with a wrong password", strings.Replace(direct, pw, "hunter2", 1), []string{"28P01"}},
		{"where nobody listens", "postgres://postgres:hunter2@127.0.0.1:1/x", []string{"127.0.0.1:1"}},
		{"with no address", "", []string{"postgres://user:password@host"}},
		{"with a broken address", "postgres://postgres:hunter2@host:port/%zz", []string{"postgres://user:password@host"}},
		{"with broken words", "host=h password='hunter2", []string{"postgres://user:password@host"}},
		{"with a version that is not there", direct, nil},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			m := store.Migrator{URL: tt.url}
			if tt.want == nil {
				if _, err := m.Down(t.Context(), 99); err != nil {
					t.Errorf("got %v, want that nothing is undone", err)
				}
				return
			}
			_, err := m.Up(t.Context())
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			for _, secret := range []string{pw, "hunter2"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
					t.Errorf("a secret in %v", err)
				}
			}
			if strings.Contains(tt.name, "PgBouncer") != errors.Is(err, store.ErrPooler) {
				t.Errorf("got %v: is it ErrPooler?", err)
			}
		})
	}
}

func TestMigrate_refuses_roles_that_undo_the_isolation(t *testing.T) {
	name := empty(t)
	judge := owner(t, name)
	for _, tt := range []struct{ name, sql, undo, want string }{
		{"BYPASSRLS", "ALTER ROLE app_rw BYPASSRLS", "ALTER ROLE app_rw NOBYPASSRLS", "NOBYPASSRLS"},
		{"a role that has BYPASSRLS", "GRANT backup TO app_rw", "REVOKE backup FROM app_rw", "REVOKE backup FROM app_rw"},
		{"administrators", "GRANT app_admin TO app_worker", "REVOKE app_admin FROM app_worker", "REVOKE app_admin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			do(t, judge, tt.sql)
			defer do(t, judge, tt.undo)
			if err := store.Up(t.Context(), server.OwnerURL(name)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	if err := store.Up(t.Context(), server.OwnerURL(name)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Another program that uses goose has a table of the name that goose gives it, with versions of its own.
func TestMigrate_beside_another_program_s_migrations(t *testing.T) {
	name := empty(t)
	judge := owner(t, name)
	do(t, judge, `CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
		INSERT INTO goose_db_version (version_id, is_applied) SELECT v, true FROM generate_series(0, 20) AS v`)
	if got := len(up(t, store.Migrator{URL: server.OwnerURL(name)})); got != steps {
		t.Errorf("up: got %d migrations, want %d", got, steps)
	}
	if got := ask(t, judge, "SELECT count(*) FROM goose_db_version"); got != "21" {
		t.Errorf("the other program's: got %s rows, want its 21", got)
	}
}

// A restored database has no rights of its own: those of the old one are in no dump.
func TestMigrate_up_closes_a_restored_database(t *testing.T) {
	name := database(t, migrated)
	judge := owner(t, name)
	do(t, judge, "GRANT TEMPORARY ON DATABASE "+name+" TO PUBLIC")
	if err := store.Up(t.Context(), server.OwnerURL(name)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, judge, "SELECT has_database_privilege('app_rw', current_database(), 'TEMPORARY')"); got != "f" {
		t.Errorf("temporary tables: got %s, want f", got)
	}
}

func TestMigrate_up_twice_at_once_closes_a_restored_database(t *testing.T) {
	name := database(t, migrated)
	judge, holder := owner(t, name), owner(t, name)
	do(t, judge, "GRANT TEMPORARY ON DATABASE "+name+" TO PUBLIC")
	do(t, holder, "BEGIN; LOCK TABLE pg_database IN SHARE MODE") // so that both come to the same place
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- store.Up(context.Background(), server.OwnerURL(name)) }() // ends when the table is free
	}
	waits(t, name, "REVOKE TEMPORARY", 2)
	do(t, holder, "COMMIT")
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got := ask(t, judge, "SELECT has_database_privilege('app_rw', current_database(), 'TEMPORARY')"); got != "f" {
		t.Errorf("temporary tables: got %s, want f", got)
	}
}

func TestCommunityID_is_the_same_in_Go_and_SQL(t *testing.T) {
	conn := owner(t, migrated)
	for _, guild := range []uint64{1, 9, 10, 80351110224678912, ownGuild, victimGuild, 1<<53 + 1, math.MaxInt64} {
		want := store.CommunityID(guild)
		if got := ask(t, conn, fmt.Sprintf("SELECT app_community_id(%d)", guild)); got != want.String() {
			t.Errorf("%d: got %s in SQL, %s in Go", guild, got, want)
		}
		if text := want.String(); text[14] != '8' || !strings.ContainsRune("89ab", rune(text[19])) {
			t.Errorf("%d: %s is no UUID of version 8", guild, text)
		}
	}
	// It never changes: rows hang on it.
	if got := store.CommunityID(700000000000000010).String(); got != "865c237a-3c55-88ef-aa47-77da3edf8a0c" {
		t.Errorf("got %s, want 865c237a-3c55-88ef-aa47-77da3edf8a0c", got)
	}
}
