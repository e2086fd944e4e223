package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"drover/system/localdb"
	"drover/system/store"
)

// The two databases: one as drover migrate makes it, and a copy without row security.
const (
	secured = "drover"
	plain   = "plain"
)

//go:embed seed.sql
var seed string

// unsecure makes the copy: the same tables, keys and rows, without policies.
const unsecure = `ALTER TABLE communities NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE profiles NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE badges NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER TABLE eligibility_rules NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;`

// way is one of the ways to the rows that are compared.
type way struct {
	name      string
	title     string
	database  string
	direct    bool
	isolation string // load.js says what they mean
}

var ways = []way{
	{"pgbouncer", "row security, through PgBouncer", secured, false, "rls"},
	{"direct", "row security, straight to PostgreSQL", secured, true, "rls"},
	{"where", "no row security, through PgBouncer; the tenant set, and in WHERE too", plain, false, "where"},
	{"none", "no row security, through PgBouncer; the tenant in WHERE only", plain, false, "none"},
}

// bed is what the load is put on. newBed makes it, Close ends it.
type bed struct{ *localdb.Server }

func newBed(ctx context.Context) (_ bed, err error) {
	server, err := localdb.Start(ctx, localdb.Options{Dir: inMemory(), Sockets: true})
	if err != nil {
		return bed{}, err
	}
	b := bed{server}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := b.CreateDatabase(ctx, secured, ""); err != nil {
		return b, err
	}
	if _, err := (store.Migrator{URL: b.OwnerURL(secured)}).Up(ctx); err != nil {
		return b, err
	}
	if err := b.EnableLogins(ctx); err != nil {
		return b, err
	}
	if _, err := b.psql(ctx, b.OwnerURL(secured), seed); err != nil {
		return b, err
	}
	if err := b.CreateDatabase(ctx, plain, secured); err != nil {
		return b, err
	}
	_, err = b.psql(ctx, b.OwnerURL(plain), unsecure)
	return b, err
}

// inMemory names a folder that is in memory where the system has such a one, so that no disk has part in the figures; fsync is off
// anyhow. Empty: there is none with room. A container of Docker's has 64 MB of it by default, which the servers would fill under way.
func inMemory() string {
	const shared, room = "/dev/shm", 1 << 30
	if !free(shared, room) {
		return ""
	}
	return filepath.Join(shared, fmt.Sprintf("drover-loadtest-%d", os.Getpid()))
}

// free reports whether a folder is there and has at least so many bytes left.
func free(folder string, bytes uint64) bool {
	var on syscall.Statfs_t
	return syscall.Statfs(folder, &on) == nil && uint64(on.Bavail)*uint64(on.Bsize) >= bytes //nolint:unconvert // their types differ by system
}

// measure has k6 run once, on servers that nobody else is connected to.
func (b bed) measure(ctx context.Context, o options, w way, round int) (outcome, error) {
	// All begin alike: no idle connections of the run before, no dead rows.
	b.StopPool()
	if err := b.StartPool(ctx); err != nil {
		return outcome{}, err
	}
	for _, statement := range []string{"TRUNCATE badges", "VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := b.psql(ctx, b.OwnerURL(w.database), statement); err != nil {
			return outcome{}, err
		}
	}
	address := b.PoolURL("app_rw", w.database)
	if w.direct {
		address = b.DirectURL("app_rw", w.database)
	}
	before := load()
	got, err := b.k6(ctx, o, address, w.isolation, fmt.Sprintf("%s-%d", w.name, round))
	got.Way, got.Round, got.LoadBefore, got.LoadAfter = w.name, round, before, load()
	return got, err
}

// teeth shows that the script notices rows of other tenants: without row security,
// and with no tenant in the statements, it has to find them.
func (b bed) teeth(ctx context.Context, o options) error {
	got, err := b.k6(ctx, o, b.PoolURL("app_rw", plain), "rls", "teeth", "--vus", "2", "--iterations", "20")
	if err == nil && (got.WrongRows == 0 || got.Success > 0) {
		err = fmt.Errorf("without row security %.0f transactions saw wrong rows and %.0f %% succeeded: load.js would not notice a leak",
			got.WrongRows, got.Success*100)
	}
	return err
}

// k6 runs the script once, and returns its summary. The names of what it leaves in o.out begin with name.
func (b bed) k6(ctx context.Context, o options, address, isolation, name string, args ...string) (outcome, error) {
	prefix := filepath.Join(o.out, name)
	if err := os.Remove(prefix + ".json"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return outcome{}, err // an old one must not be taken for this run's
	}
	cmd := exec.CommandContext(ctx, o.k6, append([]string{"run", "--quiet", "--no-color", "--address", ""}, append(args, o.script)...)...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+address, "ISOLATION="+isolation, "OUT="+prefix,
		"P99_MS="+strconv.FormatFloat(o.p99, 'f', -1, 64), "QUICK="+map[bool]string{true: "1"}[o.quick],
		// Its collector marks on idle cores, which are the servers': 60 ms at a time, many times in a run.
		"GOGC=off", "GOMEMLIMIT=3GiB",
		"K6_NO_USAGE_REPORT=true", "K6_AUTO_EXTENSION_RESOLUTION=false")
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	const crossed = 99 // what k6 ends with where a threshold is missed: the summary is there
	if err := cmd.Run(); err != nil && (ctx.Err() != nil || cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != crossed) {
		return outcome{}, fmt.Errorf("k6: %w\n%s", err, printed.Bytes())
	}
	got, err := readSummary(prefix + ".json")
	got.plot = prefix + ".svg"
	if got.Errors > 0 {
		fmt.Fprintf(os.Stderr, "%s", printed.Bytes())
	}
	return got, err
}

// psql runs SQL, also on PgBouncer's console. The password stays out of the arguments.
func (b bed) psql(ctx context.Context, address, sql string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("psql: the address cannot be read")
	}
	password, _ := u.User.Password()
	cmd := exec.CommandContext(ctx, b.Program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-")
	cmd.Env = append(os.Environ(), "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGUSER="+u.User.Username(),
		"PGPASSWORD="+password, "PGDATABASE="+strings.TrimPrefix(u.Path, "/"), "PGSSLMODE=disable")
	cmd.Stdin = strings.NewReader(sql + ";\n")
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w: %s", err, bytes.TrimSpace(wrong.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
