package actors

import (
	"sync/atomic"
	"testing"

	"drover/system/gatewaysim"
)

func TestShard_gives_a_permit_back_that_ran_out_and_asks_again(t *testing.T) {
	var spent atomic.Int64
	permits := &fakePermits{stale: 3, spent: func() { spent.Add(1) }}
	inBubble(t, 2, gatewaysim.Options{}, func(_ *node, o *Options) { o.Permits = permits }, func(n *node) {
		n.awaitReady()
		if got := n.sim.Counts().Identifies; got != 2 || spent.Load() != 2 {
			t.Errorf("got %d IDENTIFYs on %d permits, want 2 on 2: nothing is written on what ran out", got, spent.Load())
		}
		if got := permits.out(); got != 0 {
			t.Errorf("got %d permits held, want none", got)
		}
	})
}

// A thousand sessions that stay connected for days would hold a thousand permits of their first seconds.
func TestShard_forgets_its_permit_once_it_is_done(t *testing.T) {
	permits := &fakePermits{}
	inBubble(t, 4, gatewaysim.Options{}, func(_ *node, o *Options) { o.Permits = permits }, func(n *node) {
		n.awaitReady()
		if got := permits.out(); got != 0 {
			t.Errorf("got %d permits that are not given back, want none", got)
		}
		if got := permits.kept(); got > 1 { // the collector may see one on a stack
			t.Errorf("got %d of 4 permits in memory while the shards are connected, want none", got)
		}
	})
}
