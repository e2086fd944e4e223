package postgres_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"drover/deploy/postgres"
)

// code is the SQLSTATE of an error; "" for none.
func code(err error) string {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pg):
		return pg.Code
	default:
		return err.Error()
	}
}

// within runs sql in a transaction of the own tenant that takes no effect, and
// returns what it read and how it ended.
func within(t *testing.T, conn *pgx.Conn, sql string) (text, state string) {
	t.Helper()
	text, _, err := try(t.Context(), conn, "BEGIN; SELECT set_tenant_context('{own}'); "+sql)
	if _, _, back := try(t.Context(), conn, "ROLLBACK"); back != nil {
		t.Fatal(back)
	}
	return strings.TrimSpace(text), code(err)
}

// The numbers are those of docs/database.md, section "Fifteen traps".
func TestTraps(t *testing.T) {
	name := database(t, peopled)
	judge := owner(t, name)
	first, second := connect(t, server.PoolOfOneURL("app_rw", name)), connect(t, server.PoolOfOneURL("app_rw", name))

	t.Run("01_SET_leaks_to_the_next_client_and_a_local_setting_does_not", func(t *testing.T) {
		const read = "SELECT coalesce(current_setting('app.current_tenant', true), '')"
		do(t, first, "SET app.current_tenant = '{victim}'")
		if got := ask(t, second, read); got != fill("{victim}") {
			t.Errorf("after SET: got %q, want the leak that this is about", got)
		}
		// Who sets the tenant for the transaction does not care.
		if got, state := within(t, second, "SELECT DISTINCT community_id FROM profiles"); got != fill("{own}") || state != "" {
			t.Errorf("in a transaction of one's own: got %q %s, want the own tenant", got, state)
		}
		do(t, first, "RESET ALL")
		do(t, first, "BEGIN; SELECT set_config('app.current_tenant', '{victim}', true); COMMIT")
		if got := ask(t, second, read); got != "" {
			t.Errorf("after a local setting: got %q, want nothing", got)
		}
	})

	t.Run("02_a_used_up_setting_is_empty_and_no_error", func(t *testing.T) {
		do(t, first, "BEGIN; SELECT set_config('app.current_tenant', '{own}', true); COMMIT")
		if got := ask(t, first, "SELECT current_setting('app.current_tenant', true) = ''"); got != "t" {
			t.Fatalf("the setting is not empty but gone: %s", got)
		}
		if _, _, err := try(t.Context(), first, "SELECT current_setting('app.current_tenant', true)::uuid"); code(err) != "22P02" {
			t.Errorf("the plain cast: got %v, want 22P02", err)
		}
		if got := ask(t, first, "SELECT app_tenant() IS NULL AND get_tenant_context() IS NULL AND NOT app_is_admin()"); got != "t" {
			t.Errorf("got %s, want no tenant and no error", got)
		}
		if got := ask(t, first, "SELECT count(*) FROM profiles"); got != "0" {
			t.Errorf("without a tenant: got %s rows, want 0", got)
		}
	})

	t.Run("03_row_security_is_on_and_forced_on_every_table", func(t *testing.T) {
		if got := ask(t, judge, `SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'drover_migrations'
			  AND NOT (relrowsecurity AND relforcerowsecurity)`); got != "" {
			t.Errorf("not on: %s", got)
		}
		careless := connect(t, server.DirectURL("careless", name))
		if got := ask(t, careless, "SELECT (SELECT count(*) FROM profiles) + (SELECT count(*) FROM audit_logs)"); got != "0" {
			t.Errorf("the owner sees %s rows, want 0", got)
		}
	})

	t.Run("04_every_view_has_its_reader's_rights", func(t *testing.T) {
		if got := ask(t, judge, `SELECT string_agg(relname || ' ' || coalesce(array_to_string(reloptions, ','), ''), ', ' ORDER BY relname) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')`); got != "active_members security_invoker=true, community_summary security_invoker=true" {
			t.Errorf("got %s", got)
		}
	})

	t.Run("05_every_reference_holds_the_tenant", func(t *testing.T) {
		if got := ask(t, judge, `SELECT coalesce(string_agg(conrelid::regclass || ' ' || pg_get_constraintdef(oid), ', '), '') FROM pg_constraint
			WHERE contype = 'f' AND connamespace = 'public'::regnamespace
			  AND pg_get_constraintdef(oid) !~ '^FOREIGN KEY \(community_id[,)].*REFERENCES (communities\(id\)|[a-z_]+\(community_id,)'`); got != "" {
			t.Errorf("without the tenant: %s", got)
		}
		if _, state := within(t, first, "INSERT INTO badges (community_id, profile_id, badge) VALUES ('{own}', '{victim_profile}', 'x')"); state != "23503" {
			t.Errorf("a badge for the victim's member: got %q, want 23503", state)
		}
	})

	t.Run("06_no_reference_leads_out_of_or_into_the_audit_log", func(t *testing.T) {
		if got := ask(t, judge, `SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND (conrelid::regclass::text ~ '^audit_logs' OR confrelid::regclass::text ~ '^audit_logs')`); got != "0" {
			t.Errorf("got %s references, want none", got)
		}
		before := ask(t, judge, "SELECT count(*) FROM audit_logs")
		do(t, judge, "BEGIN; DELETE FROM communities")
		if got := ask(t, judge, "SELECT count(*) FROM audit_logs"); got != before {
			t.Errorf("after all communities went: got %s audit rows, want %s", got, before)
		}
		do(t, judge, "ROLLBACK")
	})

	t.Run("07_every_key_begins_with_the_tenant", func(t *testing.T) {
		if got := ask(t, judge, `SELECT coalesce(string_agg(indexrelid::regclass::text, ', '), '') FROM pg_index i
			JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
			WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND c.relname NOT IN ('drover_migrations', 'worker_state')
			  AND a.attname <> 'community_id' AND NOT (c.relname = 'communities' AND a.attname = 'id')`); got != "" {
			t.Errorf("keys over all tenants: %s", got)
		}
	})

	t.Run("08_a_forged_flag_changes_nothing", func(t *testing.T) {
		for _, flag := range []string{"true", "on", "1", "TRUE", "yes"} {
			if got, state := within(t, first, "SET LOCAL app.is_admin = '"+flag+"'; SELECT count(*) FROM profiles"); got != "2" || state != "" {
				t.Errorf("%s: got %s rows %s, want the own 2", flag, got, state)
			}
		}
		admin := connect(t, server.PoolURL("app_admin", name))
		if got, _ := within(t, admin, "SET LOCAL app.is_admin = 'true'; SELECT count(*) FROM profiles"); got != "5" {
			t.Errorf("an administrator: got %s rows, want all 5", got)
		}
	})

	t.Run("09_garbage_in_the_flag_is_no_error_and_no_right", func(t *testing.T) {
		admin := connect(t, server.PoolURL("app_admin", name))
		if got, state := within(t, admin, "SET LOCAL app.is_admin = 'banana'; SELECT count(*) FROM profiles"); got != "0" || state != "" {
			t.Errorf("got %s rows %s, want 0 and no error", got, state)
		}
		if got, state := within(t, first, "SET LOCAL app.is_admin = 'banana'; SELECT count(*) FROM profiles"); got != "2" || state != "" {
			t.Errorf("a tenant: got %s rows %s, want its 2", got, state)
		}
	})

	t.Run("10_policies_ask_for_one_thing_each", func(t *testing.T) { // the plans are in TestExplain
		if got := ask(t, judge, `SELECT coalesce(string_agg(tablename || '.' || policyname, ', '), '') FROM pg_policies
			WHERE concat(qual, with_check) ~* '\mor\M' OR roles = '{public}'`); got != "" {
			t.Errorf("policies with OR, or for everybody: %s", got)
		}
	})

	t.Run("11_appending_needs_no_reading", func(t *testing.T) {
		system := connect(t, server.PoolURL("app_system", name))
		const insert = "INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{own}', 'system', 'x', 'y')"
		for sql, want := range map[string]string{
			insert:                             "",
			insert + " ON CONFLICT DO NOTHING": "",
			insert + " RETURNING id":           "42501",
			"SELECT count(*) FROM audit_logs":  "42501",
			"SELECT audit_action('system', 'x', 'y', 'target', '{\"a\": 1}', '10.0.0.1')": "",
			insert + " ON CONFLICT (community_id, id, at) DO NOTHING":                     "42501",
		} {
			if _, state := within(t, system, sql); state != want {
				t.Errorf("%s: got %q, want %q", sql, state, want)
			}
		}
	})

	t.Run("12_what_is_not_allowed_is_an_error_and_not_silence", func(t *testing.T) {
		for _, sql := range []string{"UPDATE audit_logs SET actor = 'x'", "DELETE FROM audit_logs", "DELETE FROM communities"} {
			if _, state := within(t, first, sql); state != "42501" {
				t.Errorf("%s: got %q, want 42501", sql, state)
			}
		}
	})

	t.Run("13_nobody_has_TRUNCATE_and_a_dump_without_rights_fails", func(t *testing.T) {
		if got := ask(t, judge, `SELECT coalesce(string_agg(r.rolname || ' ' || c.relname, ', '), '') FROM pg_class c, pg_roles r
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND r.rolname IN ('app_rw', 'app_system', 'app_admin', 'app_worker')
			  AND has_table_privilege(r.oid, c.oid, 'TRUNCATE')`); got != "" {
			t.Errorf("TRUNCATE for %s", got)
		}
		if _, state := within(t, first, "SET LOCAL row_security = off; SELECT * FROM profiles"); state != "42501" {
			t.Errorf("row_security = off: got %q, want 42501", state)
		}
	})

	t.Run("14_the_isolation_can_be_applied_again", func(t *testing.T) {
		if _, _, err := try(t.Context(), judge, "CREATE POLICY IF NOT EXISTS x ON profiles USING (true)"); code(err) != "42601" {
			t.Errorf("got %v, want the syntax error that this is about", err)
		}
		up, err := fs.ReadFile(postgres.Migrations, "migrations/00005_isolation.sql")
		if err != nil {
			t.Fatal(err)
		}
		isolation, _, _ := strings.Cut(string(up), "-- +goose Down")
		a := newArena(t, name)
		do(t, judge, "BEGIN;"+isolation+"COMMIT")
		if a.rules(t) != a.original {
			t.Error("the second time changed something")
		}
	})

	t.Run("15_policies_write_out_both_conditions", func(t *testing.T) {
		if got := ask(t, judge, `SELECT coalesce(string_agg(tablename || '.' || policyname, ', '), '') FROM pg_policies
			WHERE CASE cmd WHEN 'INSERT' THEN with_check IS NULL WHEN 'SELECT' THEN qual IS NULL WHEN 'DELETE' THEN qual IS NULL
			      ELSE qual IS NULL OR with_check IS NULL END`); got != "" {
			t.Errorf("without one: %s", got)
		}
	})

	// One of our own: no policy binds such a role.
	t.Run("16_a_superuser_or_BYPASSRLS_does_not_come_through_the_pool", func(t *testing.T) {
		do(t, judge, "ALTER ROLE app_admin BYPASSRLS")
		defer do(t, judge, "ALTER ROLE app_admin NOBYPASSRLS")
		if conn, err := pgx.Connect(t.Context(), server.PoolOfOneURL("app_admin", name)); err == nil {
			conn.Close(t.Context())
			t.Error("PgBouncer lets in a role that no policy binds")
		}
	})
}

