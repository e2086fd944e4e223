package postgres_test

// attack is one try of a plain role to reach another tenant, through PgBouncer
// with a single server connection. Unless it says otherwise it runs as app_rw in
// a transaction of the attacker's own tenant, and has won when it gets to see
// the marker of the victim, in rows or in an error, or when afterwards anything
// of the victim, of the audit log, or of the schema is other than before.
type attack struct {
	kind string
	name string
	role string // login; app_rw
	// direct: not through PgBouncer, which does not let this role in.
	direct bool
	// tenant is the tenant of the transaction; "" the own one, none for no tenant,
	// and bare for no transaction at all.
	tenant string
	// previous ran before on the same server connection, as another client. It
	// stands for honest code in the victim's context; hangUp breaks it off.
	previous string
	hangUp   bool
	sql      string
	// value is an argument $1, by the extended protocol; everything is read afterwards.
	value string
	// other turns the attack into a question: it has won when sql and other end
	// differently. Neither takes effect.
	other string
	// accepted: it has won when sql ends without an error and did something.
	accepted bool
	// fails: it has won with this SQLSTATE.
	fails string
	// copies the table in or out instead: "out", or what goes in.
	copies string
}

const (
	none = "none"
	bare = "bare"
)

// control is what must go on working: a schema that lets nobody in is not safe
// but broken.
type control struct{ name, role, sql, want string }

var controls = []control{
	{"own members are read", "app_rw", "SELECT count(*) FROM profiles", "2"},
	{"own community is read", "app_rw", "SELECT name FROM communities", "OWN"},
	{"own rules and badges are read", "app_rw", "SELECT count(*) FROM eligibility_rules, badges", "1"},
	{"own audit log is read", "app_rw", "SELECT count(*) > 0 FROM audit_logs", "t"},
	{"own view is read", "app_rw", "SELECT count(*) FROM active_members", "2"},
	{"own summary is read", "app_rw", "SELECT members FROM community_summary", "2"},
	{"own member is changed", "app_rw", "WITH c AS (UPDATE profiles SET nick = '1' WHERE id = '{own_profile}' RETURNING 1) SELECT count(*) FROM c", "1"},
	{"the audit log is written", "app_system", "SELECT audit_action('system', 'control', 'tried') IS NOT NULL", "t"},
	{"administrators read all", "app_admin", "SET LOCAL app.is_admin = 'true'; SELECT count(*) FROM communities", "3"},
	{"the worker remembers events", "app_worker", "WITH c AS (INSERT INTO applied_events (community_id, event_id) VALUES (app_tenant(), gen_random_uuid()) RETURNING 1) SELECT count(*) FROM c", "1"},
	{"the worker knows the communities", "app_worker", "SELECT count(guild_id) FROM communities", "3"},
}

// everything reads all that the role may read, whatever it is called: tables,
// partitions, views.
const everything = `SELECT query_to_xml(format('SELECT * FROM %s', c.oid::regclass), true, false, '')
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
	  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`

// definers calls every function that runs with somebody else's rights, with the
// victim's ids for what it asks.
const definers = `SELECT query_to_xml(format('SELECT * FROM %I.%I(%s)', n.nspname, p.proname, (
		SELECT coalesce(string_agg(CASE a.t
			WHEN 'uuid'::regtype THEN quote_literal('{victim}') || '::uuid'
			WHEN 'bigint'::regtype THEN '{victim_guild}'
			WHEN 'text'::regtype THEN quote_literal('app_worker')
			ELSE 'NULL' END, ', ' ORDER BY a.i), '')
		FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, i))), true, false, '')
	FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE p.prosecdef AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
	  AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')`

