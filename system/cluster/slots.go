package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// storeTimeout bounds a request to the store. One that takes longer says nothing, and is made again.
const storeTimeout = 2 * time.Second

// storePause is the pause after a request that said nothing.
const storePause = time.Second

// slots are the part of Permits that other processes see. Taking a slot is a Create, so that its spacing follows from
// holding it, and not from comparing clocks.
type slots struct {
	Shared
	p       *Permits
	account *account

	stop    chan struct{} // closed when Run ends
	keepers sync.WaitGroup
	looking chan struct{} // capacity 1: who lists
	asking  chan struct{} // who takes a slot

	// Guarded by the lock of p.
	stopped bool
	owned   map[string]*Permit // by name of their slot
	away    error              // the store did not answer the last request; nil: it did
	next    *look              // asked for and not begun; nil: there is none
	over    []over             // the oldest first
	givers  int                // goroutines that give back what is over
}

// over is a slot whose spacing is over, and since when.
type over struct {
	permit   *Permit
	revision uint64
	since    time.Time
}

// look is a question for all slots that several permits share.
type look struct {
	done    chan struct{} // closed when the rest is set
	numbers []int         // values of max_concurrency
	err     error
}

// slot is who may identify under a key. Anybody with rights on the bucket may have written it; nothing but our own ones
// is believed.
type slot struct {
	Process string `json:"process"`
	Attempt string `json:"attempt"` // tells the slots of a process apart
	Shard   int    `json:"shard"`   // for people
	// MaxConcurrency is the number of keys that the holder counts with. A slot under another number may stand for the same
	// key at Discord.
	MaxConcurrency int    `json:"max_concurrency"`
	Home           string `json:"home,omitempty"`
}

const slotPrefix = "slot."

// Why a slot is not to be had now.
var (
	errBusy = errors.New("cluster: another process has the slot")
	// It went away this instant, or another permit of this process has it, from under another max_concurrency.
	errSoon = errors.New("cluster: the slot is had soon")
)

// take gets the slot for a permit whose turn it is in this process, and has the IDENTIFY counted. If it cannot, w is put
// back into the queue, and the permit is void.
func (s *slots) take(t *Permit, w *waiter) bool {
	revision, err := s.claim(t)
	if err != nil {
		if errors.Is(err, errBusy) {
			s.answered(nil)
		} else if !errors.Is(err, errSoon) {
			s.answered(err)
		}
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		s.p.yield(t, w, errors.Is(err, errBusy))
		return false
	}
	s.start(t, revision)
	crossed := false
	counted, err := s.account.count(t, w)
	if counted {
		crossed, err = s.crossed(t)
	}
	s.answered(err)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if counted && err == nil && !crossed && t.valid(time.Now()) {
		return true
	}
	s.p.join(w)
	t.done() // unspent: keep gives the slot back, then the key
	if counted || err != nil {
		t.freeAt = time.Now().Add(storePause) // else the budget or max_concurrency says who is next
	}
	return false
}

// bury frees the slots of processes that had our home, and so have ended: what they wrote last they wrote before now.
func (s *slots) bury(ctx context.Context) {
	if s.Home == "" {
		return
	}
	for freed := false; !freed; {
		entries, err := s.list(ctx)
		if freed = err == nil; !freed {
			if !pause(ctx.Done(), storePause) {
				return
			}
			continue
		}
		var dead []Entry
		for _, e := range entries {
			if h := s.holder(e); h.Home == s.Home && h.Process != s.Process {
				dead = append(dead, e)
			}
		}
		if len(dead) == 0 || !pause(ctx.Done(), s.p.spacing) {
			return
		}
		for _, e := range dead {
			asking, cancel := context.WithTimeout(ctx, storeTimeout)
			_ = s.Slots.Delete(asking, e.Key, e.Revision) // else its TTL frees it
			cancel()
		}
	}
}

func (s *slots) list(ctx context.Context) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.Slots.List(ctx)
}

