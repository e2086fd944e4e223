package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"drover/system/localdb"
	"drover/system/store"
)

// server is PostgreSQL with PgBouncer, for all tests of this package; each has a
// database of its own.
var server *localdb.Server

// Databases that are copied. Nobody stays connected to them.
const (
	migrated = "migrated" // all migrations, no rows
	peopled  = "peopled"  // and the tenants of people
)

// migrateOnly has this binary migrate one database and end: a migrator as a
// process of its own.
const migrateOnly = "DROVER_TEST_MIGRATE"

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateOnly); url != "" {
		done, err := store.Migrator{URL: url}.Up(context.Background())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Printf("applied %d\n", len(done))
		os.Exit(0)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	if server, err = localdb.Start(ctx, localdb.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context) error {
	if err := server.CreateDatabase(ctx, migrated, ""); err != nil {
		return err
	}
	// The first migration of this server is that of an ordinary role: it makes the
	// roles too.
	if err := asSuperuser(ctx, "postgres", "CREATE ROLE migrator LOGIN CREATEROLE PASSWORD '"+server.Password()+"'; ALTER DATABASE "+
		migrated+" OWNER TO migrator"); err != nil {
		return err
	}
	if err := store.Up(ctx, server.DirectURL("migrator", migrated)); err != nil {
		return err
	}
	if err := server.EnableLogins(ctx); err != nil {
		return err
	}
	if err := server.CreateDatabase(ctx, peopled, migrated); err != nil {
		return err
	}
	// careless stands for a program that logs in as a member of the owner, backup
	// for the one that makes dumps.
	return asSuperuser(ctx, peopled, people+
		"CREATE ROLE careless LOGIN PASSWORD '"+server.Password()+"' IN ROLE app_owner;"+
		"CREATE ROLE backup LOGIN BYPASSRLS PASSWORD '"+server.Password()+"' IN ROLE pg_read_all_data")
}

func asSuperuser(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, server.OwnerURL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	return err
}

var copies atomic.Int64

// database makes a database of the test's own, as a copy.
func database(t *testing.T, template string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", copies.Add(1))
	if err := server.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	// Rights on the database itself are not copied (Migrator.Up sees to that elsewhere).
	do(t, owner(t, name), "REVOKE TEMPORARY ON DATABASE "+name+" FROM PUBLIC")
	return name
}

// connect opens a connection for the length of a test. Without prepared
// statements, as PgBouncer needs it.
func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// owner connects as a superuser, whom no policy stops.
func owner(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	return connect(t, server.OwnerURL(database))
}

// do runs SQL that must work, several statements too.
func do(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(t.Context(), fill(sql)).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// try runs SQL, several statements too, and returns the values of all rows, a
// line each, and how the last statement ended.
func try(ctx context.Context, conn *pgx.Conn, sql string) (text string, affected int64, err error) {
	results, err := conn.PgConn().Exec(ctx, fill(sql)).ReadAll()
	var b strings.Builder
	for _, r := range results {
		for _, row := range r.Rows {
			for i, value := range row {
				if i > 0 {
					b.WriteByte('\t')
				}
				b.Write(value)
			}
			b.WriteByte('\n')
		}
		affected = r.CommandTag.RowsAffected()
	}
	return b.String(), affected, err
}

// ask is the one value of a query that must work.
func ask(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	text, _, err := try(t.Context(), conn, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimSuffix(text, "\n")
}
