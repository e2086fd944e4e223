package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"drover/deploy/postgres"
)

// Limits of a migration.
const (
	// Below: a migration that waits for a lock makes everybody behind it wait.
	migrateLockTimeout = "15s"
	// How long another migrator is waited for, in steps of a second.
	migratorPatience = 5 * time.Minute
	// Not goose's own name: another program's migrations in the same database may have it.
	migrateTable = "drover_migrations"
)

// ErrPooler says that a migration went to a pooler such as PgBouncer.
var ErrPooler = errors.New("this is a pooler and not PostgreSQL itself: migrations hold a lock for their session, " +
	"which a pooler does not carry; give the address of the server, usually port 5432")

// Migrator changes the schema of one database. It connects straight to
// PostgreSQL, as a role that owns the database and has CREATEROLE, or as a
// superuser. The zero value lacks the URL. It keeps nothing open; two of them at
// once wait for one another, also in two processes.
type Migrator struct {
	// URL is postgres://user:password@host:5432/database?sslmode=…, or the same
	// as key=value words.
	URL string
	// Notice gets what migrations have to tell, a line each. May be nil.
	Notice func(line string)
}

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string    // 00003_tables.sql
	At      time.Time // when it was applied; zero: it is not
}

// Up applies what is missing, and returns that. What was applied before an
// error stays, each migration as a whole.
func (m Migrator) Up(ctx context.Context) ([]Migration, error) {
	done, err := m.run(ctx, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) { return p.Up(ctx) })
	if err != nil {
		return done, err
	}
	return done, m.guard(ctx)
}

// guard takes back from PUBLIC what a database that was restored, or copied from
// a template, has got again: rights on the database itself are in no dump and in
// no copy. Migration 00001 says what a temporary table could do.
func (m Migrator) guard(ctx context.Context) error {
	return m.as(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `DO $$
			BEGIN
				-- Two at once would change the same row of pg_database, which is an error.
				PERFORM pg_advisory_xact_lock(hashtext('drover guard'));
				IF to_regrole('app_rw') IS NOT NULL AND has_database_privilege('app_rw', current_database(), 'TEMPORARY') THEN
					EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
					IF has_database_privilege('app_rw', current_database(), 'TEMPORARY') THEN
						RAISE EXCEPTION 'role app_rw may create temporary tables' USING ERRCODE = 'insufficient_privilege',
							HINT = format('As the database''s owner: REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC, app_rw', current_database());
					END IF;
				END IF;
			END $$`)
		return err
	})
}

// Down undoes everything above version, newest first: 0 undoes all. Tables go,
// and their rows with them.
func (m Migrator) Down(ctx context.Context, version int64) ([]Migration, error) {
	return m.run(ctx, func(ctx context.Context, p *goose.Provider) ([]*goose.MigrationResult, error) {
		return p.DownTo(ctx, version)
	})
}

// Status lists all migrations, oldest first.
func (m Migrator) Status(ctx context.Context) ([]Migration, error) {
	var list []Migration
	err := m.with(ctx, func(ctx context.Context, p *goose.Provider) error {
		all, err := p.Status(ctx)
		for _, s := range all {
			list = append(list, Migration{Version: s.Source.Version, Name: name(s.Source.Path), At: s.AppliedAt})
		}
		return err
	})
	return list, err
}

// Up applies what is missing to the database at url.
func Up(ctx context.Context, url string) error {
	_, err := Migrator{URL: url}.Up(ctx)
	return err
}

func (m Migrator) run(ctx context.Context, f func(context.Context, *goose.Provider) ([]*goose.MigrationResult, error)) ([]Migration, error) {
	var done []Migration
	err := m.with(ctx, func(ctx context.Context, p *goose.Provider) error {
		results, err := f(ctx, p)
		if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, r := range results {
			done = append(done, Migration{Version: r.Source.Version, Name: name(r.Source.Path), At: time.Now()})
		}
		return err
	})
	return done, err
}

// with connects, makes sure that it is PostgreSQL itself, and calls f.
func (m Migrator) with(ctx context.Context, f func(context.Context, *goose.Provider) error) error {
	c, err := m.config()
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*c, stdlib.OptionAfterConnect(settle))
	defer db.Close()
	if err := db.PingContext(ctx); err != nil {
		return m.explain(c, err)
	}
	one, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migratorPatience/time.Second)))
	if err != nil {
		return fmt.Errorf("store: migrate: lock: %w", err)
	}
	dir, err := fs.Sub(postgres.Migrations, "migrations")
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir, goose.WithSessionLocker(one), goose.WithTableName(migrateTable))
	if err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return m.explain(c, f(ctx, p))
}

// noticeRaised is where in the server a NOTICE comes from that a migration itself
// raises.
const noticeRaised = "exec_stmt_raise"

// settle tells a pooler from PostgreSQL: a pooler gives each client a process
// number of its own making, and the server knows another one. It then sets what
// migrations need, whatever the role or the database has set.
func settle(ctx context.Context, c *pgx.Conn) error {
	var pid uint32
	// Behind a pooler nothing may be prepared, not even this.
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return err
	}
	if pid != c.PgConn().PID() {
		return ErrPooler
	}
	_, err := c.Exec(ctx, "SET search_path = public; SET statement_timeout = 0; SET lock_timeout = '"+migrateLockTimeout+"'",
		pgx.QueryExecModeSimpleProtocol)
	return err
}

// name is the file's name out of its path.
func name(file string) string { return path.Base(file) }

// hidden is an error whose text shows no secret.
type hidden struct {
	error
	secrets *strings.Replacer
}

func (h hidden) Error() string { return h.secrets.Replace(h.error.Error()) }

func (h hidden) Unwrap() error { return h.error }

// explain says what to do about err, without a secret.
func (m Migrator) explain(c *pgx.ConnConfig, err error) error {
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
	err = hidden{err, secrets(c.Password)}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return fmt.Errorf("store: migrate %s: %w", where, err)
	}
	hint := ""
	if pg.Hint != "" {
		hint = ": " + pg.Hint
	}
	switch pg.Code {
	case "42501": // insufficient_privilege
		return fmt.Errorf("store: migrate %s: role %s lacks a right (%s%s): migrate as a superuser, or as the owner of the database "+
			"and of the tables in it, with CREATEROLE unless all roles exist: %w", where, c.User, pg.Message, hint, err)
	case "55P03": // lock_not_available
		return fmt.Errorf("store: migrate %s: a table was in use for longer than %s: try again when less is going on: %w",
			where, migrateLockTimeout, err)
	}
	return fmt.Errorf("store: migrate %s: %w%s", where, err, hint)
}
