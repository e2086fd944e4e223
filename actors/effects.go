package actors

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// do carries out the session's effects in their order. It has no branch on the session's state.
func (s *shard) do(effects []gateway.Effect) {
	s.carried.remember(s.session.Memory(), s.Session.URL)
	var failed error
	for _, effect := range effects {
		switch e := effect.(type) {
		case gateway.Send:
			s.send(e)
		case gateway.Wake:
			s.wake(e.At)
		case gateway.WantPermit:
			s.wanted = time.Now()
			s.life.Step("permit")
			s.wantPermit()
		case gateway.DropPermit:
			s.dropPermit()
		case gateway.PermitSpent:
			s.permitSpent()
		case gateway.PermitDone:
			s.dropPermit()
		case gateway.Close:
			s.close(e)
		case gateway.Connect:
			s.connect(e)
		case gateway.Up:
			s.up(e)
		case gateway.Down:
			s.down(e)
		case gateway.Gap:
			s.gap(e)
		case gateway.Alarm:
			s.alarm(e)
		case gateway.Fail:
			failed = e.Err
		}
	}
	s.report("")
	if failed != nil {
		s.fail(failed)
	}
}

func (s *shard) send(e gateway.Send) {
	if s.conn == nil {
		return // lost in the meantime; its message is in the mailbox
	}
	if e.Op == gateway.OpResume {
		s.life.Step("resume")
	}
	if err := s.conn.Write(e.Payload); err != nil {
		// The peer's close frame may wait to be read, and it says more. The reader has until Close drops the
		// socket; its message makes this one stale.
		s.conn.Close(4000, "write failed")
		self, root, number := s.self, s.root, generation(s.carried.generation)
		time.AfterFunc(lastWords, func() { root.Send(self, lost{number, err}) })
	}
}

// lastWords is how long the reader of a broken connection has to find out why. More than the second after
// which Conn.Close drops the socket; a reader that waits for room in the window says nothing in time.
const lastWords = 1500 * time.Millisecond

// wake sets the one timer of the session machine. A zero time means that it waits for nothing.
func (s *shard) wake(at time.Time) {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if at.IsZero() {
		return
	}
	self, root := s.self, s.root
	s.timer = time.AfterFunc(time.Until(at), func() { root.Send(self, tick{}) })
}

// wantPermit asks in a goroutine that ends with the permit or with the connection's context. It asks under a valid fence
// only: whose the pool is by then knows nobody.
func (s *shard) wantPermit() {
	ctx, permits, fence, id, again := s.ctx, s.Permits, s.Tenure, s.ID, s.carried.identified
	self, root, number := s.self, s.root, generation(s.carried.generation)
	go func() {
		if awaitValid(ctx, fence) != nil {
			return
		}
		permit, err := permits.Acquire(ctx, id, again)
		if err != nil {
			return // only ctx's cause: the connection is gone
		}
		unhook := context.AfterFunc(ctx, permit.Done) // even where the shard has stopped, and its messages vanish
		root.Send(self, granted{number, permit, unhook})
	}()
}

func (s *shard) permitSpent() {
	s.carried.identified = true
	s.life.Step("identify")
	s.carried.past.identified()
	s.Meters.Identify(s.ID, s.Pool)
	if s.permit != nil {
		s.permit.Spent()
	}
}

func (s *shard) close(e gateway.Close) {
	if s.conn != nil {
		s.conn.Close(e.Code, e.Reason)
	}
	s.hangUp()
}

