package cluster

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// modelServer is a model of the NATS server with the buckets that the nodes of a bot share, for simulated
// time. It knows what a real one was measured to do, and no more: revisions rise over all keys of a bucket, a write renews
// the key's time to live, expiry comes up to 0.4 s late, a deleted or expired key can be created again with a higher
// revision, and nothing can be done with an older one. What happens between it and a node is modelClient's.
type modelServer struct {
	seed uint64

	mu       sync.Mutex
	back     chan struct{} // closed once the server is there again; nil while it is
	buckets  []*modelBucket
	requests int // that were applied
}

// expiryLate is the most by which a key outlives its time to live. Measured with nats-server: 0.36 s.
const expiryLate = 400 * time.Millisecond

// errModel is what a client hears when it hears nothing of its request: the outcome is unknown.
var errModel = errors.New("model: no answer")

func newModelServer(seed uint64) *modelServer { return &modelServer{seed: seed} }

// stop has the server die. Requests on their way to it are lost, what is stored grows older and stays.
func (s *modelServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back != nil {
		return
	}
	s.back = make(chan struct{})
	for _, b := range s.buckets {
		for _, w := range b.watchers {
			if w.dice.chance(0.5) && !w.over { // half of them survive
				w.over = true
				close(w.ended)
			}
		}
	}
}

func (s *modelServer) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back != nil {
		close(s.back)
		s.back = nil
	}
}

func (s *modelServer) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back != nil
}

// modelBucket is one bucket of the server, under the server's lock.
type modelBucket struct {
	srv  *modelServer
	name string
	ttl  time.Duration // 0: keys stay

	entries  map[string]*modelEntry
	revision uint64
	dice     dice
	watchers []*modelWatcher
	// changed hears of every change at the very instant, under the server's lock. was or is may be nil.
	changed func(key string, was, is *modelEntry)

	// elected is closed once the bucket has a leader again, in a cluster of NATS servers; nil while it has one. Until then any copy
	// answers what is read, nobody takes what is written, and nothing expires.
	elected chan struct{}

	// Faults that no real bucket has, for the teeth of the simulation.
	forgiving bool          // Create overwrites
	hasty     time.Duration // keys expire by this too early
}

type modelEntry struct {
	Entry
	created uint64    // the revision of the Create that began it
	written time.Time // last
	expires *time.Timer
}

func newModelBucket(s *modelServer, name string, ttl time.Duration) *modelBucket {
	b := &modelBucket{srv: s, name: name, ttl: ttl, entries: map[string]*modelEntry{}, dice: newDice(s.seed, "bucket", name)}
	s.buckets = append(s.buckets, b)
	return b
}

// orphan takes the bucket's leader away, until elect.
func (b *modelBucket) orphan() {
	b.srv.mu.Lock()
	defer b.srv.mu.Unlock()
	if b.elected == nil {
		b.elected = make(chan struct{})
	}
}

func (b *modelBucket) elect() {
	b.srv.mu.Lock()
	defer b.srv.mu.Unlock()
	if b.elected != nil {
		close(b.elected)
		b.elected = nil
	}
}

// mute reports that nobody takes a request. It is under the server's lock.
func (b *modelBucket) mute(op string) bool {
	return b.srv.back != nil || b.elected != nil && op != "list" && op != "get"
}

// answer is what the server says to one request.
type answer struct {
	entries []Entry
	err     error
}

func revised(revision uint64, err error) answer {
	return answer{entries: []Entry{{Revision: revision}}, err: err}
}

func (b *modelBucket) create(key string, value []byte) answer {
	if b.entries[key] != nil && !b.forgiving {
		return revised(0, ErrExists)
	}
	return revised(b.put(key, value, nil), nil)
}

func (b *modelBucket) update(key string, value []byte, revision uint64) answer {
	e := b.entries[key]
	if e == nil || e.Revision != revision {
		return revised(0, ErrChanged)
	}
	return revised(b.put(key, value, e), nil)
}

func (b *modelBucket) delete(key string, revision uint64) answer {
	e := b.entries[key]
	if e == nil || e.Revision != revision {
		return answer{err: ErrChanged}
	}
	b.remove(e, true)
	return answer{}
}

func (b *modelBucket) get(key string) answer {
	if e := b.entries[key]; e != nil {
		return answer{entries: []Entry{e.Entry}}
	}
	return answer{err: ErrNotFound}
}

func (b *modelBucket) list() answer {
	var a answer
	for _, e := range b.entries {
		a.entries = append(a.entries, e.Entry)
	}
	slices.SortFunc(a.entries, func(x, y Entry) int { return strings.Compare(x.Key, y.Key) })
	return a
}

func (b *modelBucket) put(key string, value []byte, was *modelEntry) uint64 {
	b.revision++
	e := &modelEntry{Entry: Entry{Key: key, Value: slices.Clone(value), Revision: b.revision}, created: b.revision, written: time.Now()}
	if was != nil {
		e.created = was.created
		if was.expires != nil {
			was.expires.Stop()
		}
	}
	if b.ttl > 0 {
		e.expires = time.AfterFunc(b.ttl-b.hasty+b.dice.upTo(expiryLate), func() {
			b.srv.mu.Lock()
			defer b.srv.mu.Unlock()
			for b.elected != nil {
				elected, late := b.elected, b.dice.upTo(expiryLate)
				b.srv.mu.Unlock()
				<-elected
				time.Sleep(late)
				b.srv.mu.Lock()
			}
			if b.entries[key] == e {
				b.remove(e, false)
			}
		})
	}
	b.entries[key] = e
	b.tell(key, was, e, false)
	return b.revision
}

func (b *modelBucket) remove(e *modelEntry, deleted bool) {
	b.revision++ // the marker
	if e.expires != nil {
		e.expires.Stop()
	}
	delete(b.entries, e.Key)
	b.tell(e.Key, e, nil, deleted)
}

// wipe is what somebody does who deletes the bucket: it is made again, and empty, and no watcher hears of it. Revisions go on.
func (b *modelBucket) wipe() {
	b.srv.mu.Lock()
	defer b.srv.mu.Unlock()
	for _, e := range b.entries {
		if e.expires != nil {
			e.expires.Stop()
		}
	}
	clear(b.entries)
}

func (b *modelBucket) tell(key string, was, is *modelEntry, deleted bool) {
	if b.changed != nil {
		b.changed(key, was, is)
	}
	event := Entry{Key: key, Deleted: deleted}
	if is != nil {
		event = is.Entry
	}
	for _, w := range b.watchers {
		w.tell(event)
	}
}

// dice are numbers that follow from a seed and from what they are for, and from nothing else: so one node's do not
// depend on how its requests and those of others happen to interleave.
type dice uint64

func newDice(seed uint64, parts ...string) dice {
	h := seed ^ 14695981039346656037
	for _, part := range parts {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	d := dice(h)
	d.next()
	return d
}

// next is splitmix64.
func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// upTo is a duration in [1ns, limit]. It is never the same twice, more or less: at one instant the order
// in which timers fire is the scheduler's, and no seed replays that.
func (d *dice) upTo(limit time.Duration) time.Duration {
	return 1 + time.Duration(d.next()%uint64(max(limit, 1)))
}

func (d *dice) between(low, high time.Duration) time.Duration { return low + d.upTo(high-low) }

func (d *dice) intn(n int) int { return int(d.next() % uint64(n)) }

func (d *dice) chance(p float64) bool { return float64(d.next()>>11)/(1<<53) < p }
