package web

import (
	"net/http"
	"time"
)

// eventStream writes server-sent events.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// newEventStream sets the headers. Nothing is written before the first event.
func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the events back
	return &eventStream{w: w, control: http.NewResponseController(w)}
}

// write sends frames, and reports whether that worked within viewerDeadline.
func (s *eventStream) write(frames []byte) bool {
	if !s.begun {
		s.begun = true
		_ = s.control.SetReadDeadline(time.Time{}) // the request is read; its deadline would end the stream
		frames = append([]byte("retry: 2000\n"), frames...)
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(viewerDeadline))
	_, err := s.w.Write(frames)
	return err == nil && s.control.Flush() == nil
}

// tooMany answers who finds no place.
func tooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "10")
	http.Error(w, "too many viewers, or the node is stopping", http.StatusServiceUnavailable)
}

// serve is /live: server-sent events. Those without a name are JSON objects of section → HTML, of which the first holds the
// whole page; "shards" are columns, and "charts" what the script draws.
func (l *live) serve(w http.ResponseWriter, r *http.Request) {
	out := newEventStream(w)
	if r.Method == http.MethodHead {
		return
	}
	status, err := l.ask(r.Context())
	viewer, first := l.join(&status, err)
	if viewer == nil {
		tooMany(w)
		return
	}
	defer l.leave(viewer)
	if !out.write(first) {
		return
	}
	for {
		select {
		case message, ok := <-viewer:
			if !ok || !out.write(message) {
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
	if l.closed || len(l.viewers)+l.seated >= maxViewers {
		return nil, nil
	}
	now := time.Now()
	first = frame("", map[string]string{"main": render("main", l.viewLocked(status, err, now))})
	if err == nil {
		l.pulse.add(now, status.Shards)
		first = append(first, frame("shards", newColumns(status, l.rate, now))...)
	}
	if l.rings != nil {
		first = append(first, frame("charts", l.rings.charts())...)
	}
	viewer = make(chan []byte, backlog)
	l.viewers[viewer] = struct{}{}
	// What the others see is a little older, so the next update cannot be a difference for everybody.
	l.shown, l.columns = shown{}, nil
	return viewer, first
}

func (l *live) leave(viewer chan []byte) {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.drop(viewer)
}

// sit takes the place of a viewer that asks for itself, and rise gives it back.
func (l *live) sit() bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.closed || len(l.viewers)+l.seated >= maxViewers {
		return false
	}
	l.seated++
	return true
}

func (l *live) rise() {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.seated--
}
