package gatewaysim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
)

func TestReadyListsTheShardsGuildsThenLoadsThem(t *testing.T) {
	s := newServer(t, Options{Guilds: 7})
	c, r := start(t, s, "none", intentGuilds, 1, 3)
	if len(r.Guilds) != 2 || r.Shard != [2]int{1, 3} || r.Resume != s.ResumeURL() {
		t.Fatalf("got READY %+v, want 2 guilds of shard [1,3] and %s", r, s.ResumeURL())
	}
	for i, g := range r.Guilds {
		p := c.event("GUILD_CREATE")
		if id, _ := strconv.ParseUint(g.ID, 10, 64); shardOf(id, 3) != 1 || !g.Unavailable {
			t.Errorf("guild %s of READY: shard %d, unavailable %v", g.ID, shardOf(id, 3), g.Unavailable)
		}
		var d struct{ ID string }
		if err := json.Unmarshal(p.D, &d); err != nil || d.ID != g.ID || p.S != int64(i+2) {
			t.Errorf("got guild %s at s %d (%v), want %s at %d", d.ID, p.S, err, g.ID, i+2)
		}
	}
}

func TestWithoutGuildsIntentNoGuildIsShown(t *testing.T) {
	s := newServer(t, Options{Guilds: 5, Rate: 2000})
	c, r := start(t, s, "none", intentGuildMembers, 0, 1)
	if len(r.Guilds) != 0 {
		t.Errorf("got %d guilds in READY, want none", len(r.Guilds))
	}
	for range 300 {
		p, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		switch p.T {
		case "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE", "INTERACTION_CREATE":
		default:
			t.Fatalf("got %s, which the intents do not allow", p.T)
		}
	}
}

func TestEveryDispatchIsInTheLedgerByteForByte(t *testing.T) {
	s := newServer(t, Options{Guilds: 20, Rate: 20000, Events: 3000})
	c, _ := start(t, s, "none", intentsKnown, 0, 1)
	got := map[int64]payload{}
	for len(got) < 3000+20 {
		p, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		got[p.S] = p
	}
	bytesOfTraffic, n := 0, 0
	for _, d := range s.Ledger()[0].Dispatch {
		if d.T == "READY" {
			continue
		}
		p, ok := got[d.Seq]
		if !ok || p.T != d.T || !bytes.Equal(p.D, d.D()) {
			t.Fatalf("seq %d: got %s %.80s, want %s %.80s", d.Seq, p.T, p.D, d.T, d.D())
		}
		if d.Traffic {
			bytesOfTraffic += len(p.raw)
			n++
		}
	}
	mean := bytesOfTraffic / n
	t.Logf("mean size %d bytes", mean)
	if mean < 1200 || mean > 1600 {
		t.Errorf("mean size of traffic is %d bytes, want about 1400", mean)
	}
}

func TestGatewayBotNeedsTheToken(t *testing.T) {
	s := newServer(t, Options{Token: "right", Shards: 3})
	for _, c := range []struct {
		auth string
		want int
	}{{"Bot right", 200}, {"Bot wrong", 401}, {"right", 401}, {"", 401}} {
		for _, u := range []string{s.APIURL(), s.APIURL()[:len(s.APIURL())-len("/api/v10")]} {
			req, _ := http.NewRequest(http.MethodGet, u+"/gateway/bot", nil)
			req.Header.Set("Authorization", c.auth)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var body struct {
				URL    string
				Shards int
				Limit  Budget `json:"session_start_limit"`
			}
			err = json.NewDecoder(res.Body).Decode(&body)
			res.Body.Close()
			if err != nil || res.StatusCode != c.want {
				t.Fatalf("%q at %s: got %d (%v), want %d", c.auth, u, res.StatusCode, err, c.want)
			}
			if want := (Budget{1000, 1000, 0, 16}); c.want == 200 && (body.URL != s.GatewayURL() || body.Shards != 3 || body.Limit != want) {
				t.Errorf("got %+v, want url %s, 3 shards, %+v", body, s.GatewayURL(), want)
			}
		}
	}
}
