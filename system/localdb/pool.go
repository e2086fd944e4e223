package localdb

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"drover/deploy/pgbouncer"
)

// one ends the name under which PgBouncer offers a database through a single
// server connection.
const one = "_one"

// descriptors is what PgBouncer needs for its max_client_conn, and some more.
const descriptors = 4096

// StartPool starts PgBouncer again after StopPool, on the same port. It runs
// the shipped configuration with other ports, hosts and paths.
func (s *Server) StartPool(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pgbouncer != nil {
		return nil
	}
	users := ""
	for _, user := range []string{"pool_auth", "pool_admin", "pool_stats"} {
		users += fmt.Sprintf("%q %q\n", user, s.password)
	}
	if _, err := s.write("userlist.txt", users); err != nil {
		return err
	}
	if err := s.writeDatabases(); err != nil {
		return err
	}
	var err error
	s.pool, s.pgbouncer, err = s.serve(ctx, s.pool, "PgBouncer", func(port int) *exec.Cmd {
		// The limit of the shell that started us may be too low for 1,000 clients.
		return exec.Command("/bin/sh", "-c", `ulimit -n "$2" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$0" -q "$1"`,
			s.bins.pgbouncer, filepath.Join(s.dir, "pgbouncer.ini"), strconv.Itoa(descriptors))
	}, syscall.SIGTERM, func(ctx context.Context, port int) error {
		return answers(ctx, s.url(port, "pool_stats", "pgbouncer")+"&default_query_exec_mode=simple_protocol")
	})
	return err
}

// StopPool ends PgBouncer at once: clients lose their connections.
func (s *Server) StopPool() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pgbouncer.stop(syscall.SIGTERM)
	s.pgbouncer = nil
}

// poolConfig is the shipped configuration for this folder. Whatever it replaces
// must be there, so that neither file changes without the other.
func (s *Server) poolConfig(port int) (string, error) {
	include := ";%include /etc/pgbouncer/tls.ini"
	replace := map[string]string{
		"listen_addr":     "127.0.0.1",
		"listen_port":     strconv.Itoa(port),
		"unix_socket_dir": "",
		"logfile":         filepath.Join(s.dir, "pgbouncer.log"),
		"pidfile":         filepath.Join(s.dir, "pgbouncer.pid"),
		"auth_file":       filepath.Join(s.dir, "userlist.txt"),
	}
	text := pgbouncer.Config
	if s.o.TLS {
		text = strings.Replace(text, include, pgbouncer.TLS, 1)
		include = ""
		replace["client_tls_cert_file"] = filepath.Join(s.dir, "server.crt")
		replace["client_tls_key_file"] = filepath.Join(s.dir, "server.key")
		replace["server_tls_ca_file"] = s.CAFile()
	}
	if !strings.Contains(text, include) {
		return "", fmt.Errorf("localdb: pgbouncer.ini lacks the line %s", include)
	}
	var out strings.Builder
	section := ""
	for line := range strings.Lines(text) {
		key, _, pair := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		value, found := replace[key]
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.TrimSpace(line)
			out.WriteString(line)
			if section == "[databases]" {
				fmt.Fprintf(&out, "%%include %s\n", filepath.Join(s.dir, "databases.ini"))
			}
		case strings.HasPrefix(line, ";"):
			out.WriteString(line)
		case section == "[databases]" && pair: // ours instead
		case found:
			fmt.Fprintf(&out, "%s = %s\n", key, value)
			delete(replace, key)
		default:
			out.WriteString(line)
		}
	}
	for key := range replace {
		return "", fmt.Errorf("localdb: pgbouncer.ini lacks %s", key)
	}
	return out.String(), nil
}

// writeDatabases tells PgBouncer where the databases are, each under its own
// name and under one with a pool of 1. The caller holds mu.
func (s *Server) writeDatabases() error {
	// PgBouncer warns of a file without a line.
	host := "127.0.0.1"
	if s.o.Sockets {
		host = s.dir
	}
	text := fmt.Sprintf("postgres = host=127.0.0.1 port=%d dbname=postgres\n", s.port)
	for _, name := range s.databases {
		text += fmt.Sprintf("%s = host=%s port=%d dbname=%s\n", name, host, s.port, name)
		text += fmt.Sprintf("%s%s = host=127.0.0.1 port=%d dbname=%s pool_size=1 min_pool_size=0 reserve_pool=0\n", name, one, s.port, name)
	}
	_, err := s.write("databases.ini", text)
	return err
}
