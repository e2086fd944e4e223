package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"drover/messages"
)

// errNoShard means that no node serves the shard that was asked for.
var errNoShard = errors.New("no node serves it")

// Shard is one of this node's shards with its history; found is false where this node does not serve it.
func (s *Server) Shard(ctx context.Context, id int) (detail messages.ShardDetail, found bool, err error) {
	status, err := s.status(ctx)
	if err != nil {
		return detail, false, err
	}
	return s.detail(ctx, &status, id)
}

// detail adds to the status of a shard what else is known of it.
func (s *Server) detail(ctx context.Context, status *messages.NodeStatus, id int) (detail messages.ShardDetail, found bool, err error) {
	for i := range status.Shards {
		if status.Shards[i].ID == id {
			detail.ShardStatus, found = status.Shards[i], true
		}
	}
	if !found {
		return detail, false, nil
	}
	detail.LastDispatch = detail.ShardStatus.LastDispatch
	detail.Series, _ = s.rings.shard(id)
	if s.o.History != nil {
		ctx, cancel := context.WithTimeout(ctx, statusDeadline)
		defer cancel()
		h, err := s.o.History(ctx, id)
		if err != nil {
			return detail, true, fmt.Errorf("web: history: %w", err)
		}
		if h != nil { // else it left in this moment
			detail.History = *h
		}
	}
	return detail, true, nil
}

// anyShard is a shard of this node or of another one. of is this node, also at an error where it is known.
func (s *Server) anyShard(ctx context.Context, id int) (of snapshot, detail messages.ShardDetail, err error) {
	of, err = s.live.ask(ctx) // and not what others were shown: the history is of now
	if err != nil {
		return of, detail, err
	}
	detail, found, err := s.detail(ctx, &of.NodeStatus, id)
	if err != nil || found {
		return of, detail, err
	}
	if s.o.Remote == nil {
		return of, detail, errNoShard
	}
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return of, detail, &remoteError{errors.New("too many requests do already")}
	}
	detail, found, err = s.o.Remote(ctx, id)
	switch {
	case err != nil:
		err = &remoteError{err}
	case !found:
		err = errNoShard
	}
	return of, detail, err
}

// remoteError says why the nodes that may serve a shard did not tell.
type remoteError struct{ err error }

func (e *remoteError) Error() string { return "the other nodes cannot be asked: " + e.err.Error() }
func (e *remoteError) Unwrap() error { return e.err }

// whyUnknown is why nothing is known of a shard, in words for those who asked.
func whyUnknown(err error) string {
	if remote := (*remoteError)(nil); errors.As(err, &remote) {
		return remote.Error()
	}
	return silent
}

// shardID is the shard that a request is about. Where ok is false the request is answered.
func shardID(w http.ResponseWriter, r *http.Request) (id int, ok bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 0 || id > maxShardID {
		http.Error(w, "a shard is named by its number: /shards/17", http.StatusNotFound)
		return 0, false
	}
	return id, true
}

// maxAsking bounds how many requests ask other nodes at a time. Nobody has to say who he is, and each is a question to all nodes. Too low: people
// who look at pages of other nodes' shards wait for one another.
const maxAsking = 16

// maxShardID is far above any bot.
const maxShardID = 1 << 20

// shardJSON is /api/v1/shards/ID.
func (s *Server) shardJSON(w http.ResponseWriter, r *http.Request) {
	id, ok := shardID(w, r)
	if !ok {
		return
	}
	_, detail, err := s.anyShard(r.Context(), id)
	switch {
	case errors.Is(err, errNoShard):
		http.Error(w, fmt.Sprintf("no node serves shard %d, or none has said so within 2 s", id), http.StatusNotFound)
	case err != nil:
		s.o.Log.WarnContext(r.Context(), "shard: no status", "err", err)
		http.Error(w, whyUnknown(err), http.StatusServiceUnavailable)
	default:
		s.json(w, r, true, detail)
	}
}

// shardPage is /shards/ID.
func (s *Server) shardPage(w http.ResponseWriter, r *http.Request) {
	id, ok := shardID(w, r)
	if !ok {
		return
	}
	of, detail, err := s.anyShard(r.Context(), id)
	v := s.newOnePage(&of, &detail, id, err, time.Now())
	v.Back = backTo(r)
	code := http.StatusOK
	switch {
	case errors.Is(err, errNoShard):
		code = http.StatusNotFound
	case err != nil:
		s.o.Log.WarnContext(r.Context(), "page: no status of the shard", "shard_id", id, "err", err)
		code = http.StatusServiceUnavailable
	}
	s.html(w, r, code, "shardpage", v)
}

// backTo is the grid that a shard's page was opened from, and the query that keeps it.
func backTo(r *http.Request) string {
	if r.URL.Query().Get("scope") == "cluster" {
		return "?scope=cluster"
	}
	return ""
}

// html renders a page whole before the first byte is sent, so that an error can still be told.
func (s *Server) html(w http.ResponseWriter, r *http.Request, code int, name string, v any) {
	var body bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&body, name, v); err != nil {
		s.o.Log.ErrorContext(r.Context(), "page not rendered", "err", err)
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(code)
	if _, err := w.Write(body.Bytes()); err != nil {
		s.o.Log.DebugContext(r.Context(), "answer not written", "err", err)
	}
}

// shardSections are the parts of a shard's page that change.
var shardSections = []string{"head", "one", "past"}

// shardLive is /live?shard=ID: what changes on the page of one shard. Its viewers are few, and each asks for itself.
func (s *Server) shardLive(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.URL.Query().Get("shard"))
	if err != nil || id < 0 || id > maxShardID {
		http.Error(w, "shard is a number", http.StatusBadRequest)
		return
	}
	out := newEventStream(w)
	if r.Method == http.MethodHead {
		return
	}
	if !s.live.sit() {
		tooMany(w)
		return
	}
	defer s.live.rise()
	tick := time.NewTicker(herdTicks * s.o.tick)
	defer tick.Stop()
	shown, drawn := map[string]string{}, time.Time{}
	for first := true; ; first = false {
		of, detail, err := s.anyShard(r.Context(), id)
		v := s.newOnePage(&of, &detail, id, err, time.Now())
		v.Back = backTo(r)
		changed := map[string]string{}
		for _, name := range shardSections {
			if text := render(name, v); text != shown[name] {
				changed[name], shown[name] = text, text
			}
		}
		if (first || len(changed) > 0) && !out.write(frame("", changed)) {
			return
		}
		if end := detail.Series.End; err == nil && !end.Equal(drawn) {
			drawn = end
			series := map[string]messages.Measured{"rate": detail.Series.Rate, "heartbeat": detail.Series.Latency}
			if !out.write(frame("charts", chartData{detail.Series.Step, end.UnixMilli(), series})) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-s.live.gone:
			return
		case <-r.Context().Done():
			return
		}
	}
}
