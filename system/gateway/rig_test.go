package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	baseURL   = "wss://base.example/?encoding=json&v=10"
	resumeURL = "wss://resume.example/?encoding=json&v=10"
	beatEvery = 40 * time.Second
)

func shardOptions() SessionOptions {
	seeded := rand.New(rand.NewPCG(1, 2))
	return SessionOptions{Token: "secret.token", Intents: 3, ShardID: 1, Shards: 2, URL: "wss://base.example", Rand: seeded.Float64}
}

// rig is the caller of a Session in a world of its own: it carries out effects, keeps the clock and
// restarts the Session after a Fail, as a supervisor would.
type rig struct {
	t       testing.TB
	o       SessionOptions
	s       *Session
	now     time.Time
	wake    time.Time
	seen    Seen
	mute    bool // the server does not answer heartbeats
	effects []Effect
	sends   []sendRecord
	dials   []dialRecord
	fails   []error
	halted  bool
}

type sendRecord struct {
	at   time.Time
	conn int // number of the dial
	Send
}

type dialRecord struct {
	at  time.Time
	url string
}

func newRig(t testing.TB) *rig { return newRigWith(t, shardOptions(), Memory{}) }

func newRigWith(t testing.TB, o SessionOptions, m Memory) *rig {
	t.Helper()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, o: o, now: time.Now(), s: OpenSession(o, m)}
	r.seen.Seq = m.Resume.Seq
	r.do(r.s.Start(r.now))
	return r
}

func (r *rig) do(effects []Effect) {
	r.t.Helper()
	beats := 0
	for i, e := range effects {
		r.effects = append(r.effects, e)
		switch e := e.(type) {
		case Wake:
			r.wake = e.At
			if i < len(effects)-2 || i == len(effects)-2 && !isFail(effects[i+1]) {
				r.t.Fatalf("Wake is not last: %v", effects)
			}
		case Send:
			r.sends = append(r.sends, sendRecord{r.now, len(r.dials), e})
			if e.Op == OpHeartbeat {
				beats++
			}
		case Connect:
			r.dials = append(r.dials, dialRecord{r.now, e.URL})
			r.seen.At = time.Time{}
		case Fail:
			r.fails = append(r.fails, e.Err)
			var closed *CloseError
			if errors.As(e.Err, &closed) && closed.Class.Fatal() {
				r.halted = true
				return
			}
			r.s = OpenSession(r.o, r.s.Memory())
			r.do(r.s.Start(r.now))
			return
		}
	}
	for range beats {
		if !r.mute {
			r.recv(OpHeartbeatACK, "null")
		}
	}
}

func isFail(e Effect) bool { _, ok := e.(Fail); return ok }

// take returns the effects since the last take.
func (r *rig) take() []Effect {
	out := r.effects
	r.effects = nil
	return out
}

// run lets time pass, with a Tick at each Wake.
func (r *rig) run(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	for n := 0; !r.wake.IsZero() && !r.wake.After(end); n++ {
		if r.wake.After(r.now) {
			r.now, n = r.wake, 0
		}
		if n > 10 {
			r.t.Fatal("Wake does not move")
		}
		r.do(r.s.Tick(r.now, r.seen))
	}
	r.now = end
}

func frameOf(t testing.TB, text string) *Frame {
	t.Helper()
	var f Frame
	if err := Scan([]byte(text), &f); err != nil {
		t.Fatalf("Scan %s: %v", text, err)
	}
	return &f
}

func (r *rig) recv(op int, d string) {
	r.t.Helper()
	r.seen.At = r.now
	r.do(r.s.Receive(r.now, frameOf(r.t, fmt.Sprintf(`{"op":%d,"d":%s,"s":null,"t":null}`, op, d)), r.seen))
}

// event is a dispatch that the read goroutine has accepted.
func (r *rig) event(seq int64) {
	r.seen.Seq, r.seen.At = seq, r.now
}

func (r *rig) hello() {
	r.t.Helper()
	r.recv(OpHello, fmt.Sprintf(`{"heartbeat_interval":%d}`, beatEvery.Milliseconds()))
}

// up connects, until HELLO is handled.
func (r *rig) up() {
	r.t.Helper()
	r.do(r.s.Dialed(r.now))
	r.hello()
}

func (r *rig) ready() {
	r.t.Helper()
	r.readyFor(fmt.Sprintf(`[%d,%d]`, r.o.ShardID, r.o.Shards))
}

func (r *rig) readyFor(shard string) {
	r.t.Helper()
	r.seen.Seq, r.seen.At = 1, r.now
	session := fmt.Sprintf("session%d", len(r.dials))
	r.do(r.s.Receive(r.now, frameOf(r.t, `{"op":0,"t":"READY","s":1,"d":{"v":10,"session_id":"`+session+
		`","resume_gateway_url":"wss://resume.example","user":{"id":"9"},"guilds":[{"id":"7","unavailable":true}],"shard":`+shard+`}}`), r.seen))
}

