package actors

import (
	"errors"
	"fmt"
	"time"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// down tells everybody that a connection, or the try to get one, is over: metrics, log, consumers, the page.
func (s *shard) down(e gateway.Down) {
	if s.status.State == messages.Resuming {
		outcome := telemetry.Failed
		if e.Next == gateway.NextIdentify {
			outcome = telemetry.Invalid
		}
		s.Meters.Resume(s.ID, s.Pool, outcome)
	}
	if e.Reason == gateway.DownInvalid {
		s.answered()
	}
	s.carried.past.ended(e)
	text := downText(e, s.loss)
	s.status.LastError, s.carried.lastError, s.carried.after = text, text, e.Reason
	s.life.Fail(e.Reason, e.CloseCode, text)
	s.measure(e)
	attrs := []any{"shard_id", s.ID, "pool_id", s.Pool, "reason", e.Reason, "close_code", e.CloseCode, "next", e.Next}
	if wished(e) {
		s.Log.InfoContext(s.life.Context(), "shard down", attrs...)
	} else if e.Reason == gateway.DownDial { // not "shard down": it is down already
		s.Meters.Error(s.ID, s.Pool, errorType(e, s.loss))
		s.Log.WarnContext(s.life.Context(), "dial failed", "shard_id", s.ID, "pool_id", s.Pool, "next", e.Next, "err", s.loss)
	} else {
		s.Meters.Error(s.ID, s.Pool, errorType(e, s.loss))
		if s.loss != nil {
			attrs = append(attrs, "err", s.loss)
		}
		s.Log.WarnContext(s.life.Context(), "shard down", attrs...)
	}
	s.loss = nil
	if e.Reason == gateway.DownDial {
		return // it is down since long, and an outage of the gateway would fill the stream
	}
	s.lifeCycle(func(l *messages.LifeCycle) {
		l.Down = &messages.DownData{Reason: e.Reason, CloseCode: e.CloseCode, Next: e.Next}
	})
	s.report(text)
}

// measure counts how a connection ended that we did not end, and how long the shard waits for the next one.
func (s *shard) measure(e gateway.Down) {
	switch e.Reason {
	case gateway.DownClosed, gateway.DownLost:
		s.Meters.Closed(e.CloseCode)
	case gateway.DownDrain, gateway.DownEnd:
		return
	}
	if e.Next != gateway.NextStop {
		s.Meters.Backoff(time.Until(s.session.Memory().NotBefore))
	}
}

// wished tells an end that somebody asked for from one that is an error.
func wished(e gateway.Down) bool {
	return e.Reason == gateway.DownDrain || e.Reason == gateway.DownEnd || e.Reason == gateway.DownReconnect
}

// downText is a Down in words, for people. loss is the error behind it, where there is one.
func downText(e gateway.Down, loss error) string {
	text := map[string]string{
		gateway.DownClosed:         fmt.Sprintf("closed by Discord with %d", e.CloseCode),
		gateway.DownLost:           "connection lost",
		gateway.DownDial:           "dial failed",
		gateway.DownReconnect:      "Discord asked to reconnect",
		gateway.DownInvalid:        "session invalid",
		gateway.DownZombie:         "heartbeats went unanswered",
		gateway.DownClockJump:      "the clock jumped",
		gateway.DownHelloTimeout:   "no HELLO came",
		gateway.DownReadyTimeout:   "no READY came",
		gateway.DownResumedTimeout: "no RESUMED came",
		gateway.DownProtocol:       "HELLO or READY made no sense",
		gateway.DownDrain:          "drained",
		gateway.DownEnd:            "ended",
	}[e.Reason]
	// That a connection was lost says it all, unless we gave it up for what it brought.
	if kind := errorType(e, loss); loss != nil && e.Reason != gateway.DownClosed && kind != telemetry.ErrConnection {
		text += fmt.Sprintf(" (%v)", loss)
	}
	switch e.Next {
	case gateway.NextResume:
		return text + ", to be resumed"
	case gateway.NextIdentify:
		return text + ", to identify anew"
	}
	return text
}

// errorType is the bounded metric label of an end that nobody asked for.
func errorType(e gateway.Down, loss error) string {
	switch e.Reason {
	case gateway.DownClosed:
		return telemetry.CloseType(e.CloseCode)
	case gateway.DownDial:
		return telemetry.ErrDial
	case gateway.DownInvalid:
		return telemetry.ErrInvalidSession
	case gateway.DownZombie, gateway.DownClockJump:
		return telemetry.ErrZombie
	case gateway.DownHelloTimeout:
		return telemetry.ErrHelloTimeout
	case gateway.DownReadyTimeout:
		return telemetry.ErrIdentifyTimeout
	case gateway.DownResumedTimeout:
		return telemetry.ErrResumeTimeout
	}
	switch bad := (*gateway.ScanError)(nil); {
	case errors.Is(loss, gateway.ErrTooBig):
		return telemetry.ErrTooBig
	case errors.Is(loss, gateway.ErrInflate):
		return telemetry.ErrInflate
	case errors.Is(loss, gateway.ErrNoObject), errors.As(loss, &bad):
		return telemetry.ErrScan
	}
	return telemetry.ErrConnection
}
