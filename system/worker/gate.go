package worker

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// gate keeps the lanes from a database that does not answer. Shut, it has the prober ask until there is an answer. Any goroutine
// may use it.
type gate struct {
	store Store
	log   *slog.Logger

	mu      sync.Mutex
	open    chan struct{} // closed while the gate is open
	isOpen  bool
	why     error // of the last closing, or what the database answers; nil: none
	refused bool  // why is a refusal: only a transaction that works ends it
	leaving bool
	wanted  chan struct{} // capacity 1: the prober has something to do
}

func newGate(s Store, log *slog.Logger) *gate {
	return &gate{store: s, log: log, open: make(chan struct{}), wanted: make(chan struct{}, 1)}
}

// shut closes the gate until the database answers. After a refusal, such as a table that is missing, an answer says nothing.
func (g *gate) shut(why error, refused bool) {
	g.mu.Lock()
	if g.isOpen && !g.leaving {
		g.isOpen, g.open = false, make(chan struct{})
	}
	g.ill(why, refused)
	g.mu.Unlock()
	select {
	case g.wanted <- struct{}{}:
	default:
	}
}

// worked notes that a transaction went through.
func (g *gate) worked() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.well()
}

// ill notes the trouble; nil: there is none yet. The caller holds mu.
func (g *gate) ill(why error, refused bool) {
	if why != nil && g.why == nil {
		g.log.Warn("the database does not answer as it should; events wait in the stream", "err", why)
	}
	g.why, g.refused = why, refused
}

// well forgets the trouble. The caller holds mu.
func (g *gate) well() {
	if g.why != nil {
		g.log.Info("the database answers again")
	}
	g.why, g.refused = nil, false
}

// err says what the database's trouble is; nil: there is none. A refusal lasts until a transaction has worked.
func (g *gate) err() (open bool, why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isOpen, g.why
}

// leave lets everybody through for good: what they hold is given back then.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving = true
	if !g.isOpen {
		g.isOpen = true
		close(g.open)
	}
}

// await waits for an open gate and reports whether there is a database behind it.
func (g *gate) await(ctx context.Context) bool {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.leaving || g.why == nil
}

// ask asks for one of our own tables: a database without them answers too, and can take no event.
func (g *gate) ask(ctx context.Context) error {
	if err := g.store.Ping(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maxProbe)
	defer cancel()
	_, err := g.store.Progress(ctx, "")
	return err
}

// Bounds of the pause between two questions to a database that is away.
const (
	firstProbe = 50 * time.Millisecond
	maxProbe   = 5 * time.Second
)

// probe is the prober: the goroutine that opens the gate again. It ends with ctx.
func (g *gate) probe(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.wanted:
		}
		for pause := firstProbe; ; pause = min(2*pause, maxProbe) {
			err := g.ask(ctx)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				break
			}
			g.mu.Lock()
			g.ill(err, false)
			g.mu.Unlock()
			sleep(ctx, pause/2+rand.N(pause))
		}
		g.mu.Lock()
		if !g.refused {
			g.well()
		}
		if !g.isOpen {
			g.isOpen = true
			close(g.open)
		}
		g.mu.Unlock()
	}
}
