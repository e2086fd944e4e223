package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// world is a caller and a server that do anything in any order, and what must hold all the same.
type world struct {
	t    *testing.T
	o    SessionOptions
	s    *Session
	now  time.Time
	wake time.Time
	seen Seen

	session string // as the last READY that was served said
	seq     int64  // newest that was accepted in it

	dialing, granted, ending, stopped  bool
	handshakes, permits, spent, waited int
	ready, resumed                     int // how often
}

// FuzzSession: no sequence of inputs makes the machine panic, lose the sequence number, write two
// handshakes on a connection, IDENTIFY without a grant, close with a code that ends the session,
// or fall asleep.
func FuzzSession(f *testing.F) {
	f.Add([]byte{3, 0, 0, 9, 0, 1, 5, 5, 2, 0, 1, 200, 3, 0, 0, 9, 0, 8})
	f.Add([]byte{3, 0, 0, 9, 0, 1, 2, 44, 1, 255, 3, 7, 10, 0, 0, 0})
	f.Add([]byte{3, 0, 0, 9, 0, 1, 5, 0, 5, 0, 2, 23, 1, 100, 3, 0, 0, 9, 2, 23, 11, 0, 12, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		seed := uint64(len(script))
		for _, b := range script {
			seed = seed*31 + uint64(b)
		}
		w := newWorld(t, seed)
		for len(script) >= 2 && !w.stopped {
			w.step(script[0], script[1])
			script = script[2:]
		}
	})
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, o: shardOptions(), now: time.Now()}
	w.o.Rand = rand.New(rand.NewPCG(seed, 1)).Float64
	w.s = OpenSession(w.o, Memory{})
	w.do(w.s.Start(w.now))
	return w
}

// TestSessionSurvivesRandomWalks holds the same as FuzzSession, on walks that get somewhere: half of
// the steps are what the machine waits for.
func TestSessionSurvivesRandomWalks(t *testing.T) {
	ready, resumed := 0, 0
	for seed := range uint64(300) {
		w, rnd := newWorld(t, seed), rand.New(rand.NewPCG(seed, 2))
		for range 300 {
			if w.stopped {
				break
			}
			if rnd.IntN(2) == 0 {
				w.step(byte(rnd.IntN(256)), byte(rnd.IntN(256)))
				continue
			}
			switch w.s.phase {
			case waiting:
				w.step(1, 255)
			case dialing:
				w.step(3, 0)
			case greeting:
				w.step(0, 0)
			case queueing:
				w.step(4, 0)
			case identifying:
				w.step(0, 8)
			case resuming:
				w.step(0, 12)
			default:
				w.step(5, 0)
			}
		}
		ready, resumed = ready+w.ready, resumed+w.resumed
	}
	if ready < 1000 || resumed < 1000 {
		t.Errorf("%d READY and %d RESUMED only, the walks show nothing", ready, resumed)
	}
}

func (w *world) step(what, arg byte) {
	switch what % 14 {
	case 0, 13:
		w.receive(arg)
	case 1: // time passes, with a Tick when it is wanted
		end := w.now.Add(time.Duration(arg) * time.Duration(arg) * 10 * time.Millisecond)
		for n := 0; n < 1000 && !w.wake.IsZero() && !w.wake.After(end); n++ {
			if w.wake.After(w.now) {
				w.now, w.waited = w.wake, 0
			}
			if w.waited++; w.waited > 5 {
				w.t.Fatal("Wake does not move")
			}
			w.do(w.s.Tick(w.now, w.seen))
		}
		w.now = end
	case 2:
		codes := everyCode()
		var err error = NewCloseError(codes[int(arg)%len(codes)], "fuzz")
		if arg > 200 {
			err = fmt.Errorf("gateway: read: %w", errors.New("reset"))
		}
		w.dialing = false
		w.do(w.s.Lost(w.now, err, w.seen))
	case 3:
		if w.dialing || arg > 250 {
			w.dialing = false
			w.do(w.s.Dialed(w.now))
		}
	case 4:
		if w.permits > 0 || arg > 250 {
			w.permits, w.granted = 0, true
			w.do(w.s.Granted(w.now))
			w.granted = false
		}
	case 5, 6:
		w.accept(w.seq + 1 + int64(arg)/200)
	case 7:
		w.seen.Blocked = !w.seen.Blocked
	case 8:
		w.do(w.s.Tick(w.now, w.seen)) // nobody asked for it
	case 9: // a bug of the owner's
		w.restart()
	case 10:
		if arg > 250 {
			w.do(w.s.Drain(w.now, w.seen))
			w.restart()
		}
	case 11: // a machine that slept
		w.now = addWall(w.now, time.Duration(arg)*10*time.Second)
	case 12:
		if arg > 250 {
			w.ending = true
			w.do(w.s.End(w.now, w.seen))
			w.stopped = true
			if w.s.Memory() != (Memory{}) || !w.wake.IsZero() {
				w.t.Fatal("End leaves something behind")
			}
		}
	}
	if !w.stopped && w.wake.IsZero() && !w.dialing && w.permits == 0 {
		w.t.Fatalf("asleep in phase %d", w.s.phase)
	}
}

