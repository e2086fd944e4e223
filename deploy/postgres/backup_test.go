package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"drover/system/store"
)

// program runs one of PostgreSQL's programs as a role.
func program(t *testing.T, role, database string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	u, err := url.Parse(server.DirectURL(role, database))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), server.Program(name), args...)
	cmd.Env = append(append(os.Environ(), "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGUSER="+role, "PGPASSWORD="+server.Password(), "PGDATABASE="+database), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestBackup_is_whole_or_fails(t *testing.T) {
	name := database(t, peopled)
	dump := filepath.Join(t.TempDir(), "drover.dump")

	// Half a backup is worse than none: pg_dump switches row security off, and
	// whoever is bound by it gets an error.
	for _, role := range []string{"app_rw", "app_admin", "careless"} {
		if out, err := program(t, role, name, nil, "pg_dump", "-Fc", "-f", dump, "-t", "public.profiles"); err == nil || !strings.Contains(out, "row-level security") {
			t.Errorf("as %s: got %v and %q, want an error about row-level security", role, err, out)
		}
	}

	if out, err := program(t, "backup", name, nil, "pg_dump", "-Fc", "-f", dump); err != nil {
		t.Fatalf("as backup: %v: %s", err, out)
	}
	restored := database(t, "template0")
	if out, err := program(t, "postgres", restored, nil, "pg_restore", "--exit-on-error", "--single-transaction", "-d", restored, dump); err != nil {
		t.Fatalf("pg_restore: %v: %s", err, out)
	}
	// Nothing is left to migrate, and what no dump holds is set again.
	do(t, owner(t, restored), "GRANT TEMPORARY ON DATABASE "+restored+" TO PUBLIC")
	if done := up(t, store.Migrator{URL: server.OwnerURL(restored)}); len(done) != 0 {
		t.Errorf("got %d migrations after the restore, want none", len(done))
	}
	before, after := newArena(t, name), newArena(t, restored)
	if before.rows(t) != after.rows(t) {
		t.Error("the victim's rows or the audit log are not what they were")
	}
	for _, table := range []string{"communities", "profiles", "badges", "eligibility_rules", "audit_logs", "applied_events", "worker_state"} {
		sql := fmt.Sprintf("SELECT md5(string_agg(x::text, ',' ORDER BY x::text)) || ' ' || count(*) FROM %s x", table)
		if one, two := ask(t, before.judge, sql), ask(t, after.judge, sql); one != two {
			t.Errorf("%s: got %s, want %s", table, two, one)
		}
	}
	for _, broken := range after.broken(t) {
		t.Error("after the restore:", broken)
	}
	for _, k := range attacks {
		if won := after.run(t, k); won != "" {
			t.Errorf("after the restore: %s: %s: %s", k.kind, k.name, won)
		}
	}
}

// Where nobody can have BYPASSRLS, as with some providers: an administrator reads
// all rows by policy, and the flag must be set, else the dump is empty.
func TestBackup_of_rows_by_an_administrator(t *testing.T) {
	name := database(t, peopled)
	dump := filepath.Join(t.TempDir(), "rows.sql")
	args := []string{"--data-only", "--enable-row-security", "--column-inserts", "-f", dump}
	for _, table := range []string{"communities", "profiles", "badges", "eligibility_rules", "audit_logs*"} {
		args = append(args, "-t", "public."+table)
	}
	out, err := program(t, "app_admin", name, []string{"PGOPTIONS=-c app.is_admin=true"}, "pg_dump", append(args, "--load-via-partition-root")...)
	if err == nil {
		t.Fatal("got a dump, although nobody but the owner reads the audit log's partitions themselves: describe it in docs/database.md")
	}
	if !strings.Contains(out, "permission denied") {
		t.Errorf("got %s, want that the partitions are refused", out)
	}
	// So: the tables, and the audit log as a query.
	out, err = program(t, "app_admin", name, []string{"PGOPTIONS=-c app.is_admin=true"}, "pg_dump", args[:len(args)-2]...)
	if err != nil {
		t.Fatalf("tables: %v: %s", err, out)
	}
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "INSERT INTO"); got != 12 {
		t.Errorf("got %d rows, want the 3 communities, 5 members, 2 badges and 2 rules", got)
	}
	out, err = program(t, "app_admin", name, []string{"PGOPTIONS=-c app.is_admin=true"}, "psql", "-c", `\copy (SELECT * FROM audit_logs) TO STDOUT`)
	if err != nil || strings.Count(out, "\n") != 3 {
		t.Errorf("audit log: got %v and %q, want 3 rows", err, out)
	}
}

