package actors

import (
	"context"
	"sync"
	"sync/atomic"

	"drover/messages"
)

// tenure is this node's time with one pool, from Assign until the pool is gone. It is the fence of all that the pool's
// shards publish, keep and ask for: that of the pool's lease, and no more once the tenure has ended. So what an earlier
// tenure left on its way stays invalid when the same lease comes back.
//
// Any goroutine may call its methods.
type tenure struct {
	lease messages.Fence // nil: always valid
	over  atomic.Bool
	ctx   context.Context // ends with it
	stop  context.CancelFunc

	open    atomic.Int64 // of drover's own events: not acknowledged; those of Discord's are in marks
	handing sync.Mutex   // held while during hands something to the window
}

func newTenure(lease messages.Fence) *tenure {
	t := &tenure{lease: lease}
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// Valid implements messages.Fence.
func (t *tenure) Valid() bool { return !t.over.Load() && messages.Valid(t.lease) }

// end makes it invalid for ever. It does not block.
func (t *tenure) end() {
	t.over.Store(true)
	t.stop()
}

// await waits, after end, until during hands nothing over any more.
func (t *tenure) await() {
	t.handing.Lock()
	defer t.handing.Unlock() // whoever held it has given up: its context has ended
}

// during runs hand unless the tenure is over; its context ends with the tenure. What could not be handed over for that
// reason is no error: nobody wants it any more.
func (t *tenure) during(ctx context.Context, hand func(context.Context) error) error {
	t.handing.Lock()
	defer t.handing.Unlock()
	if t.over.Load() {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	err := hand(ctx)
	if t.over.Load() {
		return nil
	}
	return err
}

// watch counts one of drover's own events as open until it is acknowledged, and tells then, which may be nil.
func (t *tenure) watch(then messages.Receipt) messages.Receipt {
	t.open.Add(1)
	return &watched{of: t, then: then}
}

// watched is the receipt of one own event.
type watched struct {
	of   *tenure
	then messages.Receipt
	done atomic.Bool
}

// Acked implements messages.Receipt.
func (w *watched) Acked(stream messages.Stream, seq int64, stored uint64) {
	if w.then != nil {
		w.then.Acked(stream, seq, stored)
	}
	if w.done.CompareAndSwap(false, true) { // sent again, it may be acknowledged twice
		w.of.open.Add(-1)
	}
}
