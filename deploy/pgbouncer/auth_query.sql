-- Lets PgBouncer look up passwords, in the database that this runs in. Run it once
-- in each, as a superuser: only superusers read password hashes. Afterwards give the
-- role a password: \password pool_auth, and ALTER ROLE pool_auth LOGIN.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pool_auth') THEN
    CREATE ROLE pool_auth NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB;
  END IF;
END $$;

CREATE SCHEMA IF NOT EXISTS pooler;
REVOKE ALL ON SCHEMA pooler FROM PUBLIC;

-- Not every role: whoever got hold of pool_auth must not get the hash of a
-- superuser. PgBouncer does not look at VALID UNTIL, so this does.
CREATE OR REPLACE FUNCTION pooler.lookup(name text) RETURNS TABLE (username text, password text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $$
    SELECT usename::text, passwd::text
    FROM pg_shadow
    WHERE usename = name
      AND usename IN ('app_rw', 'app_system', 'app_admin', 'app_worker')
      AND NOT usesuper AND NOT usebypassrls
      AND (valuntil IS NULL OR valuntil > now())
  $$;
REVOKE ALL ON FUNCTION pooler.lookup(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pooler TO pool_auth;
GRANT EXECUTE ON FUNCTION pooler.lookup(text) TO pool_auth;
