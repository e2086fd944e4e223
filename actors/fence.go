package actors

import (
	"context"
	"errors"
	"time"

	"drover/messages"
)

// What a shard may do while its pool's fence is invalid: whether NATS is away for all, or only this node is cut off and
// another one serves the pool, cannot be told from inside. A connection is kept. A lost one is resumed at most once, and
// only where this node held the session before: two nodes would throw each other out in turns. There is no IDENTIFY.

// errFenced is why a connection was given up that came when the fence was invalid.
var errFenced = errors.New("the lease of its pool is not valid")

// fenceAgain is how often an invalid fence is looked at again. Too low costs timers; too high delays what waits for it.
const fenceAgain = 200 * time.Millisecond

// begin starts the session machine, which may dial at once, as soon as the fence allows that.
func (s *shard) begin() {
	switch {
	case s.quiet:
	case s.heldBack():
		s.holdBack()
	default:
		s.begun = true
		s.do(s.session.Start(time.Now()))
	}
}

// heldBack reports that there is no connection, and that there may be none. Asked with each heartbeat, it also sees that
// the fence is valid again.
func (s *shard) heldBack() bool {
	return !s.mayConnect() && s.session.State() == messages.Disconnected && !s.quiet
}

// holdBack has tick look again.
func (s *shard) holdBack() {
	if !s.held {
		s.held = true
		s.Log.Info("shard waits for its pool's lease", "shard_id", s.ID, "pool_id", s.Pool)
		s.report("waits for its pool's lease")
	}
	s.wake(time.Now().Add(fenceAgain))
}

// mayConnect asks before a dial, and once more when that has worked.
func (s *shard) mayConnect() bool {
	c := s.carried
	if s.Tenure.Valid() {
		c.waits = false
		return true
	}
	return c.mine && !c.waits && s.session.Memory().Resume.SessionID != ""
}

// serves notes that Discord has accepted an IDENTIFY or a RESUME.
func (s *shard) serves(resumed bool) {
	s.carried.mine = true
	if resumed {
		s.answered()
	}
}

// answered notes that Discord has decided on a RESUME, either way. While the fence is invalid there is no other one.
func (s *shard) answered() { s.carried.waits = !s.Tenure.Valid() }

// parted notes a RESUME that Discord had accepted, although the connection ended before RESUMED. The reader is retired.
func (s *shard) parted() {
	if s.status.State == messages.Resuming && s.carried.tracker.Seq() > s.reader.from {
		s.answered()
	}
}

// awaitValid waits until f is valid, or returns ctx's cause.
func awaitValid(ctx context.Context, f messages.Fence) error {
	if f.Valid() {
		return nil
	}
	again := time.NewTicker(fenceAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
			if f.Valid() {
				return nil
			}
		}
	}
}
