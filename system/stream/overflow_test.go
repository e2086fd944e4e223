package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"drover/messages"
)

func testSpool(t testing.TB, dir string, maxBytes int64) *Spool {
	t.Helper()
	s, err := OpenSpool(SpoolOptions{Dir: dir, MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// click is an interaction of a shard.
func click(shardID int, seq int64) *messages.Event {
	ev := event(shardID, seq)
	ev.Kind = interaction
	return ev
}

func (r *rig) publishAll(events ...*messages.Event) {
	r.t.Helper()
	for _, ev := range events {
		if err := r.Publish(context.Background(), ev); err != nil {
			r.t.Fatal(err)
		}
	}
}

// spoolEmpty waits until nothing is on disk.
func (r *rig) spoolEmpty() {
	r.t.Helper()
	waitFor(r.t, "an empty spool", func() bool { return r.spooled() == 0 })
}

func (r *rig) spooled() int { return r.Spooled().Events }

// receipts counts acknowledgements by sequence number.
type receipts struct {
	mu     sync.Mutex
	acked  map[int64]int
	stored uint64
}

func (r *receipts) Acked(_ messages.Stream, seq int64, stored uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.acked == nil {
		r.acked = map[int64]int{}
	}
	r.acked[seq]++
	r.stored = max(r.stored, stored)
}

func (r *receipts) once(t *testing.T, first, last int64) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for seq := first; seq <= last; seq++ {
		if r.acked[seq] != 1 {
			t.Fatalf("seq %d was acknowledged %d times, want once", seq, r.acked[seq])
		}
	}
}

func TestSpool_carries_an_outage_that_is_larger_than_the_window(t *testing.T) {
	const shards, last = 4, 1500
	d := startNATS(t)
	r := newRigWith(t, inFile(Options{URL: d.url(), Window: 64}), PublisherOptions{Spool: testSpool(t, t.TempDir(), 1<<30)})
	r.flood(shards, 1, 50, nil)
	r.drain()
	d.kill()
	r.flood(shards, 51, last, nil)
	for seq := range int64(300) {
		r.publishAll(click(shards, seq+1))
	}
	if got, want := r.Unacked(), shards*(last-50)+300; got != want {
		t.Errorf("got %d unacknowledged in the outage, want %d", got, want)
	}
	if r.Full() {
		t.Error("the publisher calls itself full, with room in the spool")
	}
	d.start()
	r.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, last, last, last, last); err != nil {
		t.Error(err)
	}
	clicks := stored(t, d.url(), "COMMANDS")
	for i, m := range clicks {
		if got, want := m.Header.Get(messages.HeaderSeq), "session-4:"+strconv.Itoa(i+1); got != want {
			t.Fatalf("interaction %d is %s, want %s", i, got, want)
		}
	}
	if len(clicks) != 300 {
		t.Errorf("got %d interactions, want 300", len(clicks))
	}
	r.spoolEmpty()
	r.flood(shards, last+1, last+200, nil)
	r.drain()
	if n := r.spooled(); n != 0 {
		t.Errorf("%d events went through the spool after the outage, want none", n)
	}
}

func TestSpool_outlives_the_process_and_comes_first(t *testing.T) {
	const last = 800
	dir := t.TempDir()
	d := startNATS(t)
	o := inFile(Options{URL: d.url(), Window: 32})
	r := newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	r.flood(1, 1, 10, nil)
	r.drain()
	d.kill()
	r.flood(1, 11, last, nil)
	waitFor(t, "all on disk", func() bool { return r.spooled() == last-10 })
	r.stop()

	again := newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	var acks receipts
	left := again.Adopt("session-0", &acks)[messages.Events]
	if left.Last != last || left.Left != last-10 || time.Since(left.At) > time.Minute {
		t.Fatalf("got %+v adopted, want %d events up to %d", left, last-10, last)
	}
	if other := again.Adopt("session-1", &acks); other != ([messages.Streams]messages.Spooled{}) {
		t.Errorf("got %+v of a session that the spool does not know", other)
	}
	d.start()
	again.flood(1, last+1, last+100, nil)
	again.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, last+100); err != nil {
		t.Error(err)
	}
	acks.once(t, 11, last)
	if got := again.Adopt("session-0", &acks)[messages.Events]; got.Left != 0 || got.Last != last {
		t.Errorf("got %+v after the drain, want none left of those up to %d", got, last)
	}
	if got := again.Stored()[messages.Events]; got != last+100 {
		t.Errorf("got %d as the stored mark, want %d", got, last+100)
	}
	again.spoolEmpty()
}

