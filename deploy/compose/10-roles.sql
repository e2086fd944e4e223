-- Run once by the image of PostgreSQL, as its superuser: the roles that log in, with passwords of the environment. Migrations find them and
-- grant what they need (docs/database.md).
\getenv worker APP_WORKER_PASSWORD
\getenv pool POOL_AUTH_PASSWORD
CREATE ROLE app_worker LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'worker';
CREATE ROLE pool_auth LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD :'pool';
