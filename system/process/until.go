package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Until polls: what it waits for happens in other processes. It returns nil when ok says yes, ctx's cause when ctx ends,
// and after most an error with what, and with the state that ok told last.
func Until(ctx context.Context, most time.Duration, what string, ok func() (bool, string)) error {
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

// FreeAddr is an address on this machine that nobody listens on. It stays clear of the ports that systems give to
// outgoing connections: a server must get its own port back after a restart; and of those from 20000 on, which the checks of deploy take.
func FreeAddr() (string, error) {
	var err error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+rand.IntN(8000)))
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", fmt.Errorf("process: no free port: %w", err)
}
