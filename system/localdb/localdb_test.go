package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"drover/deploy/pgbouncer"
)

// start runs servers for one test.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var got string
	if err := conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func TestServer_runs_the_shipped_configuration(t *testing.T) {
	s := start(t, Options{})
	if err := s.CreateDatabase(t.Context(), "drover", ""); err != nil {
		t.Fatal(err)
	}
	for _, role := range logins { // as the migrations do
		if err := s.exec(t.Context(), "drover", "CREATE ROLE "+role); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EnableLogins(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Run("settings", func(t *testing.T) {
		console := connect(t, s.ConsoleURL("pool_admin")+"&default_query_exec_mode=simple_protocol")
		got := map[string]string{}
		rows, err := console.Query(t.Context(), "SHOW CONFIG")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				t.Fatal(err)
			}
			got[fmt.Sprint(values[0])] = fmt.Sprint(values[1])
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{
			"pool_mode": "transaction", "max_client_conn": "1000", "default_pool_size": "25", "min_pool_size": "5",
			"reserve_pool_size": "5", "server_idle_timeout": "300", "query_timeout": "30", "auth_type": "scram-sha-256",
			"auth_user": "pool_auth", "admin_users": "pool_admin", "stats_users": "pool_stats",
		} {
			if got[key] != want {
				t.Errorf("%s: got %q, want %q", key, got[key], want)
			}
		}
		if !regexp.MustCompile(`(?m)^listen_port = 6432$`).MatchString(pgbouncer.Config) {
			t.Error("the shipped file does not listen on 6432")
		}
	})

	t.Run("file_descriptors", func(t *testing.T) {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.pgbouncer.cmd.Process.Pid))
		if err != nil {
			t.Skipf("limits of a process are known on Linux only: %v", err)
		}
		var soft int
		for line := range strings.Lines(string(limits)) {
			if rest, found := strings.CutPrefix(line, "Max open files"); found {
				_, _ = fmt.Sscan(rest, &soft)
			}
		}
		var ours syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &ours); err != nil {
			t.Fatal(err)
		}
		if want := min(descriptors, int(ours.Max)); soft < want {
			t.Errorf("got %d files, want %d", soft, want)
		}
		log, err := os.ReadFile(filepath.Join(s.dir, "pgbouncer.log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), "WARNING") {
			t.Errorf("PgBouncer warns:\n%s", log)
		}
	})

	t.Run("a_user_of_the_application_comes_through", func(t *testing.T) {
		conn := connect(t, s.PoolURL("app_rw", "drover"))
		if got := ask(t, conn, "SELECT current_user || '@' || current_database()"); got != "app_rw@drover" {
			t.Errorf("got %s, want app_rw@drover", got)
		}
	})

	t.Run("nobody_else_does", func(t *testing.T) {
		for name, url := range map[string]string{
			"superuser":      s.PoolURL("postgres", "drover"),
			"wrong_password": strings.Replace(s.PoolURL("app_rw", "drover"), s.Password(), "x", 1),
			"no_such_user":   s.PoolURL("nobody", "drover"),
		} {
			if conn, err := pgx.Connect(t.Context(), url); err == nil {
				conn.Close(t.Context())
				t.Errorf("%s: got in", name)
			}
		}
	})

	t.Run("two_clients_share_the_pool_of_one", func(t *testing.T) {
		a, b := connect(t, s.PoolOfOneURL("app_rw", "drover")), connect(t, s.PoolOfOneURL("app_rw", "drover"))
		const backend = "SELECT pg_backend_pid()::text"
		if one, two := ask(t, a, backend), ask(t, b, backend); one != two {
			t.Errorf("got backends %s and %s, want one", one, two)
		}
	})

	t.Run("pool_auth_sees_only_the_users_of_the_application", func(t *testing.T) {
		conn := connect(t, s.DirectURL("pool_auth", "drover"))
		if got := ask(t, conn, "SELECT count(*)::text FROM pooler.lookup('app_rw')"); got != "1" {
			t.Errorf("app_rw: got %s rows, want 1", got)
		}
		for _, role := range []string{"postgres", "pool_auth", "%", ""} {
			if got := ask(t, conn, "SELECT count(*)::text FROM pooler.lookup('"+role+"')"); got != "0" {
				t.Errorf("%q: got %s rows, want 0", role, got)
			}
		}
		plain := connect(t, s.DirectURL("app_rw", "drover"))
		if _, err := plain.Exec(t.Context(), "SELECT * FROM pooler.lookup('app_worker')"); err == nil {
			t.Error("app_rw can read password hashes")
		}
	})

	t.Run("outages", func(t *testing.T) {
		s.StopPostgres()
		if conn, err := pgx.Connect(t.Context(), s.DirectURL("app_rw", "drover")); err == nil {
			conn.Close(t.Context())
			t.Fatal("PostgreSQL answers after StopPostgres")
		}
		if err := s.StartPostgres(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.StopPool()
		if conn, err := pgx.Connect(t.Context(), s.PoolURL("app_rw", "drover")); err == nil {
			conn.Close(t.Context())
			t.Fatal("PgBouncer answers after StopPool")
		}
		if err := s.StartPool(t.Context()); err != nil {
			t.Fatal(err)
		}
		ask(t, connect(t, s.PoolURL("app_rw", "drover")), "SELECT 'back'")
	})
}

