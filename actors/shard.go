package actors

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/telemetry"
)

// shard is the actor of one gateway session. It executes what the session machine decides and owns
// the connection, its read goroutine, a dial or a permit in progress, and one timer. What they send
// carries the connection's generation, so that messages of an older one are dropped at the door.
type shard struct {
	*shardOptions
	session *gateway.Session
	self    *actor.PID
	root    *actor.RootContext

	conn   *gateway.Conn
	reader *reader
	ctx    context.Context // of the current connection: its dial and its wait for a permit
	cancel context.CancelCauseFunc
	permit Permit          // held from grant to outcome
	unhook func() bool     // with permit: else the connection would hold what is done for as long as it lives
	wanted time.Time       // when it was asked for
	life   *telemetry.Life // the trace of the connection; nil: traces are off, or there was none yet
	timer  *time.Timer

	status  messages.ShardStatus
	loss    error            // why the last dial or connection failed; nil: found by the session machine
	loading *gateway.Loading // of a new session's guilds; nil: done
	begun   bool             // the session machine was started
	held    bool             // back by the fence, and said so
	quiet   bool             // nothing is read any more, and nothing is dialled
	drained bool
}

// shardOptions are fixed for a shard's life, over all its restarts.
type shardOptions struct {
	*Options
	Session           gateway.SessionOptions // this shard's own
	ID, Pool          int
	Health, Publisher *actor.PID
	Tenure            *tenure
	carried           *carried
}

// Messages within the shard, each from a goroutine or timer of one connection.
type (
	generation uint64 // embedded in each
	dialed     struct {
		generation
		conn *gateway.Conn
		err  error
	}
	control struct {
		generation
		payload []byte
	}
	granted struct {
		generation
		permit Permit
		unhook func() bool // ends the permit's tie to the connection
	}
	lost struct {
		generation
		err error
	}
	tick struct{} // a wake is due; the session machine knows for what
)

func (g generation) of() uint64 { return uint64(g) }

// Receive implements actor.Actor.
func (s *shard) Receive(ctx actor.Context) {
	if s.stale(ctx.Message()) {
		return // left in the mailbox by a connection that is already replaced
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.start(ctx)
	case dialed:
		s.dialed(m)
	case control:
		s.control(m)
	case granted:
		s.granted(m)
	case tick:
		s.tick()
	case lost:
		s.lost(m.err)
	case messages.GatewayMoved:
		s.gatewayMoved(m.URL)
	case messages.StreamLost:
		s.streamLost(m)
	case messages.RestartShard:
		s.restart()
	case messages.Quiesce:
		s.quiesce(ctx)
	case messages.Drain:
		s.drain(ctx)
	case messages.Drop:
		s.drop(ctx)
	case sign:
		s.carried.vital.give()
	case *actor.Restarting, *actor.Stopping:
		s.hangUp()
		s.life.Fail("given_up", 0, "the shard stops or restarts")
	}
}

// stale tells whether a message belongs to an older connection. What it brings has ended with that one's context.
func (s *shard) stale(message any) bool {
	m, ok := message.(interface{ of() uint64 })
	return ok && m.of() != s.carried.generation
}

// drainConn reads a connection that nobody serves to its end, which Close bounds to a second.
func drainConn(c *gateway.Conn) {
	for {
		if _, err := c.Read(); err != nil {
			return
		}
	}
}

func (s *shard) start(ctx actor.Context) {
	s.self, s.root = ctx.Self(), ctx.ActorSystem().Root
	c := s.carried
	s.status = messages.ShardStatus{
		ID: s.ID, Pool: s.Pool, Node: s.Node, Restarts: c.restarts, LastError: c.lastError,
		State: messages.Disconnected, Since: time.Now(),
	}
	s.session = gateway.OpenSession(s.Session, c.memory)
	s.begin()
}

func (s *shard) dialed(m dialed) {
	if m.err != nil {
		s.loss = m.err
		s.do(s.session.Lost(time.Now(), m.err, s.seen()))
		return
	}
	s.conn = m.conn
	if !s.mayConnect() { // the fence ended under way
		s.hangUp()
		s.loss = errFenced
		s.do(s.session.Lost(time.Now(), errFenced, s.seen()))
		return
	}
	s.life.Step("hello")
	s.read(m.conn)
	s.do(s.session.Dialed(time.Now()))
}

