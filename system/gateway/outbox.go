package gateway

import (
	"encoding/json"
	"slices"
	"time"
)

// Outbox holds the commands of one shard until they may be sent. It obeys the send limit of the
// connection, five presences in 20 s (the newest wins), and one request for all members of a guild in
// 30 s; it repeats such a request that Discord answered with RATE_LIMITED.
//
// It outlives connections: what waits goes on with the next one. What Next has returned is sent at
// most once, apart from RATE_LIMITED. Like Session it has no clock, and one goroutine owns it.
type Outbox struct {
	limit SendLimit // of this connection
	open  bool      // READY or RESUMED was seen

	queue    []*order                 // in the order of Queue; no presences
	presence *order                   // the newest that was not sent
	shown    *order                   // the last that was sent: a new session has to be told again
	shows    [presenceBurst]time.Time // ring of the times presences were sent at
	show     int
	guilds   map[uint64]time.Time // when the next request for a whole guild may go
	asked    []*order             // op 8 of the last minute: RATE_LIMITED may follow
	last     *order               // what Next returned last on this connection
}

// Limits of single commands, see Discord's "Update Presence" and "Request Guild Members".
const (
	presenceBurst  = 5
	presenceWindow = 20 * time.Second
	memberWindow   = 30 * time.Second

	maxQueued   = 1000      // commands; a minute's worth is 115
	maxRetry    = time.Hour // of a RATE_LIMITED
	answerAfter = time.Minute
)

// NewOutbox returns an empty Outbox that waits for Ready.
func NewOutbox() *Outbox { return &Outbox{guilds: make(map[uint64]time.Time)} }

// Queue takes a command, at any time. Its errors are ErrCommand (it can never be sent), ErrTooLong and
// ErrOutboxFull (try again later). A presence replaces the one that waits.
func (b *Outbox) Queue(c Command) error {
	o, err := newOrder(c)
	if err != nil {
		return err
	}
	if o.op == OpPresence {
		b.presence = o
		return nil
	}
	if len(b.queue) >= maxQueued {
		return ErrOutboxFull
	}
	b.queue = append(b.queue, o)
	return nil
}

// Len is how many commands wait.
func (b *Outbox) Len() int {
	if b.presence != nil {
		return len(b.queue) + 1
	}
	return len(b.queue)
}

// Reset says that the connection is over, or a new one has begun: the window is empty, and commands
// wait for Ready.
func (b *Outbox) Reset() { b.limit, b.open, b.last = SendLimit{}, false, nil }

// Ready says that READY or RESUMED came, on a connection with the given heartbeat interval. A new
// session does not have the presence of the one before it, so it is sent again.
func (b *Outbox) Ready(interval time.Duration, resumed bool) {
	b.limit.Reserve(interval)
	b.open = true
	if !resumed && b.presence == nil {
		b.presence = b.shown
	}
}

// Sent counts a frame of the session machine's, which goes past the Outbox.
func (b *Outbox) Sent(now time.Time) { b.limit.Sent(now) }

// Next returns the command to write now. Without one ok is false, and wait says when to ask again;
// a wait of 0 is until the next Queue or Ready.
func (b *Outbox) Next(now time.Time) (payload []byte, wait time.Duration, ok bool) {
	if !b.open || b.Len() == 0 {
		return nil, 0, false
	}
	if wait = b.limit.Wait(now); wait > 0 {
		return nil, wait, false
	}
	i, wait := b.choose(now)
	if wait > 0 {
		return nil, wait, false
	}
	var o *order
	if i < 0 {
		o, b.presence, b.shown = b.presence, nil, b.presence
		b.shows[b.show] = now
		b.show = (b.show + 1) % presenceBurst
	} else {
		o = b.queue[i]
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	if o.op == OpRequestMembers {
		b.note(now, o)
	}
	b.limit.Sent(now)
	b.last = o
	return o.payload, 0, true
}

// choose returns the place of the first command that may go, -1 for the presence; or how long until
// there is one.
func (b *Outbox) choose(now time.Time) (at int, wait time.Duration) {
	wait = maxRetry
	if b.presence != nil {
		if wait = b.presenceWait(now); wait == 0 {
			return -1, 0
		}
	}
	for i, o := range b.queue {
		until := o.after
		if o.whole && b.guilds[o.guild].After(until) {
			until = b.guilds[o.guild]
		}
		if !until.After(now) {
			return i, 0
		}
		wait = min(wait, until.Sub(now))
	}
	return 0, wait
}

func (b *Outbox) presenceWait(now time.Time) time.Duration {
	oldest := b.shows[b.show]
	if oldest.IsZero() {
		return 0
	}
	return max(0, oldest.Add(presenceWindow+sendSlack).Sub(now))
}

// note remembers an op 8 that is about to be sent.
func (b *Outbox) note(now time.Time, o *order) {
	o.sent = now
	b.asked = slices.DeleteFunc(b.asked, func(o *order) bool { return now.Sub(o.sent) > answerAfter })
	b.asked = append(b.asked, o)
	for guild, at := range b.guilds {
		if !at.After(now) {
			delete(b.guilds, guild)
		}
	}
	if o.whole {
		b.guilds[o.guild] = now.Add(memberWindow + sendSlack)
	}
}

// RateLimited takes a RATE_LIMITED dispatch: no chunks will come, so the request is queued again, to
// be sent once retry_after is over. Requests for other guilds go on. It reports whether the request
// was one of ours.
func (b *Outbox) RateLimited(now time.Time, f *Frame) bool {
	var d struct {
		Op    int     `json:"opcode"`
		After float64 `json:"retry_after"` // seconds
		Meta  struct {
			Guild snowflake `json:"guild_id"`
			Nonce string    `json:"nonce"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(f.D, &d); err != nil || d.Op != OpRequestMembers {
		return false
	}
	i := slices.IndexFunc(b.asked, func(o *order) bool { return o.guild == uint64(d.Meta.Guild) && o.nonce == d.Meta.Nonce })
	if i < 0 {
		return false
	}
	o := b.asked[i]
	b.asked = slices.Delete(b.asked, i, i+1)
	o.after = now.Add(time.Duration(min(max(d.After, 0), maxRetry.Seconds()) * float64(time.Second)))
	if o.whole {
		b.guilds[o.guild] = o.after
	}
	b.queue = slices.Insert(b.queue, 0, o)
	return true
}

// Unsent says that the write of what Next returned last has failed: it is the first to go on the next
// connection. Call it before Reset.
func (b *Outbox) Unsent() {
	o := b.last
	b.last = nil
	switch {
	case o == nil:
	case o.op == OpPresence:
		if b.presence == nil {
			b.presence = o
		}
	default:
		if o.whole {
			delete(b.guilds, o.guild)
		}
		b.asked = slices.DeleteFunc(b.asked, func(a *order) bool { return a == o })
		b.queue = slices.Insert(b.queue, 0, o)
	}
}

// Refused says that the server closed with 4001 or 4002: something that was sent made no sense to it.
// Nobody knows what, so nothing that this connection has sent is ever repeated.
func (b *Outbox) Refused() { b.last, b.shown, b.asked = nil, nil, nil }
