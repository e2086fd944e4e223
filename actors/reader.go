package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"drover/messages"
	"drover/system/gateway"
)

// reader is the read goroutine of one connection: it carries events from the socket into the
// publisher's window and hands everything else to the shard actor.
//
// The goroutine ends when Read fails, which it does within a second of conn.Close. From retire on it
// touches nothing of the shard any more, although it may still be on its way out.
type reader struct {
	conn    *gateway.Conn
	tracker *gateway.Tracker
	shard   *shardOptions
	number  uint64 // of the connection; ids of life-cycle events differ by it

	// tell sends a control payload (a copy) to the shard actor; end tells it that the connection ended. Both are
	// dropped there once the connection is replaced.
	tell func(payload []byte)
	end  func(error)

	ctx    context.Context // ends a wait for room in the window
	cancel context.CancelFunc

	began   int64       // Unix ns
	blocked atomic.Bool // waiting for room in the window
	quiet   atomic.Bool // dispatches are not taken any more

	// Owned by the goroutine, under busy; retire takes busy to know that it is done with them.
	busy     sync.Mutex
	retired  bool
	session  string
	marks    *marks
	from     int64  // the sequence number that RESUME named
	replayed int    // dispatches since then; -1: not resuming
	held     bool   // the window may hold the newest event back, for the next one
	draft    *draft // while there is something to read, else nil; as held, the goroutine's alone without busy
}

// draft is what a reader needs for one payload after the other, and does not while it waits: of a thousand readers most wait, and
// what a few use in turn stays in the processor's cache.
type draft struct {
	frame gateway.Frame
	event messages.Event
	extra []byte
}

var drafts = sync.Pool{New: func() any { return new(draft) }}

// run reads until the connection ends. A panic in it is a bug; the shard fails with it instead of the process.
func (r *reader) run() {
	defer func() {
		if p := recover(); p != nil {
			r.letGo(r.shard.Window.Flush)
			r.conn.Close(4000, "internal error")
			r.end(&crash{p, debug.Stack()})
			drainConn(r.conn)
		}
	}()
	r.conn.BeforeWait(r.pause) // what came together goes out together
	for {
		payload, err := r.conn.Read()
		if err == nil {
			err = r.step(payload)
		}
		if err != nil {
			r.letGo(r.shard.Window.Flush)
			r.end(err)
			drainConn(r.conn)
			return
		}
	}
}

// pause is what there is to do before the network is waited for.
func (r *reader) pause() {
	if d := r.draft; d != nil {
		r.draft = nil
		*d = draft{extra: d.extra[:0]} // the rest aliases the connection's buffer, which others have while nothing comes
		drafts.Put(d)
	}
	if wire, inflated := r.conn.Counted(); wire > 0 {
		r.shard.Meters.Bytes(r.shard.ID, r.shard.Pool, wire, inflated)
	}
	r.letGo(r.shard.Window.FlushSoon)
}

// letGo has the window send what it holds back, by flush. That may take long while NATS does not read, which is no silence of Discord's.
func (r *reader) letGo(flush func()) {
	if !r.held {
		return
	}
	r.held = false
	r.blocked.Store(true)
	flush()
	r.blocked.Store(false)
}

// crash is a panic of the read goroutine, on its way to the shard.
type crash struct {
	reason any
	stack  []byte
}

func (c *crash) Error() string { return fmt.Sprintf("read goroutine panicked: %v", c.reason) }

// step handles one payload. Its error says that the peer sent what cannot be understood, or that we stop.
func (r *reader) step(payload []byte) error {
	r.busy.Lock()
	defer r.busy.Unlock()
	if r.retired {
		return nil // Read discards what still arrives and ends by itself
	}
	now := time.Now()
	r.shard.carried.heard.Store(now.UnixNano())
	if r.draft == nil {
		r.draft = drafts.Get().(*draft)
	}
	f := &r.draft.frame
	if err := gateway.Scan(payload, f); err != nil {
		r.conn.Close(4000, "unreadable payload")
		return err
	}
	if f.Op != gateway.OpDispatch {
		r.tell(append([]byte(nil), payload...))
		return nil
	}
	if r.quiet.Load() {
		return nil // not taken, so Discord replays it
	}
	err := r.take(f, payload, now)
	if r.quiet.Load() {
		return nil // it may have been cancelled on its way to the window
	}
	return err
}

