package system

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover/messages"
)

// drain ends the node in steps, bounded by shutdown.timeout: sessions stop reading and close with 4000, which keeps
// them resumable; then what was read is waited for until JetStream has acknowledged it. Its error is the reason
// that Run ended for, if that was not a wish.
func (s *System) drain(running context.Context) error {
	began := time.Now()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(running), s.cfg.Shutdown.Timeout)
	defer cancel()

	var cause *Error
	wished := !errors.As(context.Cause(running), &cause)
	s.log.Info("draining", "why", context.Cause(running), "timeout", s.cfg.Shutdown.Timeout)
	s.waitingFor(draining)
	s.tell(messages.Drain{})
	select {
	case <-s.drained:
	case <-bounded.Done():
		s.log.Error("sessions not closed in time", "timeout", s.cfg.Shutdown.Timeout)
	}
	err := s.window.Drain(bounded)
	left := s.window.Unacked()
	s.log.Info("drained", "took", time.Since(began).Round(time.Millisecond), "unacked", left)
	switch {
	case !wished:
		return cause
	case err != nil || left > 0:
		return &Error{Code: exitFailure, Text: fmt.Sprintf(
			"stopped with %d events unacknowledged after %v; raise shutdown.timeout, or see why NATS does not acknowledge", left, s.cfg.Shutdown.Timeout)}
	}
	return nil
}

// stopActors ends the actors. Sessions are closed already where drain had the time.
func (s *System) stopActors() {
	if root := s.root.Load(); root != nil {
		_ = s.actors.Root.StopFuture(root).Wait() // gives up by itself after 10 s
	}
	s.once.Do(s.actors.Shutdown) // a second call would panic
}