func TestRetention(t *testing.T) {
	name := database(t, peopled)
	judge := owner(t, name)
	do(t, judge, `
		INSERT INTO audit_logs (community_id, at, actor_type, actor, action)
			SELECT '{own}', now() - m * interval '1 month', 'system', 'x', 'month ' || m FROM generate_series(0, 30) AS m;
		INSERT INTO audit_logs (community_id, at, actor_type, actor, action) VALUES ('{victim}', now() + interval '9 months', 'system', 'x', 'ahead');
		INSERT INTO applied_events (community_id, event_id, at)
			SELECT '{own}', gen_random_uuid(), now() - h * interval '1 hour' FROM generate_series(0, 30) AS h;`)
	if got := ask(t, judge, "SELECT count(*) FROM audit_logs_default"); got == "0" {
		t.Fatal("the default partition caught nothing, so that this test sees nothing")
	}
	m := store.Migrator{URL: server.OwnerURL(name)}
	for _, wrong := range []store.Retention{{}, {AuditMonths: 13}, {EventDays: 7}, {AuditMonths: -1, EventDays: 7}, {AuditMonths: 13, EventDays: 99999}} {
		if _, err := m.Retain(t.Context(), wrong); err == nil {
			t.Errorf("%+v: got no error", wrong)
		}
	}
	if _, err := (store.Migrator{URL: server.DirectURL("app_rw", name)}).Retain(t.Context(), store.Retention{AuditMonths: 13, EventDays: 1}); err == nil || !strings.Contains(err.Error(), "lacks a right") {
		t.Errorf("as app_rw: got %v, want that it may not", err)
	}

	done, err := m.Retain(t.Context(), store.Retention{AuditMonths: 13, EventDays: 1})
	if err != nil {
		t.Fatal(err)
	}
	// A month goes when it ended 13 months ago: 13 or 14 whole ones stay besides this one.
	if got := ask(t, judge, "SELECT min(at) >= date_trunc('month', now() - interval '13 months') AND min(at) < now() - interval '12 months' FROM audit_logs"); got != "t" {
		t.Errorf("the oldest audit row: got %s, want one of the last 13 months", ask(t, judge, "SELECT min(at) FROM audit_logs"))
	}
	if len(done.Months) < 16 || done.Events < 6 {
		t.Errorf("got %d months and %d events, want at least 16 and 6", len(done.Months), done.Events)
	}
	if got := ask(t, judge, "SELECT count(*) FROM audit_logs_default"); got != "0" {
		t.Errorf("the default partition still holds %s rows", got)
	}
	if got := ask(t, judge, "SELECT count(*) FROM applied_events WHERE at > now() - interval '1 day'"); got < "24" {
		t.Errorf("got %s events of the last day, want all", got)
	}
	if got := ask(t, judge, "SELECT tableoid::regclass = ('audit_logs_' || to_char(now() + interval '9 months', 'YYYY_MM'))::regclass FROM audit_logs WHERE action = 'ahead'"); got != "t" {
		t.Error("a row of a month ahead is not in its partition")
	}
	if got := ask(t, judge, `SELECT count(*) FROM pg_class WHERE relname ~ '^audit_logs_' AND relkind = 'r'
		AND (NOT relrowsecurity OR NOT relforcerowsecurity OR has_table_privilege('app_rw', oid, 'SELECT') OR has_table_privilege('app_owner', oid, 'DELETE'))`); got != "0" {
		t.Errorf("%s partitions are open", got)
	}
	again, err := m.Retain(t.Context(), store.Retention{AuditMonths: 13, EventDays: 1})
	if err != nil || len(again.Months) != 0 || again.Events != 0 {
		t.Errorf("again: got %+v %v, want nothing to do", again, err)
	}
	// Attacks do not come in by the new partitions either.
	a := newArena(t, name)
	for _, k := range attacks {
		if k.kind == "read" || k.kind == "audit" || k.kind == "owner" {
			if won := a.run(t, k); won != "" {
				t.Errorf("%s: %s: %s", k.kind, k.name, won)
			}
		}
	}
	if _, _, err := try(t.Context(), judge, "SELECT audit_retain('1 day')"); code(err) != "22023" {
		t.Errorf("a day of audit rows: got %v, want that it is refused", err)
	}
}

