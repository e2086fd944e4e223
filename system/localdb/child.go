package localdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Bounds for a machine that does other things too.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 15 * time.Second
	askEvery     = 15 * time.Millisecond
	tries        = 5 // of ports, which somebody else may take first
)

// child is a server that runs as a process of its own. It ends with stop, and
// where the system allows it with this process. A nil one has ended.
type child struct {
	cmd    *exec.Cmd
	out    *bytes.Buffer // to be read after exited
	exited chan struct{}
}

// serve starts a server on port, or on a free one for 0, and waits until it
// answers. when is the signal for when this process dies.
func (s *Server) serve(ctx context.Context, port int, name string, command func(port int) *exec.Cmd, when syscall.Signal,
	ready func(ctx context.Context, port int) error) (int, *child, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	fixed := port != 0
	for try := 1; ; try++ {
		if !fixed {
			var err error
			if port, err = freePort(); err != nil {
				return 0, nil, err
			}
		}
		if name == "PgBouncer" {
			text, err := s.poolConfig(port)
			if err != nil {
				return 0, nil, err
			}
			if _, err := s.write("pgbouncer.ini", text); err != nil {
				return 0, nil, err
			}
		}
		c, err := s.spawn(command(port), when)
		if err != nil {
			return 0, nil, fmt.Errorf("localdb: start %s: %w", name, err)
		}
		err = c.await(ctx, func(ctx context.Context) error { return ready(ctx, port) })
		if err == nil {
			return port, c, nil
		}
		c.stop(syscall.SIGQUIT)
		if fixed || try == tries || ctx.Err() != nil {
			return 0, nil, fmt.Errorf("localdb: %s on port %d: %w: %s", name, port, err, lastLines(c.out.Bytes()))
		}
	}
}

func (s *Server) spawn(cmd *exec.Cmd, when syscall.Signal) (*child, error) {
	c := &child{cmd: cmd, out: &bytes.Buffer{}, exited: make(chan struct{})}
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, environment(), s.user.attributes(when)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process, which stop ends
		defer close(c.exited)
		_ = cmd.Wait() // the output says why
	}()
	return c, nil
}

// await asks until the server answers.
func (c *child) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-c.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", errors.Join(last, ctx.Err()))
		case <-tick.C:
		}
		if last = ready(ctx); last == nil {
			return nil
		}
	}
}

// stop ends the server by signal, and by force when that does not help.
func (c *child) stop(signal syscall.Signal) {
	if c == nil {
		return
	}
	_ = c.cmd.Process.Signal(signal) // it may have ended
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-c.exited:
	case <-t.C:
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
}

// freePort finds a port that nobody listens on at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("localdb: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// environment is what the servers see of ours: no PG… variable leads them astray.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
}

// binaries are where the programs are.
type binaries struct {
	dir       string // of PostgreSQL's
	pgbouncer string
}

// findBinaries looks in PATH, and where Debian puts PostgreSQL's programs,
// which are not in PATH: the newest version.
func findBinaries() (binaries, error) {
	var b binaries
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		b.dir = filepath.Dir(path)
	} else if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		sort.Slice(found, func(i, j int) bool { return version(found[i]) < version(found[j]) })
		b.dir = filepath.Dir(found[len(found)-1])
	}
	for _, path := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} { // sbin is not in everybody's PATH
		if found, err := exec.LookPath(path); err == nil {
			b.pgbouncer = found
			break
		}
	}
	if b.dir == "" || b.pgbouncer == "" {
		return b, fmt.Errorf("localdb: %w: install both, on Debian with apt-get install postgresql pgbouncer", ErrNotInstalled)
	}
	return b, nil
}

// version is the number in /usr/lib/postgresql/15/bin/initdb.
func version(path string) int {
	var n int
	_, _ = fmt.Sscanf(strings.TrimPrefix(path, "/usr/lib/postgresql/"), "%d", &n) // 0 for anything else
	return n
}

// lastLines is the end of a program's output, where the reason stands.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], " | ")
}
