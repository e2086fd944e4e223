package system

import (
	"context"
	"errors"
	"testing"
	"time"

	"drover/system/gateway"
	"drover/system/gatewaysim"
)

// aheadOf returns what dials a simulator, its URL, and the simulator.
func aheadOf(t *testing.T) (*ahead, string, *gatewaysim.Server) {
	t.Helper()
	sim := gatewaysim.New(gatewaysim.Options{Record: true})
	if err := sim.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	url, err := gateway.ResumeURL(sim.ResumeURL(), "none")
	if err != nil {
		t.Fatal(err)
	}
	return newAhead(func(ctx context.Context, url string) (*gateway.Conn, error) {
		return gateway.Dial(ctx, gateway.DialOptions{URL: url})
	}), url, sim
}

// dials waits until the simulator has seen n of them.
func dials(t *testing.T, sim *gatewaysim.Server, n int64) {
	t.Helper()
	until(t, "the dials", func() bool { return sim.Counts().DialsResume == n })
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	end := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("%s: not within 20 s", what)
		case <-again.C:
		}
	}
}

func TestAhead_gives_each_connection_once_and_dials_when_there_is_none(t *testing.T) {
	a, url, sim := aheadOf(t)
	a.begin(t.Context(), url)
	a.begin(t.Context(), url)
	dials(t, sim, 2)
	got := map[*gateway.Conn]bool{}
	for range 3 {
		c, err := a.Dial(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(4000, "test")
		if hello, err := c.Read(); err != nil || len(hello) == 0 {
			t.Errorf("got %q, %v, want HELLO", hello, err)
		}
		got[c] = true
	}
	if len(got) != 3 || sim.Counts().DialsResume != 3 {
		t.Errorf("got %d connections with %d dials, want 3 with 3: two ahead and one at once", len(got), sim.Counts().DialsResume)
	}
}

func TestAhead_closes_what_nobody_needs(t *testing.T) {
	a, url, sim := aheadOf(t)
	a.keep = 10 * time.Millisecond
	a.begin(t.Context(), url)
	until(t, "the connection is closed with 4000", func() bool {
		all := sim.Connections()
		return len(all) == 1 && all[0].ClientCode == 4000
	})
	if a.take(url, nil) != nil {
		t.Error("a closed connection is still kept")
	}
}

func TestAhead_lets_a_shard_go_whose_dial_has_ended(t *testing.T) {
	a, url, sim := aheadOf(t)
	if err := sim.RefuseDials(gatewaysim.HostResume, gatewaysim.DialHang, gatewaysim.Forever); err != nil {
		t.Fatal(err)
	}
	dialling, stop := context.WithCancel(t.Context())
	a.begin(dialling, url)
	gone := errors.New("the shard is gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if c, err := a.Dial(ctx, url); c != nil || !errors.Is(err, gone) {
		t.Errorf("got %v, %v, want the reason", c, err)
	}
	stop()
}

func TestAhead_dials_itself_where_the_early_dial_failed(t *testing.T) {
	a, url, sim := aheadOf(t)
	if err := sim.RefuseDials(gatewaysim.HostResume, gatewaysim.Dial503, gatewaysim.Limit{Count: 1}); err != nil {
		t.Fatal(err)
	}
	a.begin(t.Context(), url)
	c, err := a.Dial(t.Context(), url)
	if err != nil {
		t.Fatalf("got %v, want the shard's own dial to succeed", err)
	}
	c.Close(4000, "test")
}
