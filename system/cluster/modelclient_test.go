package cluster

import (
	"strconv"
	"sync"
	"time"
)

// modelClient is one node's connection to the modelServer, and what can happen to the node: it is cut off, it stands
// still, it dies. Each request has its fate, which follows from the seed, the node, the key and how often that was asked.
type modelClient struct {
	srv   *modelServer
	name  string // unique per process
	noise noise

	mu     sync.Mutex
	healed chan struct{} // closed when the node is no longer cut off; nil while it is not
	awake  chan struct{} // closed when the node goes on; nil while it does not stand still
	died   chan struct{} // closed when the node is killed
	asked  map[request]uint64
	// answered is when the last write of a key turned out to have worked, for teeth.fromAnswer.
	answered map[string]time.Time
	// told hears of every request and what became of it, for the trace of a replay; nil: nobody does.
	told func(what string)
	// applied counts writes by bucket that were applied. It is under the server's lock.
	applied map[string]int
}

type request struct{ bucket, op, key string }

// noise says how unreliable the way to the server is, beside what the faults do.
type noise struct {
	quick           time.Duration // the most that each way takes normally
	slow            float64       // chance of a way that takes up to slowest
	slowest         time.Duration
	lost, lostReply float64 // chances of a request, of an answer, that never comes
	late            float64 // chance of a request that comes up to latest after it was sent, and after its client gave up
	latest          time.Duration
	deaf            float64 // chance that a watcher misses a change
}

// requestTimeout is how long nats.go waits where the context has no deadline.
const requestTimeout = 5 * time.Second

func newModelClient(s *modelServer, name string, n noise) *modelClient {
	return &modelClient{srv: s, name: name, noise: n, died: make(chan struct{}), asked: map[request]uint64{}, answered: map[string]time.Time{}, applied: map[string]int{}}
}

func (c *modelClient) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.healed == nil {
		c.healed = make(chan struct{})
	}
}

func (c *modelClient) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.healed != nil {
		close(c.healed)
		c.healed = nil
	}
}

func (c *modelClient) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awake == nil {
		c.awake = make(chan struct{})
	}
}

func (c *modelClient) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awake != nil {
		close(c.awake)
		c.awake = nil
	}
}

// kill ends the process: nothing that it does has an effect any more, but for the requests that are on their way.
func (c *modelClient) kill() {
	if !c.dead() {
		close(c.died)
	}
	c.resume()
}

func (c *modelClient) dead() bool {
	select {
	case <-c.died:
		return true
	default:
		return false
	}
}

func (c *modelClient) isCut() bool    { c.mu.Lock(); defer c.mu.Unlock(); return c.healed != nil }
func (c *modelClient) isPaused() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.awake != nil }

// gate is where everything of the node passes that others could notice: it waits while the node stands still,
// whatever became of the caller's context, and reports whether the node lives.
func (c *modelClient) gate() bool {
	for {
		c.mu.Lock()
		awake := c.awake
		c.mu.Unlock()
		if awake == nil {
			return !c.dead()
		}
		<-awake
	}
}

// fate is what becomes of one request.
type fate struct {
	there, back     time.Duration
	lost, lostReply bool
	held            bool // what is cut off while on its way comes through when the cut is healed; else it is lost
	refused         bool // a server that is away is noticed at once; else the request runs into its deadline
}

func (c *modelClient) fate(r request) fate {
	c.mu.Lock()
	c.asked[r]++
	n := c.asked[r]
	c.mu.Unlock()
	d := newDice(c.srv.seed, c.name, r.bucket, r.op, r.key, strconv.FormatUint(n, 36))
	way := func() time.Duration {
		if d.chance(c.noise.slow) {
			return d.upTo(c.noise.slowest)
		}
		return d.upTo(c.noise.quick)
	}
	f := fate{there: way(), back: way(), lost: d.chance(c.noise.lost), lostReply: d.chance(c.noise.lostReply), held: d.chance(0.5), refused: d.chance(0.7)}
	if d.chance(c.noise.late) {
		f.there += d.upTo(c.noise.latest)
	}
	return f
}

// wrote notes the answer to a write.
func (c *modelClient) wrote(key string, a answer) {
	if a.err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answered[key] = time.Now()
	}
}
