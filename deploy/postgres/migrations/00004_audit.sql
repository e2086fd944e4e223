-- +goose Up
SET LOCAL ROLE app_owner;

-- Partitioned by month, so that retention drops a table and deletes no row:
-- nobody needs DELETE. There is no foreign key: a cascade would delete here
-- without a grant. The key holds the time, because a key of a partitioned table
-- must; ids are random, so that it is no weaker for that.
CREATE TABLE audit_logs (
  community_id uuid        NOT NULL,
  id           uuid        NOT NULL DEFAULT gen_random_uuid(),
  -- What no partition can be made for would stop retention for ever.
  at           timestamptz NOT NULL DEFAULT now() CHECK (at >= '1970-01-01 00:00+00' AND at < '10000-01-01 00:00+00'),
  actor_type   text        NOT NULL CHECK (actor_type IN ('user', 'system', 'admin')),
  actor        text        NOT NULL,
  action       text        NOT NULL,
  target       text,
  metadata     jsonb       NOT NULL DEFAULT '{}',
  ip           inet,
  PRIMARY KEY (community_id, id, at)
) PARTITION BY RANGE (at);

CREATE INDEX audit_logs_at ON audit_logs (community_id, at DESC);

-- Makes the partitions of this month and of the months ahead, and moves what
-- the default partition had to catch meanwhile into partitions of its months.
-- Returns how many were made. For app_owner.
-- +goose StatementBegin
CREATE FUNCTION audit_partitions_ahead(months int) RETURNS int LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wanted date[];
  starts date;
  part text;
  made int := 0;
  caught boolean := false;
BEGIN
  IF months IS NULL OR months < 0 OR months > 120 THEN
    RAISE EXCEPTION 'audit_partitions_ahead: % months: must be 0 to 120', months USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- One at a time; it ends with the transaction.
  PERFORM pg_advisory_xact_lock(hashtext('drover audit partitions'));
  wanted := ARRAY(
    SELECT (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date FROM generate_series(0, months) AS i);

  -- Without a page it has no row, and nobody has to wait for a lock.
  IF pg_relation_size(to_regclass('public.audit_logs_default')) > 0 THEN
    -- Only for its lock: writers take that of the table first and then that of the
    -- partition. The other way round, each would wait for the other.
    ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
    -- FORCE holds for the owner too, and there is no policy that lets it read.
    ALTER TABLE audit_logs_default NO FORCE ROW LEVEL SECURITY;
    caught := EXISTS (SELECT FROM audit_logs_default);
    IF caught THEN
      wanted := wanted || ARRAY(SELECT DISTINCT date_trunc('month', at AT TIME ZONE 'UTC')::date FROM audit_logs_default);
      ALTER TABLE audit_logs DETACH PARTITION audit_logs_default;
    ELSE
      ALTER TABLE audit_logs_default FORCE ROW LEVEL SECURITY;
    END IF;
  END IF;

  FOREACH starts IN ARRAY ARRAY(SELECT DISTINCT w FROM unnest(wanted) AS w ORDER BY w) LOOP
    part := 'audit_logs_' || to_char(starts, 'YYYY_MM');
    IF to_regclass('public.' || part) IS NOT NULL THEN
      CONTINUE WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass('public.' || part) AND inhparent = 'public.audit_logs'::regclass);
      -- A month that somebody detached: its late rows have nowhere to go, and would be dropped below.
      RAISE EXCEPTION 'table % is no partition of audit_logs, whose rows of that month need its name', part
        USING HINT = format('Rename it, or move it into another schema: ALTER TABLE public.%I RENAME TO ...', part);
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
    IF caught THEN
      EXECUTE format('INSERT INTO public.%I SELECT * FROM public.audit_logs_default WHERE at >= %L::timestamptz AND at < %L::timestamptz',
        part, starts || ' 00:00+00', (starts + interval '1 month')::date || ' 00:00+00');
    END IF;
    -- Rights are asked of the table that a query names. Nobody has any on a
    -- partition, and row security without a policy is the second lock.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE public.audit_logs ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
      part, starts || ' 00:00+00', (starts + interval '1 month')::date || ' 00:00+00');
    -- Whoever calls this, retention must be able to drop it.
    EXECUTE format('ALTER TABLE public.%I OWNER TO app_owner', part);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON public.%I FROM app_owner', part);
    made := made + 1;
  END LOOP;

  IF caught THEN
    DROP TABLE audit_logs_default;
  END IF;
  -- It catches rows of months that nobody prepared: an audit row is never refused.
  IF to_regclass('public.audit_logs_default') IS NULL THEN
    CREATE TABLE public.audit_logs_default PARTITION OF public.audit_logs DEFAULT;
    ALTER TABLE audit_logs_default ENABLE ROW LEVEL SECURITY;
    ALTER TABLE audit_logs_default FORCE ROW LEVEL SECURITY;
    ALTER TABLE audit_logs_default OWNER TO app_owner;
    REVOKE UPDATE, DELETE, TRUNCATE ON audit_logs_default FROM app_owner;
  END IF;
  RETURN made;
