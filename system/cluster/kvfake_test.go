package cluster

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// kvFake is a bucket in simulated time, with the rules of Store.
type kvFake struct {
	ttl time.Duration // 0: entries live for ever

	mu       sync.Mutex
	revision uint64
	entries  map[string]Entry
	watchers map[int]func(Entry)
}

func newKVFake(ttl time.Duration) *kvFake {
	return &kvFake{ttl: ttl, entries: map[string]Entry{}, watchers: map[int]func(Entry){}}
}

// write puts value under key if its revision is last, 0 for none.
func (kv *kvFake) write(key string, value []byte, last uint64, refusal error) (uint64, error) {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if kv.entries[key].Revision != last {
		return 0, refusal
	}
	kv.revision++
	e := Entry{Key: key, Value: value, Revision: kv.revision}
	kv.entries[key] = e
	kv.tell(e)
	if kv.ttl > 0 {
		time.AfterFunc(kv.ttl, func() { _ = kv.remove(key, e.Revision, false) })
	}
	return e.Revision, nil
}

func (kv *kvFake) remove(key string, last uint64, deleted bool) error {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	if e, ok := kv.entries[key]; !ok || e.Revision != last {
		return ErrChanged
	}
	kv.revision++
	delete(kv.entries, key)
	kv.tell(Entry{Key: key, Deleted: deleted})
	return nil
}

func (kv *kvFake) tell(e Entry) {
	for _, changed := range kv.watchers {
		time.AfterFunc(time.Millisecond, func() { changed(e) })
	}
}

func (kv *kvFake) list() []Entry {
	kv.mu.Lock()
	defer kv.mu.Unlock()
	return slices.Collect(maps.Values(kv.entries))
}

// kvClient is the way of one process to a bucket.
type kvClient struct {
	*kvFake
	away  *atomic.Bool   // nothing gets through
	fault func() kvFault // nil: none
}

// kvFault is what becomes of a request that is not answered.
type kvFault int

const (
	kvFine       kvFault = iota
	kvLost               // it does not arrive
	kvUnanswered         // it arrives
	kvLate               // it arrives after its sender gave up
)

func (c kvClient) ask(ctx context.Context, do func()) error {
	fault := kvFine
	if c.fault != nil {
		fault = c.fault()
	}
	if c.away.Load() {
		fault = kvLost
	}
	switch fault {
	case kvFine:
		if pause(ctx.Done(), time.Millisecond) {
			do()
			return nil
		}
	case kvUnanswered:
		do()
	case kvLate:
		time.AfterFunc(rand.N(10*time.Second), do)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (c kvClient) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return c.written(ctx, func() (uint64, error) { return c.write(key, value, 0, ErrExists) })
}

func (c kvClient) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return c.written(ctx, func() (uint64, error) { return c.write(key, value, last, ErrChanged) })
}

func (c kvClient) written(ctx context.Context, do func() (uint64, error)) (uint64, error) {
	type answer struct {
		revision uint64
		err      error
	}
	answers := make(chan answer, 1)
	if err := c.ask(ctx, func() { r, err := do(); answers <- answer{r, err} }); err != nil {
		return 0, err
	}
	a := <-answers
	return a.revision, a.err
}

func (c kvClient) Delete(ctx context.Context, key string, last uint64) error {
	_, err := c.written(ctx, func() (uint64, error) { return 0, c.remove(key, last, true) })
	return err
}

func (c kvClient) Get(ctx context.Context, key string) (e Entry, err error) {
	entries, err := c.List(ctx)
	if i := slices.IndexFunc(entries, func(e Entry) bool { return e.Key == key }); err == nil && i >= 0 {
		return entries[i], nil
	} else if err == nil {
		err = ErrNotFound
	}
	return Entry{}, err
}

func (c kvClient) List(ctx context.Context) ([]Entry, error) {
	answer := make(chan []Entry, 1)
	if err := c.ask(ctx, func() { answer <- c.list() }); err != nil {
		return nil, err
	}
	return <-answer, nil
}

func (c kvClient) Watch(ctx context.Context, changed func(Entry)) error {
	c.mu.Lock()
	n := len(c.watchers)
	for c.watchers[n] != nil {
		n++
	}
	c.watchers[n] = func(e Entry) {
		if !c.away.Load() {
			changed(e)
		}
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	delete(c.watchers, n)
	c.mu.Unlock()
	return context.Cause(ctx)
}

func TestKVFake_keeps_the_rules_of_a_store(t *testing.T) {
	inCluster(t, Limit{}, func(c *permitCluster) {
		p := c.process()
		ctx := c.Context()
		first, err := p.slots.Create(ctx, "slot.0", []byte("a"))
		if _, again := p.slots.Create(ctx, "slot.0", nil); err != nil || again != ErrExists { //nolint:errorlint // as it is
			t.Errorf("got %v and %v, want a key and then ErrExists", err, again)
		}
		if _, err := p.slots.Update(ctx, "slot.0", nil, first+1); err != ErrChanged { //nolint:errorlint // as it is
			t.Errorf("got %v, want ErrChanged", err)
		}
		<-time.After(DefaultSlotTTL / 2)
		second, err := p.slots.Update(ctx, "slot.0", []byte("b"), first)
		if err != nil {
			t.Error(err)
		}
		<-time.After(DefaultSlotTTL - time.Second)
		if e, err := p.slots.Get(ctx, "slot.0"); err != nil || fmt.Sprint(e) != fmt.Sprint(Entry{Key: "slot.0", Value: []byte("b"), Revision: second}) {
			t.Errorf("got %v, %v, want the update, which began its life anew", e, err)
		}
		<-time.After(2 * time.Second)
		if _, err := p.slots.Get(ctx, "slot.0"); err != ErrNotFound { //nolint:errorlint // as it is
			t.Errorf("got %v, want ErrNotFound", err)
		}
	})
}