func (w *world) restart() {
	w.dialing, w.permits = false, 0
	w.s = OpenSession(w.o, w.s.Memory())
	w.do(w.s.Start(w.now))
}

// accept is a dispatch that the read goroutine has taken, in whatever state the machine is: also a
// last one, after the machine has given up the connection.
func (w *world) accept(seq int64) {
	if w.session == "" {
		return
	}
	w.seq = max(w.seq, seq)
	w.seen.Seq, w.seen.At = w.seq, w.now
}

func (w *world) receive(arg byte) {
	text := `{"op":11}`
	switch arg % 16 {
	case 0, 1, 2:
		text = fmt.Sprintf(`{"op":10,"d":{"heartbeat_interval":%d}}`, []int{41250, 45000, 1000}[arg%16])
	case 3:
		text = `{"op":10,"d":{"heartbeat_interval":-1}}`
	case 4:
		text = `{"op":1}`
	case 5:
		text = `{"op":7}`
	case 6:
		text = `{"op":9,"d":true}`
	case 7:
		text = `{"op":9,"d":[]}`
	case 8, 9, 10:
		text = fmt.Sprintf(`{"op":0,"t":"READY","s":1,"d":{"session_id":"s%d","resume_gateway_url":"wss://resume.example","shard":[1,2],"guilds":[{"id":7}]}}`, arg)
		if w.s.phase >= greeting {
			w.seen.Seq = 1 // the reader has begun a new session
			if w.s.phase != identifying {
				w.session = "" // and the machine is going to drop its own
			}
		}
	case 11:
		text = `{"op":0,"t":"READY","s":1,"d":{"session_id":"x","shard":[0,9]}}`
	case 12:
		w.accept(w.seq + 1)
		text = fmt.Sprintf(`{"op":0,"t":"RESUMED","s":%d,"d":{}}`, w.seq)
	case 13:
		text = `{"op":-3,"d":{"op":[]},"x":1}`
	case 14:
		text = `{"op":0,"t":"READY","s":5,"d":[]}`
	}
	w.seen.At = w.now
	f := frameOf(w.t, text)
	out := w.s.Receive(w.now, f, w.seen)
	if up, ok := find[Up](out); ok && !up.Resumed {
		w.session, w.seq = w.s.Memory().Resume.SessionID, f.S
	}
	w.do(out)
}

func (w *world) do(effects []Effect) {
	for i, e := range effects {
		switch e := e.(type) {
		case Wake:
			w.wake = e.At
		case Connect:
			w.dialing, w.handshakes = true, 0
			w.seen.At, w.seen.Blocked = time.Time{}, false
		case WantPermit:
			w.permits++
		case DropPermit:
			w.permits = 0
		case PermitSpent:
			w.spent++
		case Close:
			w.dialing = false
			if e.Code <= 1001 && !w.ending {
				w.t.Fatalf("close %+v", e)
			}
		case Gap:
			w.session, w.seq = "", 0 // but the reader still knows the old one
		case Up:
			if e.Resumed {
				w.resumed++
			} else {
				w.ready++
			}
		case Send:
			w.send(e)
		case Fail:
			if i != len(effects)-1 {
				w.t.Fatalf("effects after Fail: %v", effects)
			}
			var closed *CloseError
			if errors.As(e.Err, &closed) && closed.Class.Fatal() {
				w.stopped = true
				return
			}
			w.restart()
			return
		}
	}
	if _, ok := effects[len(effects)-1].(Wake); !ok {
		w.t.Fatalf("the last effect is no Wake: %v", effects)
	}
}

func (w *world) send(e Send) {
	var p struct {
		D json.RawMessage
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil {
		w.t.Fatalf("%s: %v", e.Payload, err)
	}
	var d struct {
		SessionID string `json:"session_id"`
		Seq       int64
	}
	switch e.Op {
	case OpHeartbeat:
		want := "null"
		if w.session != "" && w.seq > 0 {
			want = fmt.Sprint(w.seq)
		}
		if string(p.D) != want {
			w.t.Fatalf("heartbeat %s, want %s", p.D, want)
		}
		return
	case OpIdentify:
		if !w.granted || w.spent != 1 {
			w.t.Fatalf("IDENTIFY without a grant, or a permit not spent: %d", w.spent)
		}
		w.spent = 0
	case OpResume:
		if err := json.Unmarshal(p.D, &d); err != nil || d.SessionID != w.session || d.Seq != w.seq {
			w.t.Fatalf("RESUME %s %d, want %s %d", d.SessionID, d.Seq, w.session, w.seq)
		}
	default:
		w.t.Fatalf("op %d sent", e.Op)
	}
	if w.handshakes++; w.handshakes != 1 {
		w.t.Fatalf("%d handshakes on one connection", w.handshakes)
	}
}
