package gatewaysim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"drover/system/simtime"
)

func TestTrafficKeepsItsRateWithAnyIntents(t *testing.T) {
	for _, intents := range []uint64{0, 3, intentsKnown} {
		t.Run(fmt.Sprint(intents), func(t *testing.T) {
			bubble(t, Options{Guilds: 30, Rate: 200}, func(t *testing.T, s *Server, open func() *client) {
				for shard := range 3 {
					c := open()
					c.identify(intents, shard, 3)
					c.ready()
					go func() { // ends with the server
						for {
							if _, err := c.message(); err != nil {
								return
							}
						}
					}()
				}
				before, from := s.Counts().TrafficMade, time.Now()
				elapse(30 * time.Second)
				got := float64(s.Counts().TrafficMade-before) / time.Since(from).Seconds()
				if math.Abs(got-200) > 2 {
					t.Errorf("got %.1f events per second, want 200", got)
				}
				s.SetRate(0)
				synctest.Wait()
				before = s.Counts().TrafficMade
				elapse(time.Minute)
				if n := s.Counts().TrafficMade - before; n != 0 {
					t.Errorf("%d events at rate 0", n)
				}
			})
		})
	}
}

func TestTrafficIsPacedByTheMillisecond(t *testing.T) {
	bubble(t, Options{Guilds: 3, Rate: 10_000}, func(t *testing.T, s *Server, open func() *client) {
		c := open()
		c.identify(intentsKnown, 0, 1)
		c.ready()
		c.drop()                                   // events go on into the replay buffer
		elapse(time.Second + 500*time.Microsecond) // between two steps
		for range 100 {
			before := s.Counts().TrafficMade
			elapse(time.Millisecond)
			synctest.Wait()
			if n := s.Counts().TrafficMade - before; n < 8 || n > 12 {
				t.Fatalf("%d events in a millisecond, want 10", n)
			}
		}
	})
}

func TestTrafficHasTheRealisticMix(t *testing.T) {
	s := newServer(t, Options{Guilds: 10, Rate: 1e6, Events: 20000, ReplayBuffer: 40000})
	c, _ := start(t, s, "none", intentsKnown, 0, 1)
	c.drop() // events go on into the replay buffer
	<-s.TrafficDone()
	n := map[string]float64{}
	for _, d := range s.Ledger()[0].Dispatch {
		if d.Traffic {
			n[d.T] += 100.0 / 20000
			if !json.Valid(d.D()) {
				t.Fatalf("%s is not JSON: %s", d.T, d.D())
			}
		}
	}
	for _, want := range []struct {
		share float64
		types []string
	}{
		{44, []string{"MESSAGE_CREATE"}},
		{40, []string{"GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE"}},
		{14, []string{"INTERACTION_CREATE"}},
		{1, []string{"GUILD_CREATE", "GUILD_UPDATE", "GUILD_ROLE_UPDATE", "CHANNEL_UPDATE"}},
	} {
		got := 0.0
		for _, name := range want.types {
			got += n[name]
		}
		if math.Abs(got-want.share) > 2 {
			t.Errorf("%v: got %.1f %%, want about %.0f %%", want.types, got, want.share)
		}
	}
}

func TestEventsOfAGuildGoToEverySessionThatOwnsIt(t *testing.T) {
	s := newServer(t, Options{Guilds: 8, Rate: 3000, Events: 400})
	s.SetRate(0)
	one, _ := start(t, s, "none", 3, 0, 1)
	half, _ := start(t, s, "none", 3, 1, 2)
	twin, _ := start(t, s, "none", 3, 1, 2)
	for _, c := range []*client{one, half, twin} {
		c.drop()
	}
	waitFor(t, "the loss", disconnected(s))
	s.SetRate(3000)
	<-s.TrafficDone()
	var lists [3]map[string]bool
	for i, l := range s.Ledger() {
		lists[i] = map[string]bool{}
		for _, d := range l.Dispatch {
			if !d.Traffic {
				continue
			}
			lists[i][string(d.D())] = true
			if g := s.world.guildID(d.event.guild); !kinds[d.event.kind].direct && shardOf(g, l.Shards) != l.ShardID {
				t.Fatalf("shard %d of %d got guild %d", l.ShardID, l.Shards, g)
			}
		}
	}
	for d := range lists[1] {
		if !lists[0][d] || !lists[2][d] {
			t.Fatal("an event came to one session only")
		}
	}
	if len(lists[1]) < 100 || len(lists[0]) <= len(lists[1]) {
		t.Errorf("got %d, %d and %d events, want all, half, half", len(lists[0]), len(lists[1]), len(lists[2]))
	}
}

func TestASlowClientHoldsTrafficBackAndLosesNothing(t *testing.T) {
	s := newServer(t, Options{Guilds: 10, Rate: 1e6, Events: 10000})
	c, _ := start(t, s, "none", intentsKnown, 0, 1)
	waitFor(t, "back-pressure", func() bool { return s.Counts().TrafficHeldBack > 1000 })
	seq := int64(1)
	for seq < 10011 {
		p, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if p.Op == opDispatch {
			if seq++; p.S != seq {
				t.Fatalf("got s %d, want %d", p.S, seq)
			}
		}
	}
}

