package system_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system/gatewaysim"
)

func TestNode_that_waits_for_Discord_with_its_pools_ends_when_it_is_told_to(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 2})
	if err := sim.REST(gatewaysim.RESTFault{Status: 500}, gatewaysim.Forever); err != nil {
		t.Fatal(err)
	}
	n := startNode(t, sim, 2, nil)
	await(t, 20*time.Second, "a lease", func() (bool, string) {
		status, err := n.Status(t.Context())
		return err == nil && status.Leases != nil && status.Leases.Held == 1, fmt.Sprintf("%+v, error %v", status.Leases, err)
	})
	n.stopped()
}

// Nobody can be told that the pools are free: their leases run out.
func TestNode_without_NATS_does_not_outstay_its_shutdown_timeout_for_its_leases(t *testing.T) {
	t.Parallel()
	_, n := restarting(t, 1, func(c *config.Config) { c.Shutdown.Timeout, c.Cluster.LeaseTTL = 2*time.Second, 2*time.Minute })
	n.nats.Shutdown()
	await(t, 20*time.Second, "events that wait", func() (bool, string) { got := n.Traffic().Unacked; return got > 20, fmt.Sprint(got) })
	n.stop()
	wantExit(t, n.ended(40*time.Second), 1, "unacknowledged", "kept in the spool")
}

// The store of an embedded server is opened by one process, and used by whoever reaches it.
func TestNode_with_the_embedded_server_that_is_started_again_takes_nothing_from_a_node_that_lives(t *testing.T) {
	t.Parallel()
	sim := startSim(t, gatewaysim.Options{Shards: 2})
	pinned := func(name string, pool int) func(*config.Config) {
		return func(c *config.Config) {
			c.Cluster.Node, c.Cluster.LeaseTTL, c.Pool.Size, c.Pool.ID = name, 20*time.Second, 1, &pool
			c.NATS.URL, c.NATS.Embedded.Listen, c.NATS.Embedded.DataDir = "", "127.0.0.1:0", t.TempDir()
		}
	}
	a := startNode(t, sim, 2, pinned("embedded", 0))
	a.awaitReady(time.Minute)
	url := a.EmbeddedURL()
	b := startNode(t, sim, 2, func(c *config.Config) {
		pinned("guest", 1)(c)
		c.NATS.URL = config.URL(url)
	})
	b.awaitReady(time.Minute)
	leases := func() messages.Leases {
		t.Helper()
		status, err := b.Status(t.Context())
		if err != nil || status.Leases == nil {
			t.Fatalf("got %+v, error %v, want leases", status.Leases, err)
		}
		return *status.Leases
	}
	a.stopped()
	renewed := leases().Renewed
	a.again(func(c *config.Config) { c.NATS.Embedded.Listen = strings.TrimPrefix(url, "nats://") })
	a.awaitReady(time.Minute)
	await(t, time.Minute, "the guest renews", func() (bool, string) {
		got := leases()
		return got.Renewed > renewed || got.RenewLost > 0, fmt.Sprintf("%+v", got)
	})
	if got := leases(); got.RenewLost != 0 || got.Lost != 0 || got.Held != 1 {
		t.Errorf("got %+v, want the lease renewed and none lost", got)
	}
}