func TestFunctions(t *testing.T) {
	name := database(t, peopled)
	conn := connect(t, server.PoolURL("app_rw", name))
	for _, tt := range []struct{ name, sql, want, state string }{
		{"the context is the tenant", "SELECT get_tenant_context()", "{own}", ""},
		{"the context can be cleared", "SELECT clear_tenant_context(); SELECT get_tenant_context() IS NULL", "t", ""},
		{"NULL is no tenant", "SELECT set_tenant_context(NULL)", "", "22004"},
		{"garbage is no tenant", "SELECT set_tenant_context('banana')", "", "22P02"},
		{"a change is dated", "UPDATE profiles SET nick = 'x', updated_at = '2000-01-01' WHERE id = '{own_profile}' RETURNING updated_at = now()", "t", ""},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			text, state := within(t, conn, tt.sql)
			if state != tt.state {
				t.Errorf("got state %q, want %q", state, tt.state)
			}
			lines := strings.Split(text, "\n")
			if got := lines[len(lines)-1]; state == "" && got != fill(tt.want) {
				t.Errorf("got %q, want %q", got, fill(tt.want))
			}
		})
	}
	t.Run("an_audit_row_is_what_was_said", func(t *testing.T) {
		system := connect(t, server.PoolURL("app_system", name))
		do(t, system, "BEGIN; SELECT set_tenant_context('{own}'); SELECT audit_action('admin', 'ann', 'tier.set', 'profile:1', '{\"to\": \"gold\"}', '10.1.2.3'); COMMIT")
		got, _ := within(t, conn, "SELECT community_id, actor_type, actor, action, target, metadata->>'to', ip, at > now() - interval '1 minute' FROM audit_logs WHERE actor = 'ann'")
		if want := fill("{own}\tadmin\tann\ttier.set\tprofile:1\tgold\t10.1.2.3\tt"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, _, err := try(t.Context(), system, "SELECT audit_action('system', 'x', 'y')"); code(err) != "22023" {
			t.Errorf("without a tenant: got %v, want 22023", err)
		}
	})
}
