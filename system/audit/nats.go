package audit

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"drover/system/process"
)

// broker is a NATS server in a process of its own, on an address and a store that it keeps over
// restarts. One goroutine uses it.
type broker struct {
	program []string // how to run it: see serverArgs
	stock   bool     // program is nats-server and not drover
	addr    string
	dir     string
	env     []string
	proc    *process.Process
}

func (b *broker) args() []string {
	host, port, _ := net.SplitHostPort(b.addr) // of process.FreeAddr
	store := filepath.Join(b.dir, "nats")
	if b.stock {
		return append(b.program, "-a", host, "-p", port, "-js", "-sd", store)
	}
	return append(b.program, "--listen", b.addr, "--data-dir", store)
}

// start runs the server and returns when it takes connections.
func (b *broker) start(ctx context.Context) error {
	var err error
	b.proc, err = process.Start(process.Command{
		Name: "nats-server", Args: b.args(), Env: b.env, Dir: b.dir, Log: filepath.Join(b.dir, "nats.log"),
	})
	if err != nil {
		return err
	}
	return process.Until(ctx, 30*time.Second, "nats-server listens", func() (bool, string) {
		c, err := net.DialTimeout("tcp", b.addr, time.Second)
		if err == nil {
			_ = c.Close()
			return true, ""
		}
		if !b.proc.Running() {
			return false, "it has ended: see " + filepath.Join(b.dir, "nats.log")
		}
		return false, err.Error()
	})
}
