package main

import (
	"fmt"
	"syscall"
	"testing"
)

// pause freezes the process: its connections stay and nothing is answered.
func (p *process) pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
}

func (p *process) resume() {
	p.t.Helper()
	p.signal(syscall.SIGCONT)
}

// awaitUnacked waits until events wait for JetStream.
func (n *running) awaitUnacked() {
	n.t.Helper()
	await(n.t, "unacknowledged events", func() (bool, string) {
		got := n.metric("gateway_unacked_events")
		return got >= 20, fmt.Sprintf("gateway_unacked_events is %v", got)
	})
}

// busyNode is a node with traffic on a NATS server of its own.
func busyNode(t *testing.T, env ...string) (*process, *simulator, *running) {
	t.Helper()
	server, natsURL := startNATS(t)
	sim := startSimulator(t, "--shards", "2", "--rate", "300")
	node := startNode(t, sim.api, natsURL, env...)
	node.awaitReady()
	return server, sim, node
}

func TestStop_names_the_events_that_NATS_did_not_acknowledge(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"hangs", "is dead"} {
		t.Run("NATS "+way, func(t *testing.T) {
			t.Parallel()
			server, sim, node := busyNode(t, "DROVER_SHUTDOWN_TIMEOUT=1s")
			server.pause()
			if way == "is dead" {
				server.signal(syscall.SIGKILL)
			}
			node.awaitUnacked()
			node.signal(syscall.SIGTERM)
			node.wantExit(1, "events unacknowledged after 1s", "shutdown.timeout")
			left := node.match(node.stderr, `(?m)^drover: stopped with (\d+) events`)
			if got := fmt.Sprint(node.logged("drained")["unacked"]); got != left || left == "0" {
				t.Errorf("got %s events in the log and %s in the last line, want one number above 0", got, left)
			}
			if c := sim.state().Counts; c.SessionsEnded != 0 {
				t.Errorf("got %d sessions ended, want all resumable: Discord still has what was not acknowledged", c.SessionsEnded)
			}
		})
	}
}

func TestStop_waits_for_the_acknowledgements_that_still_come(t *testing.T) {
	t.Parallel()
	server, sim, node := busyNode(t)
	server.pause()
	node.awaitUnacked()
	node.signal(syscall.SIGTERM)
	node.logged("draining")
	node.awaitReason("draining")
	if n := len(sim.state().Connections); n == 0 {
		t.Error("got no connection any more, want them open until what was read is acknowledged")
	}
	select {
	case <-node.exited:
		t.Fatal("ended with events unacknowledged")
	default:
	}
	server.resume()
	if code := node.ended(); code != 0 {
		t.Errorf("got exit code %d, want 0: everything was acknowledged in the end", code)
	}
	if left := node.logged("drained")["unacked"]; left != 0.0 {
		t.Errorf("got %v unacknowledged, want 0", left)
	}
}

func TestStop_by_a_second_signal_is_at_once(t *testing.T) {
	t.Parallel()
	server, sim, node := busyNode(t, "DROVER_SHUTDOWN_TIMEOUT=1h")
	server.pause()
	node.awaitUnacked()
	node.signal(syscall.SIGTERM)
	node.logged("draining")
	node.awaitReason("draining")
	if n := len(sim.state().Connections); n == 0 {
		t.Error("got no connection any more, want them open until what was read is acknowledged")
	}
	node.signal(syscall.SIGINT)
	node.wantExit(1, "interrupt again: stopped at once")
	if c := sim.state().Counts; c.SessionsEnded != 0 {
		t.Errorf("got %d sessions ended, want all resumable", c.SessionsEnded)
	}
}
