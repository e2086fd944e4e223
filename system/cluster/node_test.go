package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// testTTL is short, and long enough for a test machine that is busy: no test depends on how long anything takes.
const testTTL = 1500 * time.Millisecond

// testHost serves pools by writing down that it does.
type testHost struct {
	t    *testing.T
	fail atomic.Bool // Serve fails
	// before, where it is set, is what Leave does first.
	before func(ctx context.Context, pool int)

	mu      sync.Mutex
	busy    map[int]bool
	serving map[int]*Lease
	events  []string
}

func (h *testHost) enter(pool int, what string) func() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[pool] {
		h.t.Errorf("pool %d: %s is called while another method runs", pool, what)
	}
	h.busy[pool] = true
	h.events = append(h.events, fmt.Sprint(what, " ", pool))
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy[pool] = false
	}
}

func (h *testHost) Serve(_ context.Context, pool int, l *Lease) error {
	defer h.enter(pool, "serve")()
	if h.fail.Load() {
		return errors.New("it does not work here")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving[pool] = l
	return nil
}

func (h *testHost) Leave(ctx context.Context, pool int) error {
	defer h.enter(pool, "leave")()
	if h.before != nil {
		h.before(ctx, pool)
	}
	h.stop(pool)
	return nil
}

func (h *testHost) Expect(pool int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, fmt.Sprint("expect ", pool))
}

func (h *testHost) Drop(pool int) {
	defer h.enter(pool, "drop")()
	h.stop(pool)
}

func (h *testHost) stop(pool int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.serving, pool)
}

func (h *testHost) lease(pool int) *Lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving[pool]
}

func (h *testHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

func (h *testHost) seen(event string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.events, event)
}

// cable is a store whose requests hang until they give up while it is cut.
type cable struct {
	Store
	cut *atomic.Bool
}

func (c cable) hang(ctx context.Context) error {
	if !c.cut.Load() {
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (c cable) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := c.hang(ctx); err != nil {
		return 0, err
	}
	return c.Store.Create(ctx, key, value)
}

func (c cable) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if err := c.hang(ctx); err != nil {
		return 0, err
	}
	return c.Store.Update(ctx, key, value, last)
}

func (c cable) Delete(ctx context.Context, key string, last uint64) error {
	if err := c.hang(ctx); err != nil {
		return err
	}
	return c.Store.Delete(ctx, key, last)
}

func (c cable) Get(ctx context.Context, key string) (Entry, error) {
	if err := c.hang(ctx); err != nil {
		return Entry{}, err
	}
	return c.Store.Get(ctx, key)
}

func (c cable) List(ctx context.Context) ([]Entry, error) {
	if err := c.hang(ctx); err != nil {
		return nil, err
	}
	return c.Store.List(ctx)
}

func (c cable) Watch(ctx context.Context, changed func(Entry)) error {
	return c.Store.Watch(ctx, func(e Entry) {
		if !c.cut.Load() {
			changed(e)
		}
	})
}

// testNode is a node with its own connection.
type testNode struct {
	*Node
	host *testHost
	cut  *atomic.Bool
	js   jetstream.JetStream
	end  context.CancelFunc
	done chan error // what Run returned
}

// newTestNode returns a node that does not run yet.
func newTestNode(t *testing.T, srv *natsServer, name string, pools int, change ...func(*NodeOptions)) *testNode {
	t.Helper()
	_, js := srv.connect()
	n := &testNode{
		host: &testHost{t: t, busy: map[int]bool{}, serving: map[int]*Lease{}}, cut: &atomic.Bool{}, js: js, done: make(chan error, 1),
	}
	store := func(bucket string, ttl time.Duration) Store {
		return cable{NewJetStreamStore(js, StoreOptions{Bucket: "drover_" + bucket, TTL: ttl}), n.cut}
	}
	o := NodeOptions{
		Name: name, Process: fmt.Sprintf("%s-%d", name, processes.Add(1)), Addr: "127.0.0.1:1", Version: "test", Pools: pools,
		TTL: testTTL, Gather: 200 * time.Millisecond, Agree: map[string]string{"shards.total": fmt.Sprint(pools)},
		Leases: store("leases", testTTL), Members: store("members", testTTL), Fleet: store("fleet", 0), Host: n.host,
	}
	for _, f := range change {
		f(&o)
	}
	n.Node = NewNode(o)
	return n
}

