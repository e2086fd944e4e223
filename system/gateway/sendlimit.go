package gateway

import "time"

// Discord's "Rate Limiting" of a connection: 120 messages in any 60 s, of whatever op; over it the
// server closes with 4008. Commands stop earlier, so that heartbeats always fit.
const (
	sendWindow  = time.Minute
	sendTotal   = 120
	sendCommand = 115

	// sendSlack lengthens every window of ours: Discord counts arrivals, and what we send a minute
	// apart may arrive closer together.
	sendSlack = time.Second
)

// SendLimit counts what one connection sent in the last 60 s. The zero value is a connection that
// has sent nothing. One goroutine may use it.
type SendLimit struct {
	sent    [sendTotal]time.Time // ring of the newest; the window slides, it has no edges
	next    int
	reserve int // frames in a window that commands leave over, beyond the usual five
}

// Reserve keeps room for the heartbeats of the given interval. One so short that it needs more than
// five frames a minute takes them from the commands.
func (l *SendLimit) Reserve(interval time.Duration) {
	l.reserve = 0
	if interval > 0 {
		beats := int((sendWindow+interval-1)/interval) + 1
		l.reserve = min(max(0, beats-(sendTotal-sendCommand)), sendCommand-1)
	}
}

// Sent counts one frame: a heartbeat, an IDENTIFY, a RESUME or a command.
func (l *SendLimit) Sent(now time.Time) {
	l.sent[l.next] = now
	l.next = (l.next + 1) % len(l.sent)
}

// Wait returns how long a command has to wait; 0: it may go now.
func (l *SendLimit) Wait(now time.Time) time.Duration {
	// A command may go once so many frames ago is a whole window ago.
	ago := sendCommand - l.reserve
	at := l.sent[(l.next-ago+len(l.sent))%len(l.sent)]
	if at.IsZero() {
		return 0
	}
	return max(0, at.Add(sendWindow+sendSlack).Sub(now))
}