END $$;
-- +goose StatementEnd

-- Drops the months that ended longer ago than keep, and returns their names.
-- The only way in which an audit row goes. For app_owner.
-- +goose StatementBegin
CREATE FUNCTION audit_retain(keep interval) RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  part record;
BEGIN
  IF keep IS NULL OR keep < interval '30 days' THEN
    RAISE EXCEPTION 'audit_retain: keep %: must be at least 30 days', keep USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- What the default partition holds may be old as well.
  PERFORM audit_partitions_ahead(3);
  FOR part IN
    SELECT c.relname::text AS name
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.audit_logs'::regclass AND c.relname ~ '^audit_logs_[0-9]{4,}_[0-9]{2}$'
      AND (to_date(substring(c.relname FROM 12), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= now() - keep
    ORDER BY c.relname
  LOOP
    EXECUTE format('DROP TABLE public.%I', part.name);
    RETURN NEXT part.name;
  END LOOP;
END $$;
-- +goose StatementEnd

-- Forgets applied events that are older than keep, and returns how many. What
-- is younger than a day stays even so: the policy of applied_events shows the
-- owner only older ones. For app_owner.
-- +goose StatementBegin
CREATE FUNCTION applied_events_retain(keep interval) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  IF keep IS NULL OR keep < interval '1 day' THEN
    RAISE EXCEPTION 'applied_events_retain: keep %: must be at least 1 day', keep USING ERRCODE = 'invalid_parameter_value';
  END IF;
  DELETE FROM applied_events WHERE at < now() - keep;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
-- +goose StatementEnd

-- One audit row of this transaction's tenant, with its id. It runs with its
-- caller's rights: app_system's.
-- +goose StatementBegin
CREATE FUNCTION audit_action(
  actor_type text, actor text, action text, target text DEFAULT NULL, metadata jsonb DEFAULT '{}', ip inet DEFAULT NULL
) RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  new_id uuid := gen_random_uuid(); -- RETURNING would need SELECT
BEGIN
  IF app_tenant() IS NULL THEN
    RAISE EXCEPTION 'audit_action: there is no tenant in this transaction'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Call set_tenant_context first.';
  END IF;
  INSERT INTO audit_logs (community_id, id, actor_type, actor, action, target, metadata, ip)
  VALUES (app_tenant(), new_id, audit_action.actor_type, audit_action.actor, audit_action.action, audit_action.target,
          coalesce(audit_action.metadata, '{}'), audit_action.ip);
  RETURN new_id;
END $$;
-- +goose StatementEnd

SELECT audit_partitions_ahead(3);
RESET ROLE;

-- +goose Down
SET LOCAL ROLE app_owner;
DROP TABLE audit_logs;
DROP FUNCTION audit_action(text, text, text, text, jsonb, inet), applied_events_retain(interval), audit_retain(interval),
  audit_partitions_ahead(int);
RESET ROLE;
