package web

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"drover/messages"
)

// onePage is the page of one shard, ready for the template.
type onePage struct {
	*view
	ID, Pool   int
	On         string // the node that serves it
	OnPage     string // the shard's page there; empty: it is this node, or cannot be reached
	State      stateView
	For        string
	LastError  string
	Facts      []tile
	Strip      []segment
	Charts     []chartView
	Events     []eventView
	Closes     []closeView
	Counts     []countView
	Began      time.Time // of the history
	Gone       string    // why there is nothing to see; empty: there is
	Prev, Next string    // paths of the neighbours; empty: there is none
	PrevID     int
	NextID     int
	Back       string // the query that keeps the scope in links
}

// segment is a stretch of the band of states, in its own units.
type segment struct {
	X, Width     float64
	Y, Height    float64 // the further a shard is from serving the lower, so that it can be told without colours
	Class, Title string
}

// eventView is a line of the history.
type eventView struct {
	At           time.Time
	Name, Class  string
	Letter, Text string
	Session      string
	Code         int
	Often        string // "12 times, the last at 10:11:12"
	Error        bool
}

type closeView struct {
	Code, Meaning, Count string
	Last                 time.Time
}

type countView struct{ Label, Value string }

// heights are those of the states in the band.
var heights = map[messages.State]float64{
	messages.Halted: 5, messages.Disconnected: 9, messages.Connecting: 13, messages.Identifying: 17, messages.Resuming: 21, messages.Ready: stripHeight,
}

// The band of states shows as much as the charts do.
const (
	stripWidth  = 900.0
	stripHeight = 28.0
	stripTime   = steps * stepLength
	thinnest    = 4.0 // a reconnect of a second would be a hundredth of this, and could not be seen
)

// newOnePage makes the page. err is why there is no detail.
func (s *Server) newOnePage(of *snapshot, d *messages.ShardDetail, id int, err error, now time.Time) *onePage {
	v := &onePage{view: newHead(of, now), ID: id, PrevID: id - 1, NextID: id + 1, State: stateView{Name: "unknown", Class: "disconnected"}}
	remote := (*remoteError)(nil)
	if err != nil && !errors.Is(err, errNoShard) && !errors.As(err, &remote) {
		v.silence(time.Time{})
	}
	v.Reasons = nil // of the node: they stand on its own page
	total := len(of.Shards)
	for i := range of.Shards {
		total = max(total, of.Shards[i].ID+1)
	}
	if id > 0 {
		v.Prev = fmt.Sprintf("/shards/%d", id-1)
	}
	if id+1 < total || of.scopes && err == nil {
		v.Next = fmt.Sprintf("/shards/%d", id+1)
	}
	switch {
	case errors.Is(err, errNoShard):
		v.Gone = fmt.Sprintf("No node serves shard %d now, or none has said so within 2 s. It may be moving, or the bot may have fewer shards.", id)
		v.Next = ""
		return v
	case remote != nil:
		v.Gone = "Nothing is known of this shard at the moment: " + remote.Error() + "."
		return v
	case err != nil:
		v.Gone = "Nothing is known of this shard at the moment."
		return v
	}
	v.Pool, v.On, v.LastError = d.Pool, d.Node, d.LastError
	v.OnPage = s.pageOn(d.Node, id)
	v.State = stateView{Name: string(d.State), Class: class(d.State), Letter: letter(d.State)}
	if d.State == messages.Ready {
		v.LastError = ""
	}
	v.facts(d, now)
	v.Strip = strip(&d.History, now)
	v.Charts = shardCharts(&d.Series)
	v.past(&d.History)
	return v
}

// pageOn is where another node shows a shard itself; empty where that is this node, or its address is of no use.
func (s *Server) pageOn(node string, id int) string {
	if node == s.o.Node || s.o.Address == nil {
		return ""
	}
	addr := s.o.Address(node)
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return ""
	}
	return fmt.Sprintf("http://%s/shards/%d", addr, id)
}

