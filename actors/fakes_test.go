package actors

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"drover/messages"
)

// taken is what a window keeps of an event.
type taken struct {
	session, typ string
	seq          int64
	own          bool // one of drover's life-cycle events
	data, id     string
}

// unsettled is an event that waits for its acknowledgement. Under an invalid fence there is none.
type unsettled struct {
	fence messages.Fence
	acked func()
}

// fakeWindow takes everything and acknowledges it at once. It is full between hold and release.
type fakeWindow struct {
	publish func(*messages.Event)       // called first; may panic
	replay  func(context.Context) error // nil returns nil
	paused  func()                      // may panic

	mu              sync.Mutex
	events          []taken
	kept            []taken       // acknowledged, in this order
	gone            bool          // its process was killed: nothing happens any more
	full            chan struct{} // closed by release; nil: there is room
	overfull        bool          // what Full says while there is no room
	unanswered      bool          // nothing is acknowledged; ack does it
	receipts        []unsettled   // of what is not acknowledged
	abandoned       []messages.Fence
	late            int // events of fences that were abandoned before
	stored          [messages.Streams]uint64
	spooled         map[string][messages.Streams]messages.Spooled
	adopted         map[string]messages.Receipt
	pauses, replays int
	held            bool // the newest event waits for more, or for Flush
	heldBack        int  // events that did
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
	if w.gone {
		w.mu.Unlock()
		<-ctx.Done()
		return context.Cause(ctx)
	}
	event := taken{ev.Session, ev.Kind.Type, ev.Seq, ev.ID != "", string(ev.Data), ev.EventID()}
	w.events = append(w.events, event)
	if w.held = ev.More; w.held {
		w.heldBack++
	}
	receipt, stream, seq := ev.Receipt, ev.Kind.Stream, ev.Seq
	if receipt == nil {
		receipt = nobody{}
	}
	answer := func() {
		w.mu.Lock()
		w.stored[stream]++
		stored := w.stored[stream]
		w.kept = append(w.kept, event)
		w.mu.Unlock()
		receipt.Acked(stream, seq, stored)
	}
	if slices.Contains(w.abandoned, ev.Fence) {
		w.late++
	}
	if w.unanswered || !messages.Valid(ev.Fence) {
		w.receipts = append(w.receipts, unsettled{ev.Fence, answer})
		answer = func() {}
	}
	w.mu.Unlock()
	answer()
	return nil
}

type nobody struct{}

func (nobody) Acked(messages.Stream, int64, uint64) {}

// silence stops acknowledgements; answer acknowledges what waits, in order, and all that follows.
func (w *fakeWindow) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unanswered = true
}

func (w *fakeWindow) answer() {
	w.mu.Lock()
	w.unanswered = false
	w.mu.Unlock()
	w.answerSome(func(int) bool { return true })
}

// answerSome acknowledges what is chosen, by its place among those that wait.
func (w *fakeWindow) answerSome(choose func(i int) bool) {
	w.mu.Lock()
	waiting := w.receipts
	w.receipts = nil
	for i, u := range waiting {
		if !choose(i) || !messages.Valid(u.fence) {
			w.receipts = append(w.receipts, u)
			waiting[i].acked = nil
		}
	}
	w.mu.Unlock()
	for _, u := range waiting {
		if u.acked != nil {
			u.acked()
		}
	}
}

func (w *fakeWindow) Abandon(f messages.Fence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abandoned = append(w.abandoned, f)
	w.receipts = slices.DeleteFunc(w.receipts, func(u unsettled) bool { return u.fence == f })
}

// fakeFence is valid unless it is broken.
type fakeFence struct{ broken atomic.Bool }

func (f *fakeFence) Valid() bool { return !f.broken.Load() }

// kill makes an end of it without a word.
func (w *fakeWindow) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone, w.receipts = true, nil
}

// acknowledged are the events that are stored, in the order of their acknowledgements.
func (w *fakeWindow) acknowledged() []taken {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]taken(nil), w.kept...)
}

// typed are the events of one type that were taken.
func (w *fakeWindow) typed(typ string) []taken {
	var out []taken
	for _, e := range w.all() {
		if e.typ == typ {
			out = append(out, e)
		}
	}
	return out
}

func (w *fakeWindow) Adopt(session string, r messages.Receipt) [messages.Streams]messages.Spooled {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.adopted == nil {
		w.adopted = map[string]messages.Receipt{}
	}
	w.adopted[session] = r
	return w.spooled[session]
}

func (w *fakeWindow) Stored() [messages.Streams]uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stored
}

func (w *fakeWindow) Full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full != nil && w.overfull
}

func (w *fakeWindow) Flush() {
	w.mu.Lock()
	w.held = false
	w.mu.Unlock()
}

func (w *fakeWindow) FlushSoon() { w.Flush() }

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

	mu    sync.Mutex
	held  int
	stale int // so many permits are invalid when they come
	given []weak.Pointer[fakePermit]
}

// kept are the permits that somebody still holds in memory.
func (f *fakePermits) kept() (n int) {
	runtime.GC()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.given {
		if p.Value() != nil {
			n++
		}
	}
	return n
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
	p := &fakePermit{of: f}
	f.given = append(f.given, weak.Make(p))
	return p, nil
}

func (p *fakePermit) Valid() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.stale--
	return p.of.stale < 0
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

// fakeSessions is a session store with the rules of the real one: a nil guild set leaves the stored one.
type fakeSessions struct {
	mu     sync.Mutex
	stored map[int]messages.Checkpoint // by shard
	writes []written
	fault  error // what Save answers
	hang   bool  // Save waits for its context
}

type written struct {
	at time.Time
	messages.Checkpoint
}

func (f *fakeSessions) Save(ctx context.Context, c messages.Checkpoint) error {
	f.mu.Lock()
	hang, fault := f.hang, f.fault
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if fault != nil {
		return fault
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes = append(f.writes, written{time.Now(), c})
	if f.stored == nil {
		f.stored = map[int]messages.Checkpoint{}
	}
	if old := f.stored[c.ShardID]; c.Guilds == nil && old.Session == c.Session {
		c.Guilds = old.Guilds
	}
	f.stored[c.ShardID] = c
	return nil
}

func (f *fakeSessions) sabotage(fault error, hang bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.hang = fault, hang
}

// all is what another process would load.
func (f *fakeSessions) all() map[int]messages.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.stored)
}

func (f *fakeSessions) of(shardID int) messages.Checkpoint { return f.all()[shardID] }

// since are the writes of one shard from then on.
func (f *fakeSessions) since(shardID int, then time.Time) []written {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []written
	for _, w := range f.writes {
		if w.ShardID == shardID && !w.at.Before(then) {
			out = append(out, w)
		}
	}
	return out
}

// refusing is a store that never takes one shard's checkpoint.
type refusing struct {
	*fakeSessions
	shardID int
}

func (r refusing) Save(ctx context.Context, c messages.Checkpoint) error {
	if c.ShardID == r.shardID {
		return errTest
	}
	return r.fakeSessions.Save(ctx, c)
}
