package gateway

import (
	"errors"
	"fmt"
	"time"
)

// Close codes that we send. Any code but 1000 and 1001 keeps the session resumable.
const (
	closeEnd  = 1000
	closeKeep = 4000
)

// Ends of a connection that we find ourselves, as Fail carries them.
var (
	errZombie         = errors.New("gateway: heartbeat not acknowledged")
	errClockJump      = errors.New("gateway: clock jumped, the connection is dead")
	errHelloTimeout   = fmt.Errorf("gateway: no HELLO in %v", helloTimeout)
	errReadyTimeout   = fmt.Errorf("gateway: no READY in %v", readyTimeout)
	errResumedTimeout = fmt.Errorf("gateway: no dispatch and no RESUMED in %v", resumedTimeout)
	errReconnect      = errors.New("gateway: server asked to reconnect")
	errInvalidSession = errors.New("gateway: invalid session")
	errLost           = errors.New("gateway: connection lost")
)

// loss is one end of a connection, or of the try to get one.
type loss struct {
	reason  string // one of the Down… constants
	err     error
	code    int           // the server's close code; 0: none
	class   Class         // NewSession drops the session
	wait    time.Duration // at least, before the next dial
	routine bool          // part of the protocol, however often: op 7, op 9
	fail    bool          // not routine, not even the first time
}

// lossOf makes a loss of the error that ended a connection. Only the server's own close is classed.
func lossOf(err error) loss {
	var closed *CloseError
	if !errors.As(err, &closed) {
		// The next connection does without the window, so this is no failure that may come again.
		return loss{reason: DownLost, err: err, routine: errors.Is(err, ErrWindow)}
	}
	l := loss{reason: DownClosed, err: err, code: closed.Code, class: ClassOf(closed.Code)}
	switch l.code {
	case 0, 1005, 1006:
		l.reason, l.code = DownLost, 0
	}
	return l
}

func orLost(err error) error {
	if err == nil {
		return errLost
	}
	return err
}

// lose is the only way out of a connection that goes on to the next one (or to Fail).
func (s *Session) lose(now time.Time, l loss) {
	was := s.phase
	s.endPermit()
	if was >= greeting {
		s.emit(Close{Code: closeKeep, Reason: l.reason})
	}
	if text := alarm(l); text != "" {
		s.emit(Alarm{Text: text})
	}
	s.countLoss(now, l)
	if l.class.Fatal() {
		s.refuse(l)
		return
	}
	s.emit(Down{Reason: l.reason, CloseCode: l.code, Next: s.next()})
	if l.fail || s.m.Losses > 1 && !l.routine {
		s.phase, s.due = idle, time.Time{}
		s.emit(Fail{Err: l.err})
		return
	}
	s.phase, s.due = waiting, s.m.NotBefore
}

// countLoss remembers a loss, drops the session if it is gone, and sets when to dial again.
func (s *Session) countLoss(now time.Time, l loss) {
	drop := l.class != Resume
	s.m.ZlibOnly = s.m.ZlibOnly || errors.Is(l.err, ErrWindow)
	s.m.Losses++
	switch s.phase {
	case dialing, greeting:
		if !l.routine { // who says "reconnect" is there
			s.m.DialFailures++
		}
	case resuming:
		if s.m.Resume.Seq > s.from { // it got somewhere, so the session lives
			s.m.ResumeFailures = 0
		}
		drop = drop || l.code == closeEnd && s.m.Normal > 0
	}
	if !s.m.Served.IsZero() {
		s.m.Brief++
		if wall(now).Sub(s.m.Served) >= steady {
			s.m.Brief = 0
		}
	}
	if l.code == closeEnd { // may or may not have ended the session: one RESUME finds out
		s.m.Normal++
	}
	if drop || s.m.ResumeFailures >= maxResumes {
		s.drop(GapSessionLost)
	}
	s.m.Open, s.m.Served = false, time.Time{}
	s.m.NotBefore = now.Add(s.wait(l))
}

// wait is how long to wait before the next dial.
func (s *Session) wait(l loss) time.Duration {
	d := max(l.wait, Backoff(s.m.Losses-1+s.m.Brief, dialBase, dialCap, s.o.Rand()))
	if l.code == codeRateLimited {
		d += rateLimitedWait
	}
	if s.hasSession() {
		return d
	}
	// Connections that end right after READY cost an IDENTIFY each, like those that end before it.
	if failures := s.m.IdentifyFailures + s.m.Brief; failures > 0 {
		d = max(d, Backoff(failures, identifyBase, identifyCap, s.o.Rand()))
	}
	return d
}

// invalid handles op 9. Discord's text once asked for a random wait of 1 to 5 s; its staff still do.
func (s *Session) invalid(now time.Time, resumable bool) {
	l := loss{reason: DownInvalid, err: errInvalidSession, routine: true}
	s.m.InvalidTrue++
	if !resumable || s.m.InvalidTrue >= maxInvalidTrue {
		l.class = NewSession
	}
	l.wait = invalidWait(s.o.Rand())
	s.lose(now, l)
}

// refuse stops for good: no redial helps before a person has changed something.
func (s *Session) refuse(l loss) {
	s.phase, s.due, s.over = idle, time.Time{}, true
	s.emit(Down{Reason: l.reason, CloseCode: l.code, Next: NextStop})
	var closed *CloseError
	if errors.As(l.err, &closed) {
		named := *closed
		named.Class, named.Intents = l.class, s.o.Intents
		l.err = &named
	}
	s.emit(Fail{Err: l.err})
}

// drop forgets the session. Nothing of it may reach the next one; the counters end with its READY.
func (s *Session) drop(reason string) {
	if r := s.m.Resume; r.SessionID != "" {
		s.emit(Gap{Reason: reason, Session: r.SessionID, Seq: r.Seq, From: s.m.Contact})
	}
	s.m.Resume, s.m.Contact = ResumePoint{}, time.Time{}
}

// hangUp ends the connection because we were told to.
func (s *Session) hangUp(code int, reason, next string) {
	s.endPermit()
	if s.phase >= dialing {
		s.emit(Close{Code: code, Reason: reason})
	}
	if s.phase >= greeting {
		s.emit(Down{Reason: reason, Next: next})
	}
	s.phase, s.due = idle, time.Time{}
	s.m.Open, s.m.Served = false, time.Time{}
}

// endPermit settles the permit of a phase that is being left.
func (s *Session) endPermit() {
	switch s.phase {
	case queueing:
		s.emit(DropPermit{})
	case identifying:
		s.emit(PermitDone{})
	}
}

func (s *Session) next() string {
	if s.hasSession() {
		return NextResume
	}
	return NextIdentify
}

// alarm says what an operator should know of an end; empty for ordinary ones.
func alarm(l loss) string {
	if errors.Is(l.err, ErrWindow) {
		return "zstd-stream asks for a window of more than 1 MiB: this shard takes zlib-stream from now on; " +
			"set discord.compress to zlib-stream to spare the first dial"
	}
	switch l.code {
	case codeUnknownOpcode, codeDecode, codeNotAuthenticated, codeAlreadyAuthenticated, codeInvalidSeq, codeRateLimited:
		return fmt.Sprintf("%v (something that we sent)", l.err)
	case codeShardingRequired:
		return "reshard: this shard would hold more than 2,500 guilds"
	}
	if l.code > codeDisallowedIntents && l.code < 5000 {
		return fmt.Sprintf("%v, taken as resumable", l.err)
	}
	return ""
}
