// Package simtime runs tests in simulated time. Only tests import it.
package simtime

import (
	"runtime"
	"testing"
	"testing/synctest"
)

// Run is [synctest.Test] on one processor. A bubble's timers share one context of the race detector, and the runtime does not lock it: when two goroutines of a
// bubble ask timers that are due on two processors at once, the detector corrupts its own memory and the process dies (golang.org/issue/78156, seen with Go 1.26.8).
// In simulated time all wake at the same instants, so that this happens about once in ten runs of a large simulation; one processor makes it impossible.
// Simulated time costs none of the other's: hardly anything there runs at once. Not for tests that run in parallel with others.
func Run(t *testing.T, f func(*testing.T)) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, f)
}
