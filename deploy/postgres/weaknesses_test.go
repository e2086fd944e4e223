package postgres_test

import (
	"strings"
	"testing"
)

// weakness is one thing that could be wrong with the schema. The attacks must
// find each, else they have no teeth.
type weakness struct {
	name string
	sql  string // as a superuser
	undo string // of what repair does not reach; empty: a new database
	// found is the kind of attack that must be among those that win; "control":
	// the weakness lets nobody in.
	found string
}

var weaknesses = []weakness{
	{name: "no row security on communities", sql: "ALTER TABLE communities DISABLE ROW LEVEL SECURITY", found: "read"},
	{name: "no row security on profiles", sql: "ALTER TABLE profiles DISABLE ROW LEVEL SECURITY", found: "read"},
	{name: "no row security on badges", sql: "ALTER TABLE badges DISABLE ROW LEVEL SECURITY", found: "read"},
	{name: "no row security on eligibility_rules", sql: "ALTER TABLE eligibility_rules DISABLE ROW LEVEL SECURITY", found: "read"},
	{name: "no row security on audit_logs", sql: "ALTER TABLE audit_logs DISABLE ROW LEVEL SECURITY", found: "read"},
	{name: "no row security on applied_events", sql: "ALTER TABLE applied_events DISABLE ROW LEVEL SECURITY", found: "worker"},
	{name: "not forced on communities", sql: "ALTER TABLE communities NO FORCE ROW LEVEL SECURITY", found: "owner"},
	{name: "not forced on profiles", sql: "ALTER TABLE profiles NO FORCE ROW LEVEL SECURITY", found: "owner"},
	{name: "not forced on badges", sql: "ALTER TABLE badges NO FORCE ROW LEVEL SECURITY", found: "owner"},
	{name: "not forced on eligibility_rules", sql: "ALTER TABLE eligibility_rules NO FORCE ROW LEVEL SECURITY", found: "owner"},
	{name: "not forced on audit_logs", sql: "ALTER TABLE audit_logs NO FORCE ROW LEVEL SECURITY", found: "owner"},
	{name: "not forced on an audit partition", sql: "DO $$ BEGIN EXECUTE format('ALTER TABLE audit_logs_%s NO FORCE ROW LEVEL SECURITY', to_char(now(), 'YYYY_MM')); END $$", found: "owner"},
	{name: "not forced on applied_events", sql: "ALTER TABLE applied_events NO FORCE ROW LEVEL SECURITY", found: "owner"},

	{name: "no policy for tenants", sql: "DROP POLICY tenant ON profiles", found: "control"},
	{name: "no policy for audit rows", sql: "DROP POLICY append ON audit_logs", found: "control"},
	{name: "a policy that shows all", sql: "ALTER POLICY tenant ON badges USING (true)", found: "read"},
	{name: "a policy that takes all", sql: "ALTER POLICY tenant ON profiles WITH CHECK (true)", found: "write"},
	{name: "a policy that takes all rules", sql: "ALTER POLICY tenant ON eligibility_rules WITH CHECK (true)", found: "write"},
	{name: "a policy that takes all communities", sql: "ALTER POLICY tenant ON communities WITH CHECK (true)", found: "write"},
	{name: "a second policy for everybody", sql: "CREATE POLICY more ON eligibility_rules FOR SELECT USING (true)", found: "read"},
	{name: "no tenant is every tenant", sql: "ALTER POLICY tenant ON profiles USING (app_tenant() IS NULL OR community_id = app_tenant())", found: "leak"},
	{name: "administrators by the flag alone", sql: "ALTER POLICY admin ON profiles TO PUBLIC", found: "forged setting"},
	{name: "flag and tenant in one policy", sql: "ALTER POLICY tenant ON communities USING (app_is_admin() OR id = app_tenant())", found: "forged setting"},
	{name: "administrators by the role alone", sql: "ALTER POLICY admin ON communities USING (true)", found: "administrator"},
	{name: "administrators by any flag", sql: "ALTER POLICY admin ON communities USING (current_setting('app.is_admin', true) <> '')", found: "administrator"},
	{name: "the system appends for all", sql: "ALTER POLICY append ON audit_logs WITH CHECK (true)", found: "audit"},
	{name: "the worker's events of all", sql: "ALTER POLICY seen ON applied_events USING (true); ALTER POLICY apply ON applied_events WITH CHECK (true)", found: "worker"},
	{name: "retention of fresh events", sql: "ALTER POLICY old ON applied_events USING (true); ALTER POLICY retention ON applied_events USING (true)", found: "owner"},

	{name: "a view with its owner's rights", sql: "ALTER VIEW active_members SET (security_invoker = false); ALTER VIEW active_members OWNER TO postgres; GRANT SELECT ON active_members TO app_rw", found: "view"},
	{name: "a view with its bound owner's rights", sql: "ALTER VIEW community_summary SET (security_invoker = false)", undo: "ALTER VIEW community_summary SET (security_invoker = true)", found: "control"},
	{name: "a materialized view", sql: "CREATE MATERIALIZED VIEW ranking AS SELECT nick, current_rank FROM profiles; GRANT SELECT ON ranking TO app_rw", undo: "DROP MATERIALIZED VIEW ranking", found: "read"},
	{name: "an audit partition that is open", sql: "GRANT SELECT ON audit_logs_default TO app_rw; ALTER TABLE audit_logs_default DISABLE ROW LEVEL SECURITY; ALTER TABLE audit_logs DETACH PARTITION audit_logs_default; INSERT INTO audit_logs_default (community_id, actor_type, actor, action) VALUES ('{victim}', 'user', 'VICTIM', 'made'); ALTER TABLE audit_logs_default NO FORCE ROW LEVEL SECURITY", found: "read"},

	{name: "TRUNCATE on profiles", sql: "GRANT TRUNCATE ON profiles, badges TO app_rw", found: "delete"},
	{name: "TRUNCATE on audit_logs", sql: "GRANT TRUNCATE ON audit_logs TO app_rw", found: "delete"},
	{name: "UPDATE on audit_logs", sql: "GRANT UPDATE, SELECT ON audit_logs TO app_system; CREATE POLICY edit ON audit_logs TO app_system USING (community_id = app_tenant())", found: "audit"},
	{name: "DELETE on audit_logs for tenants", sql: "GRANT DELETE ON audit_logs TO app_rw; CREATE POLICY clean ON audit_logs FOR DELETE TO app_rw USING (community_id = app_tenant())", found: "audit"},
	{name: "DELETE on audit_logs for administrators", sql: "GRANT DELETE ON audit_logs TO app_admin; CREATE POLICY clean ON audit_logs FOR DELETE TO app_admin USING (app_is_admin())", found: "administrator"},
	{name: "INSERT on audit_logs for tenants", sql: "GRANT INSERT ON audit_logs TO app_rw; ALTER POLICY append ON audit_logs TO app_system, app_rw", found: "audit"},
	{name: "everything of communities for the worker", sql: "GRANT SELECT ON communities TO app_worker", found: "worker"},
	{name: "temporary tables", sql: "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$", undo: "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$", found: "leak"},
	{name: "objects in schema public", sql: "GRANT CREATE ON SCHEMA public TO PUBLIC", undo: "REVOKE CREATE ON SCHEMA public FROM PUBLIC; DROP VIEW IF EXISTS mine; DROP TABLE IF EXISTS mine; DROP FUNCTION IF EXISTS app_own()", found: "function"},
	{name: "password look-up for everybody", sql: "GRANT USAGE ON SCHEMA pooler TO PUBLIC; GRANT EXECUTE ON FUNCTION pooler.lookup(text) TO PUBLIC", undo: "REVOKE USAGE ON SCHEMA pooler FROM PUBLIC; REVOKE EXECUTE ON FUNCTION pooler.lookup(text) FROM PUBLIC", found: "function"},

	{name: "a key over all users", sql: "ALTER TABLE profiles ADD CONSTRAINT more UNIQUE (user_id)", undo: "ALTER TABLE profiles DROP CONSTRAINT more", found: "oracle"},
	{name: "a key over all wallets", sql: "CREATE UNIQUE INDEX more ON profiles (wallet_address)", undo: "DROP INDEX more", found: "oracle"},
	{name: "a key over all ids", sql: "ALTER TABLE profiles ADD CONSTRAINT more UNIQUE (id)", undo: "ALTER TABLE profiles DROP CONSTRAINT more", found: "oracle"},
	{name: "a reference without the tenant", sql: "ALTER TABLE profiles ADD UNIQUE (id); ALTER TABLE badges DROP CONSTRAINT badges_profile, ADD FOREIGN KEY (profile_id) REFERENCES profiles (id) ON DELETE CASCADE", found: "reference"},
	{name: "a community of any guild", sql: "ALTER TABLE communities DROP CONSTRAINT communities_id_of_guild", found: "update"},
	{name: "a key over all guilds", sql: "ALTER TABLE communities DROP CONSTRAINT communities_id_of_guild, ADD UNIQUE (guild_id)", found: "oracle"},
	{name: "a cascade into the audit log, whose owner may delete", sql: "GRANT DELETE ON audit_logs TO app_owner; ALTER TABLE audit_logs ADD FOREIGN KEY (community_id) REFERENCES communities (id) ON DELETE CASCADE", found: "audit"},

	{name: "a function with a superuser's rights", sql: "CREATE FUNCTION find_members(community uuid) RETURNS SETOF profiles LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM profiles WHERE community_id = community'; GRANT EXECUTE ON FUNCTION find_members(uuid) TO app_rw", undo: "DROP FUNCTION find_members(uuid)", found: "function"},
	{name: "audit_action with a superuser's rights", sql: "ALTER FUNCTION audit_action SECURITY DEFINER; ALTER FUNCTION audit_action OWNER TO postgres; GRANT EXECUTE ON FUNCTION audit_action TO app_rw", found: "audit"},
	{name: "a context for the session", sql: "CREATE OR REPLACE FUNCTION set_tenant_context(tenant uuid) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.current_tenant', tenant::text, false); END $$", found: "leak"},
	{name: "a context that is not cleared", sql: "CREATE OR REPLACE FUNCTION clear_tenant_context() RETURNS void LANGUAGE sql AS 'SELECT'", found: "forged tenant"},
	{name: "garbage is no error but every tenant", sql: `CREATE FUNCTION any_tenant(c uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN c = app_tenant(); EXCEPTION WHEN data_exception THEN RETURN true; END $$;
		GRANT EXECUTE ON FUNCTION any_tenant(uuid) TO app_rw; ALTER POLICY tenant ON profiles USING (any_tenant(community_id))`, found: "forged tenant"},

	{name: "tenants may become administrators", sql: "GRANT app_admin TO app_rw", undo: "REVOKE app_admin FROM app_rw", found: "forged setting"},
	{name: "tenants may become the system", sql: "GRANT app_system TO app_rw", undo: "REVOKE app_system FROM app_rw", found: "forged setting"},
	{name: "tenants may become the owner", sql: "GRANT app_owner TO app_rw", undo: "REVOKE app_owner FROM app_rw", found: "forged setting"},
	{name: "the worker inherits", sql: "ALTER ROLE app_worker INHERIT", undo: "ALTER ROLE app_worker NOINHERIT", found: "worker"},
}

