package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Host is what a node does with pools. Node calls the methods of one pool one at a time, and waits for them: Serve and Leave must
// return soon after their context has ended.
type Host interface {
	// Serve begins to serve pool, and returns once its shards are started. ctx ends when the lease is lost or the node ends, and when
	// the pool has to go before Serve has returned. After an error the node calls Leave, gives the lease back and leaves the pool
	// alone for a TTL, or for some where there are others.
	Serve(ctx context.Context, pool int, l *Lease) error
	// Leave ends the service in order: stop reading, wait for acks, write the last checkpoint, close with 4000. The node
	// releases the lease afterwards, also after an error.
	Leave(ctx context.Context, pool int) error
	// Expect says that another node has begun to hand pool over to this one: what takes time and needs no lease may be done now. It may be
	// for nothing. It must not block, and is called by any goroutine at any time.
	Expect(pool int)
	// Drop ends the service at once, for the lease is another's: close with 4000, forget the sessions, publish and save nothing more.
	Drop(pool int)
}

// NodeOptions describe a node.
type NodeOptions struct {
	// Name is for people and for preferences; no two live nodes may share one.
	Name string
	// Addr is the address of the node's HTTP, Version the program's.
	Addr, Version string
	// Process is random per start: 1 to 64 letters and digits.
	Process string
	// Capacity is the node's weight in the plan. 0: 1.
	Capacity int
	// Pinned is the only pool that this process serves, and which nobody else takes while it lives. nil: any.
	Pinned *int
	// Pools is the number of pools of the bot.
	Pools int
	// TTL is how long leases and members live without being renewed; it is that of the buckets. 0: 10 s. Too low: a short
	// failure of NATS moves pools; too high: the pools of a dead node wait long.
	TTL time.Duration
	// Margin is what a step may take that begins while the lease is valid. 0: TTL/10, but at least 500 ms or TTL/8. Too low: a
	// slow step of a fenced node meets the next holder's; too high: a short failure of NATS fences.
	Margin time.Duration
	// Gather is how long a node waits for others before it takes pools where nobody serves any. Too low: the first node that
	// starts takes all pools, and gives them away again; too high: a cold start takes longer.
	Gather time.Duration
	// LeaveTimeout bounds one Host.Leave, also at the end of Run. 0: 2·TTL.
	LeaveTimeout time.Duration
	// Home names what only one living process can have, such as a locked folder on a machine that was not started anew since. What
	// another process has written under the same home is of one that has ended, and is removed at once. Empty: nobody knows.
	Home string
	// Agree are settings that all nodes must have in common, by configuration key. No secrets but as fingerprints: values
	// are shown.
	Agree map[string]string

	// Leases and Members have keys that live for TTL, Fleet has keys that live for ever.
	Leases, Members, Fleet Store
	Host                   Host
	// Log tells of transitions. nil: nobody is told.
	Log *slog.Logger
}

// Node takes part in the cluster: it is a member, plans, holds leases, and hands pools over. Run is called once; any goroutine
// may call the rest.
type Node struct {
	o      NodeOptions
	log    *slog.Logger
	config string // fingerprint of o.Agree

	patience time.Duration // for one request
	retry    time.Duration // after one whose outcome is unknown

	health health
	slots  chan struct{} // requests about leases that are under way

	kick    chan struct{} // capacity 1: look at the plan again
	relist  chan struct{} // capacity 1: list again
	refresh chan struct{} // capacity 1: write the member again
	failed  chan error    // capacity 1: why Run must end

	patient context.Context // of everything that is asked of the store
	hurry   context.CancelFunc

	holders  sync.WaitGroup // goroutines that hold a pool
	announce chan struct{}  // closed when the store knows that this node is draining

	mu       sync.Mutex
	leases   table[leaseRow]
	members  table[member]
	garbled  uint64 // revision of the last preferences that could not be read
	prefer   []Preference
	heard    time.Time // when leases and members were last listed: when that was asked for
	moved    time.Time // when the members last changed in a way that changes the plan
	joined   time.Time // when this node became ready first
	gathered bool      // the cold start is over
	named    bool      // no other live node has our name
	me       member    // as the store has it
	written  bool      // the store has it
	draining bool
	rushed   bool // no Leave may wait any more
	holds    map[int]*holding
	later    map[int]time.Time // pools that are left alone until then
	giving   *gift             // the pool that is being handed over to another node
	awaited  map[int]awaited   // free pools that others should take
	wished   map[int]awaited   // pools of ours that should be another's
	skipped  map[string]time.Time
	plan     map[int]string // pool → process, as of the last look
	counts   Counts
}

// holding is a pool from the first try to acquire it until it is left or lost. Its goroutine is hold.
type holding struct {
	pool  int
	ghost bool          // only to be released: an entry that nobody knew to be ours
	leave chan struct{} // closed: hand it over
	poke  chan struct{} // capacity 1: renew it now

	// Guarded by Node.mu.
	lease     *Lease
	serving   bool // Serve has returned
	leaving   bool // leave is closed
	stopLeave context.CancelFunc
}

// leaseRow is a lease as its key in the leases bucket says.
type leaseRow struct {
	leaseRecord
	pool int
}

// parallel is how many requests about leases are under way at a time. Too low: a node with many pools renews late where
// NATS is far away; too high: they queue up in the server.
const parallel = 32