// waits until n statements with these words wait for a lock.
func waits(t *testing.T, name, words string, n int) {
	t.Helper()
	watch := owner(t, name)
	sql := "SELECT count(*) >= " + strconv.Itoa(n) + " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() " +
		"AND wait_event_type = 'Lock' AND query LIKE '%" + words + "%'"
	deadline, tick := time.NewTimer(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for ask(t, watch, sql) != "t" {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not %d wait for a lock in %s", n, words)
		}
	}
}

func TestRetention_lets_go_of_the_audit_log_before_it_forgets_events(t *testing.T) {
	name := database(t, peopled)
	judge, system := owner(t, name), connect(t, server.DirectURL("app_system", name))
	do(t, judge, `
		INSERT INTO audit_logs (community_id, at, actor_type, actor, action) VALUES ('{own}', now() - interval '30 months', 'system', 'x', 'old');
		INSERT INTO applied_events (community_id, event_id, at) VALUES ('{own}', gen_random_uuid(), now() - interval '30 days');`)
	do(t, judge, "BEGIN; SELECT 1 FROM applied_events WHERE at < now() - interval '2 days' FOR UPDATE") // forgetting it takes until we say so
	ended := make(chan error, 1)
	go func() { // ends when the row is free
		done, err := store.Migrator{URL: server.OwnerURL(name)}.Retain(context.Background(), store.Retention{AuditMonths: 13, EventDays: 7})
		if err == nil && (len(done.Months) != 1 || done.Events != 1) {
			err = fmt.Errorf("got %+v, want one of each", done)
		}
		ended <- err
	}()
	waits(t, name, "applied_events_retain", 1)
	if _, _, err := try(t.Context(), system, "BEGIN; SET LOCAL lock_timeout = '3s'; SELECT set_tenant_context('{own}'); SELECT audit_action('system', 'x', 'meanwhile'); COMMIT"); err != nil {
		t.Errorf("an audit row meanwhile: %v", err)
	}
	do(t, judge, "COMMIT")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Where nobody ran retention for months, everybody writes into the default partition while it is emptied.
func TestRetention_and_a_writer_do_not_wait_for_each_other(t *testing.T) {
	name := database(t, peopled)
	system := connect(t, server.DirectURL("app_system", name))
	const ahead = "INSERT INTO audit_logs (community_id, at, actor_type, actor, action) VALUES ('{own}', now() + interval '9 months', 'system', 'x', 'ahead')"
	do(t, owner(t, name), ahead)
	do(t, system, "BEGIN; SELECT set_tenant_context('{own}'); SELECT audit_action('system', 'x', 'first')")
	ended := make(chan error, 1)
	go func() { // ends after the writer
		_, err := store.Migrator{URL: server.OwnerURL(name)}.Retain(context.Background(), store.Retention{AuditMonths: 13, EventDays: 7})
		ended <- err
	}()
	waits(t, name, "audit_retain", 1)
	if _, _, err := try(t.Context(), system, ahead+"; COMMIT"); err != nil {
		t.Errorf("the writer: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("retention: %v", err)
	}
	if got := ask(t, owner(t, name), "SELECT count(*) FROM audit_logs WHERE action IN ('ahead', 'first')"); got != "3" {
		t.Errorf("got %s rows, want 3", got)
	}
}

// No partition can be made for some times that PostgreSQL knows: one such row, and retention would never work again.
func TestRetention_works_whatever_time_a_row_has(t *testing.T) {
	name := database(t, peopled)
	system := connect(t, server.DirectURL("app_system", name))
	for _, at := range []string{"infinity", "-infinity", "294276-12-31 23:00+00", "0044-03-15 12:00+00 BC", "1969-12-31 23:59:59+00", "10000-01-01 00:00+00"} {
		_, _, err := try(t.Context(), system, "BEGIN; SELECT set_tenant_context('{own}'); INSERT INTO audit_logs (community_id, at, actor_type, actor, action) VALUES ('{own}', '"+at+"', 'system', 'x', 'odd'); COMMIT")
		if code(err) != "23514" {
			t.Errorf("%s: got %v, want that it is refused", at, err)
		}
		_, _, _ = try(t.Context(), system, "ROLLBACK")
	}
	do(t, system, "BEGIN; SELECT set_tenant_context('{own}'); INSERT INTO audit_logs (community_id, at, actor_type, actor, action) VALUES "+
		"('{own}', '1970-01-01 00:00+00', 'system', 'x', 'first'), ('{own}', '9999-12-31 23:59:59.999999+00', 'system', 'x', 'last'); COMMIT")
	done, err := store.Migrator{URL: server.OwnerURL(name)}.Retain(t.Context(), store.Retention{AuditMonths: 13, EventDays: 7})
	if err != nil || !slices.Equal(done.Months, []string{"audit_logs_1970_01"}) {
		t.Errorf("got %+v, %v, want the first month dropped", done, err)
	}
	if got := ask(t, owner(t, name), "SELECT tableoid::regclass FROM audit_logs WHERE action = 'last'"); got != "audit_logs_9999_12" {
		t.Errorf("the last month: got %s", got)
	}
}

// Whoever keeps old months elsewhere may have detached one and left it there.
func TestRetention_loses_no_row_of_a_month_that_was_detached(t *testing.T) {
	name := database(t, peopled)
	judge := owner(t, name)
	next := ask(t, judge, "SELECT 'audit_logs_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM')")
	do(t, judge, "ALTER TABLE audit_logs DETACH PARTITION "+next+`; INSERT INTO audit_logs (community_id, at, actor_type, actor, action)
		VALUES ('{own}', (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '40 days') AT TIME ZONE 'UTC', 'system', 'x', 'late')`)
	m, keep := store.Migrator{URL: server.OwnerURL(name)}, store.Retention{AuditMonths: 13, EventDays: 7}
	if _, err := m.Retain(t.Context(), keep); err == nil || !strings.Contains(err.Error(), next) || !strings.Contains(err.Error(), "Rename") {
		t.Errorf("got %v, want that %s stands in the way", err, next)
	}
	if got := ask(t, judge, "SELECT count(*) FROM audit_logs WHERE action = 'late'"); got != "1" {
		t.Fatalf("got %s rows of the month, want 1", got)
	}
	do(t, judge, "ALTER TABLE "+next+" RENAME TO archived")
	if _, err := m.Retain(t.Context(), keep); err != nil {
		t.Error(err)
	}
	if got := ask(t, judge, "SELECT tableoid::regclass FROM audit_logs WHERE action = 'late'"); got != next {
		t.Errorf("the row: got it in %q, want %s", got, next)
	}
}