var processes atomic.Int64

// run starts it; it ends with the test.
func (n *testNode) run(t *testing.T) *testNode {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	go func() { n.done <- n.Run(ctx) }()
	t.Cleanup(func() {
		end()
		n.cut.Store(false)
		if err, ok := <-n.done; ok && err != nil {
			t.Errorf("%s: %v", n.o.Name, err)
		}
	})
	return n
}

// stop ends it in order and waits.
func (n *testNode) stop(t *testing.T) {
	t.Helper()
	n.end()
	if err := <-n.done; err != nil {
		t.Errorf("%s: %v", n.o.Name, err)
	}
	close(n.done)
}

func (n *testNode) pools() []int {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	var pools []int
	for pool, l := range n.host.serving {
		if l.Valid() {
			pools = append(pools, pool)
		}
	}
	slices.Sort(pools)
	return pools
}

// spread waits until the nodes serve all pools, none of them more than one more than another.
func spread(t *testing.T, pools int, nodes ...*testNode) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d nodes share %d pools", len(nodes), pools), func() bool {
		sum := 0
		for _, n := range nodes {
			got := len(n.pools())
			if got < pools/len(nodes) || got > (pools+len(nodes)-1)/len(nodes) {
				return false
			}
			sum += got
		}
		return sum == pools
	})
}

// referee fails the test when two nodes have a valid lease for one pool, until the test ends.
func referee(t *testing.T, pools int, nodes ...*testNode) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for pool := range pools {
				for i, a := range nodes {
					for _, b := range nodes[i+1:] {
						la, lb := a.host.lease(pool), b.host.lease(pool)
						// The first is asked twice: it may have ended before the second was asked.
						if la != nil && lb != nil && la.Valid() && lb.Valid() && la.Valid() {
							t.Errorf("pool %d is served by %s under %d and by %s under %d", pool, a.o.Name, la.Epoch(), b.o.Name, lb.Epoch())
						}
					}
				}
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
}

func TestNode_nodes_that_start_together_share_the_pools(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	var nodes []*testNode
	for i := range 3 {
		nodes = append(nodes, newTestNode(t, srv, fmt.Sprint("node-", i), 8))
	}
	referee(t, 8, nodes...)
	for _, n := range nodes {
		n.run(t)
	}
	spread(t, 8, nodes...)
	eventually(t, "all know of all", func() bool {
		for _, n := range nodes {
			if s := n.Status(); len(s.Members) != 3 || len(s.Leases) != 8 || len(s.Plan) != 8 {
				return false
			}
		}
		return true
	})
	for _, l := range nodes[0].Status().Leases {
		if l.Epoch == 0 || l.Remaining <= 0 || l.Mine != (l.Node == "node-0") || l.Node != nodes[0].Status().Plan[l.Pool] {
			t.Errorf("got %+v", l)
		}
	}
}

func TestNode_a_node_that_joins_gets_its_share_and_one_that_ends_gives_it_back(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 6), newTestNode(t, srv, "b", 6)
	referee(t, 6, a, b)
	a.run(t)
	spread(t, 6, a)
	b.run(t)
	spread(t, 6, a, b)
	if c := a.Status().Counts; c.HandedOver != 3 || c.Lost != 0 {
		t.Errorf("got %+v, want 3 handed over and none lost", c)
	}
	b.stop(t)
	spread(t, 6, a)
	if c := b.Status().Counts; c.HandedOver != 3 || c.Acquired != 3 || c.Lost != 0 {
		t.Errorf("got %+v, want 3 acquired and handed over", c)
	}
	a.stop(t)
	// A write that the server got to late, on a busy machine, may outlive its node by one TTL.
	eventually(t, "nothing is left behind", func() bool {
		return len(keysOf(t, a.o.Leases))+len(keysOf(t, a.o.Members)) == 0
	})
}

