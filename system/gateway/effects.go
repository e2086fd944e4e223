package gateway

import (
	"time"

	"drover/messages"
)

// Effect is one thing that the caller of a Session has to do. Effects are carried out one by one in
// the order in which they were returned; the package documentation lists the duties.
type Effect interface{ effect() }

// Send asks for Payload to be written now, as one text frame. It is a heartbeat, an IDENTIFY or a
// RESUME: it never waits behind a command, but counts towards the connection's send limit.
type Send struct {
	Payload []byte // owned by the caller from now on; an IDENTIFY or RESUME holds the token: never log it
	Op      int
}

// Wake asks for a Tick at At and replaces the Wake before it. A zero At wants no timer. Every input
// returns exactly one Wake: the last effect, or the last but one where a Fail follows.
type Wake struct{ At time.Time }

// WantPermit asks for a permit to send one IDENTIFY. Granted follows, however much later.
type WantPermit struct{}

// DropPermit withdraws what WantPermit asked for: stop asking, or give the permit back unspent.
// It may come twice for one WantPermit.
type DropPermit struct{}

// PermitSpent says that the permit is used up. It comes right before the Send of the IDENTIFY.
type PermitSpent struct{}

// PermitDone says that the outcome of the IDENTIFY is known (READY, op 9 or the connection's end), so
// that the next shard of the same rate-limit key may go on, not before the key's spacing is over.
type PermitDone struct{}

// Close ends the connection, or the dial that is under way. What the connection reports afterwards
// is an echo and is not to be given to Lost.
type Close struct {
	Code   int
	Reason string
}

// Connect asks for a dial now. Dialed or Lost follows.
type Connect struct{ URL string } // complete, with its query

// Up says that READY or RESUMED was handled: the shard serves, commands may flow.
type Up struct {
	Resumed bool
	FromSeq int64         // the sequence number that the RESUME named; 0 after an IDENTIFY
	Took    time.Duration // since the Connect
}

// Down says that a connection, or the try to get one, is over.
type Down struct {
	Reason    string // one of the Down… constants
	CloseCode int    // the server's; 0 where there was none
	Next      string // resume, identify or stop
}

// Reasons of a Down.
const (
	DownClosed         = "closed"          // by the server, see CloseCode
	DownLost           = "lost"            // without a close frame: reset, end of stream, failed write, bad frame
	DownDial           = "dial_failed"     // there was no connection
	DownReconnect      = "reconnect"       // op 7
	DownInvalid        = "invalid_session" // op 9
	DownZombie         = "zombie"          // heartbeats went unanswered
	DownClockJump      = "clock_jump"      // the machine slept
	DownHelloTimeout   = "hello_timeout"
	DownReadyTimeout   = "ready_timeout"
	DownResumedTimeout = "resumed_timeout"
	DownProtocol       = "protocol" // HELLO or READY made no sense
	DownDrain          = "drain"
	DownEnd            = "end"
)

// What comes after a Down.
const (
	NextResume   = "resume"
	NextIdentify = "identify"
	NextStop     = "stop"
)

// Gap says that a session that existed is lost: events after Seq may be missing.
type Gap struct {
	Reason  string // one of the Gap… constants
	Session string // Discord's whole session id
	Seq     int64
	From    time.Time // last sign of life of the session; zero if not known
}

// Reasons of a Gap, in the words of the contract.
const (
	GapSessionLost     = messages.GapSessionLost
	GapSessionExpired  = messages.GapSessionExpired
	GapIdentityChanged = messages.GapIdentityChanged
)

// Alarm is something an operator should read; the session goes on by itself.
type Alarm struct{ Text string }

// Fail ends this Session: the caller gives it up with Err, and its supervisor decides. Err holds a
// *CloseError of a fatal class, or anything else: then a new Session made from Memory goes on, and
// its Start waits as long as the losses in a row ask for. Nothing follows a Fail.
type Fail struct{ Err error }

func (Send) effect()        {}
func (Wake) effect()        {}
func (WantPermit) effect()  {}
func (DropPermit) effect()  {}
func (PermitSpent) effect() {}
func (PermitDone) effect()  {}
func (Close) effect()       {}
func (Connect) effect()     {}
func (Up) effect()          {}
func (Down) effect()        {}
func (Gap) effect()         {}
func (Alarm) effect()       {}
func (Fail) effect()        {}
