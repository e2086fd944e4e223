package actors

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/gatewaysim"
	"drover/system/simtime"
	"drover/system/telemetry"
)

// node is a root actor with all that is below it, and a simulated Discord on a network in memory. It lives in a
// synctest bubble, so that its time is simulated and a goroutine that outlives it fails the test.
type node struct {
	t      *testing.T
	sim    *gatewaysim.Server
	system *actor.ActorSystem
	root   *actor.PID
	window *fakeWindow
	store  *fakeSessions
	log    *logBook
	dial   func(ctx context.Context, network, addr string) (net.Conn, error) // into the network in memory
	dead   atomic.Bool                                                       // its process was killed

	pools    int            // of two shards each; 0: one pool of all
	fence    messages.Fence // of that one
	dialling func()         // called before each dial; may be nil
	taking   atomic.Pointer[func(*messages.Event)]

	mu       sync.Mutex
	refused  []error
	quiesced int
	drained  int
}

// inBubble runs f with a node of one pool in simulated time, and ends both. change may be nil.
func inBubble(t *testing.T, shards int, sim gatewaysim.Options, change func(*node, *Options), f func(n *node)) {
	t.Helper()
	simtime.Run(t, func(t *testing.T) {
		n := startNode(t, shards, sim, change)
		defer n.stop()
		f(n)
	})
}

func startNode(t *testing.T, shards int, simulated gatewaysim.Options, change func(*node, *Options)) *node {
	t.Helper()
	simulated.Shards, simulated.Record = shards, true
	n := &node{t: t, sim: gatewaysim.New(simulated), window: &fakeWindow{}, store: &fakeSessions{}, log: &logBook{}}
	pipe, err := n.sim.StartPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.dial = pipe.Dial
	n.spawn(change)
	for pool := range n.pools {
		n.take(pool, nil)
	}
	if shards > 0 && n.pools == 0 {
		a := n.assignment(shards)
		a.Fence = n.fence
		n.tell(a)
	}
	return n
}

// assignment is one pool of all shards.
func (n *node) assignment(shards int) messages.Assign {
	a := messages.Assign{Total: shards, GatewayURL: n.sim.GatewayURL()}
	for id := range shards {
		a.Shards = append(a.Shards, id)
	}
	return a
}

// spawn starts the root actor.
func (n *node) spawn(change func(*node, *Options)) {
	n.t.Helper()
	count := func(what *int) func() { return func() { n.mu.Lock(); *what++; n.mu.Unlock() } }
	o := Options{
		Node:    "test",
		Session: gateway.SessionOptions{Token: "token", Intents: 513, Compress: "zlib-stream", Rand: func() float64 { return 0.5 }},
		Dial:    dialer(n.dial),
		Window:  n.window, Permits: &fakePermits{}, Filter: &Filter{}, Meters: meters(n.t), Log: slog.New(n.log.handler()),
		Sessions: n.store,
		Refused:  func(err error) { n.mu.Lock(); n.refused = append(n.refused, err); n.mu.Unlock() },
		Quiesced: count(&n.quiesced),
		Drained:  count(&n.drained),
	}
	if change != nil {
		change(n, &o)
	}
	dial := o.Dial
	o.Dial = func(ctx context.Context, url string) (*gateway.Conn, error) {
		if n.dead.Load() {
			return nil, errTest
		}
		if n.dialling != nil {
			n.dialling()
		}
		return dial(ctx, url)
	}
	n.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	var err error
	if n.root, err = Spawn(n.system, o); err != nil {
		n.t.Fatal(err)
	}
	n.tell(messages.BrokerUp{})
	synctest.Wait()
}

// kill ends the process between two instructions: nothing is stored, acknowledged, dialled or said any more.
func (n *node) kill() {
	n.t.Helper()
	synctest.Wait()
	n.window.kill()
	n.store.sabotage(errTest, false)
	n.dead.Store(true)
	n.sim.Drop(gatewaysim.All)
	synctest.Wait()
	n.end()
}

// end stops the actors.
func (n *node) end() {
	n.window.release()
	_ = n.system.Root.StopFuture(n.root).Wait()
	n.system.Shutdown()
	elapse(10 * time.Second) // protoactor's own timer for dead letters
}

// successor starts another process on the same Discord, with what is stored of n's sessions. a may alter its assignment.
func (n *node) successor(shards int, change func(*node, *Options), a func(*messages.Assign)) *node {
	n.t.Helper()
	next := &node{t: n.t, sim: n.sim, window: &fakeWindow{stored: n.window.Stored()}, store: &fakeSessions{stored: n.store.all()}, log: &logBook{}, dial: n.dial}
	next.spawn(change)
	assignment := next.assignment(shards)
	assignment.Sessions = next.store.all()
	if a != nil {
		a(&assignment)
	}
	next.tell(assignment)
	return next
}

