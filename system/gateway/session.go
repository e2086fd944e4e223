package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"drover/messages"
)

// Session is the state machine of one shard: it decides what to do, and does nothing. It has no
// clock, timer, goroutine, socket or logger; inputs carry the time, and each returns what to do.
// One goroutine owns it. Dispatches do not pass through it, except READY and RESUMED: of the others
// it learns by Seen. The package documentation has the diagram and the duties of the caller.
type Session struct {
	o     SessionOptions
	m     Memory
	phase phase
	over  bool // refused for good or ended: nothing starts again

	due    time.Time // end of the phase; zero where it has none
	pulse  pulse     // of the current connection
	heard  time.Time // newest message of the current connection
	dialed time.Time // when the current Connect was returned
	from   int64     // sequence that the RESUME under way named

	out []Effect // of the input being worked on
}

// phase is what a Session waits for. Order matters: from greeting on there is a connection.
type phase uint8

const (
	idle        phase = iota // for Start; also after Drain, End and Fail
	waiting                  // between two connections, until due
	dialing                  // for Dialed
	greeting                 // for HELLO
	queueing                 // for a permit to IDENTIFY
	identifying              // for READY
	resuming                 // for RESUMED
	serving
)

// OpenSession makes the session of a shard from what an earlier one left behind. A stored session
// of another token, other intents or another slice is dropped. o must be valid.
func OpenSession(o SessionOptions, m Memory) *Session {
	s := &Session{o: o, m: m}
	if m.Resume.SessionID != "" && !m.Resumes(o) {
		s.drop(GapIdentityChanged) // told by Start
	}
	return s
}

// Memory returns what the next OpenSession needs. After any input it has all that a RESUME needs.
func (s *Session) Memory() Memory { return s.m }

// State says what the shard is doing.
func (s *Session) State() messages.State {
	switch s.phase {
	case dialing, greeting:
		return messages.Connecting
	case queueing, identifying:
		return messages.Identifying
	case resuming:
		return messages.Resuming
	case serving:
		return messages.Ready
	}
	if s.over {
		return messages.Halted
	}
	return messages.Disconnected
}

// Latency is the time from the last answered heartbeat to its answer; 0 before the first one of
// this connection.
func (s *Session) Latency() time.Duration { return s.pulse.latency }

// Interval is the heartbeat interval of this connection; 0 before HELLO.
func (s *Session) Interval() time.Duration { return s.pulse.interval }

// Base says where sessions begin from now on. A dial under way goes on.
func (s *Session) Base(url string) { s.o.URL = url }

// Start asks for the first connection, or waits as long as the losses in Memory ask for.
func (s *Session) Start(now time.Time) []Effect {
	if s.phase != idle || s.over {
		return s.flush()
	}
	if s.m.Open { // the owner before us crashed and told nobody: that must back off as well
		s.countLoss(now, loss{reason: DownLost})
	}
	s.phase, s.due = waiting, s.m.NotBefore
	if s.due.IsZero() && s.hasSession() { // a whole fleet resumes at once after a restart
		spread := s.o.Spread
		if spread <= 0 {
			spread = time.Second
		}
		s.due = now.Add(time.Duration(s.o.Rand() * float64(spread)))
	}
	if latest := now.Add(identifyCap); s.due.After(latest) { // the clock was set back
		s.due = latest
	}
	if !now.Before(s.due) {
		s.connect(now)
	}
	return s.flush()
}

// Dialed says that the connection of the last Connect is up.
func (s *Session) Dialed(now time.Time) []Effect {
	switch s.phase {
	case dialing:
		s.phase, s.due = greeting, now.Add(helloTimeout)
		s.pulse, s.heard = pulse{}, now
	case idle, waiting: // given up in the meantime
		s.emit(Close{Code: closeKeep, Reason: "not wanted any more"})
	}
	return s.flush()
}

// Receive takes a frame that is no dispatch, and READY and RESUMED. It ignores all others. READY must
// have been given to the Tracker before, RESUMED and all that came before it too.
func (s *Session) Receive(now time.Time, f *Frame, seen Seen) []Effect {
	s.learn(now, seen)
	if s.phase < greeting {
		return s.flush()
	}
	switch f.Op {
	case OpDispatch:
		s.dispatch(now, f)
	case OpHeartbeat:
		s.heartbeat(now)
	case OpReconnect:
		s.lose(now, loss{reason: DownReconnect, err: errReconnect, routine: true})
	case OpInvalidSession:
		s.invalid(now, bytes.Equal(f.D, []byte("true")))
	case OpHello:
		s.hello(now, f)
	case OpHeartbeatACK:
		s.pulse.ack(now)
	}
	return s.flush()
}

