package cluster

import (
	"context"
	"fmt"
	"time"
)

// modelStore is a bucket as one node sees it.
type modelStore struct {
	client *modelClient
	bucket *modelBucket
}

var _ Store = (*modelStore)(nil)

// Create implements Store, like the methods after it.
func (s *modelStore) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	a := s.ask(ctx, "create", key, func() answer { return s.bucket.create(key, value) })
	s.client.wrote(key, a)
	return a.revision(), a.err
}

func (s *modelStore) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	a := s.ask(ctx, "update", key, func() answer { return s.bucket.update(key, value, revision) })
	s.client.wrote(key, a)
	return a.revision(), a.err
}

func (s *modelStore) Delete(ctx context.Context, key string, revision uint64) error {
	return s.ask(ctx, "delete", key, func() answer { return s.bucket.delete(key, revision) }).err
}

func (s *modelStore) Get(ctx context.Context, key string) (Entry, error) {
	a := s.ask(ctx, "get", key, func() answer { return s.bucket.get(key) })
	if a.err != nil {
		return Entry{}, a.err
	}
	return a.entries[0], nil
}

func (s *modelStore) List(ctx context.Context) ([]Entry, error) {
	a := s.ask(ctx, "list", "", func() answer { return s.bucket.list() })
	return a.entries, a.err
}

func (a answer) revision() uint64 {
	if a.err != nil || len(a.entries) == 0 {
		return 0
	}
	return a.entries[0].Revision
}

// ask sends one request and waits for its answer, or until ctx ends. The request goes its way in any case.
func (s *modelStore) ask(ctx context.Context, op, key string, apply func() answer) answer {
	c := s.client
	if !c.gate() {
		return answer{err: errModel}
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	j := journey{store: s, op: op, key: key, apply: apply, fate: c.fate(request{s.bucket.name, op, key})}
	a, answered := j.short(ctx)
	if !answered {
		answers := make(chan answer, 1)
		go j.travel(answers)
		select {
		case a = <-answers:
		case <-ctx.Done():
			a = answer{err: ctx.Err()}
		case <-c.died:
		}
	}
	alive := c.gate()
	if c.told != nil {
		c.told(fmt.Sprintf("%s %s %s: revision %d, %v", s.bucket.name, op, key, a.revision(), a.err))
	}
	if !alive {
		return answer{err: errModel}
	}
	return a
}

// journey is one request on its way.
type journey struct {
	store   *modelStore
	op, key string
	apply   func() answer
	fate
	sent, applied bool
}

// short is the way of nearly all requests, without a goroutine of its own, which makes simulations a good deal faster. It reports
// whether that worked out; else travel goes on where it ended.
func (j *journey) short(ctx context.Context) (answer, bool) {
	deadline, _ := ctx.Deadline()
	if both := j.there + j.back; j.lost || j.lostReply || both > 50*time.Millisecond || both >= time.Until(deadline) {
		return answer{}, false
	}
	time.Sleep(j.there)
	j.sent = true
	if j.store.client.isCut() || j.store.bucket.srv.away() {
		return answer{}, false
	}
	a, ok := j.arrive()
	if !ok {
		return answer{}, false
	}
	time.Sleep(j.back)
	return a, j.heard()
}

// travel ends when the request was answered or lost; one that is held waits for the end of the cut.
func (j *journey) travel(answers chan<- answer) {
	c := j.store.client
	if j.applied {
		return // the answer was lost
	}
	if !j.sent {
		time.Sleep(j.there)
	}
	for {
		c.mu.Lock()
		healed := c.healed
		c.mu.Unlock()
		if healed == nil {
			break
		}
		if !j.held {
			return
		}
		<-healed
		time.Sleep(j.there)
	}
	if j.lost {
		return
	}
	a, ok := j.arrive()
	if !ok {
		if j.refused {
			time.Sleep(j.back)
			answers <- answer{err: errModel}
		}
		return
	}
	time.Sleep(j.back)
	if !j.lostReply && j.heard() {
		answers <- a
	}
}

// arrive has the server apply the request, if it is there.
func (j *journey) arrive() (answer, bool) {
	c, srv := j.store.client, j.store.bucket.srv
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if j.store.bucket.mute(j.op) {
		return answer{}, false
	}
	a := j.apply()
	if c.told != nil && j.op != "list" && j.op != "get" {
		c.told(fmt.Sprintf("(%s %s %s applied: revision %d, %v)", j.store.bucket.name, j.op, j.key, a.revision(), a.err))
	}
	j.applied = true
	srv.requests++
	c.applied[j.store.bucket.name]++
	return a, true
}

// heard reports whether an answer that arrives now can.
func (j *journey) heard() bool { return !j.store.client.isCut() && !j.store.bucket.srv.away() }