// connect dials in a goroutine that ends with its message. What belongs to an older connection is
// stale from here on.
func (s *shard) connect(e gateway.Connect) {
	s.hangUp()
	if s.quiet {
		return // the next process dials
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	ctx, dial, number, o := s.ctx, s.Dial, generation(s.carried.generation), s.shardOptions
	self, root := s.self, s.root
	s.life.Fail("given_up", 0, "another dial takes its place")
	s.life = s.Tracer.Connect(s.ID, s.Pool, s.carried.memory.Resume.SessionID, s.carried.generation, s.carried.after)
	go func() {
		conn, err := dial(ctx, e.URL)
		o.Meters.Dial(o.ID, o.Pool, dialOutcome(ctx, err))
		if conn != nil { // even where the shard has stopped, and its messages vanish
			context.AfterFunc(ctx, func() { conn.Close(4000, "replaced") })
		}
		root.Send(self, dialed{number, conn, err})
	}()
}

// dialOutcome is the bounded metric label of how a dial ended.
func dialOutcome(ctx context.Context, err error) string {
	switch timeout := net.Error(nil); {
	case err == nil:
		return telemetry.Connected
	case ctx.Err() != nil:
		return telemetry.Abandoned
	case gateway.Refused(err):
		return telemetry.Refused
	case errors.As(err, &timeout) && timeout.Timeout():
		return telemetry.TimedOut
	}
	return telemetry.Failed
}

func (s *shard) up(e gateway.Up) {
	c := s.carried
	s.serves(e.Resumed)
	c.past.up(e.Resumed)
	c.lastError, c.cutOff, c.starvedAt = "", false, time.Time{}
	s.status.LastError = ""
	how := "identified"
	if e.Resumed {
		how = "resumed"
		s.Meters.Resume(s.ID, s.Pool, telemetry.Resumed)
	}
	s.life.Ready(how, c.memory.Resume.SessionID)
	s.Log.InfoContext(s.life.Context(), "shard ready", "shard_id", s.ID, "pool_id", s.Pool, "how", how, "took", e.Took,
		"session", messages.ShortSession(c.memory.Resume.SessionID), "seq", c.memory.Resume.Seq)
	if !e.Resumed {
		loading := gateway.BeginLoading(time.Now(), c.tracker.Pending())
		s.loading = &loading
	}
	s.report("ready (" + how + ")")
}

// loaded tells when a new session's guilds have come, or when waiting for the rest makes no sense.
func (s *shard) loaded() {
	pending := s.carried.tracker.Pending()
	if s.loading == nil || !s.loading.Done(time.Now(), pending) {
		return
	}
	s.loading = nil
	s.Log.Info("guilds loaded", "shard_id", s.ID, "pool_id", s.Pool, "guilds", s.carried.tracker.Guilds(), "missing", pending)
	if pending > 0 {
		s.report(fmt.Sprintf("%d guilds of READY did not load", pending))
	}
}

// gap remembers a lost session; the read goroutine declares it when the next one begins, so that its end is known.
func (s *shard) gap(e gateway.Gap) {
	c := s.carried
	c.lost = e.Session
	s.bereft(e.Session, e.Reason)
	if c.gap != nil {
		return // still the same gap: it began with the first session that was lost
	}
	if e.From.IsZero() {
		e.From = time.Now()
	}
	if at := c.marks.Load().spooledAt; at.After(e.From) { // the spool's events are published before the gap
		e.From = at
	}
	if e.Reason == gateway.GapSessionLost && (c.cutOff || c.starved()) {
		e.Reason = messages.GapSpoolOverflow
	}
	c.gap = &messages.GapData{
		Reason: e.Reason, Session: messages.ShortSession(e.Session), LastAckedSeq: c.reached(), From: e.From.UnixMilli(),
	}
}

// streamLost declares that acknowledged events of the session may have died with a stream. Until that is stored no
// checkpoint replaces the old one, whose positions show the next process that the stream is another one.
func (s *shard) streamLost(e messages.StreamLost) {
	m := s.carried.marks.Load()
	for _, stream := range e.Streams {
		m.remade(stream)
	}
	if m.session == "" {
		return // nothing was ever published
	}
	if m.begun.After(e.From) {
		e.From = m.begun
	}
	gap := &messages.GapData{
		Reason: messages.GapStreamLost, Session: messages.ShortSession(m.session), LastAckedSeq: m.acked(),
		From: unixMilli(e.From), To: time.Now().UnixMilli(),
	}
	s.Meters.Gap(s.ID, s.Pool, gap.Reason)
	s.lifeCycle(func(l *messages.LifeCycle) { l.Session, l.Gap, l.Receipt = m.session, gap, m.hold() })
}

func (s *shard) alarm(e gateway.Alarm) {
	s.Log.Warn("shard alarm", "shard_id", s.ID, "pool_id", s.Pool, "what", e.Text)
	s.report(e.Text)
}

// lifeCycle publishes one of drover's own events through the publisher actor, since the window may be full and
// heartbeats must not wait for it.
func (s *shard) lifeCycle(fill func(*messages.LifeCycle)) {
	l := messages.LifeCycle{
		ShardID: s.ID, Session: s.carried.memory.Resume.SessionID, Seq: s.carried.tracker.Seq(),
		Connection: s.carried.generation, At: time.Now(),
	}
	fill(&l)
	l.Fence, l.Receipt = s.Tenure, s.Tenure.watch(l.Receipt)
	s.root.Send(s.Publisher, l)
}

// report tells health about a transition; nothing is sent when nothing changed.
func (s *shard) report(note string) {
	next := s.status
	next.Session = messages.ShortSession(s.carried.memory.Resume.SessionID)
	next.HeartbeatLatencyMS = float64(s.session.Latency()) / float64(time.Millisecond)
	if state := s.session.State(); state != next.State {
		next.State, next.Since = state, time.Now()
	}
	if next.HeartbeatLatencyMS != s.status.HeartbeatLatencyMS {
		s.Meters.HeartbeatAck(time.Now())
	}
	if note == "" && next == s.status {
		return
	}
	s.chronicle(&next, note)
	s.status = next
	s.root.Send(s.Health, messages.ShardChanged{Status: next, Note: note})
}
