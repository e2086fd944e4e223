-- +goose Up
-- Copies the rows of the earlier foundation, where 00002 found one. Its columns
-- differed between installations: each row is read as JSON under the names that
-- were in use, and what is not there gets its default. Ids of communities are made
-- anew from their guilds'; foundation.community_ids and profile_ids tell which
-- became which. Rows that belong to nobody (no guild id, no community) stay where
-- they are, and their number is told. The older rows are not changed.
-- +goose StatementBegin
DO $$
DECLARE
  t text;
  n bigint;
  taken bigint;
  absent text[] := '{}';
BEGIN
  IF to_regnamespace('foundation') IS NULL THEN
    RETURN;
  END IF;

  -- A cast that gives NULL instead of ending the migration.
  CREATE FUNCTION foundation.as_uuid(v text) RETURNS uuid LANGUAGE plpgsql AS
    'BEGIN RETURN v::uuid; EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_time(v text) RETURNS timestamptz LANGUAGE plpgsql AS
    'BEGIN RETURN CASE WHEN v::timestamptz >= ''1970-01-01 00:00+00'' AND v::timestamptz < ''10000-01-01 00:00+00'' THEN v::timestamptz END; EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_inet(v text) RETURNS inet LANGUAGE plpgsql AS
    'BEGIN RETURN v::inet; EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_id(v text) RETURNS bigint LANGUAGE plpgsql AS
    'BEGIN RETURN nullif(greatest(v::bigint, 0), 0); EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_int(v text) RETURNS int LANGUAGE plpgsql AS
    'BEGIN RETURN v::int; EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_bool(v text) RETURNS boolean LANGUAGE plpgsql AS
    'BEGIN RETURN v::boolean; EXCEPTION WHEN data_exception THEN RETURN NULL; END';
  CREATE FUNCTION foundation.as_object(v jsonb) RETURNS jsonb LANGUAGE sql AS
    $f$ SELECT CASE jsonb_typeof(v) WHEN 'object' THEN v ELSE '{}' END $f$;
  CREATE FUNCTION foundation.as_ids(v jsonb) RETURNS bigint[] LANGUAGE plpgsql AS $f$
    BEGIN
      IF v IS NULL OR jsonb_typeof(v) <> 'array' THEN
        RETURN '{}';
      END IF;
      RETURN ARRAY(SELECT foundation.as_id(e) FROM jsonb_array_elements_text(v) e WHERE foundation.as_id(e) IS NOT NULL);
    END $f$;

  CREATE TABLE foundation.community_ids (older text PRIMARY KEY, community_id uuid NOT NULL);
  CREATE TABLE foundation.profile_ids (older text PRIMARY KEY, community_id uuid NOT NULL, profile_id uuid NOT NULL);

  -- What follows reads and writes for all tenants at once, which FORCE forbids
  -- even the owner. It is back before anybody sees these tables.
  FOREACH t IN ARRAY ARRAY['communities', 'profiles', 'badges', 'eligibility_rules', 'audit_logs'] LOOP
    EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', t);
    IF to_regclass('foundation.' || t) IS NULL THEN
      EXECUTE format('CREATE TABLE foundation.%I ()', t);
      absent := absent || t;
    ELSE
      EXECUTE format('ALTER TABLE foundation.%I NO FORCE ROW LEVEL SECURITY', t);
    END IF;
  END LOOP;

  WITH older AS (
    SELECT to_jsonb(o) AS j,
           foundation.as_id(coalesce(to_jsonb(o)->>'discord_guild_id', to_jsonb(o)->>'guild_id', to_jsonb(o)->>'discord_server_id')) AS guild
    FROM foundation.communities o
  ), ids AS (
    INSERT INTO foundation.community_ids
    SELECT DISTINCT ON (j->>'id') j->>'id', app_community_id(guild) FROM older WHERE guild IS NOT NULL AND j->>'id' IS NOT NULL
    RETURNING 1
  )
  INSERT INTO public.communities (id, guild_id, name, theme_id, subscription_tier, settings, active, joined_at, left_at, created_at)
  SELECT DISTINCT ON (guild)
         app_community_id(guild), guild, coalesce(j->>'name', ''), coalesce(j->>'theme_id', j->>'theme'),
         CASE WHEN lower(j->>'subscription_tier') IN ('free', 'pro', 'enterprise') THEN lower(j->>'subscription_tier') ELSE 'free' END,
         -- A tier that is unknown here is kept where a person can find it.
         foundation.as_object(j->'settings') || CASE
           WHEN lower(j->>'subscription_tier') NOT IN ('free', 'pro', 'enterprise')
           THEN jsonb_build_object('older_subscription_tier', j->>'subscription_tier') ELSE '{}' END,
         coalesce(foundation.as_bool(coalesce(j->>'active', j->>'is_active')), true),
         coalesce(foundation.as_time(j->>'joined_at'), foundation.as_time(j->>'created_at'), now()),
         foundation.as_time(j->>'left_at'),
         coalesce(foundation.as_time(j->>'created_at'), now())
  FROM older WHERE guild IS NOT NULL
  ORDER BY guild, foundation.as_time(j->>'updated_at') DESC NULLS LAST, j->>'id';

  WITH older AS (
    SELECT to_jsonb(o) AS j, c.community_id,
           foundation.as_id(coalesce(to_jsonb(o)->>'discord_user_id', to_jsonb(o)->>'discord_id', to_jsonb(o)->>'user_id')) AS usr
    FROM foundation.profiles o JOIN foundation.community_ids c ON c.older = to_jsonb(o)->>'community_id'
  ), kept AS (
    SELECT DISTINCT ON (community_id, usr) j, community_id, usr, coalesce(foundation.as_uuid(j->>'id'), gen_random_uuid()) AS id
    FROM older WHERE usr IS NOT NULL
    ORDER BY community_id, usr, foundation.as_time(j->>'updated_at') DESC NULLS LAST, j->>'id'
  ), ids AS (
    INSERT INTO foundation.profile_ids
    SELECT DISTINCT ON (o.j->>'id') o.j->>'id', k.community_id, k.id
    FROM older o JOIN kept k USING (community_id, usr) WHERE o.j->>'id' IS NOT NULL
    RETURNING 1
  )
  INSERT INTO public.profiles (community_id, id, user_id, username, wallet_address, tier, current_rank, roles, nick, active,
                               joined_at, left_at, created_at)
  SELECT community_id, id, usr, coalesce(j->>'username', ''), coalesce(j->>'wallet_address', j->>'wallet'), coalesce(j->>'tier', j->>'current_tier'),
         foundation.as_int(coalesce(j->>'current_rank', j->>'rank')), foundation.as_ids(coalesce(j->'roles', j->'role_ids')),
         coalesce(j->>'nick', j->>'nickname', j->>'display_name'),
         coalesce(foundation.as_bool(j->>'active'), j->>'left_at' IS NULL),
         coalesce(foundation.as_time(j->>'joined_at'), foundation.as_time(j->>'created_at')), foundation.as_time(j->>'left_at'),
         coalesce(foundation.as_time(j->>'created_at'), now())
  FROM kept;

  WITH older AS (
    SELECT to_jsonb(o) AS j, p.community_id, p.profile_id
    FROM foundation.badges o JOIN foundation.profile_ids p ON p.older = to_jsonb(o)->>'profile_id'
  )
  INSERT INTO public.badges (community_id, id, profile_id, badge, metadata, awarded_at, revoked_at)
  SELECT DISTINCT ON (community_id, profile_id, badge)
         community_id, coalesce(foundation.as_uuid(j->>'id'), gen_random_uuid()), profile_id, badge, foundation.as_object(j->'metadata'),
         coalesce(foundation.as_time(coalesce(j->>'awarded_at', j->>'earned_at', j->>'created_at')), now()), foundation.as_time(j->>'revoked_at')
  FROM older, LATERAL (SELECT coalesce(j->>'badge', j->>'badge_type', j->>'badge_id', j->>'name', '') AS badge) b
  ORDER BY community_id, profile_id, badge, j->>'id';

  WITH older AS (
    SELECT to_jsonb(o) AS j, c.community_id
    FROM foundation.eligibility_rules o JOIN foundation.community_ids c ON c.older = to_jsonb(o)->>'community_id'
  )
  INSERT INTO public.eligibility_rules (community_id, id, name, chain, contract_address, rule_type, parameters, role_id, tier_mapping, priority, enabled)
  SELECT community_id, coalesce(foundation.as_uuid(j->>'id'), gen_random_uuid()), coalesce(j->>'name', ''),
         coalesce(j->>'chain', j->>'chain_id', ''), coalesce(j->>'contract_address', j->>'contract'),
         CASE WHEN j->>'rule_type' IN ('token_balance', 'nft_ownership', 'custom', 'score_threshold') THEN j->>'rule_type' ELSE 'custom' END,
         foundation.as_object(coalesce(j->'parameters', j->'params', j->'config')),
         foundation.as_id(coalesce(j->>'role_id', j->>'discord_role_id')),
         CASE WHEN jsonb_typeof(j->'tier_mapping') = 'object' THEN j->'tier_mapping'
              WHEN coalesce(j->>'tier_mapping', j->>'tier') IS NOT NULL THEN jsonb_build_object('tier', coalesce(j->>'tier_mapping', j->>'tier'))
              ELSE '{}' END,
         coalesce(foundation.as_int(j->>'priority'), 0),
         -- A rule of a kind that nobody knows here must not start to hand out roles.
         coalesce(foundation.as_bool(coalesce(j->>'enabled', j->>'is_active')), true)
           AND coalesce(j->>'rule_type' IN ('token_balance', 'nft_ownership', 'custom', 'score_threshold'), false)
  FROM older;

  WITH older AS (
    SELECT to_jsonb(o) AS j, c.community_id
    FROM foundation.audit_logs o JOIN foundation.community_ids c ON c.older = to_jsonb(o)->>'community_id'
  )
  INSERT INTO public.audit_logs (community_id, id, at, actor_type, actor, action, target, metadata, ip)
  SELECT community_id, coalesce(foundation.as_uuid(j->>'id'), gen_random_uuid()),
         coalesce(foundation.as_time(coalesce(j->>'at', j->>'created_at', j->>'timestamp')), now()),
         CASE WHEN lower(j->>'actor_type') IN ('user', 'system', 'admin') THEN lower(j->>'actor_type') ELSE 'system' END,
         coalesce(j->>'actor', j->>'actor_id', 'unknown'), coalesce(j->>'action', 'unknown'),
         coalesce(j->>'target', concat_ws(':', j->>'target_type', j->>'target_id')),
         foundation.as_object(coalesce(j->'metadata', j->'details')),
         foundation.as_inet(coalesce(j->>'ip', j->>'ip_address'))
  FROM older;
  -- What is older than the partitions is in the default one now.
  PERFORM audit_partitions_ahead(3);

  FOREACH t IN ARRAY ARRAY['communities', 'profiles', 'badges', 'eligibility_rules', 'audit_logs'] LOOP
    EXECUTE format('SELECT (SELECT count(*) FROM foundation.%I), (SELECT count(*) FROM public.%I)', t, t) INTO n, taken;
    IF n > 0 THEN
      RAISE NOTICE '%: % of % older rows copied; the older table is foundation.%', t, taken, n, t;
    END IF;
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', t);
  END LOOP;

  FOREACH t IN ARRAY absent LOOP
    EXECUTE format('DROP TABLE foundation.%I', t);
  END LOOP;
  DROP FUNCTION foundation.as_ids(jsonb), foundation.as_object(jsonb), foundation.as_bool(text), foundation.as_int(text),
    foundation.as_id(text), foundation.as_inet(text), foundation.as_time(text), foundation.as_uuid(text);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE IF EXISTS foundation.profile_ids, foundation.community_ids;