func TestGuildsAreSpreadOverShardsAndFound(t *testing.T) {
	w := newWorld(7, 1000)
	for _, n := range []int{1, 3, 7, 16, 25, 64, 999} {
		seen := 0
		for shard := range n {
			for _, g := range w.slice(shard, n) {
				id := w.guildID(g)
				if back, ok := w.indexOf(id); shardOf(id, n) != shard || !ok || back != g {
					t.Fatalf("guild %d: shard %d of %d, index %d %v", g, shardOf(id, n), n, back, ok)
				}
				seen++
			}
		}
		if seen != 1000 {
			t.Errorf("%d shards hold %d guilds, want 1000", n, seen)
		}
	}
	for _, n := range []int{2, 16, 25} {
		if shardOf(w.guildID(0), n) != 0 {
			t.Errorf("guild 0 is not on shard 0 of %d", n)
		}
	}
}

func TestGuildsLoadOverTheirSpread(t *testing.T) {
	bubble(t, Options{Guilds: 11, GuildSpread: 10 * time.Second}, func(t *testing.T, s *Server, open func() *client) {
		c := open()
		c.identify(intentGuilds, 0, 1)
		c.ready()
		from := time.Now()
		for range 11 {
			c.event("GUILD_CREATE")
		}
		if took := time.Since(from); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("loading took %v, want about 10 s", took)
		}
	})
}

func TestGuildSizesLieBetweenTheirBounds(t *testing.T) {
	bounds := [2]int{5_000, 60_000}
	w, again := newWorld(7, 300), newWorld(7, 300)
	w.guildBytes, again.guildBytes = bounds, bounds
	for _, flags := range []eventFlags{0, presences} {
		large := 0
		for g := range uint32(300) {
			e := event{kind: kindGuildCreate, guild: g, seed: mix(7, uint64(g)), flags: flags}
			d := appendData(nil, w, &e)
			if len(d) < bounds[0]-500 || len(d) > bounds[1]+500 || !json.Valid(d) || !bytes.Equal(d, appendData(nil, again, &e)) {
				t.Fatalf("guild %d has %d bytes: %.80s", g, len(d), d)
			}
			if len(d) > (bounds[0]+bounds[1])/2 {
				large++
			}
		}
		if large < 120 || large > 180 {
			t.Errorf("%d of 300 guilds are larger than the mean, want half", large)
		}
	}
}

func TestAThousandSessionsFitInOneServer(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		s := New(Options{Shards: 1000, Guilds: 2000, MaxConcurrency: 1000, Rate: 500})
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for shard := range 1000 {
			c, err := tryDial(t, p.Dial, query(s.GatewayURL(), "none"), "none")
			if err != nil {
				t.Fatal(err)
			}
			go func() { // ends with the server
				c.identify(3, shard, 1000)
				for {
					if _, err := c.message(); err != nil {
						return
					}
				}
			}()
		}
		elapse(10 * time.Second)
		s.SetRate(0)
		synctest.Wait()
		st := s.State()
		ready := 0
		for _, ses := range st.Sessions {
			if ses.Connected && ses.Ready && ses.Guilds == 2 && ses.Unsent == 0 {
				ready++
			}
		}
		if ready != 1000 || st.Counts.TrafficMade < 4500 {
			t.Errorf("got %d ready sessions and %d events, want 1000 and about 5000", ready, st.Counts.TrafficMade)
		}
	})
}

// BenchmarkTraffic is what one connection can be given per second.
func BenchmarkTraffic(b *testing.B) {
	for _, mode := range []string{"none", "zstd-stream", "zlib-stream"} {
		b.Run(mode, func(b *testing.B) {
			s := New(Options{Guilds: 50, Rate: 1e7})
			if err := s.Start("127.0.0.1:0"); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c, _ := start(b, s, mode, intentsKnown, 0, 1)
			buf := make([]byte, 256<<10)
			b.ResetTimer()
			from := s.Counts()
			for s.Counts().Dispatches-from.Dispatches < int64(b.N) {
				if _, err := c.nc.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(s.Counts().Bytes-from.Bytes)/float64(b.N), "wire-B/event")
		})
	}
}

func BenchmarkRender(b *testing.B) {
	w := newWorld(1, 10)
	m := newMix(intentsKnown, true, true)
	var buf []byte
	for i := range b.N {
		e := event{kind: m.draw(mix(1, uint64(i))), seed: mix(2, uint64(i)), at: 1_780_000_000_000, seq: int64(i)}
		buf = appendDispatch(buf[:0], w, &e)
	}
}

func TestSmoothTrafficMakesWhatItWasAskedFor(t *testing.T) {
	s := newServer(t, Options{Rate: 20_000, Events: 500, Smooth: true})
	c, _ := start(t, s, "none", intentsKnown, 0, 1)
	go func() { // ends with the server
		for {
			if _, err := c.message(); err != nil {
				return
			}
		}
	}()
	select {
	case <-s.TrafficDone():
	case <-time.After(time.Minute):
		t.Fatal("no end of 500 events in a minute")
	}
	if n := s.Counts().TrafficMade; n != 500 {
		t.Errorf("got %d events, want 500", n)
	}
}