func TestNode_the_pools_of_a_node_that_is_cut_off_are_taken_and_it_drops_them_when_it_is_back(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 4), newTestNode(t, srv, "b", 4)
	referee(t, 4, a, b)
	a.run(t)
	b.run(t)
	spread(t, 4, a, b)
	had := b.pools()
	b.cut.Store(true)
	spread(t, 4, a)
	if got := len(b.pools()); got != 0 {
		t.Errorf("the cut off node still has %d valid leases", got)
	}
	for _, pool := range had {
		if b.host.lease(pool) == nil {
			t.Errorf("pool %d was left while nobody could know who has it", pool)
		}
	}
	if !b.Status().Away {
		t.Error("the cut off node does not know that the store is away")
	}
	b.cut.Store(false)
	for _, pool := range had {
		eventually(t, "dropped", func() bool { return b.host.seen(fmt.Sprint("drop ", pool)) })
	}
	spread(t, 4, a, b)
}

func TestNode_no_pool_moves_when_the_server_was_away_for_everybody(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 4), newTestNode(t, srv, "b", 4)
	referee(t, 4, a, b)
	a.run(t)
	b.run(t)
	spread(t, 4, a, b)
	had := [][]int{a.pools(), b.pools()}
	srv.stop()
	down := time.Now()
	eventually(t, "all leases ran out, in the store as well", func() bool {
		return time.Since(down) > testTTL && a.Status().Counts.RanOut == 2 && b.Status().Counts.RanOut == 2
	})
	if got := len(a.pools()) + len(b.pools()); got != 0 {
		t.Errorf("got %d valid leases while nobody can renew them", got)
	}
	srv.start()
	eventually(t, "all are valid again", func() bool { return len(a.pools())+len(b.pools()) == 4 })
	for i, n := range []*testNode{a, b} {
		if !slices.Equal(n.pools(), had[i]) {
			t.Errorf("%s: got pools %v, want %v", n.o.Name, n.pools(), had[i])
		}
		// The server may take a renewal before it looks at what ran out while it was down: then the epoch is the old one.
		if c := n.Status().Counts; c.Lost != 0 || c.HandedOver != 0 {
			t.Errorf("%s: got %+v, want none that moved", n.o.Name, c)
		}
		if len(n.host.events) != 2 {
			t.Errorf("%s: got %v, want two times serve and nothing more", n.o.Name, n.host.events)
		}
	}
}

func TestNode_buckets_deleted_under_it_are_made_again_and_no_pool_moves(t *testing.T) {
	t.Parallel()
	for _, buckets := range [][]string{{"leases", "members"}, {"fleet", "leases", "members"}} {
		t.Run(strings.Join(buckets, " "), func(t *testing.T) {
			t.Parallel()
			srv := startServer(t)
			a, b := newTestNode(t, srv, "a", 4), newTestNode(t, srv, "b", 4)
			referee(t, 4, a, b)
			a.run(t)
			b.run(t)
			spread(t, 4, a, b)
			before := []int{a.host.count(), b.host.count()} // at a busy machine one starts alone, and gives two away
			lease := a.host.lease(a.pools()[0])
			first := lease.Epoch()
			for _, bucket := range buckets {
				if err := a.js.DeleteKeyValue(t.Context(), "drover_"+bucket); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "leases under new epochs", func() bool { return lease.Epoch() > first && len(keysOf(t, a.o.Leases)) == 4 })
			spread(t, 4, a, b)
			for i, n := range []*testNode{a, b} {
				if n.host.count() != before[i] {
					t.Errorf("%s: got %v, want nothing after the first %d", n.o.Name, n.host.events, before[i])
				}
			}
		})
	}
}

func TestNode_a_drained_node_gives_everything_away_and_lives_on(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 4), newTestNode(t, srv, "b", 4)
	referee(t, 4, a, b)
	a.run(t)
	b.run(t)
	spread(t, 4, a, b)
	a.Drain(t.Context())
	if got := len(a.pools()); got != 0 {
		t.Errorf("got %d pools after the drain, want none", got)
	}
	spread(t, 4, b)
	if s := b.Status(); len(s.Members) != 2 || !s.Members[0].Draining || s.Members[1].Draining {
		t.Errorf("got %+v, want a draining member", s.Members)
	}
}

