package web

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
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
	shown   shown
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
	return &live{ask: ask, tick: tick, viewers: map[chan []byte]struct{}{}}
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
		return newView(status, &l.history, now)
	}
	last := &l.last
	if l.lastAt.IsZero() {
		status.Started = now
		last = status
	}
	v := newView(last, &l.history, now)
	v.silence(l.lastAt)
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
		l.shown = shown{}
		return
	}
	changed := l.shown.change(l.viewLocked(status, err, now))
	if len(changed) == 0 {
		return
	}
	l.send(changed)
}

func (l *live) send(changed map[string]string) {
	message, err := json.Marshal(changed)
	if err != nil {
		return // cannot be: strings only
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
var sectionNames = []string{"head", "tiles", "nodes", "states", "types", "notices"}

func render(name string, data any) string {
	var out bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&out, name, data); err != nil {
		return "" // cannot be: the tests render every section
	}
	return out.String()
}

// serve is /live: server-sent events, each a JSON object of section → HTML. The first holds the whole page.
func (l *live) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the events back
	if r.Method == http.MethodHead {
		return
	}
	status, err := l.ask(r.Context())
	viewer, first := l.join(&status, err)
	if viewer == nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "too many viewers, or the node is stopping", http.StatusServiceUnavailable)
		return
	}
	defer l.leave(viewer)
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // the request is read; its deadline would end the stream
	write := func(message []byte) bool {
		_ = control.SetWriteDeadline(time.Now().Add(viewerDeadline))
		_, err := w.Write(append(append([]byte("data: "), message...), '\n', '\n'))
		return err == nil && control.Flush() == nil
	}
	if _, err := w.Write([]byte("retry: 2000\n")); err != nil || !write(first) {
		return
	}
	for {
		select {
		case message, ok := <-viewer:
			if !ok || !write(message) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// join adds a viewer and makes its first message; nil when there is no room.
func (l *live) join(status *snapshot, err error) (viewer chan []byte, first []byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.closed || len(l.viewers) >= maxViewers {
		return nil, nil
	}
	v := l.viewLocked(status, err, time.Now())
	first, failed := json.Marshal(map[string]string{"main": render("main", v)})
	if failed != nil {
		return nil, nil // cannot be: strings only
	}
	viewer = make(chan []byte, backlog)
	l.viewers[viewer] = struct{}{}
	// What the others see is a little older, so the next update cannot be a difference for everybody.
	l.shown = shown{}
	return viewer, first
}

func (l *live) leave(viewer chan []byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.drop(viewer)
}
