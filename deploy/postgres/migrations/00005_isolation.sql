-- +goose Up
SET LOCAL ROLE app_owner;

-- ENABLE holds for everybody but the owner, FORCE for the owner too.
ALTER TABLE communities ENABLE ROW LEVEL SECURITY;
ALTER TABLE communities FORCE ROW LEVEL SECURITY;
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE profiles FORCE ROW LEVEL SECURITY;
ALTER TABLE badges ENABLE ROW LEVEL SECURITY;
ALTER TABLE badges FORCE ROW LEVEL SECURITY;
ALTER TABLE eligibility_rules ENABLE ROW LEVEL SECURITY;
ALTER TABLE eligibility_rules FORCE ROW LEVEL SECURITY;
ALTER TABLE applied_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE applied_events FORCE ROW LEVEL SECURITY;
ALTER TABLE worker_state ENABLE ROW LEVEL SECURITY;
ALTER TABLE worker_state FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;

-- One policy for each role: in one policy with OR the tenant would be no index
-- condition any more, and the flag alone would be enough.
DROP POLICY IF EXISTS tenant ON communities;
CREATE POLICY tenant ON communities TO app_rw USING (id = app_tenant()) WITH CHECK (id = app_tenant());
DROP POLICY IF EXISTS admin ON communities;
CREATE POLICY admin ON communities TO app_admin USING (app_is_admin()) WITH CHECK (app_is_admin());
-- A gap concerns all guilds of a shard: the worker has to know which there are.
DROP POLICY IF EXISTS roll_call ON communities;
CREATE POLICY roll_call ON communities FOR SELECT TO app_worker USING (true);

DROP POLICY IF EXISTS tenant ON profiles;
CREATE POLICY tenant ON profiles TO app_rw USING (community_id = app_tenant()) WITH CHECK (community_id = app_tenant());
DROP POLICY IF EXISTS admin ON profiles;
CREATE POLICY admin ON profiles TO app_admin USING (app_is_admin()) WITH CHECK (app_is_admin());

DROP POLICY IF EXISTS tenant ON badges;
CREATE POLICY tenant ON badges TO app_rw USING (community_id = app_tenant()) WITH CHECK (community_id = app_tenant());
DROP POLICY IF EXISTS admin ON badges;
CREATE POLICY admin ON badges TO app_admin USING (app_is_admin()) WITH CHECK (app_is_admin());

DROP POLICY IF EXISTS tenant ON eligibility_rules;
CREATE POLICY tenant ON eligibility_rules TO app_rw USING (community_id = app_tenant()) WITH CHECK (community_id = app_tenant());
DROP POLICY IF EXISTS admin ON eligibility_rules;
CREATE POLICY admin ON eligibility_rules TO app_admin USING (app_is_admin()) WITH CHECK (app_is_admin());

DROP POLICY IF EXISTS append ON audit_logs;
CREATE POLICY append ON audit_logs FOR INSERT TO app_system WITH CHECK (community_id = app_tenant());
DROP POLICY IF EXISTS read ON audit_logs;
CREATE POLICY read ON audit_logs FOR SELECT TO app_rw USING (community_id = app_tenant());
DROP POLICY IF EXISTS admin ON audit_logs;
CREATE POLICY admin ON audit_logs FOR SELECT TO app_admin USING (app_is_admin());

DROP POLICY IF EXISTS seen ON applied_events;
CREATE POLICY seen ON applied_events FOR SELECT TO app_worker USING (community_id = app_tenant());
DROP POLICY IF EXISTS apply ON applied_events;
CREATE POLICY apply ON applied_events FOR INSERT TO app_worker WITH CHECK (community_id = app_tenant());
-- Retention reaches nothing that a redelivery could still need.
DROP POLICY IF EXISTS old ON applied_events;
CREATE POLICY old ON applied_events FOR SELECT TO app_owner USING (at < now() - interval '1 day');
DROP POLICY IF EXISTS retention ON applied_events;
CREATE POLICY retention ON applied_events FOR DELETE TO app_owner USING (at < now() - interval '1 day');

DROP POLICY IF EXISTS position ON worker_state;
CREATE POLICY position ON worker_state TO app_worker USING (true) WITH CHECK (true);

-- Rights. What is not granted is an error; what is granted without a policy
-- would silently do nothing. TRUNCATE asks no policy: nobody gets it.
GRANT SELECT, INSERT, UPDATE ON communities TO app_rw;
GRANT SELECT, INSERT, UPDATE, DELETE ON profiles, badges, eligibility_rules TO app_rw;
GRANT SELECT ON audit_logs, active_members, community_summary TO app_rw;
GRANT INSERT ON audit_logs TO app_system;
GRANT SELECT, INSERT, UPDATE, DELETE ON communities, profiles, badges, eligibility_rules TO app_admin;
GRANT SELECT ON audit_logs, active_members, community_summary TO app_admin;
GRANT SELECT (id, guild_id, shard_id, active, stale_since) ON communities TO app_worker;
GRANT SELECT, INSERT ON applied_events TO app_worker;
GRANT SELECT, INSERT, UPDATE ON worker_state TO app_worker;
-- Not even the owner: only retention, which drops whole months.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs FROM app_owner;

REVOKE ALL ON FUNCTION app_tenant(), app_is_admin(), get_tenant_context(), set_tenant_context(uuid), clear_tenant_context(),
  touch_updated_at(), audit_action(text, text, text, text, jsonb, inet), audit_partitions_ahead(int), audit_retain(interval),
  applied_events_retain(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_tenant(), app_is_admin(), get_tenant_context(), set_tenant_context(uuid), clear_tenant_context()
  TO app_rw, app_system, app_admin, app_worker;
GRANT EXECUTE ON FUNCTION audit_action(text, text, text, text, jsonb, inet) TO app_system;
-- What the owner makes later is nobody's until it is granted.
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE app_owner;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
REVOKE ALL ON communities, profiles, badges, eligibility_rules, audit_logs, applied_events, worker_state, active_members, community_summary
  FROM app_rw, app_system, app_admin, app_worker;
GRANT UPDATE, DELETE, TRUNCATE ON audit_logs TO app_owner;
REVOKE ALL ON FUNCTION app_tenant(), app_is_admin(), get_tenant_context(), set_tenant_context(uuid), clear_tenant_context(),
  audit_action(text, text, text, text, jsonb, inet) FROM app_rw, app_system, app_admin, app_worker;
DROP POLICY position ON worker_state;
DROP POLICY retention ON applied_events;
DROP POLICY old ON applied_events;
DROP POLICY apply ON applied_events;
DROP POLICY seen ON applied_events;
DROP POLICY admin ON audit_logs;
DROP POLICY read ON audit_logs;
DROP POLICY append ON audit_logs;
DROP POLICY admin ON eligibility_rules;
DROP POLICY tenant ON eligibility_rules;
DROP POLICY admin ON badges;
DROP POLICY tenant ON badges;
DROP POLICY admin ON profiles;
DROP POLICY tenant ON profiles;
DROP POLICY roll_call ON communities;
DROP POLICY admin ON communities;
DROP POLICY tenant ON communities;
-- Row security stays on: without a policy nobody reads anything, which is safer
-- than the other way round.
RESET ROLE;
