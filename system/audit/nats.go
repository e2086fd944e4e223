package audit

import (
	"cmp"
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drover/system/process"
)

// broker is a NATS server in a process of its own, on an address and a store that it keeps over
// restarts. One goroutine uses it.
type broker struct {
	name    string   // among several; empty: it is alone
	program []string // how to run it: see args
	stock   bool     // program is nats-server and not drover
	addr    string
	route   string   // for the other members of its cluster
	routes  []string // of all members
	dir     string
	env     []string
	proc    *process.Process
}

func (b *broker) args() []string {
	host, port, _ := net.SplitHostPort(b.addr) // of process.FreeAddr
	store := filepath.Join(b.dir, "nats")
	args := append(slices.Clone(b.program), "--listen", b.addr, "--data-dir", store)
	if b.stock {
		args = append(slices.Clone(b.program), "-a", host, "-p", port, "-js", "-sd", store)
	}
	switch {
	case b.name == "":
	case b.stock:
		// Clients must not be told of the other members: they would go round the network that can fail.
		args = append(args, "-n", b.name, "--cluster_name", clusterName, "--cluster", "nats://"+b.route, "--no_advertise",
			"--routes", "nats://"+strings.Join(b.routes, ",nats://"))
	default:
		args = append(args, "--name", b.name, "--cluster", clusterName, "--cluster-listen", b.route, "--routes", strings.Join(b.routes, ","))
	}
	return args
}

// clusterName is that of the brokers, where there are several.
const clusterName = "audit"

// start runs the server and returns when it takes connections.
func (b *broker) start(ctx context.Context) error {
	var err error
	b.proc, err = process.Start(process.Command{
		Name: cmp.Or(b.name, "nats-server"), Args: b.args(), Env: b.env, Dir: b.dir, Log: filepath.Join(b.dir, "nats.log"),
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
