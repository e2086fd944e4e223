package simtime_test

import (
	"sync"
	"testing"
	"time"

	"drover/system/simtime"
)

// With synctest.Test in Run's place the race detector ends this test's process, more often than not.
func TestRun_survives_timers_that_are_due_at_one_instant(t *testing.T) {
	simtime.Run(t, func(*testing.T) {
		var all sync.WaitGroup
		for range 600 {
			all.Go(func() {
				for range 600 {
					select {
					case <-time.NewTimer(0).C:
					case <-time.After(time.Hour):
						t.Error("a timer of no duration was not due")
					}
				}
			})
		}
		all.Wait()
	})
}
