package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"drover/deploy/postgres"
)

// arena is one database under attack, with a connection for each role through
// the pool of one.
type arena struct {
	database string
	judge    *pgx.Conn // a superuser, straight to PostgreSQL
	clients  map[string]*pgx.Conn
	before   string // what the judge saw last
	original string // the rules as they are meant
	xid      string // the last transaction that wrote anything, in the whole server
}

func newArena(t *testing.T, database string) *arena {
	t.Helper()
	a := &arena{database: database, judge: owner(t, database), clients: map[string]*pgx.Conn{}}
	t.Cleanup(func() {
		for _, c := range a.clients {
			c.Close(context.Background())
		}
	})
	a.xid = ask(t, a.judge, lastWrite)
	a.before, a.original = a.look(t), a.rules(t)
	return a
}

// lastWrite grows with every transaction that writes.
const lastWrite = "SELECT pg_snapshot_xmax(pg_current_snapshot())"

// client is the connection of a role; n tells two clients apart.
func (a *arena) client(t *testing.T, role string, n int, direct bool) *pgx.Conn {
	t.Helper()
	key := fmt.Sprint(role, n)
	if c := a.clients[key]; c != nil && !c.IsClosed() {
		return c
	}
	url := server.PoolOfOneURL(role, a.database)
	if direct {
		url = server.DirectURL(role, a.database)
	}
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	a.clients[key] = conn
	return conn
}

// look is everything that no attack may change.
func (a *arena) look(t *testing.T) string { return a.rows(t) + a.rules(t) }

// rows are the victim's, audit rows that were there, and forged ones.
func (a *arena) rows(t *testing.T) string {
	t.Helper()
	return ask(t, a.judge, `SELECT md5(concat_ws('|',
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM communities x WHERE id IN ('{victim}', '{empty}')),
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM profiles x WHERE community_id IN ('{victim}', '{empty}')),
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM badges x WHERE community_id IN ('{victim}', '{empty}')),
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM eligibility_rules x WHERE community_id IN ('{victim}', '{empty}')),
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM applied_events x WHERE community_id IN ('{victim}', '{empty}') OR event_id = '{nobody}'),
		(SELECT string_agg(x::text, ',' ORDER BY x::text) FROM audit_logs x WHERE community_id = '{victim}' OR action = 'made' OR actor_type = 'admin')))`)
}

// rules are tables, columns, keys, rights, policies, triggers, functions, roles.
func (a *arena) rules(t *testing.T) string {
	t.Helper()
	return ask(t, a.judge, `SELECT md5(concat_ws('|',
		(SELECT string_agg(concat_ws(' ', oid::regclass, relkind, relacl, relrowsecurity, relforcerowsecurity, relowner, reloptions,
			(SELECT string_agg(tgname, ',' ORDER BY tgname) FROM pg_trigger g WHERE g.tgrelid = c.oid),
			(SELECT string_agg(concat_ws(' ', attname, attacl), ',' ORDER BY attnum) FROM pg_attribute a WHERE a.attrelid = c.oid)),
			',' ORDER BY oid) FROM pg_class c WHERE relnamespace = 'public'::regnamespace),
		(SELECT string_agg(concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)), ',' ORDER BY conrelid, conname)
			FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
		(SELECT string_agg(p::text, ',' ORDER BY p::text) FROM pg_policies p),
		(SELECT string_agg(concat_ws(' ', oid::regprocedure, proacl, proowner, prosecdef, md5(prosrc), prosqlbody), ',' ORDER BY oid)
			FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'pooler'::regnamespace)),
		(SELECT string_agg(concat_ws(' ', nspname, nspacl), ',' ORDER BY nspname) FROM pg_namespace),
		(SELECT datacl FROM pg_database WHERE datname = current_database()),
		(SELECT string_agg(concat_ws(' ', rolname, rolsuper, rolbypassrls, rolinherit), ',' ORDER BY rolname) FROM pg_roles),
		(SELECT string_agg(concat_ws(' ', roleid::regrole, member::regrole), ',' ORDER BY roleid, member) FROM pg_auth_members),
		(SELECT string_agg(concat_ws(' ', ev_class::regclass, rulename), ',' ORDER BY oid) FROM pg_rewrite WHERE oid >= 16384)))`)
}

