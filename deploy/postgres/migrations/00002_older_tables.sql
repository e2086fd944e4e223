-- +goose Up
-- A database of the earlier foundation has tables of the same names: with other
-- keys, without row security, and with ids that were not derived from the guild.
-- They are moved aside with everything that hangs on them, into the schema
-- foundation, where only their owner reads them; 00006 copies their rows.
-- +goose StatementBegin
DO $$
DECLARE
  o record;
BEGIN
  FOR o IN
    SELECT c.oid::regclass::text AS name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
      AND (c.relname IN ('communities', 'profiles', 'badges', 'eligibility_rules', 'audit_logs', 'applied_events', 'worker_state',
                         'active_members', 'community_summary')
        OR c.relname ~ '^audit_logs_([0-9]{4,}_[0-9]{2}|default)$')
  LOOP
    CREATE SCHEMA IF NOT EXISTS foundation;
    EXECUTE format('ALTER %s %s SET SCHEMA foundation', o.kind, o.name);
  END LOOP;

  -- Partitions do not follow their table.
  FOR o IN
    SELECT c.oid::regclass::text AS name
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    WHERE c.relnamespace = 'public'::regnamespace AND p.relnamespace = to_regnamespace('foundation')
  LOOP
    EXECUTE format('ALTER TABLE %s SET SCHEMA foundation', o.name);
  END LOOP;

  FOR o IN
    SELECT p.oid::regprocedure::text AS name
    FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
      AND p.proname IN ('set_tenant_context', 'clear_tenant_context', 'get_tenant_context', 'audit_action', 'touch_updated_at',
                        'app_tenant', 'app_is_admin', 'app_community_id', 'audit_partitions_ahead', 'audit_retain',
                        'applied_events_retain')
  LOOP
    CREATE SCHEMA IF NOT EXISTS foundation;
    EXECUTE format('ALTER ROUTINE %s SET SCHEMA foundation', o.name);
  END LOOP;

  IF to_regnamespace('foundation') IS NOT NULL THEN
    REVOKE ALL ON SCHEMA foundation FROM PUBLIC;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
  o record;
BEGIN
  IF to_regnamespace('foundation') IS NULL THEN
    RETURN;
  END IF;
  FOR o IN
    SELECT c.oid::regclass::text AS name,
           CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind
    FROM pg_class c
    WHERE c.relnamespace = 'foundation'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  LOOP
    EXECUTE format('ALTER %s %s SET SCHEMA public', o.kind, o.name);
  END LOOP;
  FOR o IN SELECT p.oid::regprocedure::text AS name FROM pg_proc p WHERE p.pronamespace = 'foundation'::regnamespace LOOP
    EXECUTE format('ALTER ROUTINE %s SET SCHEMA public', o.name);
  END LOOP;
  DROP SCHEMA foundation;
END $$;
-- +goose StatementEnd
