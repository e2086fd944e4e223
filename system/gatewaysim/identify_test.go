package gatewaysim

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"drover/system/simtime"
)

// bubble runs f with a server and a dialler in simulated time.
func bubble(t *testing.T, o Options, f func(t *testing.T, s *Server, open func() *client)) {
	t.Helper()
	simtime.Run(t, func(t *testing.T) {
		s := New(o)
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f(t, s, func() *client {
			c, err := tryDial(t, p.Dial, query(s.GatewayURL(), "none"), "none")
			if err != nil {
				t.Fatal(err)
			}
			c.op(opHello)
			return c
		})
	})
}

// outcome is what an IDENTIFY of shardID gets: READY, op 9 or a close code.
func (c *client) outcome(shardID, shards int) string {
	c.identify(0, shardID, shards)
	p, err := c.next()
	if err != nil {
		return err.Error()
	}
	if p.Op == opInvalidSession {
		return "op 9 " + string(p.D)
	}
	return p.T
}

func TestIdentifyBucketsAreFiveSecondsPerKey(t *testing.T) {
	bubble(t, Options{MaxConcurrency: 2}, func(t *testing.T, s *Server, open func() *client) {
		for _, step := range []struct {
			shardID int
			after   time.Duration
			want    string
		}{
			{0, 0, "READY"}, {1, 0, "READY"}, {2, 0, "op 9 false"}, {3, 4999 * time.Millisecond, "op 9 false"},
			{2, time.Millisecond, "READY"}, {3, 0, "READY"}, {4, 4 * time.Second, "op 9 false"}, {4, 2 * time.Second, "READY"},
		} {
			elapse(step.after)
			if got := open().outcome(step.shardID, 5); got != step.want {
				t.Errorf("shard %d after %v: got %s, want %s", step.shardID, step.after, got, step.want)
			}
		}
		if got := s.Budget(); got.Remaining != 995 || s.Counts().IdentifiesRefused != 3 {
			t.Errorf("got %+v and %d refused, want 995 left, 3 refused", got, s.Counts().IdentifiesRefused)
		}
		if n := len(s.Violations()); n != 3 {
			t.Errorf("got %d violations, want 3", n)
		}
	})
}