// repair makes the rows anew, and the policies and rights on tables by running
// their migration again. It reports whether that made everything as it was.
func (a *arena) repair(t *testing.T) bool {
	t.Helper()
	up, err := fs.ReadFile(postgres.Migrations, "migrations/00005_isolation.sql")
	if err != nil {
		t.Fatal(err)
	}
	isolation, _, _ := strings.Cut(string(up), "-- +goose Down")
	_, _, err = try(t.Context(), a.judge, `BEGIN;
		TRUNCATE communities, profiles, badges, eligibility_rules, audit_logs, applied_events;
		DO $$
		DECLARE p record;
		BEGIN
			FOR p IN SELECT policyname, tablename FROM pg_policies WHERE schemaname = 'public' LOOP
				EXECUTE format('DROP POLICY %I ON %I', p.policyname, p.tablename);
			END LOOP;
			FOR p IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'audit_logs_%' AND relkind = 'r' LOOP
				EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', p.relname);
				EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', p.relname);
			END LOOP;
		END $$;
		REVOKE ALL ON communities, profiles, badges, eligibility_rules, audit_logs, applied_events, worker_state, active_members, community_summary
			FROM PUBLIC, app_rw, app_system, app_admin, app_worker;
		SET LOCAL client_min_messages = error;`+isolation+people+"COMMIT")
	if err != nil {
		if _, _, err := try(t.Context(), a.judge, "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		return false
	}
	a.xid, a.before = ask(t, a.judge, lastWrite), a.look(t)
	return a.rules(t) == a.original
}

// outcome is what an attacker got.
type outcome struct {
	text string // rows and error, everything that it can see
	tag  string
	code string // SQLSTATE; "" when all went well
}

// end makes an outcome of what the driver returned.
func end(text, tag string, err error) outcome {
	o := outcome{text: text, tag: tag}
	if err == nil {
		return o
	}
	o.code = "no answer"
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		o.code = pg.Code
		o.text += strings.Join([]string{pg.Message, pg.Detail, pg.Hint, pg.Where}, " ")
	}
	return o
}

// run makes the attack, and reports why it has won; "" when it has not.
func (a *arena) run(t *testing.T, k attack) (won string) {
	t.Helper()
	role := k.role
	if role == "" {
		role = "app_rw"
	}
	if k.previous != "" {
		before := a.client(t, role, 1, false)
		_, _, _ = try(t.Context(), before, k.previous) // some of them are meant to fail
		if k.hangUp {
			before.Close(t.Context())
		}
	}
	conn := a.client(t, role, 0, k.direct)
	if k.other != "" {
		one, two := a.inside(t, conn, k, k.sql, "ROLLBACK"), a.inside(t, conn, k, k.other, "ROLLBACK")
		if one.code != two.code || one.tag != two.tag {
			won = fmt.Sprintf("told apart: %s %s from %s %s", one.code, one.tag, two.code, two.tag)
		}
		return won
	}
	got := a.inside(t, conn, k, k.sql, "COMMIT")
	if k.tenant == bare || k.kind == "forged setting" || k.kind == "leak" {
		// Nothing of this attack is left for the next one.
		if _, _, err := try(t.Context(), conn, "DISCARD ALL"); err != nil {
			conn.Close(t.Context())
		}
	}
	after := a.before
	// A look takes long: only when somebody wrote at all.
	if xid := ask(t, a.judge, lastWrite); xid != a.xid {
		a.xid, after = xid, a.look(t)
	}
	switch {
	case strings.Contains(got.text, marker), strings.Contains(got.text, victimUser):
		won = "saw the victim's rows"
	case after != a.before:
		won = "changed what it must not"
	case k.accepted && got.code == "" && !strings.HasSuffix(got.tag, " 0"):
		won = "was let do it: " + got.tag
	case k.fails != "" && got.code == k.fails:
		won = "saw an error that only the victim's rows make: " + got.code
	}
	a.before = after
	return won
}

// inside runs sql in the attack's transaction.
func (a *arena) inside(t *testing.T, conn *pgx.Conn, k attack, sql, finish string) outcome {
	t.Helper()
	ctx := t.Context()
	if k.tenant == bare {
		return send(ctx, conn, sql)
	}
	begin := "BEGIN"
	switch k.tenant {
	case none:
	case "":
		begin += "; SELECT set_config('app.current_tenant', '{own}', true)"
	default:
		begin += "; SELECT set_config('app.current_tenant', '" + k.tenant + "', true)"
	}
	if _, _, err := try(ctx, conn, begin); err != nil {
		t.Fatalf("%s: begin: %v", k.name, err)
	}
	var got outcome
	switch {
	case k.copies == "out":
		var b bytes.Buffer
		tag, err := conn.PgConn().CopyTo(ctx, &b, sql)
		got = end(b.String(), tag.String(), err)
	case k.copies != "":
		tag, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(fill(k.copies)), sql)
		got = end("", tag.String(), err)
	case k.value != "":
		tag, err := conn.Exec(ctx, fill(sql), fill(k.value))
		got = end("", tag.String(), err)
		if err == nil {
			got = send(ctx, conn, everything)
		}
	default:
		got = send(ctx, conn, sql)
	}
	if _, _, err := try(ctx, conn, finish); err != nil {
		conn.Close(ctx)
	}
	return got
}

func send(ctx context.Context, conn *pgx.Conn, sql string) outcome {
	results, err := conn.PgConn().Exec(ctx, fill(sql)).ReadAll()
	var b strings.Builder
	tag := ""
	for _, r := range results {
		for _, row := range r.Rows {
			b.Write(bytes.Join(row, []byte{'\t'}))
			b.WriteByte('\n')
		}
		tag = r.CommandTag.String()
	}
	return end(b.String(), tag, err)
}

// broken lists the controls that do not hold.
func (a *arena) broken(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, c := range controls {
		got := a.inside(t, a.client(t, c.role, 0, false), attack{name: c.name}, c.sql, "ROLLBACK")
		if strings.TrimSpace(got.text) != c.want {
			list = append(list, fmt.Sprintf("%s: got %q, want %s", c.name, got.text, c.want))
		}
	}
	return list
}
