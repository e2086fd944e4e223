package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"drover/system/localdb"
)

// server runs PostgreSQL and PgBouncer for all tests of the package; nil where they are not installed, and then
// needServer skips.
var (
	server    *localdb.Server
	noServer  error
	databases atomic.Int64
)

// migrated is a database with the whole schema, to be copied.
const migrated = "migrated"

func TestMain(m *testing.M) {
	ctx := context.Background()
	var err error
	if server, err = localdb.Start(ctx, localdb.Options{}); err == nil {
		err = server.CreateDatabase(ctx, migrated, "")
	}
	if err == nil {
		err = Up(ctx, server.OwnerURL(migrated))
	}
	if err == nil {
		err = server.EnableLogins(ctx)
	}
	if noServer = err; err != nil && !errors.Is(err, localdb.ErrNotInstalled) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if server != nil {
		_ = server.Close()
	}
	os.Exit(code)
}

func needServer(t testing.TB) {
	t.Helper()
	if noServer != nil {
		t.Skipf("%v", noServer)
	}
}

// newDatabase is a migrated database of its own.
func newDatabase(t testing.TB) string {
	t.Helper()
	needServer(t)
	name := fmt.Sprintf("s%d", databases.Add(1))
	if err := server.CreateDatabase(t.Context(), name, migrated); err != nil {
		t.Fatal(err)
	}
	return name
}

// open is a Store as the worker has it, through PgBouncer, in a database of its own.
func open(t testing.TB, change func(*Options)) (s *Store, database string) {
	t.Helper()
	database = newDatabase(t)
	o := Options{URL: server.PoolURL("app_worker", database)}
	if change != nil {
		change(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, database
}