func (r *rig) resumed(seq int64) {
	r.t.Helper()
	r.seen.Seq, r.seen.At = seq, r.now
	r.do(r.s.Receive(r.now, frameOf(r.t, fmt.Sprintf(`{"op":0,"t":"RESUMED","s":%d,"d":{}}`, seq)), r.seen))
}

func (r *rig) grant() { r.t.Helper(); r.do(r.s.Granted(r.now)) }

// serve brings the shard from a Connect to READY, with events up to seq.
func (r *rig) serve(seq int64) {
	r.t.Helper()
	r.up()
	r.grant()
	r.ready()
	if r.s.phase != serving {
		r.t.Fatalf("phase %d after READY", r.s.phase)
	}
	r.event(seq)
}

// lose ends the connection by the server's close code; 0 is a drop.
func (r *rig) lose(code int) {
	r.t.Helper()
	var err error = NewCloseError(code, "test")
	if code == 0 {
		err = errors.New("connection reset")
	}
	r.do(r.s.Lost(r.now, fmt.Errorf("gateway: read: %w", err), r.seen))
}

// dial waits for the next Connect and returns how long that took and its URL.
func (r *rig) dial() (time.Duration, string) {
	r.t.Helper()
	count, from := len(r.dials), r.now
	if r.s.phase == dialing {
		count--
	}
	for len(r.dials) == count {
		if r.wake.IsZero() || r.wake.Sub(from) > time.Hour {
			r.t.Fatalf("no dial, phase %d, wake in %v", r.s.phase, r.wake.Sub(from))
		}
		r.run(r.wake.Sub(r.now))
	}
	last := r.dials[len(r.dials)-1]
	return last.at.Sub(from), last.url
}

// last returns the newest frame sent with op, decoded; it fails if there is none on this connection.
func (r *rig) last(op int) map[string]any {
	r.t.Helper()
	for i := len(r.sends) - 1; i >= 0; i-- {
		if s := r.sends[i]; s.Op == op && s.conn == len(r.dials) {
			var m struct{ D any }
			if err := json.Unmarshal(s.Payload, &m); err != nil {
				r.t.Fatal(err)
			}
			if d, ok := m.D.(map[string]any); ok {
				return d
			}
			return map[string]any{"d": m.D}
		}
	}
	r.t.Fatalf("no op %d was sent on connection %d", op, len(r.dials))
	return nil
}

// count returns how many frames with op were sent on the current connection.
func (r *rig) count(op int) (n int) {
	for _, s := range r.sends {
		if s.Op == op && s.conn == len(r.dials) {
			n++
		}
	}
	return n
}

// total returns how many frames with op were sent ever.
func (r *rig) total(op int) (n int) {
	for _, s := range r.sends {
		if s.Op == op {
			n++
		}
	}
	return n
}

// mustResume asserts that the shard, on a new connection, writes a RESUME with seq and asks for no permit.
func (r *rig) mustResume(seq int64) {
	r.t.Helper()
	r.take()
	r.up()
	d := r.last(OpResume)
	if d["token"] != r.o.Token || d["seq"] != float64(seq) || d["session_id"] != r.s.Memory().Resume.SessionID {
		r.t.Fatalf("RESUME %v, want seq %d", d, seq)
	}
	if has[WantPermit](r.effects) || r.count(OpIdentify) != 0 {
		r.t.Fatal("a permit or IDENTIFY beside the RESUME")
	}
}

// mustIdentify asserts that the shard, on a new connection, asks for a permit and writes one IDENTIFY.
func (r *rig) mustIdentify() {
	r.t.Helper()
	r.take()
	r.up()
	if !has[WantPermit](r.effects) || r.count(OpIdentify)+r.count(OpResume) != 0 {
		r.t.Fatal("not waiting for a permit after HELLO")
	}
	r.grant()
	if n := r.count(OpIdentify); n != 1 {
		r.t.Fatalf("%d IDENTIFYs, want 1", n)
	}
}

func has[E Effect](effects []Effect) bool { _, ok := find[E](effects); return ok }

// find returns the last effect of a kind.
func find[E Effect](effects []Effect) (found E, ok bool) {
	for _, e := range effects {
		if e, is := e.(E); is {
			found, ok = e, true
		}
	}
	return found, ok
}

// mustClose asserts that the newest Close has a code that keeps the session.
func (r *rig) mustClose() {
	r.t.Helper()
	c, ok := find[Close](r.effects)
	if !ok || c.Code == 1000 || c.Code == 1001 {
		r.t.Fatalf("close %v %+v, want a code that keeps the session", ok, c)
	}
}

func mustBetween(t testing.TB, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Fatalf("%s %v, want %v to %v", what, got, low, high)
	}
}

func mustNotContain(t testing.TB, what, text, secret string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Fatalf("%s tells the token: %s", what, text)
	}
}
