package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTooLargeAWindowRedialsWithZlib(t *testing.T) {
	o := shardOptions()
	o.Compress = "zstd-stream"
	r := newRigWith(t, o, Memory{})
	asked := func(want string) {
		t.Helper()
		if _, url := r.dial(); compressOf(url) != want {
			t.Fatalf("dialled %s, want compress=%s", url, want)
		}
	}
	asked("zstd-stream")
	r.do(r.s.Dialed(r.now))
	r.take()
	r.do(r.s.Lost(r.now, fmt.Errorf("%w: %w", ErrInflate, ErrWindow), r.seen)) // instead of HELLO
	if a, ok := find[Alarm](r.effects); !ok || !strings.Contains(a.Text, "discord.compress") {
		t.Fatalf("got alarm %v %q, want one that says what to set", ok, a.Text)
	}
	if len(r.fails) > 0 {
		t.Fatalf("got %v, want no failure", r.fails)
	}
	r.take()
	asked("zlib-stream")
	r.serve(10)
	r.lose(0) // what READY forgets and what a restart brings does not lead back
	asked("zlib-stream")
	r = newRigWith(t, o, r.s.Memory())
	asked("zlib-stream")
	if has[Alarm](r.effects) {
		t.Error("the alarm came again")
	}
}

// BenchmarkSession_step is one heartbeat with its answer, all that a serving session does in 41 s.
func BenchmarkSession_step(b *testing.B) {
	o := shardOptions()
	s := OpenSession(o, Memory{})
	now := time.Now()
	step := func(effects []Effect) {
		for _, e := range effects {
			if wake, ok := e.(Wake); ok && !wake.At.IsZero() {
				now = wake.At
			}
		}
	}
	s.Start(now)
	s.Dialed(now)
	s.Receive(now, frameOf(b, `{"op":10,"d":{"heartbeat_interval":41250}}`), Seen{})
	s.Granted(now)
	step(s.Receive(now, frameOf(b, `{"op":0,"t":"READY","s":1,"d":{"v":10,"session_id":"a","resume_gateway_url":"wss://resume.example","user":{"id":"9"},"guilds":[],"shard":[1,2]}}`), Seen{Seq: 1}))
	if s.phase != serving {
		b.Fatalf("phase %d", s.phase)
	}
	ack := frameOf(b, `{"op":11}`)
	b.ReportAllocs()
	for b.Loop() {
		step(s.Tick(now, Seen{Seq: 2, At: now}))
		s.Receive(now, ack, Seen{Seq: 2, At: now})
	}
}
