package gatewaysim

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"drover/system/simtime"
)

// TestResumingClientMissesNothingUnderFaults runs three shards through minutes
// of faults in simulated time. What a client collects, first copies only, must
// be the ledger of each session, byte for byte and without holes.
func TestResumingClientMissesNothingUnderFaults(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		seed := uint64(time.Now().UnixNano()) // constant in a bubble
		s := New(Options{Guilds: 9, Rate: 30, Record: true, ReplayBuffer: 5000, Seed: seed})
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := map[string]map[int64][]byte{}
		var clients sync.WaitGroup
		stop := make(chan struct{})
		for shard := range 3 {
			clients.Go(func() {
				var session string
				var seq int64
				for {
					select {
					case <-stop:
						return
					default:
					}
					elapse(time.Second)
					c, err := tryDial(t, p.Dial, query(s.GatewayURL(), "none"), "none")
					if err != nil {
						continue
					}
					session, seq = c.collect(shard, session, seq, func(id string, p payload) {
						mu.Lock()
						defer mu.Unlock()
						if got[id] == nil {
							got[id] = map[int64][]byte{}
						}
						if got[id][p.S] == nil {
							got[id][p.S] = bytes.Clone(p.D)
						}
					})
					c.drop()
				}
			})
		}
		rnd := rand.New(rand.NewPCG(seed, 1))
		for range 150 {
			elapse(2 * time.Second)
			at := One(rnd.IntN(3))
			switch rnd.IntN(9) {
			case 0:
				s.Drop(at)
			case 1:
				s.CloseAll(at, 4000, "")
			case 2:
				s.Reconnect(at)
			case 3:
				s.Duplicate(at)
			case 4:
				s.Garbage(at)
			case 5:
				s.AnswerResume(AnswerFault{Answer: AnswerDrop}, Limit{})
			case 6:
				_ = s.RefuseDials(HostBase, Dial503, Limit{Count: 2})
			case 7:
				s.CloseAll(at, 4009, "") // a new session follows
			case 8:
				s.SilentEdge(Limit{})
			}
		}
		_ = s.Clear()
		elapse(3 * time.Minute) // silent edges end, everybody is back
		s.SetRate(0)
		elapse(10 * time.Second)
		close(stop)
		ledger := s.Ledger()
		s.Close()
		clients.Wait()
		if len(ledger) < 4 {
			t.Errorf("got %d sessions, want some to be lost", len(ledger))
		}
		for _, l := range ledger {
			seen := got[l.SessionID]
			for _, d := range l.Dispatch {
				if l.Ended && len(seen) < int(d.Seq) {
					break // what was under way when the session ended
				}
				if !bytes.Equal(seen[d.Seq], d.D()) {
					t.Fatalf("seed %d, shard %d, session %s, seq %d %s: got %.60s, want %.60s", seed, l.ShardID, l.SessionID, d.Seq, d.T, seen[d.Seq], d.D())
				}
			}
		}
	})
}

// collect resumes or identifies, hands every dispatch on until the connection
// ends, and returns the session to resume, "" if there is none.
func (c *client) collect(shard int, session string, seq int64, take func(id string, p payload)) (string, int64) {
	for {
		p, err := c.next()
		if err != nil {
			var ce *closedError
			if errors.As(err, &ce) && closeEndsSession(ce.code) {
				return "", 0
			}
			return session, seq
		}
		switch p.Op {
		case opHello:
			if session == "" {
				c.identify(intentsKnown, shard, 3)
			} else {
				c.resume(session, seq)
			}
		case opReconnect:
			return session, seq
		case opInvalidSession:
			return "", 0
		case opDispatch:
			if p.T == "READY" {
				var r ready
				_ = json.Unmarshal(p.D, &r)
				session, seq = r.SessionID, 0
			}
			take(session, p)
			seq = max(seq, p.S)
			if p.S%64 == 0 {
				c.send(`{"op":1,"d":%d}`, seq)
			}
		}
	}
}
