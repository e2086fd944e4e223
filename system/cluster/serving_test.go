package cluster

import (
	"context"
	"testing"
	"time"
)

// slowHost takes until it is told to give up before it serves anything: Discord, or the session store, does not answer.
type slowHost struct {
	*testHost
	began chan struct{}
}

func (h slowHost) Serve(ctx context.Context, _ int, _ *Lease) error {
	h.began <- struct{}{}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestNode_one_that_still_waits_to_serve_a_pool_ends_and_gives_it_back(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	began := make(chan struct{}, 1)
	a := newTestNode(t, srv, "a", 1, func(o *NodeOptions) {
		o.Host, o.LeaveTimeout = slowHost{o.Host.(*testHost), began}, testTTL
	})
	a.run(t)
	<-began
	a.end()
	select {
	case err := <-a.done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the node does not end while a pool waits to be served")
	}
	close(a.done)
	if keys := keysOf(t, a.o.Leases); len(keys) != 0 {
		t.Errorf("got %v, want the lease given back", keys)
	}
}

// A second node on the embedded server of a first one: the first one's store holds the leases of a process that lives.
func TestNode_one_that_begins_removes_what_its_own_home_left_and_nothing_of_others(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	at := func(home string) func(*NodeOptions) { return func(o *NodeOptions) { o.Home = home } }
	b := newTestNode(t, srv, "b", 2, at("b's"))
	dead := newTestNode(t, srv, "a", 2, at("a's"))
	a := newTestNode(t, srv, "a", 2, at("a's"), func(o *NodeOptions) { o.Gather = 0 })
	referee(t, 2, a, b)
	left := dead.newLease(0)
	if err := left.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.run(t)
	eventually(t, "the other one serves", func() bool { return len(b.pools()) == 1 })
	a.run(t)
	spread(t, 2, a, b)
	if c := b.Status().Counts; c.Lost != 0 || c.RenewLost != 0 {
		t.Errorf("got %+v, want nothing taken from the node that lives", c)
	}
}

// A write of a process that was killed may have been on its way, and come through when the next one of its name and with other
// settings runs already.
func TestNode_a_late_write_of_a_dead_process_is_no_sign_of_life(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	dead := newTestNode(t, srv, "a", 2)
	dead.me.config = "other"
	revision, err := dead.o.Members.Create(t.Context(), dead.me.key(), dead.me.encode())
	if err != nil {
		t.Fatal(err)
	}
	a := newTestNode(t, srv, "a", 2)
	if _, err := a.o.Fleet.Create(t.Context(), agreementKey, []byte(`{"version":1,"settings":{"shards.total":"3"}}`)); err != nil {
		t.Fatal(err)
	}
	a.run(t)
	late := func() {
		t.Helper()
		if revision, err = dead.o.Members.Update(t.Context(), dead.me.key(), dead.me.encode(), revision); err != nil {
			t.Fatal(err)
		}
	}
	time.AfterFunc(testTTL/2, late) // while it compares settings
	spread(t, 2, a)
}
