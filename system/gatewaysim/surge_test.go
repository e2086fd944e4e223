package gatewaysim

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover/system/simtime"
)

// has reads from c until it has every dispatch of its session's ledger, byte
// for byte and in order.
func (c *client) has(s *Server, session string, from int64) {
	c.t.Helper()
	for _, l := range s.Ledger() {
		if l.SessionID != session {
			continue
		}
		for _, d := range l.Dispatch {
			if d.Seq < from {
				continue
			}
			p := c.op(opDispatch)
			if p.S != d.Seq || p.T != d.T || !bytes.Equal(p.D, d.D()) {
				c.t.Fatalf("got s %d %s %.80s, want s %d %s %.80s", p.S, p.T, p.D, d.Seq, d.T, d.D())
			}
		}
		return
	}
	c.t.Fatalf("no session %s in the ledger", session)
}

// piped is bubble with a choice of the compression.
func piped(t *testing.T, o Options, f func(t *testing.T, s *Server, open func(mode string) *client)) {
	t.Helper()
	simtime.Run(t, func(t *testing.T) {
		s := New(o)
		p, err := s.StartPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f(t, s, func(mode string) *client {
			c, err := tryDial(t, p.Dial, query(s.GatewayURL(), mode), mode)
			if err != nil {
				t.Fatal(err)
			}
			c.op(opHello)
			return c
		})
	})
}