func (v *onePage) facts(d *messages.ShardDetail, now time.Time) {
	since := tile{ID: "since", Label: "In this state", Value: "–", Bar: -1}
	if !d.Since.IsZero() {
		since.Value, since.Note = span(now.Sub(d.Since)), string(d.State)
	}
	events := tile{ID: "events", Label: "Events", Value: "–", Unit: "per second", Note: "none yet", Bar: -1}
	if n := len(d.Series.Rate); n > 0 && d.Series.Rate[n-1] == d.Series.Rate[n-1] {
		events.Value = rate(float64(d.Series.Rate[n-1]))
	}
	if !d.LastDispatch.IsZero() {
		events.Note = "the newest " + span(now.Sub(d.LastDispatch)) + " ago"
	}
	beat := tile{ID: "beat", Label: "Heartbeat", Value: "–", Note: "none answered yet", Bar: -1}
	if d.HeartbeatLatencyMS > 0 {
		beat.Value, beat.Unit = latency(time.Duration(d.HeartbeatLatencyMS * float64(time.Millisecond)))
		beat.Note = "the last one, to Discord and back"
	}
	guilds := tile{ID: "guilds", Label: "Guilds", Value: count(d.Guilds), Note: "that the bot is in here", Bar: -1}
	open := tile{ID: "open", Label: "Not stored yet", Value: count(max(d.SeqReceived-d.SeqAcked, 0)), Note: fmt.Sprintf("read to %s · stored to %s", count(d.SeqReceived), count(d.SeqAcked)), Bar: -1}
	session := tile{ID: "session", Label: "Session", Value: "none", Note: "it has to identify", Class: "word plain", Bar: -1}
	if d.Session != "" {
		session.Value, session.Note = d.Session, "first 8 characters of its id"
	}
	restarts := tile{ID: "restarts", Label: "Restarts", Value: count(d.Restarts), Note: "routine reconnects do not count", Bar: -1}
	if d.Restarts > 0 {
		restarts.Class = "wait"
	}
	ended := 0
	for _, c := range d.History.Closes {
		ended += c.Count
	}
	lost := tile{ID: "lost", Label: "Connections lost", Value: count(ended + d.History.Lost), Note: fmt.Sprintf("%s with a close code", count(ended)), Bar: -1}
	v.Facts = []tile{since, events, beat, guilds, open, session, lost, restarts}
}

func (v *onePage) past(h *messages.ShardHistory) {
	v.Began = h.Began.UTC()
	for _, e := range h.Events {
		line := eventView{
			At: e.At.UTC(), Name: string(e.State), Class: class(e.State), Letter: letter(e.State), Text: e.Text, Session: e.Session, Code: e.Code, Error: e.Error,
		}
		if e.Times > 1 {
			line.Often = fmt.Sprintf("%s times, the last one at %s UTC", count(e.Times), e.Until.UTC().Format("15:04:05"))
		}
		v.Events = append(v.Events, line)
	}
	for _, c := range h.Closes {
		code := fmt.Sprint(c.Code)
		if c.Code == 0 {
			code = "others"
		}
		v.Closes = append(v.Closes, closeView{code, c.Meaning, count(c.Count), c.Last.UTC()})
	}
	v.Counts = []countView{
		{"Sessions begun", count(h.Sessions)}, {"Identifies sent", count(h.Identifies)}, {"Resumes that worked", count(h.Resumes)},
		{"Lost without a close code", count(h.Lost)}, {"Dials that failed", count(h.Dials)},
	}
}

// strip is the band of states of the last 15 minutes, as far as the history goes. now is its right end.
func strip(h *messages.ShardHistory, now time.Time) (out []segment) {
	from := now.Add(-stripTime)
	place := func(t time.Time) float64 { return max(0, float64(t.Sub(from))/float64(stripTime)*stripWidth) }
	end := now
	for i := range h.Events { // newest first
		e := &h.Events[i]
		if i+1 < len(h.Events) && h.Events[i+1].State == e.State && e.At.After(from) {
			continue // a note within the same state: the older line begins the stretch
		}
		begin := e.At
		if begin.Before(from) {
			begin = from
		}
		x, width := place(begin), place(end)-place(begin)
		high := max(heights[e.State], heights[messages.Halted])
		out = append(out, segment{X: x, Width: width, Y: stripHeight - high, Height: high, Class: class(e.State), Title: fmt.Sprintf("%s for %s", e.State, span(end.Sub(begin)))})
		end = begin
		if !e.At.After(from) {
			return widen(out)
		}
	}
	return widen(out)
}

// widen puts the oldest stretch first, and makes those without service wide enough to be seen: what is shorter than that becomes one
// stretch, in the state that is farthest from serving. Below each is a blank, since what is there is lower than ready.
func widen(newestFirst []segment) (out []segment) {
	ready := string(messages.Ready)
	slices.Reverse(newestFirst)
	for i := 0; i < len(newestFirst); {
		if newestFirst[i].Class == ready {
			out = append(out, newestFirst[i])
			i++
			continue
		}
		end := i
		for end < len(newestFirst) && newestFirst[end].Class != ready {
			end++
		}
		group := newestFirst[i:end]
		first, last := group[0], group[len(group)-1]
		if width := last.X + last.Width - first.X; width < thinnest {
			worst := slices.MinFunc(group, func(a, b segment) int { return cmp.Compare(a.Height, b.Height) })
			worst.X, worst.Width = max(0, first.X-(thinnest-width)), thinnest
			group = []segment{worst}
		}
		first, last = group[0], group[len(group)-1]
		out = append(append(out, segment{X: first.X, Width: last.X + last.Width - first.X, Height: stripHeight, Class: "none"}), group...)
		i = end
	}
	return out
}