// take handles one dispatch.
func (r *reader) take(f *gateway.Frame, payload []byte, now time.Time) error {
	switch string(f.T) {
	case "READY":
		return r.ready(f, payload, now)
	case "RESUMED":
		return r.resumed(f, payload, now)
	}
	return r.dispatch(f, now)
}

// dispatch takes one event from the frame to the window.
func (r *reader) dispatch(f *gateway.Frame, now time.Time) error {
	if r.session == "" { // READY is the first dispatch of a session: what comes before it belongs to none
		r.conn.Close(4000, "dispatch before READY")
		return errors.New("gateway: dispatch before READY")
	}
	r.shard.carried.dispatched.Store(now.UnixNano())
	if err := r.settle(); err != nil {
		return err
	}
	verdict := r.tracker.Check(f)
	if verdict.Dup {
		return nil // its first copy is in the window or stored
	}
	if verdict.Gap > 0 {
		r.shard.Meters.SequenceGap(r.shard.ID, r.shard.Pool)
		r.shard.Log.Warn("sequence numbers missing", "shard_id", r.shard.ID, "session", messages.ShortSession(r.session),
			"seq", f.S, "missing", verdict.Gap)
	}
	if r.replayed >= 0 {
		r.replayed++
	}
	r.shard.Meters.Received(r.shard.ID, r.shard.Pool, verdict.Kind)
	if r.marks.done(verdict.Kind.Stream, f.S) {
		r.pass(f)
		return nil
	}
	if !r.shard.Filter.Pass(f.T) {
		r.shard.Meters.Filtered(r.shard.ID, r.shard.Pool)
		r.tracker.Accept(f)
		r.marks.skip(f.S)
		return nil
	}
	ev := &r.draft.event
	*ev = messages.Event{
		Kind: verdict.Kind, Session: r.session, Seq: f.S, ShardID: r.shard.ID, Read: now,
		GuildID: f.GuildID(), ChannelID: f.ChannelID(), UserID: f.UserID(),
		Data: f.D, Extra: r.splice(f), Fence: r.shard.Tenure, Receipt: r.marks, More: true,
		Trace: r.shard.Tracer.Sample(),
	}
	r.held = true
	r.marks.sent(verdict.Kind.Stream, f.S)
	if err := r.publish(ev); err != nil {
		r.marks.unsent(verdict.Kind.Stream, f.S) // RESUME brings it again
		return err
	}
	r.tracker.Accept(f)
	return nil
}

// pass takes a replayed event that an earlier process has seen to: it is stored, or on its way from the spool. The guild
// set that was restored has what is stored.
func (r *reader) pass(f *gateway.Frame) {
	if f.S <= r.marks.former[messages.Events].acked {
		r.tracker.Pass(f)
	} else {
		r.tracker.Accept(f)
	}
	r.marks.skip(f.S)
}

// splice makes the members that two types of events carry in front of Discord's own.
func (r *reader) splice(f *gateway.Frame) []byte {
	d := r.draft
	switch string(f.T) {
	case "GUILD_MEMBER_ADD":
		d.extra = f.MemberJoin().Append(d.extra[:0])
	case messages.InteractionCreate:
		d.extra = f.Interaction().Append(d.extra[:0])
	default:
		return nil
	}
	return d.extra
}

func (r *reader) publish(ev *messages.Event) error {
	r.blocked.Store(true)
	defer r.blocked.Store(false)
	return r.shard.Window.Publish(r.ctx, ev)
}

