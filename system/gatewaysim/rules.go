package gatewaysim

import (
	"sync"
	"sync/atomic"
	"time"
)

// Limit says how long a fault that waits for its occasion stays on. The zero
// value is once.
type Limit struct {
	Count int           // occasions; 0: one, if For is 0 too, else any number
	For   time.Duration // from now; 0: until Count is used up
}

// Forever is a Limit that only Clear ends.
var Forever = Limit{Count: -1}

// rule is a fault waiting for its occasion. Safe for concurrent use.
type rule[T any] struct {
	mu    sync.Mutex
	on    bool
	value T
	left  int // -1: any number
	until time.Time
}

func (r *rule[T]) set(v T, l Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on, r.value, r.left, r.until = true, v, l.Count, time.Time{}
	if l.For > 0 {
		r.until = time.Now().Add(l.For)
		if l.Count == 0 {
			r.left = -1
		}
	} else if l.Count == 0 {
		r.left = 1
	}
}

func (r *rule[T]) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
}

// take says whether the fault strikes this occasion, and counts it.
func (r *rule[T]) take(now time.Time) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var none T
	if !r.active(now) {
		return none, false
	}
	if r.left > 0 {
		r.left--
	}
	return r.value, true
}

func (r *rule[T]) isOn(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active(now)
}

func (r *rule[T]) active(now time.Time) bool {
	if r.on && (r.left == 0 || !r.until.IsZero() && !now.Before(r.until)) {
		r.on = false
	}
	return r.on
}

// faultSet holds what is set to happen at the next occasion. Each part has its
// own lock or is atomic.
type faultSet struct {
	rest           rule[RESTFault]
	dialBase       rule[DialMode]
	dialResume     rule[DialMode]
	reconnectHello rule[struct{}]
	silentEdge     rule[struct{}]
	identify       rule[AnswerFault]
	resume         rule[AnswerFault]
	ready          rule[ReadyFault]
	dropAcks       atomic.Bool
	holdGuilds     atomic.Int64
	heartbeat      atomic.Int64 // ns; 0: Options.Heartbeat
	denied         atomic.Uint64
	split          atomic.Pointer[SplitFault] // for new connections
}

func (f *faultSet) dial(kind HostKind) *rule[DialMode] {
	if kind == HostResume {
		return &f.dialResume
	}
	return &f.dialBase
}

// names lists the waiting faults that are on.
func (f *faultSet) names(now time.Time) []string {
	list := []string{}
	add := func(on bool, name string) {
		if on {
			list = append(list, name)
		}
	}
	add(f.rest.isOn(now), "rest")
	add(f.dialBase.isOn(now), "dials base")
	add(f.dialResume.isOn(now), "dials resume")
	add(f.reconnectHello.isOn(now), "reconnect-hello")
	add(f.silentEdge.isOn(now), "silent-edge")
	add(f.identify.isOn(now), "identify-answer")
	add(f.resume.isOn(now), "resume-answer")
	add(f.ready.isOn(now), "ready")
	add(f.dropAcks.Load(), "drop-acks")
	add(f.holdGuilds.Load() > 0, "hold-guilds")
	add(f.split.Load() != nil, "split")
	return list
}

func (s *Server) deniedPrivileged() uint64 {
	return (s.opts.DeniedPrivileged | s.faults.denied.Load()) & intentsPrivileged
}
