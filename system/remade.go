package system

import (
	"slices"
	"sync"
	"time"

	"drover/messages"
)

// remade gathers streams that had to be made again within a moment: a memory server that restarts loses both, and
// each shard declares one gap.
type remade struct {
	mu      sync.Mutex
	streams []messages.Stream // made again and not told yet
	from    time.Time
}

// remadeTogether is how long after the first stream the second one may follow. Its server makes them one by one.
const remadeTogether = time.Second

// streamMade says it aloud when a stream had to be made again: a memory stream dies with its server. It runs on the
// goroutine that set the streams up, and does not block.
func (s *System) streamMade(of messages.Stream, again bool) {
	if !again {
		return
	}
	s.log.Error("a stream was lost and is made again: acknowledged events that no worker had read are gone", "stream", of.String())
	r := &s.remade
	r.mu.Lock()
	defer r.mu.Unlock()
	from := agedOut(s.stream(of), time.Now())
	if len(r.streams) == 0 {
		r.from = from
		// The timer fires once, and what it tells after the node's end nobody hears.
		time.AfterFunc(remadeTogether, s.tellRemade)
	}
	if !slices.Contains(r.streams, of) {
		r.streams = append(r.streams, of)
	}
	r.from = earlier(r.from, from)
}

func (s *System) tellRemade() {
	r := &s.remade
	r.mu.Lock()
	lost := messages.StreamLost{Streams: r.streams, From: r.from}
	r.streams = nil
	r.mu.Unlock()
	s.tell(lost)
}
