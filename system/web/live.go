package web

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"drover/messages"
)

// live keeps the page current. One goroutine asks the node once a tick, keeps the history, and sends the
// sections of the page that changed to everyone who has it open.
type live struct {
	ask  func(ctx context.Context) (snapshot, error) // at an error with what is known without an answer
	tick time.Duration
	lazy bool // it is asked for viewers only
	// traffic is what the history is made of where nobody looks; nil: ask, or nothing where lazy.
	traffic func() messages.Traffic

	lock    sync.Mutex // guards all below
	closed  bool
	history history
	last    snapshot  // the newest that was had
	lastAt  time.Time // zero: none yet
	viewers map[chan []byte]struct{}
	seated  int           // viewers that ask for themselves
	gone    chan struct{} // closed with the end
	shown   shown
	pulse   pulse    // while somebody looks
	columns *columns // that the viewers have
	ticks   int
	rings   *rings // of the node; nil for all nodes, which have no charts
}

// snapshot is what a page shows: a node, or all of them.
type snapshot struct {
	messages.NodeStatus
	cluster *messages.ClusterStatus // nil: one node
	scopes  bool                    // there is another page, of the cluster or of this node
}

// shown is what the viewers have on their screens.
type shown struct {
	sections map[string]string
	pools    []poolView
}

const (
	// maxViewers bounds the work per tick and the open connections.
	maxViewers = 64
	// backlog is how many updates a viewer may lag behind before it is dropped; it then comes back by itself.
	backlog = 4
	// unseen is how many ticks go by between two statuses that nobody looks at: only the page of a node whose actors do not
	// answer shows them. Each is 200 KB for a thousand shards.
	unseen = 10
	// viewerDeadline is the time one update may take to be written.
	viewerDeadline = 10 * time.Second
)

func newLive(tick time.Duration, ask func(ctx context.Context) (snapshot, error)) *live {
	return &live{ask: ask, tick: tick, viewers: map[chan []byte]struct{}{}, gone: make(chan struct{})}
}

// run ends with ctx, and then lets the viewers go.
func (l *live) run(ctx context.Context) {
	tick := time.NewTicker(l.tick)
	defer tick.Stop()
	for n := 0; ; n++ {
		switch {
		case l.watched() || !l.lazy && (l.traffic == nil || n%unseen == 0):
			status, err := l.ask(ctx)
			if ctx.Err() == nil {
				l.update(&status, err, time.Now())
			}
		case l.traffic != nil:
			l.note(l.traffic(), time.Now())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			l.end()
			return
		}
	}
}

// watched reports that somebody has the page open.
func (l *live) watched() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	return len(l.viewers) > 0
}

func (l *live) end() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.closed = true
	close(l.gone)
	for viewer := range l.viewers {
		l.drop(viewer)
	}
}

// drop lets a viewer go. The lock is held.
func (l *live) drop(viewer chan []byte) {
	if _, ok := l.viewers[viewer]; ok {
		delete(l.viewers, viewer)
		close(viewer)
	}
}

// view makes the page from a status, or from the last one known if there is none.
func (l *live) view(status *snapshot, err error, now time.Time) *view {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.viewLocked(status, err, now)
}

func (l *live) viewLocked(status *snapshot, err error, now time.Time) *view {
	if err == nil {
		return l.newView(status, now)
	}
	last := &l.last
	if l.lastAt.IsZero() {
		status.Started = now
		last = status
	}
	v := l.newView(last, now)
	v.silence(l.lastAt)
	return v
}

// newView is a page without silence. The lock is held.
func (l *live) newView(of *snapshot, now time.Time) *view {
	v := newView(of, &l.history, now)
	if l.rings != nil {
		v.Charts = chartsOf(l.rings)
	}
	if of.cluster != nil {
		v.speeds(of, l.rate)
	}
	return v
}

// note takes in the traffic where there is no viewer.
func (l *live) note(traffic messages.Traffic, now time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.history.add(now, &traffic)
}

// update takes in a status and tells the viewers what it changes.
func (l *live) update(status *snapshot, err error, now time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if err == nil {
		l.history.add(now, &status.Traffic)
		l.last, l.lastAt = *status, now
	}
	if len(l.viewers) == 0 {
		l.shown, l.pulse, l.columns = shown{}, pulse{}, nil
		return
	}
	var message []byte
	if changed := l.shown.change(l.viewLocked(status, err, now)); len(changed) > 0 {
		message = frame("", changed)
	}
	if l.ticks++; err == nil {
		l.pulse.add(now, status.Shards)
		if l.lazy || l.ticks%herdTicks == 0 {
			message = append(message, l.fresh(status, now)...)
		}
	}
	l.send(message)
}

// fresh is the columns that have changed. The lock is held.
func (l *live) fresh(status *snapshot, now time.Time) []byte {
	all := newColumns(status, l.rate, now)
	changed := all.change(l.columns)
	l.columns = all
	if changed == nil {
		return nil
	}
	return frame("shards", changed)
}

// rate is a shard's events per second. The lock is held.
func (l *live) rate(id int) float32 {
	if r := l.pulse.rate(id); r == r || l.rings == nil {
		return r
	}
	return l.rings.rateOf(id) // somebody has just begun to look
}

// push sends a message of another kind to all viewers.
func (l *live) push(message []byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.send(message)
}

// send hands a message to all viewers. The lock is held.
func (l *live) send(message []byte) {
	if len(message) == 0 {
		return
	}
	for viewer := range l.viewers {
		select {
		case viewer <- message:
		default:
			l.drop(viewer)
		}
	}
}

// change renders v and returns the sections that look different now. The whole of the page is one
// section when the set of pools is another.
func (s *shown) change(v *view) map[string]string {
	samePools := slices.EqualFunc(s.pools, v.Pools, func(a, b poolView) bool { return a.ID == b.ID && a.Size == b.Size })
	changed := map[string]string{}
	sections := map[string]string{}
	for _, name := range sectionNames {
		sections[name] = render(name, v)
		if sections[name] != s.sections[name] {
			changed[name] = sections[name]
		}
	}
	for i := range v.Pools {
		if samePools && !s.pools[i].equal(&v.Pools[i]) {
			changed[v.Pools[i].Name()] = render("pool", &v.Pools[i])
		}
	}
	if !samePools {
		changed = map[string]string{"main": render("main", v)}
	}
	s.sections, s.pools = sections, v.Pools
	return changed
}

// sectionNames are the definitions in page.html that /live brings up to date, each an element of that id;
// the pools come on top.
var sectionNames = []string{"head", "tiles", "nodes", "budget", "charts", "states", "types", "notices"}

func render(name string, data any) string {
	var out bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&out, name, data); err != nil {
		return "" // cannot be: the tests render every section
	}
	return out.String()
}
