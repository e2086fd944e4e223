package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover/messages"
)

// drain ends the node in steps, bounded by shutdown.timeout:
//
//  1. Shards stop reading. What Discord sends from now on it replays to the next process.
//  2. What was read is waited for until JetStream has acknowledged it.
//  3. The last checkpoints are written, and sessions close with 4000, which keeps them resumable. Each pool is handed over as soon as
//     its own are. Where something is not acknowledged in time, or NATS is away, nobody could take over: then pools stay until the end.
//  4. The life-cycle events that say so are waited for; what is not acknowledged goes to the spool.
//
// Its error is the reason that Run ended for, if that was not a wish.
func (s *System) drain(running context.Context) error {
	began, timeout := time.Now(), s.cfg.Shutdown.Timeout
	bounded, cancel := context.WithTimeout(context.WithoutCancel(running), timeout)
	defer cancel()
	var cause *Error
	wished := !errors.As(context.Cause(running), &cause)
	s.log.Info("draining", "why", context.Cause(running), "timeout", timeout)
	s.waitingFor(draining)
	p := s.placement.Load()
	if p != nil {
		p.end()
	}

	acks, stop := context.WithTimeout(bounded, timeout-min(timeout/3, closingTime))
	defer stop()
	s.tell(messages.Quiesce{})
	if !reached(acks, s.quiesced) {
		s.log.Error("shards did not stop reading in time", "timeout", timeout)
	}
	if err := s.window.Drain(acks); err != nil {
		s.log.Warn("not everything is acknowledged in time: what is not is replayed or spooled", "err", err)
	}
	if p != nil && s.broker.Connected() && s.window.Unacked() == 0 {
		s.leave(bounded, p)
	}
	s.tell(messages.Drain{})
	if !reached(bounded, s.drained) {
		s.log.Error("sessions not closed in time", "timeout", timeout)
	}
	if p != nil {
		s.leave(bounded, p) // what is there still is closed
	}
	err := s.window.Drain(bounded)
	left := s.window.Unacked()
	var spill error
	if left > 0 {
		spill = s.spill(running)
	}
	gone := 0
	if p != nil {
		p.node.Hurry() // there is no time left, or nobody to wait for
		gone = p.givenUp()
	}
	s.log.Info("drained", "took", time.Since(began).Round(time.Millisecond), "unacked", left)
	if !wished {
		return cause
	}
	return verdict(left, gone, timeout, spill, err)
}

// verdict says what the node could not bring to its end; nil: nothing. left events are not acknowledged, and spill is why they are not
// in the spool; gone ones were given up with their pools.
func verdict(left, gone int, timeout time.Duration, spill, drain error) error {
	switch {
	case left > 0:
		return unacknowledged(left, timeout, spill)
	case gone > 0:
		return &Error{Code: exitFailure, Text: fmt.Sprintf("stopped with %d events unacknowledged, given up with their pools: "+
			"Discord replays its own to the next node; see why NATS does not acknowledge, or raise shutdown.timeout", gone)}
	case drain != nil:
		return &Error{Code: exitFailure, Text: "drain", Err: drain}
	}
	return nil
}

// leave hands the pools over, and waits until the node has gone from the cluster.
func (s *System) leave(ctx context.Context, p *placement) {
	p.leave()
	if !reached(ctx, p.left) {
		s.log.Error("pools not handed over in time")
	}
}

// leaveTimeout bounds the hand-over of a pool.
func (s *System) leaveTimeout() time.Duration {
	return s.cfg.Shutdown.Timeout - min(s.cfg.Shutdown.Timeout/3, closingTime)
}

// closingTime is how much of shutdown.timeout, up to a third, is left for all that follows the wait for
// acknowledgements: the last checkpoints take up to 3 s where the store is slow.
const closingTime = 5 * time.Second

// spillTimeout bounds the last step, which may come when nothing is left of shutdown.timeout: 64 MiB take a moment.
const spillTimeout = 3 * time.Second

func (s *System) spill(running context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(running), spillTimeout)
	defer cancel()
	return s.window.Spill(ctx)
}

func unacknowledged(left int, timeout time.Duration, spill error) *Error {
	e := &Error{Code: exitFailure, Text: fmt.Sprintf("stopped with %d events unacknowledged after %v", left, timeout)}
	if spill != nil {
		e.Text += " (not kept: of these Discord replays what it still has); see why NATS does not acknowledge, or raise shutdown.timeout"
		e.Err = spill
		return e
	}
	e.Text += " (kept in the spool, from which the next start publishes them); see why NATS does not acknowledge, or raise shutdown.timeout"
	return e
}

// reached waits for done and reports whether it came before ctx ended.
func reached(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// stopActors ends the actors. Sessions are closed already where drain had the time.
func (s *System) stopActors() {
	if root := s.root.Load(); root != nil {
		_ = s.actors.Root.StopFuture(root).Wait() // gives up by itself after 10 s
	}
	s.once.Do(s.actors.Shutdown) // a second call would panic
}