// read starts the read goroutine of a new connection. retire (in hangUp) parts it from the shard; it
// ends by itself when the connection does.
func (s *shard) read(conn *gateway.Conn) {
	c, self, root := s.carried, s.self, s.root
	resume := s.session.Memory().Resume
	if resume.SessionID != "" {
		c.tracker.Resume(resume.Seq)
	}
	number := generation(c.generation)
	ctx, cancel := context.WithCancel(context.Background())
	s.reader = &reader{
		conn: conn, tracker: c.tracker, shard: s.shardOptions, number: c.generation,
		tell: func(payload []byte) { root.Send(self, control{number, payload}) },
		end:  func(err error) { root.Send(self, lost{number, err}) },
		ctx:  ctx, cancel: cancel,
		session: resume.SessionID, from: c.tracker.Seq(), marks: c.marks.Load(), replayed: -1,
		began: time.Now().UnixNano(),
	}
	if resume.SessionID != "" {
		s.reader.replayed = 0
	}
	go s.reader.run()
}

func (s *shard) control(m control) {
	var f gateway.Frame
	if err := gateway.Scan(m.payload, &f); err != nil {
		return // cannot be: the read goroutine has scanned the same bytes
	}
	s.do(s.session.Receive(time.Now(), &f, s.seen()))
}

func (s *shard) tick() {
	switch {
	case s.heldBack():
		s.holdBack()
		return
	case !s.begun:
		s.begin()
		return
	}
	s.held = false
	s.starving()
	s.do(s.session.Tick(time.Now(), s.seen()))
	s.loaded()
}

func (s *shard) granted(m granted) {
	if !s.Tenure.Valid() || !m.permit.Valid() { // it ended while the permit was waited for, or since it came
		m.permit.Done()
		m.unhook()
		s.wantPermit()
		return
	}
	s.permit, s.unhook = m.permit, m.unhook
	s.Meters.IdentifyWait(time.Since(s.wanted))
	s.do(s.session.Granted(time.Now()))
}

func (s *shard) lost(err error) {
	if bug := (*crash)(nil); errors.As(err, &bug) {
		s.Log.Error("bug: read goroutine panicked", "shard_id", s.ID, "err", err, "stack", string(bug.stack))
		panic(err) // not fail: decide shall see a bug
	}
	seen := s.seen()
	s.starving()
	s.carried.cutOff = s.carried.starved()
	s.hangUp()
	s.loss = err
	s.do(s.session.Lost(time.Now(), err, seen))
}

// errRestart is why a connection ends that an operator wants to end.
var errRestart = errors.New("an operator asked for a new connection")

// restart closes the connection in the way that keeps the session, and dials anew. A shard that dials already does so.
func (s *shard) restart() {
	if s.conn != nil && !s.quiet {
		s.Log.Info("shard connects again, as an operator asked", "shard_id", s.ID)
		s.lost(errRestart)
	}
}

// gatewayMoved also reaches the session that a restart makes.
func (s *shard) gatewayMoved(url string) {
	s.Session.URL = url
	s.session.Base(url)
	s.do(nil)
}

// starving notes that the reader waits and neither window nor spool has room: Discord's patience runs.
func (s *shard) starving() {
	if s.reader != nil && s.reader.blocked.Load() && s.Window.Full() {
		s.carried.starvedAt = time.Now()
	}
}

// seen is what the read goroutine knows; without one, what the tracker kept.
func (s *shard) seen() gateway.Seen {
	if s.reader == nil {
		return gateway.Seen{Seq: s.carried.tracker.Seq()}
	}
	return s.reader.seen()
}

// hangUp parts the shard from its connection and from all that runs for it. It does not panic and
// may be called at any time.
func (s *shard) hangUp() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.reader != nil {
		s.reader.retire()
		s.parted()
		s.reader = nil
	}
	if s.conn != nil {
		// Not 1000: that would end the session, and the next connection must resume it.
		s.conn.Close(4000, "reconnect")
		s.conn = nil
	}
	s.dropPermit()
	if s.cancel != nil {
		s.cancel(errors.New("connection replaced"))
	}
	s.carried.generation++ // whatever is still on its way is stale now
}

func (s *shard) dropPermit() {
	if s.permit != nil {
		s.permit.Done()
		s.unhook()
		s.permit, s.unhook = nil, nil
	}
}

// fail hands the shard to its supervisor. It is the only panic on purpose.
func (s *shard) fail(err error) {
	s.carried.lastError = err.Error()
	panic(&failure{err})
}
