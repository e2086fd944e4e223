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