// NewNode returns a node that does nothing until Run.
func NewNode(o NodeOptions) *Node {
	if o.TTL <= 0 {
		o.TTL = 10 * time.Second
	}
	if o.Margin <= 0 {
		o.Margin = max(o.TTL/10, min(500*time.Millisecond, o.TTL/8))
	}
	if o.LeaveTimeout <= 0 {
		o.LeaveTimeout = 2 * o.TTL
	}
	o.Capacity = min(max(o.Capacity, 1), maxCapacity)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		o: o, log: o.Log.With("node", o.Name), config: fingerprint(o.Agree), patience: o.TTL / 4, retry: o.TTL / 16,
		health: health{ttl: o.TTL, calls: map[*call]struct{}{}}, slots: make(chan struct{}, parallel),
		kick: make(chan struct{}, 1), relist: make(chan struct{}, 1), refresh: make(chan struct{}, 1), failed: make(chan error, 1),
		announce: make(chan struct{}),
		holds:    map[int]*holding{}, later: map[int]time.Time{}, awaited: map[int]awaited{}, wished: map[int]awaited{}, skipped: map[string]time.Time{},
	}
	n.patient, n.hurry = context.WithCancel(context.Background())
	n.me = member{
		name: o.Name, process: o.Process, addr: o.Addr, program: o.Version, capacity: o.Capacity, pinned: unpinned, config: n.config,
		home: o.Home,
	}
	if o.Pinned != nil {
		n.me.pinned = *o.Pinned
	}
	n.leases = table[leaseRow]{decode: decodeLeaseRow, rows: map[string]*row[leaseRow]{}, refuse: func(key string, err error) {
		n.log.Warn("lease cannot be read, so that its holder is not known", "key", key, "err", err)
	}}
	n.members = table[member]{decode: decodeMember, rows: map[string]*row[member]{}, refuse: func(key string, err error) {
		n.log.Warn("member cannot be read and is ignored", "key", key, "err", err)
	}}
	return n
}

func decodeLeaseRow(key string, data []byte) (leaseRow, error) {
	pool, ok := parsePool(key)
	if !ok {
		return leaseRow{pool: -1}, errors.New("is no key of a pool")
	}
	r, err := decodeLease(data)
	return leaseRow{r, pool}, err
}

// Run takes part until ctx ends; then it hands all pools over, in parallel and within LeaveTimeout, and returns nil. It returns a
// *ConfigError or a *NameError where the node may not take part; then all its pools are left as well.
//
// A store that does not answer never ends it.
func (n *Node) Run(ctx context.Context) error {
	if n.o.Home != "" {
		if err := n.clear(ctx); err != nil {
			return nil // only ctx ends it
		}
	}
	if err := n.settle(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	// What runs below outlives ctx by the time that it takes to leave the pools: their leases have to be renewed until then.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var own sync.WaitGroup // end ends them, and Run waits
	own.Go(func() { n.watch(life, n.o.Leases, leaseWrites, n.hearLease) })
	own.Go(func() { n.watch(life, n.o.Members, memberWrites, n.hearMember) })
	own.Go(func() { n.watch(life, n.o.Fleet, restOfStore, n.hearFleet) })
	own.Go(func() { n.observe(life) })
	own.Go(func() { n.keepMember(life) })

	err := n.steer(ctx, life)

	bounded, cancel := context.WithTimeout(life, n.o.LeaveTimeout)
	n.Drain(bounded)
	cancel()
	n.holders.Wait()
	end()
	own.Wait()
	n.resign()
	return err
}

// steer looks at the plan whenever something changed, and now and then anyway. It ends with ctx, or with why the node may
// not go on.
func (n *Node) steer(ctx, life context.Context) error {
	tick := time.NewTicker(n.o.TTL / 8)
	defer tick.Stop()
	for {
		n.turn(life)
		select {
		case <-n.kick:
		case <-tick.C:
		case err := <-n.failed:
			n.log.Error("node must not go on", "err", err)
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// Drain marks the node as draining and hands all its pools over, in parallel. It returns when they are, or when ctx ends, which also
// ends what Host.Leave still waits for. The node stays a member, until Run ends, and takes no pool.
func (n *Node) Drain(ctx context.Context) {
	n.mu.Lock()
	told := n.draining
	n.draining = true
	n.mu.Unlock()
	signal(n.refresh)
	if !told {
		n.log.Info("node is draining")
	}
	// The others plan without us before the leases are free; else who is next would wait for that.
	select {
	case <-n.announce:
	case <-time.After(n.patience):
	case <-n.patient.Done():
	case <-ctx.Done():
	}
	n.mu.Lock()
	n.planWithout(time.Now())
	for _, h := range n.holds {
		h.handOver()
	}
	n.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.rushed = true
		for _, h := range n.holds {
			if h.stopLeave != nil {
				h.stopLeave()
			}
		}
	})
	defer stop()
	left := make(chan struct{})
	go func() { // ends with the last holding, which ends since it was told to
		n.holders.Wait()
		close(left)
	}()
	select {
	case <-left:
	case <-ctx.Done():
	}
}

// Hurry has Run, whose context has ended, wait no more for the store. What cannot be given back runs out.
func (n *Node) Hurry() { n.hurry() }

// handOver tells the holding's goroutine to leave. Node.mu is held.
func (h *holding) handOver() {
	if !h.leaving {
		h.leaving = true
		close(h.leave)
	}
}

// fail has Run end with err.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default: // it ends with an earlier one
	}
}