// Granted says that the permit that was asked for has come. The IDENTIFY is written at once.
func (s *Session) Granted(now time.Time) []Effect {
	if s.phase != queueing {
		s.emit(DropPermit{})
		return s.flush()
	}
	s.phase, s.due = identifying, now.Add(readyTimeout)
	s.m.IdentifyFailures++ // until READY: a crash of our owner must count as well
	s.emit(PermitSpent{})
	s.emit(Send{Payload: AppendIdentify(nil, s.o), Op: OpIdentify})
	return s.flush()
}

// Tick says that a Wake is due. Calls that nobody asked for are harmless.
func (s *Session) Tick(now time.Time, seen Seen) []Effect {
	s.learn(now, seen)
	due := !s.due.IsZero() && !now.Before(s.due)
	switch {
	case s.phase == waiting && due:
		s.connect(now)
	case s.phase < greeting:
	case s.pulse.slept(now):
		s.lose(now, loss{reason: DownClockJump, err: errClockJump})
	case due:
		s.expire(now)
	case s.pulse.isDue(now):
		s.beat(now)
	}
	s.pulse.ticked = now
	return s.flush()
}

// Lost says that the dial failed, the read ended or a write failed. A *CloseError in err decides
// what comes next; any other error means that there was no close frame.
func (s *Session) Lost(now time.Time, err error, seen Seen) []Effect {
	s.learn(now, seen)
	switch {
	case s.phase < dialing: // late news of a connection that we have closed
	case s.phase == dialing:
		s.lose(now, loss{reason: DownDial, err: orLost(err)})
	default:
		s.lose(now, lossOf(orLost(err)))
	}
	return s.flush()
}

// Drain ends the connection and keeps the session for another owner. There is no further dial.
func (s *Session) Drain(now time.Time, seen Seen) []Effect {
	s.learn(now, seen)
	s.hangUp(closeKeep, DownDrain, s.next())
	return s.flush()
}

// End ends connection and session for good: Discord shows the bot as offline, Memory is empty.
func (s *Session) End(now time.Time, seen Seen) []Effect {
	s.learn(now, seen)
	s.hangUp(closeEnd, DownEnd, NextStop)
	s.m, s.over = Memory{}, true
	return s.flush()
}

// learn takes over what the read goroutine has seen.
func (s *Session) learn(now time.Time, seen Seen) {
	moved := s.hasSession() && seen.Seq > s.m.Resume.Seq
	if moved {
		s.m.Resume.Seq = seen.Seq
	}
	if s.phase >= greeting && seen.At.After(s.heard) {
		s.heard = seen.At
	}
	s.pulse.blocked = s.pulse.blocked || seen.Blocked
	switch {
	case s.phase == serving:
		s.m.Contact = later(s.m.Contact, seen.At)
	case s.phase == resuming && moved:
		s.m.Contact = later(s.m.Contact, seen.At)
		s.due = now.Add(resumedTimeout)
	case s.phase == resuming && seen.Blocked:
		s.due = now.Add(resumedTimeout)
	}
}

// connect asks for a connection, by the plan that holds now.
func (s *Session) connect(now time.Time) {
	if !s.m.Contact.IsZero() && wall(now).Sub(s.m.Contact) > SessionLife {
		s.drop(GapSessionExpired)
	}
	url, err := s.target()
	if err != nil { // only without Validate
		s.lose(now, loss{reason: DownDial, err: err, fail: true})
		return
	}
	s.phase, s.due, s.dialed = dialing, time.Time{}, now
	s.m.Open = true
	s.emit(Connect{URL: url})
}

// target is the URL to dial. After three failures on the resume URL the base URL has its turn:
// Discord resumes there as well. Then the other one again. The last RESUME before the session is given up begins at
// the base URL: what stands behind the resume URL may be alive and of no use.
func (s *Session) target() (string, error) {
	base := s.m.DialFailures/maxDials%2 == 1
	if s.m.ResumeFailures == maxResumes-1 {
		base = !base
	}
	if s.m.Resume.URL != "" && !base {
		if url, err := ResumeURL(s.m.Resume.URL, s.compress()); err == nil {
			return url, nil
		}
	}
	return GatewayURL(s.o.URL, s.compress())
}

