package actors

import (
	"sync/atomic"
	"time"

	"drover/messages"
	"drover/system/gateway"
)

// carried is what survives a restart of the shard actor. Only its own shard touches it, but for the
// atomic fields and those whose comment names another owner.
type carried struct {
	// What each event touches stands together: of a thousand shards none is in the processor's cache.
	dispatched atomic.Int64      // Unix ns of the newest dispatch; 0: none
	heard      atomic.Int64      // Unix ns of the newest message of any kind; 0: none
	owed       []*messages.Event // the read goroutine's: not taken by the window yet

	memory     gateway.Memory
	tracker    *gateway.Tracker
	marks      atomic.Pointer[marks] // of the current session; set by the read goroutine at READY
	memo       atomic.Pointer[memo]  // of memory, for the keeper
	generation uint64                // of the connection
	identified bool                  // an IDENTIFY was written before
	restarts   int                   // counted by the pool, while the shard stands still
	halted     error                 // Discord's final no to this shard; the pool's
	lastError  string
	after      string            // why the connection before ended, in a word
	lost       string            // the newest session that was lost
	gap        *messages.GapData // of a lost session, until the new one begins
	mine       bool              // a READY or RESUMED came in this tenure
	waits      bool              // for a valid fence: until then nothing is dialled
	starvedAt  time.Time         // when the reader was last seen waiting for room that there was not
	cutOff     bool              // the connection ended about then

	past    *past        // for the page; it has a lock of its own
	vital   vital        // of the shard's actor
	unsaved atomic.Int64 // Unix ns since when a checkpoint is due; 0: none is; the keeper's
	poke    func()       // wakes the keeper; does not block
}

// memo is what the keeper needs of a shard's memory, as of some moment. It never changes.
type memo struct {
	session, url, base, fingerprint string
	contact                         time.Time
	connection                      uint64
}

// generationsApart is by how much a new process leaves out numbers of connections: the checkpoint may be older than the
// newest of the old ones, and ids of life-cycle events differ by these numbers.
const generationsApart = 1000

func newCarried(poke func()) *carried {
	c := &carried{tracker: gateway.NewTracker(), poke: poke, past: newPast()}
	c.marks.Store(&marks{})
	return c
}

// restore takes over a session that an earlier process left behind.
func (c *carried) restore(of *messages.Checkpoint, w Window) {
	c.memory = gateway.Memory{
		Resume: gateway.ResumePoint{
			SessionID: of.Session, URL: of.ResumeURL, Seq: of.Seq(), Fingerprint: of.Fingerprint,
		},
		Contact: of.Contact,
	}
	c.generation = of.Connection + generationsApart
	c.tracker.Restore(of.Seq(), of.Guilds)
	m := restoreMarks(of, c.tracker.Session())
	m.settled = c.poke
	m.adopt(w.Adopt(of.Session, m))
	c.marks.Store(m)
}

// bereave tells of a session that is lost already.
func (c *carried) bereave(by *messages.LostSession) {
	gap := by.Gap
	c.lost, c.gap = by.Name, &gap
	c.tracker.Restore(0, by.Guilds)
}

func (c *carried) adopt(m *marks) { c.marks.Store(m) }

// succeed prepares for a new session that begins now, and returns when the first one of this shard did; zero: not
// known. The session before may have ended without a word of the session machine: its READY had been read, and the
// connection was given up before the machine heard of it.
func (c *carried) succeed(now time.Time) (begun time.Time) {
	old := c.marks.Load()
	if old.session == "" {
		if c.lost != "" {
			return time.Time{} // of another sharding
		}
		return now
	}
	if c.lost != old.session {
		c.lost = old.session
		if c.gap == nil {
			from := c.LastDispatch()
			if from.IsZero() {
				from = old.begun
			}
			c.gap = &messages.GapData{
				Reason: messages.GapSessionLost, Session: messages.ShortSession(old.session), LastAckedSeq: c.reached(), From: unixMilli(from),
			}
		}
	}
	return old.begun
}

// remember keeps the session machine's memory. base is where sessions begin.
func (c *carried) remember(m gateway.Memory, base string) {
	c.memory = m
	next := memo{m.Resume.SessionID, m.Resume.URL, base, m.Resume.Fingerprint, m.Contact, c.generation}
	old := c.memo.Load()
	if old != nil && *old == next {
		return
	}
	c.memo.Store(&next)
	if next.session != "" && (old == nil || old.session != next.session) && c.poke != nil {
		c.poke() // what tells of the session may have been stored before this actor heard of it
	}
}

// patience is how long Discord keeps what nobody reads before it ends the connection, and some more.
const patience = 2 * time.Minute

// starved tells whether the connection went without being read of late.
func (c *carried) starved() bool { return !c.starvedAt.IsZero() && time.Since(c.starvedAt) < patience }

// reached is the newest sequence number of the current session that is stored, in the window or in the spool: up to it
// everything is stored by the time that a shard.gap is which is published now, for that one comes behind.
func (c *carried) reached() int64 { return max(c.tracker.Seq(), c.marks.Load().reached()) }

// Received, Acked, Guilds, LastDispatch, LastHeard, Unsaved, Unanswered and History implement messages.Live.
func (c *carried) Received() int64         { return c.tracker.Seq() }
func (c *carried) Acked() int64            { return c.marks.Load().acked() }
func (c *carried) Guilds() int             { return c.tracker.Guilds() }
func (c *carried) LastDispatch() time.Time { return instant(c.dispatched.Load()) }
func (c *carried) LastHeard() time.Time    { return instant(c.heard.Load()) }
func (c *carried) Unsaved() time.Time      { return instant(c.unsaved.Load()) }
func (c *carried) Unanswered() time.Time   { return c.vital.since() }

func (c *carried) History() *messages.ShardHistory { return c.past.history() }

// unixMilli is 0 where the time is not known.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
