package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"drover/messages"
	"drover/system/stream"
)

// recorder writes down everything that is stored, as it is stored: streams age out, and memory streams
// die. It reads past the proxy, from before drover starts until after it has ended. Any goroutine may use it.
type recorder struct {
	broker *stream.Broker
	done   chan struct{} // closed when it has ended
	cancel context.CancelFunc

	mu       sync.Mutex
	list     []Stored
	gaps     []Gap
	seen     map[key]struct{}
	sessions map[string]string // one string per session, however many events it has
	life     [messages.Streams]int
	last     [messages.Streams]uint64
	downs    map[int]int // shard.down by shard
	changed  time.Time
	err      error
}

// key names a dispatch.
type key struct {
	session string
	seq     int64
}

// record follows the streams on url until close.
func record(ctx context.Context, url string, log *slog.Logger) (*recorder, error) {
	b, err := stream.Connect(ctx, stream.Options{URL: url, Name: "drover audit", Log: log})
	if err != nil {
		return nil, fmt.Errorf("audit: recorder: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &recorder{
		broker: b, cancel: cancel, done: make(chan struct{}),
		seen: map[key]struct{}{}, sessions: map[string]string{}, downs: map[int]int{}, changed: time.Now(),
	}
	go func() { // ends with close
		defer close(r.done)
		if err := b.Follow(ctx, stream.FollowOptions{All: true}, r.take); err != nil && ctx.Err() == nil {
			r.mu.Lock()
			r.err = err
			r.mu.Unlock()
		}
	}()
	return r, nil
}

// close ends the recording.
func (r *recorder) close() {
	r.cancel()
	<-r.done
	r.broker.Close()
}

// take notes one stored event. It returns nil: nothing that is stored ends the recording.
func (r *recorder) take(m stream.Message) error {
	s := Stored{
		Stream: m.Stream, StreamSeq: m.StreamSeq, ID: m.ID, EnvelopeID: m.Envelope.ID, T: m.Event, Type: m.Envelope.Type,
		Shard: m.Envelope.ShardID, At: m.Stored, Sum: sha256.Sum256(m.Envelope.Data),
	}
	if m.Err != nil {
		s.Broken = m.Err.Error()
	}
	if spliced(s.Type) {
		s.Data = bytes.Clone(m.Envelope.Data)
	}
	session, seq, found := strings.Cut(m.Seq, ":")
	if found {
		var err error
		if s.Seq, err = strconv.ParseInt(seq, 10, 64); err != nil {
			s.Broken = fmt.Sprintf("header %s is %q", messages.HeaderSeq, m.Seq)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.sessions[session]; !ok {
		r.sessions[session] = strings.Clone(session)
	}
	s.Session = r.sessions[session]
	// Within one life of a stream the numbers rise: a lower one is of a stream that was made again.
	if m.StreamSeq <= r.last[m.Stream] {
		r.life[m.Stream]++
	}
	r.last[m.Stream] = m.StreamSeq
	s.Life = r.life[m.Stream]
	r.list = append(r.list, s)
	r.changed = time.Now()
	switch {
	case found:
		r.seen[key{s.Session, s.Seq}] = struct{}{}
	case s.Type == messages.ShardGapKind.Type:
		g := Gap{Shard: s.Shard}
		if err := json.Unmarshal(m.Envelope.Data, &g); err != nil {
			r.list[len(r.list)-1].Broken = fmt.Sprintf("data of %s: %v", s.Type, err)
			break
		}
		r.gaps = append(r.gaps, g)
	case s.Type == messages.ShardDownKind.Type:
		r.downs[s.Shard]++
	}
	return nil
}

// counts are how many dispatches were stored at least once, how many events there are, and for how long nothing came.
func (r *recorder) counts() (dispatches, all int, quiet time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen), len(r.list), time.Since(r.changed)
}

// has reports whether a dispatch was stored.
func (r *recorder) has(session string, seq int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.seen[key{session, seq}]
	return ok
}

// downsOf is how often a shard said shard.down.
func (r *recorder) downsOf(shard int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.downs[shard]
}

// all returns what was recorded so far, and why the recording ended if it did.
func (r *recorder) all() ([]Stored, []Gap, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list[:len(r.list):len(r.list)], append([]Gap(nil), r.gaps...), r.err
}
