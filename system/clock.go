package system

import (
	"context"
	"time"
)

// How often clocks are compared. Clocks drift by seconds a day at worst; a step, as after a machine was suspended, is seen
// within clocksApart. Where there is no answer it is tried again sooner.
const (
	clocksApart = time.Minute
	clocksAgain = 5 * time.Second
)

// compareClocks compares this machine's clock with NATS' until ctx ends. drover itself decides nothing by it: leases and time-outs
// go by durations. But the times in events and logs mean little where clocks differ.
func (s *System) compareClocks(ctx context.Context) {
	for s.broker != nil {
		wait := clocksAgain
		if s.broker.WaitConnected(ctx) == nil {
			if offset, err := s.broker.ClockOffset(ctx); err == nil {
				s.clock.Store(&offset)
				wait = clocksApart
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