func TestDailyBudgetComesBackAfterADay(t *testing.T) {
	bubble(t, Options{DailyTotal: 3}, func(t *testing.T, s *Server, open func() *client) {
		for i := range 3 {
			if got := open().outcome(i, 3); got != "READY" {
				t.Fatalf("got %s, want READY", got)
			}
			elapse(time.Hour)
		}
		if got, want := s.Budget(), (Budget{3, 0, 21 * 3600_000, 16}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		elapse(21 * time.Hour)
		if got := s.Budget(); got.Remaining != 3 || got.ResetAfter != 0 {
			t.Errorf("got %+v, want a new day", got)
		}
	})
}

func TestOneIdentifyTooManyResetsTheTokenAndEndsEverything(t *testing.T) {
	bubble(t, Options{DailyTotal: 2, Token: "tok"}, func(t *testing.T, s *Server, open func() *client) {
		a, b, c, d := open(), open(), open(), open()
		if a.outcome(0, 3) != "READY" || b.outcome(1, 3) != "READY" {
			t.Fatal("no READY within the budget")
		}
		if got := c.outcome(2, 3); !strings.HasPrefix(got, "closed 4004") {
			t.Errorf("got %s, want a close with 4004", got)
		}
		for _, x := range []*client{a, b, d} {
			if got := x.closed(); got != closeAuthFailed {
				t.Errorf("got close %d, want 4004", got)
			}
		}
		if s.tokenOK("tok") || len(s.State().Sessions) != 0 || s.Counts().TokenResets != 1 {
			t.Error("the token still works or sessions live on")
		}
		s.SetToken("tok")
		s.SetBudget(1, 0)
		if got := open().outcome(2, 3); got != "READY" {
			t.Errorf("with a new token: got %s, want READY", got)
		}
	})
}

func TestDailyTotalGrowsWithTheShards(t *testing.T) {
	for shards, want := range map[int]int{1: 1000, 200: 1000, 1000: 5000} {
		if got := New(Options{Shards: shards}).Budget().Total; got != want {
			t.Errorf("%d shards: got %d, want %d", shards, got, want)
		}
	}
}

func TestReplayCapacityFollowsTheGuilds(t *testing.T) {
	for guilds, want := range map[int]int{0: 100, 1: 100, 2: 150, 40: 3000, 47: 3500, 2500: 3500} {
		if got := (Options{}).replayCapacity(guilds); got != want {
			t.Errorf("%d guilds: got %d, want %d", guilds, got, want)
		}
	}
}

const props = `"properties":{"os":"l","browser":"b","device":"d"}`

func TestCloseCodes(t *testing.T) {
	id := func(rest string) string { return `{"op":2,"d":{"token":"tok",` + props + `,` + rest + `}}` }
	spam := slices.Repeat([]string{`{"op":1,"d":null}`}, 121)
	cases := []struct {
		name string
		o    Options
		send []string
		want int
	}{
		{"4001_unknown_op", Options{}, []string{`{"op":99,"d":null}`}, 4001},
		{"4001_server_op", Options{}, []string{`{"op":11,"d":null}`}, 4001},
		{"4002_not_json", Options{}, []string{`hello`}, 4002},
		{"4002_no_op", Options{}, []string{`{"d":1}`}, 4002},
		{"4002_op_is_text", Options{}, []string{`{"op":"2"}`}, 4002},
		{"4002_not_utf8", Options{}, []string{"{\"op\":1,\"d\":\"\xff\"}"}, 4002},
		{"4002_4097_bytes", Options{}, []string{`{"op":1,"d":null}` + strings.Repeat(" ", 4097-17)}, 4002},
		{"4002_far_too_large", Options{}, []string{strings.Repeat("x", 1<<20)}, 4002},
		{"4002_no_properties", Options{}, []string{`{"op":2,"d":{"token":"tok","intents":0}}`}, 4002},
		{"4002_shard_is_text", Options{}, []string{id(`"intents":0,"shard":"x"`)}, 4002},
		{"4003_before_auth", Options{}, []string{`{"op":3,"d":{}}`}, 4003},
		{"4004_wrong_token", Options{Token: "other"}, []string{id(`"intents":0`)}, 4004},
		{"4004_empty_token", Options{}, []string{`{"op":2,"d":{"token":"","intents":0,` + props + `}}`}, 4004},
		{"4005_twice", Options{}, []string{id(`"intents":0`), id(`"intents":0`)}, 4005},
		{"4008_121_messages", Options{}, spam, 4008},
		{"4010_id_too_high", Options{}, []string{id(`"intents":0,"shard":[2,2]`)}, 4010},
		{"4010_id_negative", Options{}, []string{id(`"intents":0,"shard":[-1,2]`)}, 4010},
		{"4010_no_shards", Options{}, []string{id(`"intents":0,"shard":[0,0]`)}, 4010},
		{"4010_no_multiple", Options{ShardMultiple: 16}, []string{id(`"intents":0,"shard":[0,24]`)}, 4010},
		{"4011_over_2500_guilds", Options{Guilds: 2501}, []string{id(`"intents":0`)}, 4011},
		{"4013_no_intents", Options{}, []string{id(`"shard":[0,1]`)}, 4013},
		{"4013_unknown_bit", Options{}, []string{id(`"intents":131072`)}, 4013},
		{"4014_denied", Options{DeniedPrivileged: intentGuildMembers}, []string{id(`"intents":3`)}, 4014},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, tc.o)
			c := dial(t, s.GatewayURL(), "none")
			for _, m := range tc.send {
				c.send("%s", m)
			}
			if got := c.closed(); got != tc.want {
				t.Errorf("got close %d, want %d", got, tc.want)
			}
		})
	}
}

