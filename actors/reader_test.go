package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"drover/system/gatewaysim"
)

// What is read together may be sent together, but nothing may be held back while the reader waits for the network:
// behind the last event may stand a frame that is none, or an event that is filtered out.
func TestReader_holds_nothing_back_while_it_waits(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{}, func(_ *node, o *Options) { o.Filter.Set(nil, []string{"TYPING_START"}) }, func(n *node) {
		n.awaitReady()
		for i := range 100 {
			n.dispatch(0, i)
			if _, err := n.sim.Dispatch(gatewaysim.All, "TYPING_START", []byte("{}")); err != nil {
				t.Fatal(err)
			}
			n.sim.RequestHeartbeat(gatewaysim.All)
		}
		n.await(time.Minute, "all events", func() bool { return n.window.ofType("sheep.shorn") == 100 })
		synctest.Wait()
		n.window.mu.Lock()
		defer n.window.mu.Unlock()
		if n.window.held {
			t.Error("the reader waits, and its newest event is held back")
		}
		if n.window.heldBack == 0 {
			t.Error("nothing was ever held back: the test shows nothing")
		}
	})
}