// dialer is how a shard dials over a network in memory.
func dialer(netDial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string) (*gateway.Conn, error) {
	return func(ctx context.Context, url string) (*gateway.Conn, error) {
		return gateway.Dial(ctx, gateway.DialOptions{URL: url, Compress: "zlib-stream", NetDial: netDial})
	}
}

func meters(t *testing.T) *telemetry.Meters {
	t.Helper()
	tel, err := telemetry.New(telemetry.Options{Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tel.Meters
}

func (n *node) tell(message any) { n.system.Root.Send(n.root, message) }

// pid is an actor by its path below the root: "publisher", "pool-0/shard-1".
func (n *node) pid(path string) *actor.PID { return n.system.NewLocalPID("root/" + path) }

// alive tells whether that actor exists.
func (n *node) alive(path string) bool {
	_, ok := n.system.ProcessRegistry.GetLocal(n.pid(path).Id)
	return ok
}

// stop ends actors and simulator, as a node does when its drain is over or took too long.
func (n *node) stop() {
	if !n.dead.Load() {
		n.end()
	}
	n.sim.Close()
	elapse(10 * time.Second)
	if n.t.Failed() {
		n.t.Log(n.log.String())
	}
}

// status asks as the health endpoint does; the actors must answer while time stands still.
func (n *node) status() messages.NodeStatus {
	n.t.Helper()
	began := time.Now()
	answer, err := n.system.Root.RequestFuture(n.root, messages.StatusQuery{}, 2*time.Second).Result()
	if err != nil || time.Since(began) > 0 {
		n.t.Fatalf("status: got error %v after %v, want an answer at once", err, time.Since(began))
	}
	return answer.(messages.NodeStatus)
}

// await lets simulated time go by until ok says yes.
func (n *node) await(within time.Duration, what string, ok func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(within); ; elapse(20 * time.Millisecond) {
		synctest.Wait()
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: not within %v; %+v; %+v", what, within, n.status(), n.sim.Counts())
		}
	}
}

// elapse lets simulated time go by; use it inside a bubble only.
func elapse(d time.Duration) { time.Sleep(d) }

func (n *node) awaitReady() {
	n.t.Helper()
	n.await(30*time.Minute, "ready", func() bool { s := n.status(); return s.ShardsReady == s.ShardsTotal && s.ShardsTotal > 0 })
}

// dispatch has Discord send one event to a shard.
func (n *node) dispatch(shardID int, i int) {
	n.t.Helper()
	if sent, err := n.sim.Dispatch(gatewaysim.One(shardID), "SHEEP_SHORN", fmt.Appendf(nil, `{"n":%d}`, i)); sent != 1 || err != nil {
		n.t.Fatalf("got %d sessions, error %v; want 1", sent, err)
	}
}

func (n *node) told() (refused []error, drained int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]error(nil), n.refused...), n.drained
}

// extent is how much of its sessions a node must have taken.
type extent bool

const (
	everything   extent = true  // but for what was under way when a session ended
	asFarAsTaken extent = false // the rest is left to a RESUME
)

// compare holds what Discord sent against what the window took: each dispatch once, in order.
func (n *node) compare(want extent) {
	n.t.Helper()
	taken := map[string][]int64{}
	for _, e := range n.window.all() {
		if e.own {
			continue
		}
		if s := taken[e.session]; len(s) > 0 && s[len(s)-1] >= e.seq {
			n.t.Errorf("session %s: %d was taken after %d", e.session, e.seq, s[len(s)-1])
		}
		taken[e.session] = append(taken[e.session], e.seq)
	}
	for _, l := range n.sim.Ledger() {
		got := taken[l.SessionID]
		for _, d := range l.Dispatch {
			if d.T == "READY" || d.T == "RESUMED" {
				continue
			}
			if len(got) == 0 {
				if want == everything && !l.Ended {
					n.t.Errorf("shard %d, session %s: %d %s was never taken", l.ShardID, l.SessionID, d.Seq, d.T)
				}
				break
			}
			if got[0] != d.Seq {
				n.t.Errorf("shard %d, session %s: got %d, want %d %s next", l.ShardID, l.SessionID, got[0], d.Seq, d.T)
				break
			}
			got = got[1:]
		}
	}
	for _, c := range n.sim.Connections() {
		if c.ClientCode == 1000 || c.ClientCode == 1001 {
			n.t.Errorf("connection %d was closed with %d, which ends the session", c.ID, c.ClientCode)
		}
	}
}

// logBook keeps what was logged.
type logBook struct {
	mu   sync.Mutex
	hook func(line string)
	b    bytes.Buffer
}

// watch has hook see each line from now on, on the goroutine that logs.
func (l *logBook) watch(hook func(line string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hook = hook
}

func (l *logBook) handler() slog.Handler { return slog.NewTextHandler(l, nil) }

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	hook := l.hook
	l.mu.Unlock()
	if hook != nil {
		hook(string(p))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