func TestWhatIsAllowedIsNotRefused(t *testing.T) {
	s := newServer(t, Options{Guilds: 5000, ShardMultiple: 2})
	s.HoldGuilds(2500) // nothing to read but READY
	c := dial(t, s.GatewayURL(), "none")
	c.send("%s", `{"op":2,"d":{"token":"Bot tok","intents":53608447,"shard":[1,2],`+props+strings.Repeat(" ", 4096-87-len(props))+`}}`)
	if r := c.ready(); len(r.Guilds) != 2500 {
		t.Errorf("got %d guilds, want 2500", len(r.Guilds))
	}
	for range 118 {
		c.send(`{"op":1,"d":null}`)
		c.op(opHeartbeatAck)
	}
}

func TestQueryIsChecked(t *testing.T) {
	s := newServer(t, Options{})
	for q, want := range map[string]int{
		"v=10&encoding=json&compress=zlib-stream": 0, "encoding=json&v=10": 0,
		"v=9&encoding=json": 4012, "encoding=json": 4012, "v=10&v=10&encoding=json": 4002,
		"v=10&encoding=etf": 4002, "v=10": 4002, "v=10&encoding=json&compress=gzip": 4002, "v=10&encoding=json&compress=": 4002,
		"v=10&encoding=json&compress=zlib-stream&compress=zstd-stream": 4002,
	} {
		c, err := tryDial(t, nil, s.ResumeURL()+"/?"+q, "none")
		if err != nil {
			t.Fatal(err)
		}
		if want == 0 {
			if _, err := c.message(); err != nil {
				t.Errorf("%s: %v, want HELLO", q, err)
			}
		} else if got := c.closed(); got != want {
			t.Errorf("%s: got close %d, want %d", q, got, want)
		}
	}
	for _, r := range s.Connections() {
		if r.Host != HostResume || r.URL != s.ResumeURL()+"/?"+r.Query {
			t.Errorf("recorded %s %s, want the resume host with query %s", r.Host, r.URL, r.Query)
		}
	}
}

func TestHostileFramesEndTheConnectionOnly(t *testing.T) {
	s := newServer(t, Options{})
	for name, tc := range map[string]struct {
		raw  []byte
		want int
	}{
		"unmasked":             {[]byte{0x81, 2, '{', '}'}, 1002},
		"reserved_bit":         {[]byte{0xc1, 0x80, 0, 0, 0, 0}, 1002},
		"unknown_opcode":       {[]byte{0x83, 0x80, 0, 0, 0, 0}, 1002},
		"long_ping":            {[]byte{0x89, 0xfe, 1, 0, 0, 0, 0, 0}, 1002},
		"fragmented_ping":      {[]byte{0x09, 0x80, 0, 0, 0, 0}, 1002},
		"continuation_first":   {[]byte{0x80, 0x80, 0, 0, 0, 0}, 1002},
		"text_inside_fragment": {[]byte{0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0}, 1002},
		"binary":               {[]byte{0x82, 0x81, 0, 0, 0, 0, 'x'}, 4002},
		"huge_length":          {[]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 4002},
		"bad_close_code":       {[]byte{0x88, 0x82, 0, 0, 0, 0, 0, 1}, 1000},
		"close_without_code":   {[]byte{0x88, 0x80, 0, 0, 0, 0}, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.GatewayURL(), "none")
			c.op(opHello)
			if _, err := c.nc.Write(tc.raw); err != nil {
				t.Fatal(err)
			}
			if got := c.closed(); got != tc.want {
				t.Errorf("got close %d, want %d", got, tc.want)
			}
		})
	}
	c := dial(t, s.GatewayURL(), "none") // fragments and pings are fine
	m := []byte(`{"op":1,"d":null}`)
	_ = ws.WriteFrame(c.nc, ws.MaskFrameInPlace(ws.NewFrame(ws.OpText, false, bytes.Clone(m[:5]))))
	_ = ws.WriteFrame(c.nc, ws.MaskFrameInPlace(ws.NewPingFrame([]byte("hi"))))
	_ = ws.WriteFrame(c.nc, ws.MaskFrameInPlace(ws.NewFrame(ws.OpContinuation, true, bytes.Clone(m[5:]))))
	c.op(opHeartbeatAck)
}

