package gatewaysim

import (
	"errors"
	"strings"
	"testing"
)

// faultTests proves every control over HTTP. c is shard 0 of 1, READY and
// loaded; r its READY.
var faultTests = map[string]func(t *testing.T, s *Server, c *client, r ready){
	"close": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "close", `{"shard":1,"code":4000}`, 200) // another shard: no effect
		s.post(t, "close", `{"shard":0,"code":4009,"reason":"bye"}`, 200)
		if got := c.closed(); got != 4009 {
			t.Errorf("got %d, want 4009", got)
		}
		s.post(t, "close", `{"code":1006}`, 400)
	},
	"drop": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "drop", `{"session":"`+r.SessionID+`"}`, 200)
		if got := c.closed(); got != 1006 {
			t.Errorf("got %d, want 1006", got)
		}
	},
	"surge": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "surge", `{"events":0}`, 400)
		if a := s.post(t, "surge", `{"events":50}`, 200); a["sessions"] != 1.0 || a["events"] != 50.0 || a["bytes"].(float64) < 10_000 {
			t.Errorf("got %v, want 1 session, 50 events and their bytes", a)
		}
		s.post(t, "surge", `{"events":50}`, 400)
	},
	"release": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "release", `{}`, 400)
		s.post(t, "surge", `{"events":50}`, 200)
		if a := s.post(t, "release", `{}`, 200); a["at"].(float64) < 1e18 {
			t.Errorf("got %v, want Unix nanoseconds", a)
		}
		c.has(s, r.SessionID, 5)
	},
	"reconnect": func(t *testing.T, s *Server, c *client, r ready) { s.post(t, "reconnect", ``, 200); c.op(opReconnect) },
	"invalidate": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "invalidate", `{"resumable":true}`, 200)
		if p := c.op(opInvalidSession); string(p.D) != "true" {
			t.Errorf("got %s, want true", p.D)
		}
		s.post(t, "invalidate", `{}`, 200)
		if p := c.op(opInvalidSession); string(p.D) != "false" || len(s.State().Sessions) != 0 {
			t.Errorf("got %s and %d sessions, want false and none", p.D, len(s.State().Sessions))
		}
		c.identify(0, 0, 1) // the connection may be used again
		c.ready()
	},
	"heartbeat": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "heartbeat", `{}`, 200)
		c.op(opHeartbeat)
	},
	"heartbeat-interval": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "heartbeat-interval", `{"for":"1234ms"}`, 200)
		if p := dial(t, s.GatewayURL(), "none").op(opHello); !strings.Contains(string(p.D), `"heartbeat_interval":1234`) {
			t.Errorf("got HELLO %s, want 1234", p.D)
		}
	},
	"drop-acks": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "drop-acks", `{}`, 200)
		c.send(`{"op":1,"d":1}`)
		waitFor(t, "the heartbeat", func() bool { return s.Counts().Heartbeats == 1 })
		s.post(t, "drop-acks", `{"on":false}`, 200)
		c.send(`{"op":1,"d":1}`)
		c.op(opHeartbeatAck)
		if n := s.Counts().Acks; n != 1 {
			t.Errorf("got %d acks for 2 heartbeats, want 1", n)
		}
	},
	"silent-edge": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "silent-edge", `{"count":1}`, 200)
		c = dial(t, s.GatewayURL(), "none")
		c.send(`{"op":1,"d":null}`) // its answer is the first thing that comes
		if p, err := c.next(); err != nil || p.Op != opHeartbeatAck {
			t.Errorf("got op %d (%v), want no HELLO", p.Op, err)
		}
		dial(t, s.GatewayURL(), "none").op(opHello)
	},
	"reconnect-hello": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "reconnect-hello", ``, 200)
		if p, err := dial(t, s.GatewayURL(), "none").next(); err != nil || p.Op != opReconnect {
			t.Errorf("got op %d (%v), want 7", p.Op, err)
		}
	},
	"refuse-dials": func(t *testing.T, s *Server, c *client, r ready) {
		for _, mode := range []string{"reset", "503", "refuse"} {
			s.post(t, "refuse-dials", `{"host":"resume","mode":"`+mode+`","for":"1h"}`, 200)
			if dialError(t, s.ResumeURL()) == nil || dialError(t, s.GatewayURL()) != nil {
				t.Errorf("%s: want the resume host to refuse and the base host to answer", mode)
			}
			s.post(t, "allow-dials", `{"host":"resume"}`, 200)
			if err := dialError(t, s.ResumeURL()); err != nil {
				t.Errorf("%s: still refused: %v", mode, err)
			}
		}
		s.post(t, "refuse-dials", `{"mode":"503","count":1}`, 200)
		if dialError(t, s.GatewayURL()) == nil || dialError(t, s.GatewayURL()) != nil {
			t.Error("want one refused dial on base, then none")
		}
		s.post(t, "refuse-dials", `{"host":"base","mode":"refuse","for":0.2}`, 200)
		waitFor(t, "the base host to come back", func() bool {
			return dialError(t, s.GatewayURL()) == nil
		})
		s.post(t, "refuse-dials", `{"host":"base","mode":"refuse"}`, 400)
		s.post(t, "refuse-dials", `{"host":"moon"}`, 400)
	},
	"allow-dials": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "refuse-dials", `{"mode":"reset","count":-1}`, 200)
		s.post(t, "allow-dials", ``, 200)
		if err := errors.Join(dialError(t, s.GatewayURL()), dialError(t, s.ResumeURL())); err != nil {
			t.Error(err)
		}
	},
	"ready": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "ready", `{"delay":"50ms","pretend_shard":[3,4]}`, 200)
		c = dial(t, s.GatewayURL(), "none")
		c.op(opHello)
		c.identify(0, 0, 1)
		c.send(`{"op":1,"d":null}`)
		c.op(opHeartbeatAck) // comes before READY
		if got := c.ready().Shard; got != [2]int{3, 4} {
			t.Errorf("got shard %v, want [3 4]", got)
		}
	},
	"identify-answer": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "identify-answer", `{"answer":"invalid","count":2}`, 200)
		c = dial(t, s.GatewayURL(), "none")
		c.op(opHello)
		for _, want := range []string{"op 9 false", "op 9 false", "READY"} {
			if got := c.outcome(0, 1); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		s.post(t, "identify-answer", `{"answer":"maybe"}`, 400)
	},
	"resume-answer": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "resume-answer", `{"answer":"drop"}`, 200)
		c = c.reopen(s, r.SessionID, 1)
		if got := c.closed(); got != 1006 {
			t.Errorf("got %d, want 1006", got)
		}
		s.post(t, "resume-answer", `{"answer":"close"}`, 200)
		if got := c.reopen(s, r.SessionID, 1).closed(); got != closeInvalidSeq {
			t.Errorf("got %d, want 4007", got)
		}
		s.post(t, "resume-answer", `{"answer":"resumable"}`, 200)
		if p := c.reopen(s, r.SessionID, 1).op(opInvalidSession); string(p.D) != "true" {
			t.Errorf("got %s, want true", p.D)
		}
		s.post(t, "resume-answer", `{"answer":"silence"}`, 200)
		c = c.reopen(s, r.SessionID, 1)
		c.send(`{"op":1,"d":1}`)
		if p, err := c.next(); err != nil || p.Op != opHeartbeatAck {
			t.Errorf("got op %d (%v), want the heartbeat's ack only", p.Op, err)
		}
		c.reopen(s, r.SessionID, 1).event("RESUMED") // none of them ended the session
		s.post(t, "resume-answer", `{"answer":"invalid"}`, 200)
		c.reopen(s, r.SessionID, 1).op(opInvalidSession)
		if p := c.reopen(s, r.SessionID, 1).op(opInvalidSession); string(p.D) != "false" {
			t.Errorf("got %s, want false: the session has ended", p.D)
		}
	},
	"session-life": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "session-life", `{"for":"1ms"}`, 200)
		c.drop()
		waitFor(t, "the end of the session", func() bool { return s.Counts().SessionsExpired == 1 })
		s.post(t, "session-life", `{}`, 400)
	},
	"brick": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "brick", `{"for":"1h"}`, 200)
		if got := c.reopen(s, r.SessionID, 1).closed(); got != 1006 {
			t.Errorf("got %d, want 1006", got)
		}
		s.post(t, "brick", `{}`, 200)
		c.reopen(s, r.SessionID, 1).event("RESUMED")
	},
	"forget": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "forget", `{"shard":0}`, 200)
		c.reopen(s, r.SessionID, 1).op(opInvalidSession)
	},
	"corrupt": func(t *testing.T, s *Server, c *client, r ready) {
		for _, mode := range []string{"zlib-stream", "zstd-stream"} {
			x, _ := start(t, s, mode, 0, 0, 1)
			s.post(t, "corrupt", `{}`, 200)
			if p, err := x.next(); err == nil {
				t.Errorf("%s: got %s, want an error", mode, p.raw)
			}
			x.drop()
		}
	},
	"garbage": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "garbage", `{}`, 200)
		if p, err := c.next(); err == nil {
			t.Errorf("got %s, want what is not JSON", p.raw)
		}
	},
	"unknown-op": func(t *testing.T, s *Server, c *client, r ready) { s.post(t, "unknown-op", `{"op":77}`, 200); c.op(77) },
	"dispatch": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "dispatch", `{"t":"A_B","d":{"x": [1,  2]}}`, 200)
		if p := c.event("A_B"); string(p.D) != `{"x": [1,  2]}` {
			t.Errorf("got %s, want the bytes unchanged", p.D)
		}
		s.post(t, "dispatch", `{}`, 200)
		c.event("SHEEP_SHORN")
	},
	"duplicate": func(t *testing.T, s *Server, c *client, r ready) {
		dispatchTo(t, s, 1)
		first := c.event("TEST_EVENT")
		s.post(t, "duplicate", `{}`, 200)
		if again := c.event("TEST_EVENT"); string(again.raw) != string(first.raw) {
			t.Errorf("got %s, want %s", again.raw, first.raw)
		}
	},
	"jump": func(t *testing.T, s *Server, c *client, r ready) {
		seq := s.seqOf(r.SessionID)
		s.post(t, "jump", `{"n":5}`, 200)
		dispatchTo(t, s, 1)
		if p := c.event("TEST_EVENT"); p.S != seq+6 {
			t.Errorf("got s %d, want %d", p.S, seq+6)
		}
		c.reopen(s, r.SessionID, seq).event("RESUMED")
	},
	"giant-guild": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "giant-guild", `{"n":2}`, 200)
		if p := c.event("GUILD_CREATE"); len(p.D) < 2<<20 || len(p.D) > 2<<20+1024 {
			t.Errorf("got %d bytes, want 2 MiB", len(p.D))
		}
		s.post(t, "giant-guild", `{"n":1000}`, 400)
	},
	"split": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "split", `{"messages":3}`, 200)
		x := dial(t, s.GatewayURL(), "zlib-stream")
		x.op(opHello)
		if x.msgs != 3 {
			t.Errorf("HELLO came in %d messages, want 3", x.msgs)
		}
		s.post(t, "split", `{}`, 200)
		x.identify(0, 0, 1)
		x.ready()
		if x.msgs != 4 {
			t.Errorf("READY came in %d messages, want 1", x.msgs-3)
		}
	},
	"rest": func(t *testing.T, s *Server, c *client, r ready) {
		for _, f := range []struct {
			body   string
			status int
			retry  string
		}{{`{"status":429,"retry_after":"1500ms"}`, 429, "2"}, {`{"status":401}`, 401, ""}, {`{"status":503,"retry_after":7}`, 503, "7"}} {
			s.post(t, "rest", f.body, 200)
			if status, retry := restStatus(t, s); status != f.status || retry != f.retry {
				t.Errorf("%s: got %d, Retry-After %q", f.body, status, retry)
			}
			if status, _ := restStatus(t, s); status != 200 {
				t.Errorf("%s: struck twice", f.body)
			}
		}
		s.post(t, "rest", `{"status":200}`, 400)
	},
	"max-concurrency": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "max-concurrency", `{"n":3}`, 200)
		if got := s.Budget().MaxConcurrency; got != 3 {
			t.Errorf("got %d, want 3", got)
		}
		s.post(t, "max-concurrency", `{}`, 400)
	},
	"budget": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "budget", `{"remaining":7,"reset_after":"1h"}`, 200)
		if got := s.Budget(); got.Remaining != 7 || got.ResetAfter > 3600_000 || got.ResetAfter < 3590_000 {
			t.Errorf("got %+v, want 7 left, an hour to go", got)
		}
		s.post(t, "budget", `{}`, 400)
	},
	"token": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "token", `{"token":"other"}`, 200)
		if status, _ := restStatus(t, s); status != 401 {
			t.Errorf("the old token: got %d, want 401", status)
		}
		if got := c.reopen(s, r.SessionID, 1).closed(); got != closeAuthFailed {
			t.Errorf("got %d, want 4004", got)
		}
	},
	"deny-intents": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "deny-intents", `{"intents":2}`, 200)
		if got := c.closed(); got != closeNotAuthenticated {
			t.Errorf("running session: got %d, want 4003", got)
		}
		c = dial(t, s.GatewayURL(), "none")
		c.identify(intentGuildMembers, 0, 1)
		if got := c.closed(); got != closeDisallowed {
			t.Errorf("new session: got %d, want 4014", got)
		}
	},
	"rate": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "rate", `{"rate":1000}`, 200)
		c.event("GUILD_MEMBER_UPDATE")
		s.post(t, "rate", `{"rate":0}`, 200)
		if got := s.State().Rate; got != 0 {
			t.Errorf("got %v, want 0", got)
		}
		s.post(t, "rate", `{}`, 400)
	},
	"guild-outage": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "guild-outage", `{"guild":1,"for":"10ms"}`, 200)
		if p := c.event("GUILD_DELETE"); string(p.D) != `{"id":"`+r.Guilds[1].ID+`","unavailable":true}` {
			t.Errorf("got %s", p.D)
		}
		if p := c.event("GUILD_CREATE"); !strings.HasPrefix(string(p.D), `{"id":"`+r.Guilds[1].ID) {
			t.Errorf("got %.40s, want it back", p.D)
		}
		s.post(t, "guild-outage", `{"guild":12345}`, 400)
	},
	"guild-back": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "guild-outage", `{"guild":"`+r.Guilds[0].ID+`"}`, 200)
		c.event("GUILD_DELETE")
		x, r2 := start(t, s, "none", 3, 0, 1) // READY names it, then comes the outage
		x.event("GUILD_DELETE")
		s.post(t, "guild-back", `{"guild":0}`, 200)
		c.event("GUILD_CREATE")
		if r2.Guilds[0].ID != r.Guilds[0].ID {
			t.Errorf("READY lost the guild in outage")
		}
	},
	"guild-join": func(t *testing.T, s *Server, c *client, r ready) {
		id := s.post(t, "guild-join", ``, 200)["guild"].(string)
		if p := c.event("GUILD_CREATE"); !strings.HasPrefix(string(p.D), `{"id":"`+id+`"`) {
			t.Errorf("got %.40s, want guild %s", p.D, id)
		}
	},
	"guild-leave": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "guild-leave", `{"guild":2}`, 200)
		if p := c.event("GUILD_DELETE"); string(p.D) != `{"id":"`+r.Guilds[2].ID+`"}` {
			t.Errorf("got %s", p.D)
		}
		s.post(t, "guild-leave", `{"guild":2}`, 400)
		if _, r2 := start(t, s, "none", 1, 0, 1); len(r2.Guilds) != len(r.Guilds)-1 {
			t.Errorf("a new READY has %d guilds, want one less than %d", len(r2.Guilds), len(r.Guilds))
		}
	},
	"hold-guilds": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "hold-guilds", `{"n":3}`, 200)
		x, _ := start(t, s, "none", 1, 0, 1)
		dispatchTo(t, s, 1)
		if p, err := x.next(); err != nil || p.T != "TEST_EVENT" {
			t.Errorf("got %s (%v), want no guild", p.T, err)
		}
		s.post(t, "guild-back", `{"guild":1}`, 200)
		x.event("GUILD_CREATE")
	},
	"clear": func(t *testing.T, s *Server, c *client, r ready) {
		s.post(t, "silent-edge", `{"count":-1}`, 200)
		s.post(t, "drop-acks", ``, 200)
		s.post(t, "refuse-dials", `{"host":"resume","mode":"refuse"}`, 200)
		s.post(t, "rest", `{"status":500,"count":-1}`, 200)
		if got := s.State().Faults; len(got) != 3 {
			t.Errorf("got faults %v, want 3", got)
		}
		s.post(t, "clear", ``, 200)
		if got := s.State().Faults; len(got) != 0 {
			t.Errorf("got faults %v, want none", got)
		}
		c = dial(t, s.ResumeURL(), "none")
		c.op(opHello)
		c.send(`{"op":1,"d":null}`)
		c.op(opHeartbeatAck)
	},
}
