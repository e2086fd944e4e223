// Package localdb runs PostgreSQL and PgBouncer in a folder of their own, for
// tests and for `drover demo --with-db`. Nothing of it is for production: fsync
// is off, and everything is gone at the end.
package localdb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"drover/deploy/pgbouncer"
)

// ErrNotInstalled is what Start returns where PostgreSQL or PgBouncer is
// missing, wrapped with what to do about it.
var ErrNotInstalled = errors.New("PostgreSQL or PgBouncer is not installed")

// logins are the roles that EnableLogins lets log in.
var logins = []string{"app_rw", "app_system", "app_admin", "app_worker"}

// Options say how the servers run. The zero value is good for tests.
type Options struct {
	// Dir is the folder for everything; it is made, and removed at the end. Empty:
	// a temporary one. Every folder above it must be open to the user postgres
	// where drover runs as root.
	Dir string
	// TLS encrypts what goes to PgBouncer and from there to PostgreSQL, with
	// certificates of an own CA (CAFile).
	TLS bool
	// Sockets lets PgBouncer reach PostgreSQL by a Unix socket in Dir, which takes less of the processor than TCP.
	Sockets bool
}

// Server is a PostgreSQL server with PgBouncer before it, both on 127.0.0.1 and
// free ports, and with passwords that were made for it. Start makes it, Close
// ends it. Any goroutine may use it.
type Server struct {
	o    Options
	dir  string
	bins binaries
	user account

	password string // of every role: they are kept apart by rights, not by secrets
	port     int    // PostgreSQL's
	pool     int    // PgBouncer's

	mu        sync.Mutex // guards what is below
	postgres  *child
	pgbouncer *child
	databases []string // in PgBouncer's configuration
}

// Start runs both servers and returns when they answer. Other users of the
// machine cannot read the folder, but root runs the servers as user postgres,
// since they refuse root.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{o: o}
	if s.bins, err = findBinaries(); err != nil {
		return nil, err
	}
	if s.user, err = findAccount(); err != nil {
		return nil, err
	}
	if s.password, err = randomPassword(); err != nil {
		return nil, err
	}
	if s.dir, err = s.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.initialize(ctx); err != nil {
		return nil, err
	}
	if err := s.StartPostgres(ctx); err != nil {
		return nil, err
	}
	// A new database is a copy of template1: with it every one has the look-up.
	if err := s.exec(ctx, "template1", pgbouncer.AuthQuery+
		"ALTER ROLE pool_auth LOGIN PASSWORD '"+s.password+"'"); err != nil {
		return nil, err
	}
	if err := s.StartPool(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close stops both servers and removes their folder. It may be called twice.
func (s *Server) Close() error {
	s.StopPool()
	s.StopPostgres()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("localdb: %w", err)
	}
	return nil
}

// CreateDatabase makes a database, as a copy of template unless that is empty,
// and lets PgBouncer know it. Nobody may be connected to template.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		sql += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if err := s.exec(ctx, "postgres", sql); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databases = append(s.databases, name)
	if err := s.writeDatabases(); err != nil {
		return err
	}
	if s.pgbouncer == nil {
		return nil
	}
	return s.console(ctx, "RELOAD")
}

// DropDatabase removes a database, whoever is connected to it.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	s.mu.Lock()
	s.databases = slices.DeleteFunc(s.databases, func(other string) bool { return other == name })
	err := s.writeDatabases()
	if err == nil && s.pgbouncer != nil {
		err = s.console(ctx, "RELOAD")
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.exec(ctx, "postgres", "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// EnableLogins lets the roles that the migrations made log in: app_rw,
// app_system, app_admin and app_worker.
func (s *Server) EnableLogins(ctx context.Context) error {
	sql := ""
	for _, role := range logins {
		sql += "ALTER ROLE " + role + " LOGIN PASSWORD '" + s.password + "';\n"
	}
	return s.exec(ctx, "postgres", sql)
}

// OwnerURL leads a superuser straight to PostgreSQL, for migrations.
func (s *Server) OwnerURL(database string) string { return s.DirectURL("postgres", database) }

// DirectURL leads user straight to PostgreSQL.
func (s *Server) DirectURL(user, database string) string { return s.url(s.port, user, database) }

// PoolURL leads user through PgBouncer.
func (s *Server) PoolURL(user, database string) string { return s.url(s.pool, user, database) }

// PoolOfOneURL leads user through PgBouncer, where all clients of that database
// and user share a single server connection.
func (s *Server) PoolOfOneURL(user, database string) string {
	return s.url(s.pool, user, database+one)
}

// ConsoleURL leads to PgBouncer's console, as pool_admin or pool_stats. It
// speaks the simple protocol only.
func (s *Server) ConsoleURL(user string) string { return s.url(s.pool, user, "pgbouncer") }

// Password is the one password of all roles.
func (s *Server) Password() string { return s.password }

// CAFile is the certificate of the CA that signed those of both servers, where
// Options.TLS is set.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.crt") }

// Program is the path of one of PostgreSQL's programs, such as pg_dump.
func (s *Server) Program(name string) string { return filepath.Join(s.bins.dir, name) }

func (s *Server) url(port int, user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, s.password),
		Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	if s.o.TLS {
		u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CAFile()}}.Encode()
	}
	return u.String()
}

// exec runs SQL as a superuser.
func (s *Server) exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, s.OwnerURL(database))
	if err != nil {
		return fmt.Errorf("localdb: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		return fmt.Errorf("localdb: in database %s: %w", database, err)
	}
	return nil
}

// console gives PgBouncer an order.
func (s *Server) console(ctx context.Context, order string) error {
	conn, err := pgx.Connect(ctx, s.ConsoleURL("pool_admin")+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		return fmt.Errorf("localdb: PgBouncer's console: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, order); err != nil {
		return fmt.Errorf("localdb: PgBouncer's console: %s: %w", order, err)
	}
	return nil
}

func randomPassword() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("localdb: %w", err)
	}
	return hex.EncodeToString(b), nil
}
