package localdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// maxConnections covers the pools of a few databases and users at once.
const maxConnections = 250

// makeDir makes the folder that everything is in.
func (s *Server) makeDir() (string, error) {
	dir := s.o.Dir
	if dir == "" {
		made, err := os.MkdirTemp("", "drover-db-")
		if err != nil {
			return "", fmt.Errorf("localdb: %w", err)
		}
		dir = made
	} else if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("localdb: %w", err)
	}
	if err := s.user.own(dir); err != nil {
		return "", err
	}
	return dir, nil
}

// write puts a file into the folder that only the servers' user reads.
func (s *Server) write(name, text string) (path string, err error) {
	path = filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("localdb: %w", err)
	}
	return path, s.user.own(path)
}

// initialize makes the database cluster.
func (s *Server) initialize(ctx context.Context) error {
	secret, err := s.write("password", s.password)
	if err != nil {
		return err
	}
	defer os.Remove(secret)
	cmd := exec.CommandContext(ctx, s.Program("initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "-A", "scram-sha-256",
		"--pwfile", secret, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, environment(), s.user.attributes(syscall.SIGKILL)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("localdb: initdb: %w: %s", err, lastLines(out))
	}
	if s.o.TLS {
		if err := s.makeCertificates(); err != nil {
			return err
		}
	}
	conf := "listen_addresses = '127.0.0.1'\n" +
		fmt.Sprintf("unix_socket_directories = '%s'\n", map[bool]string{true: s.dir}[s.o.Sockets]) +
		fmt.Sprintf("max_connections = %d\n", maxConnections) +
		"shared_buffers = 64MB\n" +
		"timezone = 'UTC'\n" +
		"log_min_messages = warning\n" +
		// Nothing here is worth a wait for a disk. synchronous_commit stays on: else
		// StopPostgres would lose what was committed just before.
		"fsync = off\nfull_page_writes = off\n" +
		// Nobody follows this server.
		"wal_level = minimal\nmax_wal_senders = 0\n"
	if s.o.TLS {
		conf += fmt.Sprintf("ssl = on\nssl_cert_file = '%s'\nssl_key_file = '%s'\n",
			filepath.Join(s.dir, "server.crt"), filepath.Join(s.dir, "server.key"))
	}
	_, err = s.write("data/postgresql.auto.conf", conf)
	return err
}

// StartPostgres starts PostgreSQL again after StopPostgres, on the same port.
func (s *Server) StartPostgres(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.postgres != nil {
		return nil
	}
	var err error
	s.port, s.postgres, err = s.serve(ctx, s.port, "PostgreSQL", func(port int) *exec.Cmd {
		return exec.Command(s.Program("postgres"), "-D", filepath.Join(s.dir, "data"), "-c", fmt.Sprintf("port=%d", port))
		// SIGQUIT: at once, without a trace in shared memory.
	}, syscall.SIGQUIT, func(ctx context.Context, port int) error {
		return answers(ctx, s.url(port, "postgres", "postgres"))
	})
	return err
}

// StopPostgres ends PostgreSQL at once, as a crash would: clients lose their
// connections.
func (s *Server) StopPostgres() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.postgres.stop(syscall.SIGQUIT)
	s.postgres = nil
}

// answers reports whether a server lets us in.
func answers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
