package cluster

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"drover/system/simtime"
)

const faultMark = "FAULT: "

// simulation is a cluster in simulated time: real Nodes over a model of the key-value store, with a model of the shards on
// top. It runs in a synctest bubble.
//
// All that happens by chance follows from the seed: what becomes of a request from the node, the key and how often it was asked.
// What does not follow from it is the order in which goroutines run that wake at one instant, and which of several ready cases a
// select takes. Instants are spread over nanoseconds, so that this seldom matters: more than half of all seeds go the same way to the
// last request when they are run again, and most others differ in nothing that counts.
type simulation struct {
	simOptions
	ctx     context.Context // the frame of Run of all nodes
	began   time.Time
	server  *modelServer
	leases  *modelBucket
	members *modelBucket
	fleet   *modelBucket
	keys    []string // of the leases, by pool
	dice    dice     // of the script of faults

	mu        sync.Mutex // taken after the server's
	nodes     []*simNode // all that were ever started
	byProcess map[string]*simNode
	state     []poolState // by number
	calm      time.Time   // when the newest fault began or ended
	cause     string      // of it
	wiped     time.Time   // when somebody deleted the leases last
	moves     int
	gaps      map[string][]time.Duration // in which nobody published for a pool, by the newest fault
	trace     []simStep
	failures  []string
}

type simOptions struct {
	seed   uint64
	pools  int
	ttl    time.Duration
	margin time.Duration
	gather time.Duration
	dark   time.Duration // the longest that a pool may be without a publisher
	ghost  time.Duration // the longest that a lease may be nobody's
	// handOver is the longest that a planned change may leave a pool without a publisher; 0: it is not judged.
	handOver time.Duration
	verbose  bool          // the trace has what the nodes log, and every request
	every    time.Duration // how far apart the pools publish, more or less
	noise    noise
	host     hostNoise
	teeth    teeth
}

// hostNoise says how long the shards of a pool take.
type hostNoise struct {
	serve, leave time.Duration // the longest
	fails        float64       // chance that Leave fails, or hangs until its context ends
}

// teeth break a rule, so that tests can see that the simulation notices.
type teeth struct {
	ignoresValid bool          // pools publish without asking
	servesNobody bool          // Serve starts nothing
	fromAnswer   bool          // the deadline counts from the answer and not from before the request
	forgiving    bool          // Create overwrites what another process wrote
	hasty        time.Duration // keys expire by this too early
	careless     bool          // nobody leaves the pools of others alone when the store is back
}

// poolState is what the simulation knows of one pool.
type poolState struct {
	holder     *simNode // by the lease in the store; nil: nobody
	publisher  *simNode // this time; nil: none
	last       *simNode // who published last
	epoch      uint64   // under which it did
	at         time.Time
	moves      int
	ghost      uint64 // the epoch that is watched
	ghostSince time.Time
}

type simStep struct {
	at   time.Duration
	what string
	who  string
	pool int
}

// simulate runs script in a bubble, and returns the simulation when everything in it has ended.
func simulate(t *testing.T, o simOptions, script func(*simulation)) *simulation {
	t.Helper()
	defer func() {
		if r := recover(); r != nil { // all goroutines wait for one another, which synctest cannot survive
			fmt.Fprintf(os.Stderr, "simulation of seed %d (DROVER_SIM_SEED=%d): %v\n", o.seed, o.seed, r)
			panic(r) // as it is: its goroutines are shown
		}
	}()
	var s *simulation
	simtime.Run(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s = &simulation{simOptions: o, ctx: ctx, began: time.Now(), calm: time.Now(), server: newModelServer(o.seed), dice: newDice(o.seed, "script"), byProcess: map[string]*simNode{}, gaps: map[string][]time.Duration{}}
		s.leases = newModelBucket(s.server, "leases", o.ttl)
		s.leases.changed, s.leases.forgiving, s.leases.hasty = s.leaseChanged, o.teeth.forgiving, o.teeth.hasty
		s.members = newModelBucket(s.server, "members", o.ttl)
		s.fleet = newModelBucket(s.server, "fleet", 0)
		s.state = make([]poolState, o.pools)
		for pool := range s.state {
			s.keys = append(s.keys, fmt.Sprintf("pool.%d", pool))
			s.state[pool].at = time.Now()
		}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			d := newDice(o.seed, "publish")
			for later := true; later; {
				select {
				case <-stop:
					later = false
				case <-time.After(o.every/2 + d.upTo(o.every)):
					s.publish()
				}
			}
		}()
		script(s)
		close(stop)
		<-stopped
		s.end()
	})
	return s
}

// end stops all that still runs. Every Run must return by itself.
func (s *simulation) end() {
	s.server.start()
	for _, n := range s.nodes {
		n.client.heal()
		n.client.resume()
		n.cancel()
	}
	for _, n := range s.nodes {
		select {
		case <-n.done:
		case <-time.After(time.Minute):
			s.mu.Lock()
			s.fail("Run of %s does not return", n.process)
			s.mu.Unlock()
			n.client.kill()
			<-n.done // or a deadlock, which shows where it hangs
		}
	}
	time.Sleep(requestTimeout + 2*(s.noise.latest+s.noise.slowest)) // no request is on its way any more
}

// note adds a step to the trace. Under s.mu, like fail.
func (s *simulation) note(what string, n *simNode, pool int) {
	step := simStep{at: time.Since(s.began), what: what, pool: pool}
	if n != nil {
		step.who = n.process
	}
	s.trace = append(s.trace, step)
}

func (s *simulation) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.trace = append(s.trace, simStep{at: time.Since(s.began), what: faultMark + text, pool: -1})
	s.failures = append(s.failures, text)
}

// fault notes that something happens that may leave pools without a publisher for a while.
func (s *simulation) fault(what string, n *simNode, pool int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note("fault: "+what, n, pool)
	s.calm, s.cause = time.Now(), what
}

// sum is the same for two runs that went the same way. What happens at one instant has no order: goroutines that wake together
// run as the scheduler likes.
func (s *simulation) sum() uint64 {
	steps := slices.SortedFunc(slices.Values(s.trace), func(a, b simStep) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.who, b.who), cmp.Compare(a.what, b.what), cmp.Compare(a.pool, b.pool))
	})
	h := fnv.New64a()
	for _, step := range steps {
		fmt.Fprintln(h, step)
	}
	return h.Sum64()
}

// storyBefore is what led to the first fault.
func (s *simulation) storyBefore(fault string, steps int) string {
	end := slices.IndexFunc(s.trace, func(step simStep) bool { return step.what == faultMark+fault }) + 1
	return story(s.trace[max(0, end-steps):end])
}

// story is a trace for people.
func story(steps []simStep) string {
	var b strings.Builder
	for _, step := range steps {
		fmt.Fprintf(&b, "%12.6fs %-12s %s", step.at.Seconds(), step.who, step.what)
		if step.pool >= 0 {
			fmt.Fprintf(&b, " pool %d", step.pool)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
