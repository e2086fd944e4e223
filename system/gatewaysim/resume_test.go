package gatewaysim

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"drover/system/simtime"
)

// dispatchTo sends n numbered events to shard 0 of s.
func dispatchTo(t testing.TB, s *Server, n int) {
	t.Helper()
	for i := range n {
		d, _ := json.Marshal(map[string]int{"n": i})
		if _, err := s.Dispatch(All, "TEST_EVENT", d); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *client) reopen(s *Server, session string, seq int64) *client {
	c.t.Helper()
	c.drop()
	return c.again(s, session, seq)
}

func (c *client) again(s *Server, session string, seq int64) *client {
	c.t.Helper()
	n := dial(c.t, s.ResumeURL(), "none")
	n.op(opHello)
	n.resume(session, seq)
	return n
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 5 s", what)
		}
		<-tick.C
	}
}

func disconnected(s *Server) func() bool {
	return func() bool {
		for _, ses := range s.State().Sessions {
			if ses.Connected {
				return false
			}
		}
		return true
	}
}

func TestResumeReplaysWhatWasMissedThenSendsResumed(t *testing.T) {
	s := newServer(t, Options{Guilds: -1})
	c, r := start(t, s, "none", 0, 0, 1)
	dispatchTo(t, s, 5) // 2..6
	c.until("s 3", func(p payload) bool { return p.S == 3 })
	c.drop()
	waitFor(t, "the loss", disconnected(s))
	dispatchTo(t, s, 2) // 7, 8: into the replay buffer
	c = c.again(s, r.SessionID, 3)
	for want := int64(4); want <= 8; want++ {
		if p, err := c.next(); err != nil || p.S != want || p.T != "TEST_EVENT" {
			t.Fatalf("got %s s %d (%v), want TEST_EVENT s %d", p.T, p.S, err, want)
		}
	}
	if p, err := c.next(); err != nil || p.T != "RESUMED" || p.S != 9 {
		t.Fatalf("got %s s %d (%v), want RESUMED s 9", p.T, p.S, err)
	}
	dispatchTo(t, s, 1)
	if p := c.event("TEST_EVENT"); p.S != 10 {
		t.Errorf("first live event has s %d, want 10", p.S)
	}
}

func TestResumeIsRefused(t *testing.T) {
	cases := []struct {
		name string
		do   func(s *Server, c *client, session string) *client
		want int // close code, or 9 for op 9 false
	}{
		{"unknown_session", func(s *Server, c *client, _ string) *client { return c.reopen(s, "nobody", 1) }, 9},
		{"seq_higher_than_ours", func(s *Server, c *client, id string) *client { return c.reopen(s, id, 4711) }, closeInvalidSeq},
		{"negative_seq", func(s *Server, c *client, id string) *client { return c.reopen(s, id, -1) }, closeInvalidSeq},
		{"wrong_token", func(s *Server, c *client, id string) *client {
			c.drop()
			n := dial(c.t, s.GatewayURL(), "none")
			n.send(`{"op":6,"d":{"token":"other","session_id":%q,"seq":1}}`, id)
			return n
		}, closeAuthFailed},
		{"no_seq", func(s *Server, c *client, id string) *client {
			n := dial(c.t, s.GatewayURL(), "none")
			n.send(`{"op":6,"d":{"token":"tok","session_id":%q}}`, id)
			return n
		}, closeDecode},
		{"on_a_running_session", func(_ *Server, c *client, id string) *client { c.resume(id, 1); return c }, closeAlreadyAuth},
		{"after_our_1000", func(s *Server, c *client, id string) *client {
			c.write(8, []byte{3, 0xe8})
			c.closed()
			return c.again(s, id, 1)
		}, 9},
		{"after_our_1001", func(s *Server, c *client, id string) *client {
			c.write(8, []byte{3, 0xe9})
			c.closed()
			return c.again(s, id, 1)
		}, 9},
		{"after_a_close_that_ends_the_session", func(s *Server, c *client, id string) *client {
			s.CloseAll(All, 4009, "")
			c.closed()
			return c.again(s, id, 1)
		}, 9},
		{"after_overflow", func(s *Server, c *client, id string) *client {
			c.drop()
			waitFor(c.t, "the loss", disconnected(s))
			dispatchTo(c.t, s, 11)
			return c.again(s, id, 1)
		}, 9},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, Options{Guilds: -1, ReplayBuffer: 10})
			c, r := start(t, s, "none", 0, 0, 1)
			c = tc.do(s, c, r.SessionID)
			if tc.want != 9 {
				if got := c.closed(); got != tc.want {
					t.Fatalf("got close %d, want %d", got, tc.want)
				}
				return
			}
			if p := c.op(opInvalidSession); string(p.D) != "false" {
				t.Fatalf("got op 9 %s, want false", p.D)
			}
			// Nothing else comes, and the connection may still identify.
			c.identify(0, 0, 1)
			c.ready()
		})
	}
}

