package cluster

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// Who gets a pool next must know while its holder is still about to leave it: else it can prepare nothing.
func TestNode_the_next_holder_is_told_before_the_pool_is_left(t *testing.T) {
	tests := []struct {
		name string
		hand func(t *testing.T, from, to *testNode) // hands pools over
	}{
		{"the node ends", func(_ *testing.T, from, _ *testNode) { from.end() }},
		{"the node is drained", func(_ *testing.T, from, _ *testNode) {
			go from.Drain(context.Background()) // ends with the pools, which are left
		}},
		{"the pool is moved by hand", func(t *testing.T, from, to *testNode) {
			pool := from.pools()[0]
			if _, err := from.Move(context.Background(), pool, to.o.Name); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t)
			const pools = 3
			from, to := newTestNode(t, srv, "from", pools), newTestNode(t, srv, "to", pools)
			var over atomic.Bool // at the end both nodes go, and nobody is next
			from.host.before = func(ctx context.Context, pool int) {
				for !over.Load() && !to.host.seen(fmt.Sprint("expect ", pool)) {
					select {
					case <-ctx.Done():
						t.Errorf("pool %d was left without a word to who is next", pool)
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			}
			from.run(t)
			eventually(t, "the first node serves all", func() bool { return len(from.pools()) == pools })
			to.run(t)
			spread(t, pools, from, to)
			had := len(to.pools())
			tt.hand(t, from, to)
			eventually(t, "the second node serves more", func() bool { return len(to.pools()) > had })
			over.Store(true)
		})
	}
}
