-- +goose Up
SET LOCAL ROLE app_owner;

-- The bodies of these functions are bound when they are made (RETURN, BEGIN
-- ATOMIC), so that no search_path of a caller can give them another meaning.
-- They are still inlined into plans.

-- A community's id is computed from its guild's, so that a tenant is known
-- before it is looked up: UUID version 8 of the first 16 bytes of a SHA-256.
-- store.CommunityID is the same in Go. Written without a sub-select, which would
-- not be inlined: the check of communities calls it for each row.
CREATE FUNCTION app_community_id(guild bigint) RETURNS uuid
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN encode(set_byte(set_byte(
    substring(sha256(('discord guild:' || guild::text)::bytea) FROM 1 FOR 16),
    6, get_byte(sha256(('discord guild:' || guild::text)::bytea), 6) & 15 | 128),
    8, get_byte(sha256(('discord guild:' || guild::text)::bytea), 8) & 63 | 128), 'hex')::uuid;

-- The tenant of this transaction; NULL without one, an error for garbage. A
-- setting that was used up is '' and not NULL.
CREATE FUNCTION app_tenant() RETURNS uuid
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.current_tenant', true), '')::uuid;

-- Any client can set app.is_admin: alone it means nothing. Only policies that
-- are written TO app_admin ask for it.
CREATE FUNCTION app_is_admin() RETURNS boolean
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(current_setting('app.is_admin', true) IN ('true', 'on', '1'), false);

CREATE FUNCTION get_tenant_context() RETURNS uuid
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('app.current_tenant', true), '')::uuid;