func TestReplayBufferHoldsExactlyItsCapacity(t *testing.T) {
	s := newServer(t, Options{Guilds: -1, ReplayBuffer: 10})
	c, r := start(t, s, "none", 0, 0, 1)
	c.drop()
	waitFor(t, "the loss", disconnected(s))
	dispatchTo(t, s, 10)
	c = c.again(s, r.SessionID, 1)
	if p := c.event("RESUMED"); p.S != 12 {
		t.Errorf("RESUMED has s %d, want 12", p.S)
	}
}

func TestSessionSurvivesOurCloseWith4000(t *testing.T) {
	s := newServer(t, Options{Guilds: -1})
	c, r := start(t, s, "none", 0, 0, 1)
	c.write(8, []byte{0x0f, 0xa0})
	if got := c.closed(); got != 4000 {
		t.Errorf("got echo %d, want 4000", got)
	}
	c = c.again(s, r.SessionID, 1)
	c.event("RESUMED")
	if rec := s.Connections()[0]; rec.ClientCode != 4000 || rec.ServerCode != 0 {
		t.Errorf("got client code %d, server code %d, want 4000 and 0", rec.ClientCode, rec.ServerCode)
	}
}

func TestSecondConnectionThrowsTheOlderOut(t *testing.T) {
	s := newServer(t, Options{Guilds: -1})
	old, r := start(t, s, "none", 0, 0, 1)
	c := old.again(s, r.SessionID, 1)
	c.event("RESUMED")
	if got := old.closed(); got != closeSessionInvalid {
		t.Errorf("got close %d, want 4006", got)
	}
	dispatchTo(t, s, 1)
	c.event("TEST_EVENT")
}

func TestSessionExpiresAfterItsLife(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		s := New(Options{Guilds: -1, Rate: 10})
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		open := func(base string) *client {
			c, err := tryDial(t, p.Dial, query(base, "none"), "none")
			if err != nil {
				t.Fatal(err)
			}
			c.op(opHello)
			return c
		}
		c := open(s.GatewayURL())
		c.identify(0, 0, 1)
		id := c.ready().SessionID
		for i, wait := range []time.Duration{89 * time.Second, 89 * time.Second, 91 * time.Second} {
			c.drop()
			elapse(wait) // simulated: a bubble's clock
			seq := s.seqOf(id)
			c = open(s.ResumeURL())
			c.resume(id, max(seq, 1))
			p, err := c.next()
			if want := map[bool]string{true: "op 9", false: "RESUMED"}[i == 2]; (p.Op == opInvalidSession) != (i == 2) || err != nil {
				t.Fatalf("after %v: got op %d %s (%v), want %s", wait, p.Op, p.T, err, want)
			}
		}
		c.drop()
	})
}

func (s *Server) seqOf(id string) int64 {
	for _, ses := range s.State().Sessions {
		if ses.ID == id {
			return ses.Seq
		}
	}
	return 0
}

func TestMissedHeartbeatsEndTheConnectionInABubble(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		s := New(Options{Guilds: 4})
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		res, err := p.HTTPClient().Get(s.APIURL() + "/gateway")
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("GET /gateway: %v", err)
		}
		res.Body.Close()
		c, err := tryDial(t, p.Dial, query(s.GatewayURL(), "none"), "none")
		if err != nil {
			t.Fatal(err)
		}
		c.op(opHello)
		c.identify(intentGuilds, 0, 1)
		c.ready()
		for range 100 { // more than an hour
			elapse(41 * time.Second)
			c.send(`{"op":1,"d":1}`)
			c.op(opHeartbeatAck)
		}
		last := time.Now()
		_, err = c.message()
		var ce *closedError
		if !errors.As(err, &ce) || ce.code != 4000 {
			t.Fatalf("got %v, want close 4000", err)
		}
		if silent := time.Since(last); silent < 70*time.Second || silent > 75*time.Second {
			t.Errorf("closed after %v without a heartbeat, want 1.75 intervals", silent)
		}
		c.drop()
	})
}