// A gap that is declared behind the spool's last event must not begin behind an interaction that was only in memory.
func TestSpool_takes_interactions_before_what_came_after_them(t *testing.T) {
	dir := t.TempDir()
	d := startNATS(t)
	r := newRigWith(t, inFile(Options{URL: d.url(), Window: 32}), PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	r.flood(1, 1, 10, nil)
	r.drain()
	d.kill()
	last := map[messages.Stream]int64{}
	for seq := int64(11); seq <= 400; seq++ {
		if seq%7 == 0 { // few enough for the window
			r.publishAll(click(0, seq))
			last[messages.Commands] = seq
		} else {
			r.publishAll(event(0, seq))
		}
	}
	waitFor(t, "something on disk", func() bool { return r.spooled() > 0 })
	r.stop() // at any moment
	s := testSpool(t, dir, 1<<30)
	defer s.close()
	events, clicks := s.leftovers(messages.Events)["session-0"], s.leftovers(messages.Commands)["session-0"]
	if events.last == 0 {
		t.Fatal("no event is in the spool")
	}
	if before := events.last - events.last%7; clicks.last < before && before >= 14 {
		t.Errorf("the spool has events up to %d, and interactions up to %d: that of %d is missing", events.last, clicks.last, before)
	}
}

func TestSpool_takes_what_is_unacknowledged_at_the_end(t *testing.T) {
	dir := t.TempDir()
	d := startNATS(t)
	o := inFile(Options{URL: d.url()})
	r := newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	r.flood(2, 1, 10, nil)
	r.drain()
	d.kill()
	r.flood(2, 11, 300, nil) // fits into the window
	r.publishAll(click(2, 1))
	if err := r.Spill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := r.spooled(), 2*290+1; got != want {
		t.Errorf("got %d events in the spool, want %d", got, want)
	}
	r.stop()
	d.start()
	again := newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	again.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, 300, 300); err != nil {
		t.Error(err)
	}
	if n := len(stored(t, d.url(), "COMMANDS")); n != 1 {
		t.Errorf("got %d interactions, want 1", n)
	}
}

func TestSpill_without_a_spool_says_so(t *testing.T) {
	b := connect(t, Options{Server: startEmbedded(t)})
	p := NewPublisher(b, PublisherOptions{})
	defer p.Close()
	if err := p.Spill(t.Context()); err == nil {
		t.Error("got no error")
	}
}

// Any order of outages, cuts, ends of the process and events: everything is stored, once and in order.
func TestSpool_through_random_trouble(t *testing.T) {
	const shards = 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	d := startNATS(t)
	p := startProxy(t, d.addr)
	o := inFile(Options{URL: p.url(), Window: 1 << rnd.IntN(7), AckTimeout: 300 * time.Millisecond})
	start := func() *rig { return newRigWith(t, o, PublisherOptions{Spool: testSpool(t, dir, 1<<30)}) }
	r := start()
	next, down := int64(1), false
	var done []string
	for range 25 {
		step := rnd.IntN(6)
		switch step {
		case 0:
			p.cut()
		case 1:
			if down {
				d.start()
			} else {
				d.kill()
			}
			down = !down
		case 2: // the end of the process: what it has not published or spooled, Discord would replay
			if err := r.Spill(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.stop()
			r = start()
		default:
			last := next + int64(rnd.IntN(200))
			r.flood(shards, next, last, nil)
			next = last + 1
		}
		done = append(done, fmt.Sprint(step))
	}
	if down {
		d.start()
	}
	r.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, next-1, next-1, next-1); err != nil {
		t.Errorf("%v after %v with a window of %d", err, done, o.Window)
	}
	r.spoolEmpty()
}

// A window that is full again and again while NATS is only slow. What is acknowledged while it is copied must not stay in
// the spool for ever, where it would keep the feeder from going on.
func TestSpool_of_a_slow_server_comes_to_an_end(t *testing.T) {
	d := startNATS(t)
	r := newRigWith(t, inFile(Options{URL: d.url(), Window: 256}), PublisherOptions{Spool: testSpool(t, t.TempDir(), 1<<30)})
	stop, last := make(chan struct{}), make(chan []int64)
	go func() { last <- r.flood(4, 1, 1<<30, stop) }()
	spilling := func() bool {
		r.Publisher.mu.Lock()
		defer r.Publisher.mu.Unlock()
		return r.lanes[messages.Events].spilling
	}
	for range 4 {
		waitFor(t, "events go on", func() bool { return !spilling() && r.position() > 0 })
		before := r.position()
		waitFor(t, "events go on", func() bool { return r.position() > before })
		d.signal(syscall.SIGSTOP)
		waitFor(t, "the window is full for long", spilling)
		d.signal(syscall.SIGCONT)
	}
	close(stop)
	got := <-last
	r.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, got...); err != nil {
		t.Error(err)
	}
	r.spoolEmpty()
}

// An event may be acknowledged while it is copied: then no slot knows its record, and it must go all the same.
func TestLane_needs_no_record_of_what_left_the_window_while_it_was_copied(t *testing.T) {
	l := newLane(messages.Events, Options{Window: 8, WindowBytes: 1 << 20})
	push := func(n int, record uint64) (tokens []uint64) {
		for range n {
			l.ring.push(&item{}, record)
			token, _, _ := l.ring.send(0)
			tokens = append(tokens, token)
		}
		return tokens
	}
	first := push(4, 0)
	l.loaded, l.disk = 4, 4 // copied, while they are acknowledged
	for _, token := range first {
		l.ring.ack(token, 1, new(item))
	}
	push(1, 0) // the window is never empty
	if got := l.acknowledged(); got != 4 {
		t.Errorf("got records up to %d that nobody needs, want 4", got)
	}
	fifth := push(1, 5)
	l.loaded, l.disk = 5, 9
	if got := l.acknowledged(); got != 4 {
		t.Errorf("got %d with record 5 in the window, want 4", got)
	}
	l.ring.ack(fifth[0], 2, new(item))
	if got := l.acknowledged(); got != 5 {
		t.Errorf("got %d with record 5 acknowledged, want 5", got)
	}
}