// ready begins a new session: the guilds must be known before the GUILD_CREATEs that follow at once.
func (r *reader) ready(f *gateway.Frame, payload []byte, now time.Time) error {
	ready, err := gateway.ParseReady(f.D)
	if err != nil || !ready.For(r.shard.ID, r.shard.Session.Shards) {
		r.retired = true // whatever follows is not ours to serve; the session machine ends the connection
		r.tell(append([]byte(nil), payload...))
		return nil
	}
	begun := r.shard.carried.succeed(now)
	left := r.tracker.Begin(f.S, ready.Guilds)
	r.session, r.replayed = ready.SessionID, -1
	r.marks = newMarks(r.session, r.tracker.Session(), f.S, r.shard.Window.Stored())
	r.marks.begun, r.marks.settled, r.marks.before = begun, r.shard.carried.poke, r.shard.carried.marks.Load().unsettled()
	r.declareGap(now)
	r.lifeCycle(now, func(l *messages.LifeCycle) {
		l.Ready = &messages.ReadyData{Session: messages.ShortSession(r.session), Guilds: len(ready.Guilds)}
		l.Receipt = r.marks.hold()
	})
	for _, guild := range left { // while there was no session; no dispatch tells of it
		leave := messages.OfflineLeave(r.shard.carried.lost, guild, r.shard.ID, now)
		leave.Receipt = r.marks.hold()
		r.owe(leave)
	}
	r.shard.carried.adopt(r.marks)
	r.tell(append([]byte(nil), payload...))
	return r.settle()
}

// declareGap says that a session was lost, before anything of the new one.
func (r *reader) declareGap(now time.Time) {
	lost := r.shard.carried.gap
	if lost == nil {
		return
	}
	r.shard.carried.gap = nil
	gap := *lost
	gap.To = now.UnixMilli()
	r.shard.Meters.Gap(r.shard.ID, r.shard.Pool, gap.Reason)
	r.lifeCycle(now, func(l *messages.LifeCycle) { l.Gap, l.Receipt = &gap, r.marks.hold() })
}

// resumed ends a replay. Its sequence number needs no storing.
func (r *reader) resumed(f *gateway.Frame, payload []byte, now time.Time) error {
	if !r.tracker.Check(f).Dup {
		r.tracker.Accept(f)
		r.marks.skip(f.S)
	}
	r.tell(append([]byte(nil), payload...))
	replayed := max(r.replayed, 0)
	r.replayed = -1
	r.lifeCycle(now, func(l *messages.LifeCycle) {
		l.Resumed = &messages.ResumedData{Session: messages.ShortSession(r.session), FromSeq: r.from, Replayed: replayed}
	})
	return r.settle()
}

// lifeCycle owes one of drover's own events, in its place between Discord's.
func (r *reader) lifeCycle(now time.Time, fill func(*messages.LifeCycle)) {
	l := &messages.LifeCycle{ShardID: r.shard.ID, Session: r.session, Seq: r.tracker.Seq(), Connection: r.number, At: now}
	fill(l)
	r.owe(l.Event())
}

// owe takes an event that no RESUME brings again. So it outlives the connection, where that ends before the
// window has room.
func (r *reader) owe(ev *messages.Event) {
	ev.Fence, ev.Receipt = r.shard.Tenure, r.shard.Tenure.watch(ev.Receipt)
	r.shard.carried.owed = append(r.shard.carried.owed, ev)
}

// settle publishes what is owed, before anything that came after it.
func (r *reader) settle() error {
	c := r.shard.carried
	for ; len(c.owed) > 0; c.owed = c.owed[1:] {
		if err := r.publish(c.owed[0]); err != nil {
			return err
		}
	}
	c.owed = nil
	return nil
}

// seen is what the session machine may know of this goroutine.
func (r *reader) seen() gateway.Seen {
	at := time.Unix(0, max(r.began, r.shard.carried.heard.Load())) // what was heard before is of another connection
	return gateway.Seen{Seq: r.tracker.Seq(), At: at, Blocked: r.blocked.Load()}
}

// quiesce stops taking dispatches; control payloads go on, so that the connection stays alive. It waits only for a frame
// in progress, which a cancelled context ends, and what is owed is the shard's then.
func (r *reader) quiesce() {
	r.quiet.Store(true)
	r.cancel()
	r.busy.Lock()
	defer r.busy.Unlock() // a frame in progress is done with the window
}

// retire makes sure that the goroutine touches the shard's tracker and marks no more. It waits only
// for a frame in progress, which a cancelled context ends.
func (r *reader) retire() {
	r.cancel()
	r.busy.Lock()
	defer r.busy.Unlock()
	r.retired = true
}