func TestPingFloodIsDropped(t *testing.T) {
	s := newServer(t, Options{Guilds: -1})
	c, _ := start(t, s, "none", 0, 0, 1)
	ping := ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewPingFrame(bytes.Repeat([]byte{'x'}, 125))))
	if err := c.nc.SetWriteDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for { // reading nothing: the answers pile up until the server has enough
		if _, err := c.nc.Write(bytes.Repeat(ping, 100)); err != nil {
			break
		}
	}
	waitFor(t, "the end of the connection", func() bool { return len(s.State().Connections) == 0 })
}

func TestOtherPathsAreNotFound(t *testing.T) {
	s := newServer(t, Options{})
	for _, path := range []string{"/api/v9/gateway/bot", "/api/v10/users/@me", "/x"} {
		res, err := http.Get(strings.TrimSuffix(s.APIURL(), "/api/v10") + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, res.StatusCode)
		}
	}
}

func TestCommandsAreAnswered(t *testing.T) {
	s := newServer(t, Options{Guilds: 1})
	c, _ := start(t, s, "none", intentGuilds|1<<7, 0, 1)
	g := s.GuildIDs(0, 1)[0]
	c.send(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0,"nonce":"n1"}}`, g)
	if p := c.event("GUILD_MEMBERS_CHUNK"); !strings.Contains(string(p.D), `"nonce":"n1"`) {
		t.Errorf("got %s, want nonce n1", p.D)
	}
	c.send(`{"op":8,"d":{"guild_id":"%d","query":"","limit":0,"nonce":"n2"}}`, g)
	if p := c.event("RATE_LIMITED"); !strings.Contains(string(p.D), `"nonce":"n2"`) {
		t.Errorf("got %s, want nonce n2", p.D)
	}
	c.send(`{"op":8,"d":{"guild_id":"%d","user_ids":["99"]}}`, g)
	if p := c.event("GUILD_MEMBERS_CHUNK"); !strings.Contains(string(p.D), `"not_found":["99"]`) {
		t.Errorf("got %s, want 99 not found", p.D)
	}
	c.send(`{"op":4,"d":{"guild_id":"%d","channel_id":"5","self_mute":false,"self_deaf":true}}`, g)
	c.event("VOICE_STATE_UPDATE")
	c.event("VOICE_SERVER_UPDATE")
	c.send(`{"op":31,"d":{"guild_ids":["%d"]}}`, g)
	c.event("SOUNDBOARD_SOUNDS")
	c.send(`{"op":43,"d":{"guild_id":"%d","fields":["status"]}}`, g)
	c.event("CHANNEL_INFO")
	for range 6 {
		c.send(`{"op":3,"d":{"status":"idle"}}`)
	}
	c.send(`{"op":1,"d":null}`)
	c.op(opHeartbeatAck)
	if n := s.Counts().PresenceSpam; n != 1 {
		t.Errorf("got %d presence updates over the limit, want 1", n)
	}
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	err := Options{Rate: -1, ZstdWindow: 1000, ResumeURLForm: "x", HeartbeatGrace: 0.5}.Check()
	for _, want := range []string{"rate is -1", "zstd window is 1000", `resume URL form is "x"`, "heartbeat grace is 0.5"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if err := (Options{}).Check(); err != nil {
		t.Errorf("zero options: %v", err)
	}
}

// elapse lets time pass in a bubble, where it costs none.
func elapse(d time.Duration) { time.Sleep(d) }