// compress is the compression of the next connection.
func (s *Session) compress() string {
	if s.m.ZlibOnly && s.o.Compress == "zstd-stream" {
		return "zlib-stream"
	}
	return s.o.Compress
}

func (s *Session) hello(now time.Time, f *Frame) {
	if s.phase != greeting {
		return
	}
	interval, err := ParseHello(f.D)
	if err != nil {
		s.lose(now, loss{reason: DownProtocol, err: err})
		return
	}
	s.m.DialFailures -= s.m.DialFailures % maxDials // this URL works
	s.pulse.start(now, interval, s.o.Rand())
	if !s.hasSession() {
		s.phase, s.due = queueing, time.Time{}
		s.emit(WantPermit{})
		return
	}
	r := s.m.Resume
	s.phase, s.due, s.from = resuming, now.Add(resumedTimeout), r.Seq
	s.m.ResumeFailures++ // until RESUMED
	s.emit(Send{Payload: AppendResume(nil, s.o.Token, r.SessionID, r.Seq), Op: OpResume})
}

func (s *Session) dispatch(now time.Time, f *Frame) {
	switch {
	case string(f.T) == nameReady:
		s.ready(now, f)
	case string(f.T) == nameResumed && s.phase == resuming:
		s.m.Resume.Seq = max(s.m.Resume.Seq, f.S)
		s.serve(now, Up{Resumed: true, FromSeq: s.from})
	}
}

func (s *Session) ready(now time.Time, f *Frame) {
	r, err := ParseReady(f.D)
	switch {
	case err != nil:
	case !r.For(s.o.ShardID, s.o.Shards):
		err = fmt.Errorf("gateway: READY is for shard %v, not for [%d %d]", r.Shard, s.o.ShardID, s.o.Shards)
	case s.phase != identifying:
		err = errors.New("gateway: READY that nobody asked for")
	}
	if err != nil {
		s.lose(now, loss{reason: DownProtocol, err: err, class: NewSession, fail: true})
		return
	}
	if _, err := ResumeURL(r.ResumeURL, s.o.Compress); err != nil {
		s.emit(Alarm{Text: "READY has no usable resume_gateway_url, the base URL has to do"})
		r.ResumeURL = ""
	}
	s.m.Resume = ResumePoint{SessionID: r.SessionID, URL: r.ResumeURL, Seq: f.S, Fingerprint: fingerprint(s.o)}
	s.serve(now, Up{})
}

// serve forgets all failures, except how briefly connections have served of late.
func (s *Session) serve(now time.Time, up Up) {
	s.endPermit()
	s.phase, s.due = serving, time.Time{}
	s.m = Memory{Resume: s.m.Resume, Contact: wall(now), Open: true, Served: wall(now), Brief: s.m.Brief, ZlibOnly: s.m.ZlibOnly}
	up.Took = now.Sub(s.dialed)
	s.emit(up)
}

// expire ends a phase that took too long.
func (s *Session) expire(now time.Time) {
	switch s.phase {
	case greeting:
		s.lose(now, loss{reason: DownHelloTimeout, err: errHelloTimeout})
	case identifying:
		s.lose(now, loss{reason: DownReadyTimeout, err: errReadyTimeout})
	case resuming:
		s.lose(now, loss{reason: DownResumedTimeout, err: errResumedTimeout})
	}
}

func (s *Session) hasSession() bool { return s.m.Resume.SessionID != "" }

func (s *Session) emit(e Effect) { s.out = append(s.out, e) }

// flush returns the effects of this input, with the Wake at its place.
func (s *Session) flush() []Effect {
	out := append(s.out, Wake{At: s.wake()})
	s.out = nil
	if n := len(out); n > 1 {
		if _, failed := out[n-2].(Fail); failed {
			out[n-2], out[n-1] = out[n-1], out[n-2]
		}
	}
	return out
}

func (s *Session) wake() time.Time {
	if s.phase < queueing {
		return s.due
	}
	return earliest(s.due, s.pulse.due, s.pulse.watch())
}
