package audit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// broker is a NATS server in a process of its own, on an address and a store that it keeps over
// restarts. One goroutine uses it.
type broker struct {
	program []string // how to run it: see serverArgs
	stock   bool     // program is nats-server and not drover
	addr    string
	dir     string
	env     []string
	proc    *child
}

// freeAddr is an address that nobody listens on. It stays clear of the ports that systems give to
// outgoing connections: a server must get its own port back after a restart.
func freeAddr() (string, error) {
	var err error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(18000)))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("audit: no free port: %w", err)
}

func (b *broker) args() []string {
	host, port, _ := net.SplitHostPort(b.addr) // of freeAddr
	store := filepath.Join(b.dir, "nats")
	if b.stock {
		return append(b.program, "-a", host, "-p", port, "-js", "-sd", store)
	}
	return append(b.program, "--listen", b.addr, "--data-dir", store)
}

// start runs the server and returns when it takes connections.
func (b *broker) start(ctx context.Context) error {
	var err error
	b.proc, err = start(command{
		name: "nats-server", args: b.args(), env: b.env, dir: b.dir, log: filepath.Join(b.dir, "nats.log"),
	})
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, "nats-server listens", func() (bool, string) {
		c, err := net.DialTimeout("tcp", b.addr, time.Second)
		if err == nil {
			_ = c.Close()
			return true, ""
		}
		if !b.proc.running() {
			return false, "it has ended: see " + filepath.Join(b.dir, "nats.log")
		}
		return false, err.Error()
	})
}

// until polls: what it waits for happens in other processes.
func until(ctx context.Context, most time.Duration, what string, ok func() (bool, string)) error {
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		yes, state := ok()
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("%s: not within %v: %s", what, most, state)
		case <-again.C:
		}
	}
}