func surgeNow(t testing.TB, s *Server, events int64) SurgeReport {
	t.Helper()
	r, err := s.Surge(events)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func releaseNow(t testing.TB, s *Server) time.Time {
	t.Helper()
	at, err := s.Release()
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestSurgeIsHeldUntilItsReleaseThenEqualsTheLedger(t *testing.T) {
	for _, mode := range []string{"none", "zlib-stream", "zstd-stream"} {
		t.Run(mode, func(t *testing.T) {
			s := newServer(t, Options{Guilds: 6})
			a, ra := start(t, s, mode, intentsKnown, 0, 2)
			b, rb := start(t, s, mode, intentsKnown, 1, 2)
			for range 3 {
				a.event("GUILD_CREATE")
				b.event("GUILD_CREATE")
			}
			before := s.Counts()
			if r := surgeNow(t, s, 601); r.Sessions != 2 || r.Events != 601 || r.Bytes < 60_000 {
				t.Fatalf("got %+v, want 2 sessions and 601 events", r)
			} else if held := s.State().Sessions; held[0].Unsent != 301 || held[1].Unsent != 300 || s.Counts().Bytes != before.Bytes {
				t.Errorf("%d and %d unsent, %d bytes written, want 301, 300 and none", held[0].Unsent, held[1].Unsent, s.Counts().Bytes-before.Bytes)
			} else {
				dispatchTo(t, s, 2) // come after
				releaseNow(t, s)
				a.has(s, ra.SessionID, 5)
				b.has(s, rb.SessionID, 5)
				if n := s.Counts().Bytes - before.Bytes; n < r.Bytes || n > r.Bytes+4096 {
					t.Errorf("%d bytes written, want the %d held and a little", n, r.Bytes)
				}
			}
			waitFor(t, "the end of the surge", func() bool { _, err := s.Surge(3); return err == nil })
			releaseNow(t, s)
			if p := a.op(opDispatch); p.S != 308 {
				t.Errorf("the next surge begins at s %d, want 308", p.S)
			}
		})
	}
}

func TestSurgeThatBreaksIsResumedWhole(t *testing.T) {
	for _, mode := range []string{"none", "zlib-stream", "zstd-stream"} {
		for _, read := range []int64{-1, 350} { // -1: before the release
			t.Run(fmt.Sprint(mode, read), func(t *testing.T) {
				// A pipe has no buffer: what the client did not read was not written.
				piped(t, Options{Guilds: 3, ReplayBuffer: 20, Record: true}, func(t *testing.T, s *Server, open func(mode string) *client) {
					c := open(mode)
					c.identify(intentsKnown, 0, 1)
					r := c.ready()
					for range 3 {
						c.event("GUILD_CREATE")
					}
					surgeNow(t, s, 700)
					seq := int64(4)
					if read >= 0 {
						releaseNow(t, s)
					}
					for range read {
						seq = c.op(opDispatch).S
					}
					c.drop()
					synctest.Wait()
					if st := s.State().Sessions[0]; st.Connected || st.Oldest > seq || st.Seq != 704 {
						t.Fatalf("s %d was read, the log has %d to %d", seq, st.Oldest, st.Seq)
					}
					c = open(mode)
					c.resume(r.SessionID, seq)
					c.has(s, r.SessionID, seq+1)
					if s.Counts().Overflows != 0 {
						t.Error("the replay buffer overflowed")
					}
					dispatchTo(t, s, 1)
					c.event("TEST_EVENT")
					if st := s.State().Sessions[0]; st.Seq-st.Oldest >= 20 {
						t.Errorf("the log has %d to %d, want it trimmed to 20", st.Oldest, st.Seq)
					}
					surgeNow(t, s, 1) // nothing is left of the one that broke
				})
			})
		}
	}
}

func TestHeartbeatsPassAHeldSurgeWhereTheyCan(t *testing.T) {
	for _, mode := range []string{"none", "zlib-stream", "zstd-stream"} {
		t.Run(mode, func(t *testing.T) {
			s := newServer(t, Options{Guilds: 3})
			c, r := start(t, s, mode, intentsKnown, 0, 1)
			for range 3 {
				c.event("GUILD_CREATE")
			}
			surgeNow(t, s, 200)
			c.send(`{"op":1,"d":4}`)
			waitFor(t, "the ACK", func() bool { return s.Counts().Acks == 1 })
			if mode == "none" {
				c.op(opHeartbeatAck)
				releaseNow(t, s)
				c.has(s, r.SessionID, 5)
				return
			}
			releaseNow(t, s)
			for seq := int64(5); seq < 205; seq++ {
				if p, err := c.next(); err != nil || p.Op != opDispatch || p.S != seq {
					t.Fatalf("got op %d s %d (%v), want s %d: the ACK cannot overtake", p.Op, p.S, err, seq)
				}
			}
			c.op(opHeartbeatAck)
		})
	}
}

func TestSurgeIsRefused(t *testing.T) {
	bubble(t, Options{Guilds: 3}, func(t *testing.T, s *Server, open func() *client) {
		refused := func(err error, want string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		}
		_, err := s.Release()
		refused(err, "make a surge first")
		_, err = s.Surge(10)
		refused(err, "no session is connected")
		c := open()
		c.identify(intentGuilds, 0, 1)
		c.ready()
		for range 3 {
			c.event("GUILD_CREATE")
		}
		_, err = s.Surge(0)
		refused(err, "events is 0")
		_, err = s.Surge(3_000_000_000)
		refused(err, "want at most 4096 MiB")
		surgeNow(t, s, 100)
		_, err = s.Surge(10)
		refused(err, "release it first")
		releaseNow(t, s)
		_, err = s.Release()
		refused(err, "nothing is held")
		_, err = s.Surge(10)
		refused(err, "still being written")
		c.drop()
		synctest.Wait()
		_, err = s.Surge(10)
		refused(err, "no session is connected")
	})
}

func TestHeldEventsOfAnEndedSessionAreForNobody(t *testing.T) {
	for _, mode := range []string{"none", "zstd-stream"} {
		s := newServer(t, Options{Guilds: 3})
		c, _ := start(t, s, mode, 3, 0, 1)
		for range 3 {
			c.event("GUILD_CREATE")
		}
		surgeNow(t, s, 200)
		s.Invalidate(All, false)
		if _, err := s.Release(); err == nil {
			t.Error("released what is held for nobody")
		}
		if mode == "none" {
			c.op(opInvalidSession)
			c.identify(3, 0, 1)
			c.ready()
		} else if code := c.closed(); code != 1006 {
			t.Errorf("got %d, want 1006: the compressed stream cannot go on", code)
		}
	}
}

// BenchmarkRelease is what a held event costs once it is let go: writing it, and
// reading it here. BenchmarkSurge is what encoding it ahead costs.
func BenchmarkRelease(b *testing.B) { benchmarkSurge(b, false) }

func BenchmarkSurge(b *testing.B) { benchmarkSurge(b, true) }

func benchmarkSurge(b *testing.B, encoding bool) {
	for _, mode := range []string{"none", "zstd-stream", "zlib-stream"} {
		b.Run(mode, func(b *testing.B) {
			s := New(Options{Guilds: 50})
			if err := s.Start("127.0.0.1:0"); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			c, r := start(b, s, mode, intentsKnown, 0, 1)
			for range r.Guilds {
				c.event("GUILD_CREATE")
			}
			buf := make([]byte, 256<<10)
			b.ReportAllocs()
			b.ResetTimer()
			report := surgeNow(b, s, int64(b.N))
			if encoding {
				return
			}
			b.ResetTimer()
			releaseNow(b, s)
			for n := int64(0); n < report.Bytes; {
				m, err := c.nc.Read(buf)
				if err != nil {
					b.Fatal(err)
				}
				n += int64(m)
			}
			b.ReportMetric(float64(report.Bytes)/float64(b.N), "wire-B/event")
		})
	}
}
