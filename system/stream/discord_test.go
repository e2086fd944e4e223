package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

var typingStart = messages.KindOf([]byte("TYPING_START"))

// discord is one shard's session as Discord keeps it, and what a checkpoint would know of it: it outlives the process.
type discord struct {
	shard   int
	last    int64 // newest sent
	pos     int64 // up to which this process has seen it
	process *process

	mu      sync.Mutex
	acked   [messages.Streams]map[int64]bool
	dropped map[int64]bool
	twice   []int64                            // acknowledged again, or acknowledged and never told before
	spool   [messages.Streams]messages.Spooled // what the process found in the spool of it
	left    [messages.Streams]int
}

func newDiscord(shard int) *discord {
	d := &discord{shard: shard, dropped: map[int64]bool{}}
	for s := range d.acked {
		d.acked[s] = map[int64]bool{}
	}
	return d
}

func (d *discord) event(seq int64) *messages.Event {
	ev := event(d.shard, seq)
	switch {
	case seq%7 == 0:
		ev.Kind = interaction
	case seq%5 == 0:
		ev.Kind = typingStart
	}
	if d.process != nil {
		ev.Receipt = d.process
	}
	return ev
}

// process is the receipt of one process: what is acknowledged after its end nobody hears.
type process struct {
	d        *discord
	adopting bool
}

func (p *process) Acked(s messages.Stream, seq int64, stored uint64) {
	d := p.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.process != p {
		return
	}
	if p.adopting || seq <= d.spool[s].Last {
		d.left[s]--
	} else if d.acked[s][seq] {
		d.twice = append(d.twice, seq)
	}
	d.acked[s][seq] = true
	if stored == 0 {
		d.dropped[seq] = true
	}
}

// adopt is what a new process does.
func (d *discord) adopt(p *Publisher) {
	d.mu.Lock()
	d.left, d.pos, d.process = [messages.Streams]int{}, 0, &process{d, true}
	d.mu.Unlock()
	found := p.Adopt("session-"+strconv.Itoa(d.shard), d.process)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spool, d.process.adopting = found, false
	for s := range d.left {
		d.left[s] += found[s].Left // acknowledgements may have come since Adopt returned
	}
}

// send brings what the process does not have, up to the sequence number to. It returns when the process ends.
func (d *discord) send(p *Publisher, to int64) {
	for ; d.pos < to; d.pos++ {
		ev := d.event(d.pos + 1)
		d.last = max(d.last, ev.Seq)
		s := ev.Kind.Stream
		d.mu.Lock()
		known := d.acked[s][ev.Seq] || ev.Seq <= d.spool[s].Last
		d.mu.Unlock()
		if !known && p.Publish(context.Background(), ev) != nil {
			return
		}
	}
}

// judge says what is wrong with what is stored of the session.
func (d *discord) judge(msgs []*jetstream.RawStreamMsg, s messages.Stream) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var got []int64
	for _, m := range msgs {
		if text, ok := strings.CutPrefix(m.Header.Get(messages.HeaderSeq), fmt.Sprintf("session-%d:", d.shard)); ok {
			seq, _ := strconv.ParseInt(text, 10, 64)
			got = append(got, seq)
		}
	}
	var want []int64
	for seq := int64(1); seq <= d.last; seq++ {
		if d.event(seq).Kind.Stream == s && !d.dropped[seq] {
			want = append(want, seq)
		}
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Errorf("shard %d: event %d of %v is %d, want %d (%d of %d there)", d.shard, i, s, got[i], want[i], len(got), len(want))
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("shard %d: got %d of %v, want %d", d.shard, len(got), s, len(want))
	}
	if len(d.twice) > 0 || d.left[s] != 0 {
		return fmt.Errorf("shard %d: acknowledged again: %v; %d of the spool's not told", d.shard, d.twice, d.left[s])
	}
	return nil
}

