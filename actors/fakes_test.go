package actors

import (
	"context"
	"sync"

	"drover/messages"
)

// taken is what a window keeps of an event.
type taken struct {
	session, typ string
	seq          int64
	own          bool // one of drover's life-cycle events
}

// fakeWindow takes everything and acknowledges it at once. It is full between hold and release.
type fakeWindow struct {
	publish func(*messages.Event)       // called first; may panic
	replay  func(context.Context) error // nil returns nil
	paused  func()                      // may panic

	mu              sync.Mutex
	events          []taken
	full            chan struct{} // closed by release; nil: there is room
	pauses, replays int
}

func (w *fakeWindow) Publish(ctx context.Context, ev *messages.Event) error {
	if w.publish != nil {
		w.publish(ev)
	}
	w.mu.Lock()
	full := w.full
	w.mu.Unlock()
	if full != nil {
		select {
		case <-full:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	w.mu.Lock()
	w.events = append(w.events, taken{ev.Session, ev.Kind.Type, ev.Seq, ev.ID != ""})
	w.mu.Unlock()
	if ev.Receipt != nil {
		ev.Receipt.Acked(ev.Kind.Stream, ev.Seq)
	}
	return nil
}

func (w *fakeWindow) Pause() {
	w.mu.Lock()
	w.pauses++
	w.mu.Unlock()
	if w.paused != nil {
		w.paused()
	}
}

func (w *fakeWindow) Replay(ctx context.Context) error {
	w.mu.Lock()
	w.replays++
	w.mu.Unlock()
	if w.replay != nil {
		return w.replay(ctx)
	}
	return nil
}

func (w *fakeWindow) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full == nil {
		w.full = make(chan struct{})
	}
}

func (w *fakeWindow) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full != nil {
		close(w.full)
		w.full = nil
	}
}

func (w *fakeWindow) all() []taken {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]taken(nil), w.events...)
}

// ofType counts the events of one type.
func (w *fakeWindow) ofType(typ string) (n int) {
	for _, e := range w.all() {
		if e.typ == typ {
			n++
		}
	}
	return n
}

func (w *fakeWindow) counts() (pauses, replays int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pauses, w.replays
}

// fakePermits grants at once and counts what is held.
type fakePermits struct {
	spent func() // called by every Spent; may panic
	wait  func(context.Context) error

	mu   sync.Mutex
	held int
}

type fakePermit struct {
	of   *fakePermits
	once sync.Once
}

func (f *fakePermits) Announce(...int) {}

func (f *fakePermits) Acquire(ctx context.Context, _ int, _ bool) (Permit, error) {
	if f.wait != nil {
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held++
	return &fakePermit{of: f}, nil
}

func (p *fakePermit) Spent() {
	if p.of.spent != nil {
		p.of.spent()
	}
}

func (p *fakePermit) Done() {
	p.once.Do(func() {
		p.of.mu.Lock()
		p.of.held--
		p.of.mu.Unlock()
	})
}

func (f *fakePermits) out() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held
}