func TestServer_encrypts_with_the_shipped_TLS_settings(t *testing.T) {
	s := start(t, Options{TLS: true})
	if err := s.CreateDatabase(t.Context(), "drover", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.exec(t.Context(), "drover", "CREATE ROLE app_rw LOGIN PASSWORD '"+s.password+"'"); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, s.PoolURL("app_rw", "drover"))
	// What PostgreSQL sees is PgBouncer's connection; ours was verified by the URL.
	if got := ask(t, conn, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "true" {
		t.Errorf("from PgBouncer to PostgreSQL: got ssl %s, want true", got)
	}
	plain := strings.Replace(s.url(s.pool, "app_rw", "drover"), "sslmode=verify-full", "sslmode=disable", 1)
	if conn, err := pgx.Connect(t.Context(), plain); err == nil {
		conn.Close(t.Context())
		t.Error("PgBouncer lets in who does not encrypt")
	}
}

func TestServer_leaves_nothing(t *testing.T) {
	dir := filepath.Join(openDir(t), "db")
	s, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	children := []*child{s.postgres, s.pgbouncer}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range children {
		select {
		case <-c.exited:
		default:
			t.Errorf("%s still runs", c.cmd.Path)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: got %v, want that it is gone", err)
	}
}

// startOnly has this binary start the servers, print their process numbers, and
// wait: a process that can be killed.
const startOnly = "DROVER_TEST_START"

func TestMain(m *testing.M) {
	if os.Getenv(startOnly) != "" {
		s, err := Start(context.Background(), Options{Dir: os.Getenv(startOnly)})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.postgres.cmd.Process.Pid, s.pgbouncer.cmd.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func TestServer_ends_when_its_process_is_killed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child by itself when its parent was killed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(openDir(t), "db")
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), startOnly+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids [2]int
	if _, err := fmt.Fscan(out, &pids[0], &pids[1]); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for end := time.Now().Add(30 * time.Second); ; <-tick.C {
			// A zombie that nobody waits for has ended too.
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || strings.Contains(string(text), ") Z ") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("process %d still runs: %s", pid, text)
			}
		}
	}
}

// openDir is a folder that the user postgres can reach, where we are root.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestStart_ends_with_its_context(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if s, err := Start(ctx, Options{}); err == nil {
		s.Close()
		t.Fatal("got a server, want an error")
	}
}

func TestFindBinaries_says_what_to_install(t *testing.T) {
	found, err := findBinaries()
	if err != nil {
		t.Fatal(err) // without them nothing here runs
	}
	if found.dir == "" || found.pgbouncer == "" {
		t.Errorf("got %+v, want both", found)
	}
	if version("/usr/lib/postgresql/9/bin/initdb") >= version("/usr/lib/postgresql/15/bin/initdb") {
		t.Error("9 is not older than 15")
	}
}