var attacks = []attack{
	{kind: "read", name: "members by tenant", sql: "SELECT * FROM profiles WHERE community_id = '{victim}'"},
	{kind: "read", name: "all members", sql: "SELECT * FROM profiles"},
	{kind: "read", name: "a member by its id", sql: "SELECT * FROM profiles WHERE id = '{victim_profile}'"},
	{kind: "read", name: "the community by its guild", sql: "SELECT * FROM communities WHERE guild_id = {victim_guild}"},
	{kind: "read", name: "badges", sql: "SELECT * FROM badges WHERE community_id = '{victim}'"},
	{kind: "read", name: "rules", sql: "SELECT * FROM eligibility_rules WHERE community_id = '{victim}'"},
	{kind: "read", name: "audit log", sql: "SELECT * FROM audit_logs WHERE community_id = '{victim}'"},
	{kind: "read", name: "without a tenant", tenant: none, sql: everything},
	{kind: "read", name: "all that may be read", sql: everything},
	{kind: "read", name: "whether there are others", sql: "SELECT 'VICTIM' FROM profiles WHERE community_id <> '{own}' LIMIT 1"},
	{kind: "read", name: "aggregate", sql: "SELECT string_agg(nick, ','), max(wallet_address) FROM profiles"},
	{kind: "read", name: "join from an own row", sql: "SELECT o.* FROM profiles p JOIN profiles o ON o.tier > '' WHERE p.id = '{own_profile}'"},
	{kind: "read", name: "union", sql: "SELECT nick FROM profiles UNION ALL SELECT name FROM communities UNION ALL SELECT badge FROM badges"},
	{kind: "read", name: "cursor", sql: "DECLARE c CURSOR FOR SELECT * FROM profiles; FETCH ALL FROM c"},
	{kind: "read", name: "COPY TO", copies: "out", sql: "COPY profiles TO STDOUT"},
	{kind: "read", name: "lock rows", sql: "SELECT * FROM profiles WHERE community_id = '{victim}' FOR UPDATE"},
	{kind: "read", name: "planner statistics", sql: "SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE schemaname = 'public'"},
	{kind: "read", name: "raw statistics", sql: "SELECT * FROM pg_statistic"},
	{kind: "read", name: "error of a cast", sql: "SELECT * FROM profiles WHERE nick::int = 0"},
	{kind: "read", name: "error of a division", sql: "SELECT 1 FROM profiles WHERE 1 / (user_id - {victim_user}) = 1", fails: "22012"},
	{kind: "read", name: "audit partition of its own", sql: "TABLE audit_logs_default"},
	{kind: "read", name: "worker's table", sql: "SELECT 'VICTIM' FROM applied_events"},

	{kind: "view", name: "members", sql: "SELECT * FROM active_members WHERE community_id = '{victim}'"},
	{kind: "view", name: "summary", sql: "SELECT * FROM community_summary WHERE guild_id = {victim_guild}"},
	{kind: "view", name: "a view over others' rows", accepted: true, sql: "CREATE VIEW public.mine AS SELECT * FROM profiles"},

	{kind: "write", name: "insert a member", sql: "INSERT INTO profiles (community_id, user_id) VALUES ('{victim}', 5)"},
	{kind: "write", name: "insert a community", sql: "INSERT INTO communities (id, guild_id) VALUES ('{empty}', {empty_guild})"},
	{kind: "write", name: "insert a rule", sql: "INSERT INTO eligibility_rules (community_id, chain, rule_type) VALUES ('{victim}', 'x', 'custom')"},
	{kind: "write", name: "insert without a tenant", tenant: none, sql: "INSERT INTO profiles (community_id, user_id) VALUES ('{victim}', 5)"},
	{kind: "write", name: "COPY FROM", copies: "{victim}\t6\n", sql: "COPY profiles (community_id, user_id) FROM STDIN"},
	{kind: "update", name: "a member", sql: "UPDATE profiles SET nick = 'x' WHERE community_id = '{victim}'"},
	{kind: "update", name: "all members", sql: "UPDATE profiles SET tier = 'gold'"},
	{kind: "update", name: "all communities", sql: "UPDATE communities SET theme_id = 'x'"},
	{kind: "update", name: "all rules", sql: "UPDATE eligibility_rules SET enabled = true"},
	{kind: "update", name: "give an own row away", sql: "UPDATE profiles SET community_id = '{victim}' WHERE id = '{own_profile}'", accepted: true},
	{kind: "update", name: "claim the victim's guild", sql: "UPDATE communities SET guild_id = {victim_guild} WHERE id = '{own}'", accepted: true},
	{kind: "update", name: "update and return", sql: "UPDATE profiles SET tier = tier WHERE community_id = '{victim}' RETURNING *"},
	{kind: "update", name: "update in a query", sql: "WITH x AS (UPDATE badges SET revoked_at = now() RETURNING *) SELECT * FROM x"},
	{kind: "update", name: "MERGE", sql: "MERGE INTO profiles p USING (SELECT '{victim}'::uuid AS c) s ON p.community_id = s.c WHEN MATCHED THEN UPDATE SET nick = 'x'"},
	{kind: "delete", name: "members", sql: "DELETE FROM profiles WHERE community_id = '{victim}'"},
	{kind: "delete", name: "all others' members", sql: "DELETE FROM profiles WHERE community_id <> '{own}'"},
	{kind: "delete", name: "others' rules and badges", sql: "DELETE FROM badges WHERE id <> '{own_badge}'; DELETE FROM eligibility_rules WHERE name <> 'OWN rule'"},
	{kind: "delete", name: "communities", sql: "DELETE FROM communities"},
	{kind: "delete", name: "TRUNCATE members", sql: "TRUNCATE profiles CASCADE"},
	{kind: "delete", name: "TRUNCATE the audit log", sql: "TRUNCATE audit_logs"},
	{kind: "upsert", name: "insert or change a member", sql: `INSERT INTO profiles (community_id, user_id) VALUES ('{victim}', {victim_user})
		ON CONFLICT (community_id, user_id) DO UPDATE SET nick = 'x'`},
	{kind: "upsert", name: "insert or see a member", sql: `INSERT INTO profiles (community_id, user_id) VALUES ('{victim}', {victim_user})
		ON CONFLICT (community_id, user_id) DO UPDATE SET nick = profiles.nick RETURNING *`},
	{kind: "upsert", name: "insert or change the community", sql: `INSERT INTO communities (id, guild_id) VALUES ('{victim}', {victim_guild})
		ON CONFLICT (id) DO UPDATE SET name = 'x'`},

	{kind: "reference", name: "a badge for the victim's member", accepted: true,
		sql: "INSERT INTO badges (community_id, profile_id, badge) VALUES ('{own}', '{victim_profile}', 'x')"},
	{kind: "reference", name: "an own badge moved there", accepted: true, sql: "UPDATE badges SET profile_id = '{victim_profile}' WHERE id = '{own_badge}'"},
	{kind: "reference", name: "a badge in the victim's community", sql: "INSERT INTO badges (community_id, profile_id, badge) VALUES ('{victim}', '{victim_profile}', 'x')"},

	{kind: "oracle", name: "is that user a member elsewhere",
		sql:   "INSERT INTO profiles (community_id, user_id) VALUES ('{own}', {victim_user})",
		other: "INSERT INTO profiles (community_id, user_id) VALUES ('{own}', 55)"},
	{kind: "oracle", name: "is that wallet known elsewhere",
		sql:   "INSERT INTO profiles (community_id, user_id, wallet_address) VALUES ('{own}', 56, '0xVICTIM')",
		other: "INSERT INTO profiles (community_id, user_id, wallet_address) VALUES ('{own}', 56, '0xnobody')"},
	{kind: "oracle", name: "is that id taken elsewhere",
		sql:   "INSERT INTO profiles (community_id, id, user_id) VALUES ('{own}', '{victim_profile}', 57)",
		other: "INSERT INTO profiles (community_id, id, user_id) VALUES ('{own}', '{nobody}', 57)"},
	{kind: "oracle", name: "does that member exist, by a reference",
		sql:   "INSERT INTO badges (community_id, profile_id, badge) VALUES ('{own}', '{victim_profile}', 'y')",
		other: "INSERT INTO badges (community_id, profile_id, badge) VALUES ('{own}', '{nobody}', 'y')"},
	{kind: "oracle", name: "does that community exist",
		sql:   "INSERT INTO communities (id, guild_id) VALUES ('{victim}', {victim_guild})",
		other: "INSERT INTO communities (id, guild_id) VALUES ('{empty}', {empty_guild})"},
	{kind: "oracle", name: "does that community exist, by a member of it",
		sql:   "INSERT INTO profiles (community_id, user_id) VALUES ('{victim}', 58)",
		other: "INSERT INTO profiles (community_id, user_id) VALUES ('{empty}', 58)"},
	{kind: "oracle", name: "does that user exist, by an upsert that does nothing",
		sql:   "INSERT INTO profiles (community_id, user_id) VALUES ('{own}', {victim_user}) ON CONFLICT DO NOTHING",
		other: "INSERT INTO profiles (community_id, user_id) VALUES ('{own}', 59) ON CONFLICT DO NOTHING"},
	{kind: "oracle", name: "is that guild taken, by a new community", tenant: "{empty}",
		sql:   "INSERT INTO communities (id, guild_id) VALUES ('{empty}', {victim_guild})",
		other: "INSERT INTO communities (id, guild_id) VALUES ('{empty}', {no_guild})"},

	{kind: "forged setting", name: "app.is_admin for a transaction", sql: "SET LOCAL app.is_admin = 'true'; " + everything},
	{kind: "forged setting", name: "app.is_admin for a session", sql: "SET app.is_admin = 'on'; " + everything},
	{kind: "forged setting", name: "app.is_admin without a tenant", tenant: none, sql: "SELECT set_config('app.is_admin', '1', true); " + everything},
	{kind: "forged setting", name: "app.is_admin writes", sql: "SET LOCAL app.is_admin = 'true'; UPDATE profiles SET nick = '7'"},
	{kind: "forged setting", name: "row_security", sql: "SET LOCAL row_security = off; SELECT * FROM profiles"},
	{kind: "forged setting", name: "role of the administrators", sql: "SET LOCAL app.is_admin = 'true'; SET LOCAL ROLE app_admin; " + everything},
	{kind: "forged setting", name: "role of the owner", sql: "SET LOCAL ROLE app_owner; ALTER TABLE profiles DISABLE ROW LEVEL SECURITY"},
	{kind: "forged setting", name: "role of the system", sql: "SET LOCAL ROLE app_system; SELECT audit_action('admin', 'forged', 'forged')"},
	{kind: "forged setting", name: "session of a superuser", tenant: bare, sql: "SET SESSION AUTHORIZATION postgres; " + everything},
	{kind: "forged setting", name: "no triggers, no references", sql: "SET LOCAL session_replication_role = replica; DELETE FROM communities"},
	{kind: "forged tenant", name: "empty", tenant: none, sql: "SET LOCAL app.current_tenant = ''; " + everything},
	{kind: "forged tenant", name: "garbage", tenant: none, sql: "SET LOCAL app.current_tenant = 'banana'; " + everything},
	{kind: "forged tenant", name: "of zeros", tenant: none, sql: "SET LOCAL app.current_tenant = '00000000-0000-0000-0000-000000000000'; " + everything},
	{kind: "forged tenant", name: "wildcard", tenant: none, sql: "SET LOCAL app.current_tenant = '%'; " + everything},
	{kind: "forged tenant", name: "list", tenant: none, sql: "SET LOCAL app.current_tenant = '{own},{victim}'; " + everything},
	{kind: "forged tenant", name: "NULL", tenant: none, sql: "SELECT set_tenant_context(NULL); " + everything},
	{kind: "forged tenant", name: "cleared", tenant: "{victim}", sql: "SELECT clear_tenant_context(); " + everything},
	{kind: "injection", name: "into the setting", tenant: none, value: "{own}' OR '1'='1", sql: "SELECT set_config('app.current_tenant', $1, true)"},
	{kind: "injection", name: "a second statement", tenant: none, value: "'; SET app.is_admin = 'true'; --", sql: "SELECT set_config('app.current_tenant', $1, true)"},
	{kind: "injection", name: "into set_tenant_context", tenant: none, value: "x'); SET ROLE app_admin; --", sql: "SELECT set_tenant_context($1::text::uuid)"},
	{kind: "injection", name: "into a condition", value: "{victim}'::uuid OR true --", sql: "SELECT p::text FROM profiles p WHERE nick = $1"},
	{kind: "injection", name: "into audit_action", role: "app_system", value: "'); DELETE FROM audit_logs; --", sql: "SELECT audit_action('system', $1, 'x')"},

	{kind: "leak", name: "after a commit", tenant: none, previous: "BEGIN; SELECT set_config('app.current_tenant', '{victim}', true); SELECT * FROM profiles; COMMIT", sql: everything},
	{kind: "leak", name: "after a rollback", tenant: none, previous: "BEGIN; SELECT set_config('app.current_tenant', '{victim}', true); ROLLBACK", sql: everything},
	{kind: "leak", name: "after an error", tenant: none, previous: "BEGIN; SELECT set_config('app.current_tenant', '{victim}', true); SELECT 1 / 0", hangUp: true, sql: everything},
	{kind: "leak", name: "after a client that hung up", tenant: none, previous: "BEGIN; SELECT set_tenant_context('{victim}')", hangUp: true, sql: everything},
	{kind: "leak", name: "after set_tenant_context", tenant: none, previous: "BEGIN; SELECT set_tenant_context('{victim}'); COMMIT", sql: everything},
	{kind: "leak", name: "after set_tenant_context alone", tenant: none, previous: "SELECT set_tenant_context('{victim}')", sql: everything},
	{kind: "leak", name: "after SET LOCAL outside a transaction", tenant: none, previous: "SET LOCAL app.current_tenant = '{victim}'", sql: everything},
	{kind: "leak", name: "after a savepoint", tenant: none,
		previous: "BEGIN; SAVEPOINT s; SELECT set_tenant_context('{victim}'); ROLLBACK TO s; SELECT set_tenant_context('{victim}'); RELEASE s; COMMIT", sql: everything},
	{kind: "leak", name: "in the own tenant, after the victim's", previous: "BEGIN; SELECT set_tenant_context('{victim}'); COMMIT", sql: everything},
	{kind: "leak", name: "a role of the previous client", role: "app_worker", tenant: none,
		previous: "BEGIN; SELECT set_tenant_context('{victim}'); SET LOCAL ROLE app_rw; SELECT * FROM profiles; COMMIT", sql: "SELECT * FROM profiles"},
	{kind: "leak", name: "a temporary table in front of the real one", accepted: true, tenant: bare, sql: "CREATE TEMPORARY TABLE profiles (community_id uuid, user_id bigint)"},

	{kind: "function", name: "every function with others' rights", sql: definers},
	{kind: "function", name: "every function with others' rights, without a tenant", tenant: none, sql: definers},
	{kind: "function", name: "a query in a function", sql: "SELECT query_to_xml('SELECT * FROM profiles', true, false, '')"},
	{kind: "function", name: "passwords", sql: "SELECT 'VICTIM', * FROM pooler.lookup('app_worker')"},
	{kind: "function", name: "passwords of the server", sql: "SELECT 'VICTIM', rolpassword FROM pg_authid"},
	{kind: "function", name: "drop audit months", sql: "SELECT audit_retain('30 days')"},
	{kind: "function", name: "new audit months", sql: "SELECT audit_partitions_ahead(99)"},
	{kind: "function", name: "forget events", sql: "SELECT applied_events_retain('2 days')"},
	{kind: "function", name: "a function of its own", accepted: true, sql: "CREATE FUNCTION public.app_own() RETURNS int LANGUAGE sql AS 'SELECT 1'"},
	{kind: "function", name: "another meaning of the tenant", sql: "CREATE OR REPLACE FUNCTION app_tenant() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT '{victim}'::uuid $$"},
	{kind: "function", name: "files of the server", accepted: true, sql: "SELECT pg_read_file('/etc/passwd')"},
	{kind: "function", name: "programs of the server", accepted: true, sql: "COPY (SELECT 1) TO PROGRAM 'cat'"},

	{kind: "schema", name: "switch row security off", sql: "ALTER TABLE profiles DISABLE ROW LEVEL SECURITY"},
	{kind: "schema", name: "drop a policy", sql: "DROP POLICY tenant ON profiles"},
	{kind: "schema", name: "a policy of its own", sql: "CREATE POLICY mine ON profiles USING (true)"},
	{kind: "schema", name: "a trigger on the table", sql: "CREATE TRIGGER t BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION touch_updated_at()"},
	{kind: "schema", name: "a rule on the table", sql: "CREATE RULE r AS ON INSERT TO profiles DO ALSO NOTHING"},
	{kind: "schema", name: "grant it to everybody", sql: "GRANT SELECT ON applied_events TO PUBLIC"},
	{kind: "schema", name: "a stronger role", sql: "ALTER ROLE app_rw BYPASSRLS"},
	{kind: "schema", name: "a table of its own", accepted: true, sql: "CREATE TABLE public.mine (x int)"},

	{kind: "audit", name: "append as a tenant", sql: "INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{own}', 'admin', 'forged', 'x')"},
	{kind: "audit", name: "append by the function as a tenant", sql: "SELECT audit_action('admin', 'forged', 'x')"},
	{kind: "audit", name: "change own rows", sql: "UPDATE audit_logs SET actor = 'nobody'"},
	{kind: "audit", name: "delete own rows", sql: "DELETE FROM audit_logs"},
	{kind: "audit", name: "the system appends for another tenant", role: "app_system",
		sql: "INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{victim}', 'admin', 'forged', 'x')"},
	{kind: "audit", name: "the system appends for nobody", role: "app_system", tenant: none,
		sql: "INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{victim}', 'admin', 'forged', 'x')"},
	{kind: "audit", name: "the system reads", role: "app_system", tenant: "{victim}", sql: "SELECT * FROM audit_logs"},
	{kind: "audit", name: "the system changes", role: "app_system", sql: "UPDATE audit_logs SET actor = 'nobody'"},
	{kind: "audit", name: "the system deletes", role: "app_system", sql: "DELETE FROM audit_logs"},
	{kind: "audit", name: "the system reads members", role: "app_system", tenant: "{victim}", sql: "SELECT * FROM profiles"},
	{kind: "audit", name: "a deleted community takes its log along", role: "app_admin",
		sql: "SET LOCAL app.is_admin = 'true'; DELETE FROM communities WHERE id = '{bystander}'"},

	{kind: "administrator", name: "without the flag", role: "app_admin", sql: everything},
	{kind: "administrator", name: "with a garbage flag", role: "app_admin", sql: "SET LOCAL app.is_admin = 'banana'; " + everything},
	{kind: "administrator", name: "changes the audit log", role: "app_admin", sql: "SET LOCAL app.is_admin = 'true'; UPDATE audit_logs SET actor = 'x'"},
	{kind: "administrator", name: "deletes from the audit log", role: "app_admin", sql: "SET LOCAL app.is_admin = 'true'; DELETE FROM audit_logs"},
	{kind: "administrator", name: "forges the audit log", role: "app_admin",
		sql: "SET LOCAL app.is_admin = 'true'; INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{victim}', 'admin', 'x', 'x')"},

	{kind: "worker", name: "reads members by itself", role: "app_worker", tenant: "{victim}", sql: "SELECT * FROM profiles"},
	{kind: "worker", name: "more of the communities than it needs", role: "app_worker", sql: "SELECT * FROM communities"},
	{kind: "worker", name: "changes communities by itself", role: "app_worker", tenant: "{victim}", sql: "UPDATE communities SET active = false"},
	{kind: "worker", name: "as a tenant in another one", role: "app_worker", sql: "SET LOCAL ROLE app_rw; " + everything},
	{kind: "worker", name: "another tenant's events", role: "app_worker", sql: "SELECT 'VICTIM' FROM applied_events WHERE community_id = '{victim}'"},
	{kind: "worker", name: "events for another tenant", role: "app_worker", sql: "INSERT INTO applied_events VALUES ('{victim}', '{nobody}')"},
	{kind: "worker", name: "forgets events", role: "app_worker", sql: "DELETE FROM applied_events"},
	{kind: "worker", name: "becomes an administrator", role: "app_worker", sql: "SET LOCAL app.is_admin = 'true'; SET LOCAL ROLE app_admin; " + everything},
	{kind: "worker", name: "audits another tenant", role: "app_worker",
		sql: "SET LOCAL ROLE app_system; INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES ('{victim}', 'system', 'x', 'x')"},

	{kind: "owner", name: "reads without a tenant", role: "careless", direct: true, tenant: none, sql: everything},
	{kind: "owner", name: "changes members", role: "careless", direct: true, sql: "UPDATE profiles SET nick = 'x'"},
	{kind: "owner", name: "deletes from the audit log", role: "careless", direct: true, sql: "DELETE FROM audit_logs"},
	{kind: "owner", name: "forgets fresh events", role: "careless", direct: true, sql: "DELETE FROM applied_events"},
}
