-- +goose Up
-- Roles belong to the whole server, so that they may exist already: another
-- database made them, or an administrator who gives the migrator no CREATEROLE.
-- None has a password or may log in: that is set outside (docs/database.md).
-- +goose StatementBegin
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN
    SELECT * FROM (VALUES
      ('app_owner', 'INHERIT'), ('app_rw', 'INHERIT'), ('app_system', 'INHERIT'),
      ('app_admin', 'INHERIT'), ('app_worker', 'NOINHERIT'), ('pool_auth', 'INHERIT')
    ) AS wanted (name, inherit)
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION %s',
          r.name, r.inherit);
      EXCEPTION
        -- Another database's migration was faster.
        WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
  END LOOP;

  FOR r IN SELECT rolname FROM pg_roles
    WHERE rolname IN ('app_owner', 'app_rw', 'app_system', 'app_admin', 'app_worker', 'pool_auth')
      AND (rolsuper OR rolbypassrls)
  LOOP
    RAISE EXCEPTION 'role % is a superuser or has BYPASSRLS, so that row security would not hold for it', r.rolname
      USING HINT = format('As a superuser: ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', r.rolname);
  END LOOP;
  FOR r IN SELECT app.rolname AS name, strong.rolname AS of FROM pg_roles app, pg_roles strong
    WHERE app.rolname IN ('app_owner', 'app_rw', 'app_system', 'app_admin', 'app_worker', 'pool_auth')
      AND (strong.rolsuper OR strong.rolbypassrls) AND pg_has_role(app.oid, strong.oid, 'MEMBER')
    -- First who is a member itself: those that are through it are free when it is.
    ORDER BY NOT EXISTS (SELECT FROM pg_auth_members WHERE member = app.oid AND roleid = strong.oid), app.rolname
  LOOP
    RAISE EXCEPTION 'role % is a member of %, which no row security binds', r.name, r.of
      USING HINT = format('REVOKE %I FROM %I', r.of, r.name);
  END LOOP;

  -- With INHERIT the policies of app_rw and app_system would hold at once.
  IF (SELECT rolinherit FROM pg_roles WHERE rolname = 'app_worker') THEN
    ALTER ROLE app_worker NOINHERIT;
  END IF;
  IF NOT pg_has_role('app_worker', 'app_rw', 'MEMBER') THEN
    GRANT app_rw TO app_worker;
  END IF;
  IF NOT pg_has_role('app_worker', 'app_system', 'MEMBER') THEN
    GRANT app_system TO app_worker;
  END IF;
  -- From 16 on who makes a role is a member that may not become it.
  IF NOT pg_has_role(current_user, 'app_owner', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) THEN
    EXECUTE format('GRANT app_owner TO %I', current_user);
  END IF;

  FOR r IN
    SELECT * FROM (VALUES
      ('app_rw', 'app_admin'), ('app_rw', 'app_system'), ('app_rw', 'app_owner'),
      ('app_system', 'app_rw'), ('app_system', 'app_admin'), ('app_system', 'app_owner'),
      ('app_worker', 'app_admin'), ('app_worker', 'app_owner'), ('app_admin', 'app_owner')
    ) AS never (member, of)
  LOOP
    IF pg_has_role(r.member, r.of, 'MEMBER') THEN
      RAISE EXCEPTION 'role % is a member of %, which would undo the isolation of tenants', r.member, r.of
        USING HINT = format('REVOKE %I FROM %I', r.of, r.member);
    END IF;
  END LOOP;

  -- Nobody but the owner makes objects that a query could find instead of the
  -- real ones. A temporary table would even outlive its client in a pool, and
  -- catch what the next one writes.
  REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  IF NOT has_schema_privilege('app_owner', 'public', 'CREATE') THEN
    GRANT USAGE, CREATE ON SCHEMA public TO app_owner;
  END IF;
  FOR r IN SELECT unnest(ARRAY['app_rw', 'app_system', 'app_admin', 'app_worker']) AS name LOOP
    IF NOT has_schema_privilege(r.name, 'public', 'USAGE') THEN
      EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', r.name);
    END IF;
  END LOOP;
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  IF has_schema_privilege('app_rw', 'public', 'CREATE') THEN
    RAISE EXCEPTION 'role app_rw may create objects in schema public'
      USING HINT = 'As the schema''s owner: REVOKE CREATE ON SCHEMA public FROM PUBLIC, app_rw';
  END IF;
  IF has_database_privilege('app_rw', current_database(), 'TEMPORARY') THEN
    RAISE EXCEPTION 'role app_rw may create temporary tables'
      USING HINT = format('As the database''s owner: REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, app_rw', current_database());
  END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
-- The roles stay: other databases may use them, and their passwords were not
-- made here. The schema keeps its owner, and PUBLIC gets back what it had.
-- +goose StatementBegin
DO $$
BEGIN
  EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
  REVOKE CREATE ON SCHEMA public FROM app_owner;
END $$;
-- +goose StatementEnd
