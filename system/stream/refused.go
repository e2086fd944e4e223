package stream

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"
)

// RefusedError says that the user that we are at NATS may not publish to a subject, or not subscribe to it. Nobody answers such a
// request, so that without this it would look like a server that is slow.
type RefusedError struct {
	Subscribe bool
	Subject   string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("NATS does not let this user %s %s: add it to the user's permissions; docs/security.md has what drover needs", e.action(), e.Subject)
}

func (e *RefusedError) action() string {
	if e.Subscribe {
		return "subscribe to"
	}
	return "publish to"
}

// refusals are what NATS has refused lately. Any goroutine may use them.
type refusals struct {
	mu   sync.Mutex
	last map[RefusedError]time.Time
}

// A refused publish is forgotten after refusalLife without another one: whatever matters is tried again sooner. A subscription is made once, so
// its refusal stands until the connection is another. More than maxRefusals say nothing more.
const (
	refusalLife = time.Minute
	maxRefusals = 32
)

// What a server says: Permissions Violation for Publish to "a.b", … for Subscription to "a.b" using queue "q".
var refusal = regexp.MustCompile(`(?i)permissions violation for (publish|subscription)[^"]*"([^"]+)"`)

// note takes in that a text says so; nil: it says something else. news: it was not known.
func (r *refusals) note(text string, now time.Time) (e *RefusedError, news bool) {
	m := refusal.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	e = &RefusedError{Subscribe: m[1][0]|' ' == 's', Subject: m[2]}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	_, known := r.last[*e]
	if !known && len(r.last) == maxRefusals {
		return e, false
	}
	if r.last == nil {
		r.last = map[RefusedError]time.Time{}
	}
	r.last[*e] = now
	return e, !known
}

// standing returns what is refused, subscriptions first.
func (r *refusals) standing(now time.Time) (all []*RefusedError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	for e := range r.last {
		all = append(all, &e)
	}
	slices.SortFunc(all, func(a, b *RefusedError) int {
		return cmp.Or(cmp.Compare(b.action(), a.action()), cmp.Compare(a.Subject, b.Subject))
	})
	return all
}

func (r *refusals) forget(now time.Time) {
	for e, at := range r.last {
		if !e.Subscribe && now.Sub(at) > refusalLife {
			delete(r.last, e)
		}
	}
}

// clear is for a connection that has ended: the next one may be another user's, or the user's permissions others.
func (r *refusals) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.last)
}