func TestAttacks_find_every_weakness(t *testing.T) {
	var a *arena
	copies := 0
	for _, w := range weaknesses {
		// What the last one left cannot always be repaired.
		if a == nil || !a.repair(t) {
			a = newArena(t, database(t, peopled))
			copies++
		}
		t.Run(strings.ReplaceAll(w.name, " ", "_"), func(t *testing.T) {
			do(t, a.judge, w.sql)
			if a.rules(t) == a.original {
				t.Fatal("the weakness is none: all rules are as before")
			}
			if w.undo != "" {
				defer do(t, a.judge, w.undo)
			}
			a.before = a.look(t)
			a.search(t, w)
		})
	}
	t.Logf("%d weaknesses, in %d databases", len(weaknesses), copies)
}

// search makes the attacks that are meant to find w, and all others only to say
// what does when they do not.
func (a *arena) search(t *testing.T, w weakness) {
	t.Helper()
	var list []string
	found := false
	if w.found == "control" {
		list = a.broken(t)
		found = len(list) > 0
	}
	for _, meant := range []bool{true, false} {
		for _, k := range attacks {
			if found && !meant || (k.kind == w.found) != meant {
				continue
			}
			if won := a.run(t, k); won != "" {
				list = append(list, k.kind+": "+k.name+": "+won)
				found = found || meant
			}
		}
	}
	if !found {
		t.Errorf("found by no attack of kind %q, but by:\n%s", w.found, strings.Join(list, "\n"))
	}
	t.Logf("found by %d: %s", len(list), strings.Join(list, "; "))
}