func TestNode_a_pool_is_moved_by_hand(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 4), newTestNode(t, srv, "b", 4)
	referee(t, 4, a, b)
	a.run(t)
	b.run(t)
	spread(t, 4, a, b)
	pool := a.pools()[0]
	for _, bad := range []Preference{{4, "b"}, {-1, "b"}, {0, "c"}} {
		if _, err := a.Move(t.Context(), bad.Pool, bad.Node); err == nil {
			t.Errorf("%+v: got no error", bad)
		}
	}
	if _, err := b.Move(t.Context(), pool, "b"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pool is there", func() bool { return slices.Contains(b.pools(), pool) })
	spread(t, 4, a, b)
	if _, err := a.Move(t.Context(), pool, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b forgets it", func() bool { return len(b.Status().Prefer) == 0 })
}

func TestNode_a_pinned_pool_is_served_by_one_of_two(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	pin := func(pool int) func(*NodeOptions) { return func(o *NodeOptions) { o.Pinned = &pool } }
	a, b, c := newTestNode(t, srv, "a", 2, pin(1)), newTestNode(t, srv, "b", 2, pin(1)), newTestNode(t, srv, "c", 2)
	referee(t, 2, a, b, c)
	a.run(t)
	eventually(t, "the pinned pool is served", func() bool { return slices.Equal(a.pools(), []int{1}) })
	b.run(t)
	c.run(t)
	eventually(t, "the rest is served by the rest", func() bool { return slices.Equal(c.pools(), []int{0}) })
	if len(b.pools()) != 0 {
		t.Errorf("got %v on the second node with that pin, want none", b.pools())
	}
	a.stop(t)
	eventually(t, "the other one takes over", func() bool { return slices.Equal(b.pools(), []int{1}) })
}

func TestNode_a_pool_that_cannot_be_served_here_is_served_elsewhere(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a, b := newTestNode(t, srv, "a", 1), newTestNode(t, srv, "b", 1)
	referee(t, 1, a, b)
	a.host.fail.Store(true)
	a.run(t)
	eventually(t, "it was tried and left", func() bool { return a.host.seen("leave 0") })
	b.run(t)
	spread(t, 1, b)
}

func TestNode_one_that_contradicts_the_running_ones_is_refused(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	a := newTestNode(t, srv, "a", 2)
	a.run(t)
	spread(t, 2, a)
	b := newTestNode(t, srv, "b", 4)
	err := b.Run(t.Context())
	var config *ConfigError
	if !errors.As(err, &config) || config.Key != "shards.total" || config.Ours != "4" || config.Theirs != "2" || config.Node != "a" {
		t.Errorf("other settings: got %v", err)
	}
	same := newTestNode(t, srv, "a", 2)
	var name *NameError
	if err := same.Run(t.Context()); !errors.As(err, &name) || name.Name != "a" {
		t.Errorf("the same name: got %v", err)
	}
	if got := a.pools(); len(got) != 2 {
		t.Errorf("the running node: got pools %v, want both", got)
	}
	a.stop(t)
	b = newTestNode(t, srv, "b", 4).run(t) // nobody is left who minds
	spread(t, 4, b)
}

func TestNode_what_a_process_left_behind_is_waited_for_unless_its_home_is_ours(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	home := func(o *NodeOptions) { o.Home = "a folder that is locked" }
	dead := newTestNode(t, srv, "a", 2, home)
	leave := func() uint64 { // what a process leaves that is killed
		t.Helper()
		if _, err := dead.o.Members.Create(t.Context(), dead.me.key(), dead.me.encode()); err != nil {
			t.Fatal(err)
		}
		l := dead.newLease(0)
		if err := l.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		return l.Epoch()
	}
	epoch := leave()
	a := newTestNode(t, srv, "a", 2).run(t)
	spread(t, 2, a)
	if next := a.host.lease(0).Epoch(); next <= epoch {
		t.Errorf("got epoch %d after %d", next, epoch)
	}
	a.stop(t)
	leave()
	a = newTestNode(t, srv, "a", 2, home).run(t)
	spread(t, 2, a)
}