// gapless says where the spool has an event and not one before it of the same session, which is not acknowledged either:
// the next process would take that for acknowledged, too.
func (d *discord) gapless(s *Spool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	held, reached := map[int64]bool{}, int64(0)
	for lane := range messages.Stream(messages.Streams) {
		for after := uint64(0); ; {
			recs, err := s.read(lane, after, 1000, 1<<30)
			if err != nil || len(recs) == 0 {
				break
			}
			for _, r := range recs {
				after = r.index
				if r.session == fmt.Sprintf("session-%d", d.shard) && !r.own {
					held[r.seq] = true
					if lane == messages.Events {
						reached = max(reached, r.seq)
					}
				}
			}
		}
	}
	for seq := int64(1); seq <= reached; seq++ {
		if !held[seq] && !d.acked[d.event(seq).Kind.Stream][seq] {
			return fmt.Errorf("shard %d: the spool reaches up to %d, and %d (%s) is nowhere", d.shard, reached, seq, d.event(seq).Kind.Name)
		}
	}
	return nil
}

// Any order of faults and kills, with interactions and a spool that may be full: what of a session is in the spool has no
// hole, and in the end all is stored, once and in order, but for what was dropped and said so.
func TestSpool_through_random_kills(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const shards = 3
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	d := startNATS(t)
	p := startProxy(t, d.addr)
	o := inFile(Options{URL: p.url(), Window: 4 << rnd.IntN(5), AckTimeout: 300 * time.Millisecond})
	size := int64(400<<10) << rnd.IntN(4)
	var sessions []*discord
	for i := range shards {
		sessions = append(sessions, newDiscord(i))
	}
	var r *rig
	start := func() {
		r = newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, size), Shed: []string{"TYPING_START"}})
		for _, s := range sessions {
			s.adopt(r.Publisher)
		}
	}
	start()
	down := false
	up := func() {
		if down {
			d.start()
			down = false
		}
		p.swallow(false)
		p.cut()
	}
	var done []string
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s; window %d, spool %d, steps %v", fmt.Sprintf(format, args...), o.Window, size, done)
	}
	die := func(spill bool) {
		if spill {
			done = append(done, fmt.Sprint("spill: ", r.Spill(t.Context())))
		}
		r.stop()
		r.b.Close()
	}
	var target int64
	for range 7 {
		target += int64(1 + rnd.IntN(400))
		kill, trouble := rnd.IntN(3) == 0, rnd.IntN(5)
		done = append(done, fmt.Sprintf("%d/%v/%d", target, kill, trouble))
		var wg sync.WaitGroup
		for _, s := range sessions {
			wg.Go(func() { s.send(r.Publisher, target) })
		}
		flown := make(chan struct{})
		go func() { wg.Wait(); close(flown) }()
		begun := time.Now()
		wait := time.Duration(rnd.IntN(400)) * time.Millisecond
		over := func() bool {
			select {
			case <-flown:
				return true
			default:
				return time.Since(begun) > wait
			}
		}
		waitFor(t, "some of it", over)
		switch trouble {
		case 0:
			p.cut()
		case 1:
			if !down {
				d.kill()
				down = true
			}
		case 2:
			p.deafen()
		case 3:
			p.swallow(true)
		case 4:
			up()
		}
		begun, wait = time.Now(), time.Duration(rnd.IntN(1500))*time.Millisecond
		waitFor(t, "more of it", over)
		if kill {
			die(false)
			<-flown
			spool := testSpool(t, dir, size)
			for _, s := range sessions {
				if err := s.gapless(spool); err != nil {
					fail("%v", err)
				}
			}
			if err := spool.close(); err != nil {
				t.Fatal(err)
			}
			start()
			continue
		}
		if begun, wait = time.Now(), 2*time.Second; !over() {
			waitFor(t, "the rest", over)
		}
		if !over() || time.Since(begun) > wait {
			up()
		}
		select {
		case <-flown:
		case <-time.After(60 * time.Second):
			fail("stuck: %+v, unacked %d", r.Spooled(), r.Unacked())
		}
		if rnd.IntN(4) == 0 {
			die(true)
			start()
		}
	}
	up()
	for _, s := range sessions {
		s.send(r.Publisher, target)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := r.Drain(ctx); err != nil {
		fail("%v (%+v)", err, r.Spooled())
	}
	waitFor(t, "an empty spool", func() bool { return r.spooled() == 0 })
	for s, name := range []string{"EVENTS", "COMMANDS"} {
		msgs := stored(t, d.url(), name)
		for _, session := range sessions {
			if err := session.judge(msgs, messages.Stream(s)); err != nil {
				fail("%v", err)
			}
		}
	}
}