-- For this transaction only: outside of one it is over with its own statement.
-- +goose StatementBegin
CREATE FUNCTION set_tenant_context(tenant uuid) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF tenant IS NULL THEN
    RAISE EXCEPTION 'set_tenant_context: the tenant is NULL' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  PERFORM set_config('app.current_tenant', tenant::text, true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION clear_tenant_context() RETURNS void
  LANGUAGE sql
  BEGIN ATOMIC
    SELECT set_config('app.current_tenant', '', true), set_config('app.is_admin', '', true);
  END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- Every key begins with the tenant, so that a tenant learns nothing about
-- another one from a key that is taken.
CREATE TABLE communities (
  id                uuid        PRIMARY KEY,
  guild_id          bigint      NOT NULL CHECK (guild_id > 0),
  name              text        NOT NULL DEFAULT '',
  theme_id          text,
  subscription_tier text        NOT NULL DEFAULT 'free' CHECK (subscription_tier IN ('free', 'pro', 'enterprise')),
  settings          jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
  active            boolean     NOT NULL DEFAULT true,
  joined_at         timestamptz          DEFAULT now(),
  left_at           timestamptz,
  -- The worker's: which shard the guild was last seen on; since when events of
  -- it may be missing (NULL: in step); and when its newest event was read.
  shard_id          int,
  stale_since       timestamptz,
  reconciled_at     timestamptz,
  event_at          timestamptz,
  -- Where in the stream the event stood that set each fact. An older event
  -- changes nothing, in whatever order they come.
  name_position     bigint      NOT NULL DEFAULT 0,
  active_position   bigint      NOT NULL DEFAULT 0,
  gap_position      bigint      NOT NULL DEFAULT 0,
  sync_position     bigint      NOT NULL DEFAULT 0,
  complete_position bigint      NOT NULL DEFAULT 0, -- of the last list of all members
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  -- This also makes guild_id unique, without a key over all tenants.
  CONSTRAINT communities_id_of_guild CHECK (id = app_community_id(guild_id))
);

CREATE TABLE profiles (
  community_id    uuid        NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
  id              uuid        NOT NULL DEFAULT gen_random_uuid(),
  user_id         bigint      NOT NULL CHECK (user_id > 0),
  username        text        NOT NULL DEFAULT '',
  wallet_address  text,
  tier            text,
  current_rank    int,
  roles           bigint[]    NOT NULL DEFAULT '{}',
  nick            text,
  active          boolean     NOT NULL DEFAULT true,
  joined_at       timestamptz,
  left_at         timestamptz,
  -- As in communities.
  stale_since     timestamptz,
  event_at        timestamptz,
  member_position bigint      NOT NULL DEFAULT 0, -- joined or left
  detail_position bigint      NOT NULL DEFAULT 0, -- nick and roles
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (community_id, id),
  CONSTRAINT profiles_user UNIQUE (community_id, user_id)
);

CREATE TABLE badges (
  community_id uuid        NOT NULL,
  id           uuid        NOT NULL DEFAULT gen_random_uuid(),
  profile_id   uuid        NOT NULL,
  badge        text        NOT NULL,
  metadata     jsonb       NOT NULL DEFAULT '{}',
  awarded_at   timestamptz NOT NULL DEFAULT now(),
  revoked_at   timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (community_id, id),
  CONSTRAINT badges_profile_badge UNIQUE (community_id, profile_id, badge),
  -- Foreign keys ignore row security: the tenant stands in them.
  CONSTRAINT badges_profile FOREIGN KEY (community_id, profile_id) REFERENCES profiles (community_id, id) ON DELETE CASCADE
);

CREATE TABLE eligibility_rules (
  community_id     uuid        NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
  id               uuid        NOT NULL DEFAULT gen_random_uuid(),
  name             text        NOT NULL DEFAULT '',
  chain            text        NOT NULL,
  contract_address text,
  rule_type        text        NOT NULL CHECK (rule_type IN ('token_balance', 'nft_ownership', 'custom', 'score_threshold')),
  parameters       jsonb       NOT NULL DEFAULT '{}',
  role_id          bigint,
  tier_mapping     jsonb       NOT NULL DEFAULT '{}',
  priority         int         NOT NULL DEFAULT 0,
  enabled          boolean     NOT NULL DEFAULT true,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (community_id, id)
);

-- What the worker has applied. No reference to communities: the row is written
-- before anything else of its transaction.
CREATE TABLE applied_events (
  community_id uuid        NOT NULL,
  event_id     uuid        NOT NULL,
  at           timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (community_id, event_id)
);

-- Up to where the worker has dealt with each stream. No tenant's data.
CREATE TABLE worker_state (
  name       text        PRIMARY KEY,
  position   bigint      NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX communities_guild ON communities (guild_id, id);
CREATE INDEX communities_shard ON communities (shard_id);
CREATE INDEX communities_stale ON communities (stale_since) WHERE stale_since IS NOT NULL;
CREATE INDEX profiles_wallet ON profiles (community_id, wallet_address) WHERE wallet_address IS NOT NULL;
CREATE INDEX profiles_tier ON profiles (community_id, tier);
CREATE INDEX profiles_rank ON profiles (community_id, current_rank);
CREATE INDEX eligibility_rules_enabled ON eligibility_rules (community_id, priority DESC) WHERE enabled;
CREATE INDEX applied_events_at ON applied_events (at);

CREATE TRIGGER touch BEFORE UPDATE ON communities FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON badges FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON eligibility_rules FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- A view runs with its owner's rights unless it says otherwise.
CREATE VIEW active_members WITH (security_invoker = true) AS
  SELECT p.community_id, p.id AS profile_id, p.user_id, p.nick, p.tier, p.current_rank, p.wallet_address, p.roles, p.joined_at
  FROM profiles p
  WHERE p.active;

CREATE VIEW community_summary WITH (security_invoker = true) AS
  SELECT c.id AS community_id, c.guild_id, c.name, c.subscription_tier, c.active, c.stale_since,
         (SELECT count(*) FROM profiles p WHERE p.community_id = c.id AND p.active) AS members,
         (SELECT count(*) FROM eligibility_rules r WHERE r.community_id = c.id AND r.enabled) AS rules
  FROM communities c;

RESET ROLE;

-- +goose Down
SET LOCAL ROLE app_owner;
DROP VIEW community_summary, active_members;
DROP TABLE worker_state, applied_events, eligibility_rules, badges, profiles, communities;
DROP FUNCTION touch_updated_at(), clear_tenant_context(), set_tenant_context(uuid), get_tenant_context(),
  app_is_admin(), app_tenant(), app_community_id(bigint);
RESET ROLE;