// claim creates the slot, or takes over an entry that an earlier request of this process left behind although it seemed
// to fail: a ghost, which would keep everybody from the key for a whole TTL.
func (s *slots) claim(t *Permit) (revision uint64, err error) {
	s.p.mu.Lock()
	t.keys = s.p.budget.MaxConcurrency
	t.slot = slotPrefix + strconv.Itoa(t.shardID%t.keys)
	t.attempt = strconv.FormatUint(attempts.Add(1), 10)
	soon := s.owned[t.slot] != nil || s.stopped
	s.p.mu.Unlock()
	if soon {
		return 0, errSoon
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := s.ask(ctx); err != nil {
		return 0, err
	}
	defer s.asked()
	asked := time.Now() // before the request: the store counts from a later instant
	revision, err = s.Slots.Create(ctx, t.slot, s.value(t))
	if errors.Is(err, ErrExists) {
		var entry Entry
		entry, err = s.Slots.Get(ctx, t.slot)
		switch {
		case errors.Is(err, ErrNotFound):
			err = errSoon // whoever's it was: it went this instant
		case err == nil && s.holder(entry).Process != s.Process:
			err = errBusy
		case err == nil:
			asked = time.Now()
			revision, err = s.Slots.Update(ctx, t.slot, s.value(t), entry.Revision)
			if errors.Is(err, ErrChanged) {
				err = errBusy
			}
		}
	}
	t.until = asked.Add(s.SlotTTL - s.p.spacing - s.Margin)
	return revision, err
}

// ask waits until few enough claims are under way; asked ends one. A thousand at a time are no faster, and each has a deep
// stack.
func (s *slots) ask(ctx context.Context) error {
	select {
	case s.asking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *slots) asked() { <-s.asking }

func (s *slots) value(t *Permit) []byte {
	data, _ := json.Marshal(slot{ // strings and numbers: it cannot fail
		Process: s.Process, Attempt: t.attempt, Shard: t.shardID, MaxConcurrency: t.keys, Home: s.Home,
	})
	return data
}

func (s *slots) holder(e Entry) (h slot) {
	_ = json.Unmarshal(e.Value, &h) // what cannot be read is another's
	return h
}

// crossed tells whether somebody holds a slot under another max_concurrency. It is asked after the number was read from
// the budget again: whoever changed it, and whoever has not heard of that, cannot both miss the other.
func (s *slots) crossed(t *Permit) (bool, error) {
	numbers, err := s.numbers()
	for _, n := range numbers {
		if n != t.keys {
			return true, err
		}
	}
	return false, err
}

// numbers are the values of max_concurrency under which slots are held, read after the call began. Who asks while another
// question is under way shares the next one: a thousand shards that start would read a thousand slots each.
func (s *slots) numbers() ([]int, error) {
	s.p.mu.Lock()
	own := s.next
	if own == nil {
		own = &look{done: make(chan struct{})}
		s.next = own
	}
	s.p.mu.Unlock()
	select {
	case s.looking <- struct{}{}:
	case <-own.done:
		return own.numbers, own.err
	}
	defer func() { <-s.looking }()
	s.p.mu.Lock()
	begin := s.next == own
	if begin {
		s.next = nil // what is asked from here on may have to see more
	}
	s.p.mu.Unlock()
	if begin {
		own.numbers, own.err = s.listNumbers()
		close(own.done)
	}
	<-own.done // in any case: whoever else has begun it is through
	return own.numbers, own.err
}

func (s *slots) listNumbers() (numbers []int, err error) {
	entries, err := s.list(context.Background())
	for _, e := range entries {
		if n := s.holder(e).MaxConcurrency; strings.HasPrefix(e.Key, slotPrefix) && n != 0 && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// answered notes whether the store answers.
func (s *slots) answered(err error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	switch {
	case err != nil && s.away == nil:
		s.p.log.Warn("identify slots away", "err", err)
	case err == nil && s.away != nil:
		s.p.log.Info("identify slots back")
	}
	s.away = err
}
