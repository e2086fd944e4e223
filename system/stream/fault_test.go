package stream

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// streamConfig keeps the library's name out of the tests' signatures.
type streamConfig = jetstream.StreamConfig

func setStream(t *testing.T, b *Broker, s messages.Stream, change func(*streamConfig)) {
	t.Helper()
	have, err := b.js.Stream(t.Context(), b.StreamName(s))
	if err != nil {
		t.Fatal(err)
	}
	c := have.CachedInfo().Config
	change(&c)
	if _, err := b.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func inFile(o Options) Options {
	o.Events.Storage, o.Commands.Storage = "file", "file"
	return o
}

// during runs the faults while four shards publish, and checks the stream afterwards.
func (r *rig) during(url string, faults func()) {
	r.t.Helper()
	stop, last := make(chan struct{}), make(chan []int64)
	go func() { last <- r.flood(4, 1, 1<<30, stop) }()
	faults()
	close(stop)
	got := <-last
	r.drain()
	if err := verdict(stored(r.t, url, "EVENTS"), 1, got...); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retried == 0 {
		r.t.Errorf("nothing was sent again: the fault hit nothing (troubles: %v)", r.causes)
	}
	r.t.Logf("published up to %v, %d sent again, %d troubles", got, r.retried, len(r.causes))
}

func TestFault_kill_9_of_the_server_with_file_storage_loses_and_doubles_nothing(t *testing.T) {
	d := startNATS(t)
	r := newRig(t, inFile(Options{URL: d.url()}))
	r.during(d.url(), func() {
		for range 3 {
			r.storing()
			d.kill()
			d.start()
		}
	})
}

// storing waits until events flow into the stream now.
func (r *rig) storing() {
	r.t.Helper()
	r.publishing(200)
}

// publishing waits until n more events were acknowledged.
func (r *rig) publishing(n uint64) {
	r.t.Helper()
	waitFor(r.t, "an open publisher", func() bool { r.Publisher.mu.Lock(); defer r.Publisher.mu.Unlock(); return !r.paused })
	begin := r.position()
	waitFor(r.t, "events are acknowledged", func() bool { return r.position() >= begin+n })
}

// silence waits until nothing was acknowledged for d, which is longer than the time-out.
func (r *rig) silence(d time.Duration) {
	r.t.Helper()
	last, since := r.position(), time.Now()
	waitFor(r.t, "silence", func() bool {
		if now := r.position(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > d
	})
}

func (r *rig) position() uint64 {
	r.Publisher.mu.Lock()
	defer r.Publisher.mu.Unlock()
	return r.lanes[messages.Events].ring.tail
}

func TestFault_cut_connections_lose_double_and_reorder_nothing(t *testing.T) {
	d := startNATS(t)
	p := startProxy(t, d.addr)
	r := newRig(t, inFile(Options{URL: p.url()}))
	r.during(d.url(), func() {
		for range 10 {
			r.publishing(100)
			p.cut()
		}
	})
}

func TestFault_a_black_hole_loses_doubles_and_reorders_nothing(t *testing.T) {
	d := startNATS(t)
	p := startProxy(t, d.addr)
	r := newRig(t, inFile(Options{URL: p.url(), AckTimeout: 300 * time.Millisecond}))
	r.during(d.url(), func() {
		r.storing()
		p.swallow(true)
		r.silence(500 * time.Millisecond)
		p.swallow(false)
	})
}

func TestFault_a_stopped_server_loses_doubles_and_reorders_nothing(t *testing.T) {
	d := startNATS(t)
	r := newRig(t, inFile(Options{URL: d.url(), AckTimeout: 200 * time.Millisecond}))
	r.during(d.url(), func() {
		// A busy machine may have stored all that was under way before it stops, so that nothing is left to be sent again.
		for round := 0; round < 3 || round < 12 && r.count(&r.retried) == 0; round++ {
			r.storing()
			d.signal(syscall.SIGSTOP)
			r.silence(400 * time.Millisecond)
			d.signal(syscall.SIGCONT)
		}
	})
}

func TestFault_a_memory_stream_that_died_is_made_again_and_the_unacknowledged_are_replayed(t *testing.T) {
	d := startNATS(t)
	r := newRig(t, Options{URL: d.url(), Window: 64})
	r.flood(1, 1, 10, nil)
	r.drain()
	d.kill()
	// Into the window, while there is no server.
	r.flood(1, 11, 50, nil)
	if got := r.Unacked(); got != 40 {
		t.Fatalf("got %d unacknowledged, want 40", got)
	}
	d.start()
	r.drain()
	if err := verdict(stored(t, d.url(), "EVENTS"), 11, 50); err != nil {
		t.Error(err)
	}
	if got := r.count(&r.madeAgain); got != 2 {
		t.Errorf("got %d streams reported as made again, want 2", got)
	}
}

func TestFault_a_stream_deleted_under_us_is_made_again_and_nothing_is_reordered(t *testing.T) {
	e := startEmbedded(t)
	r := newRig(t, Options{Server: e})
	r.flood(4, 1, 100, nil)
	r.drain()
	if err := r.b.js.DeleteStream(t.Context(), "EVENTS"); err != nil {
		t.Fatal(err)
	}
	r.flood(4, 101, 200, nil)
	r.drain()
	if err := verdict(stored(t, e.ClientURL(), "EVENTS"), 101, 200, 200, 200, 200); err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.causes) == 0 || !errors.Is(r.causes[0], ErrNoStream) {
		t.Errorf("got troubles %v, want %v first", r.causes, ErrNoStream)
	}
}

func TestFault_a_full_stream_with_discard_new_is_tried_until_it_takes_all_in_order(t *testing.T) {
	e := startEmbedded(t)
	const room = 20_000
	r := newRig(t, Options{Server: e, Events: StreamOptions{MaxBytes: room}})
	r.flood(1, 1, 1, nil)
	r.drain()
	setStream(t, r.b, messages.Events, func(c *streamConfig) { c.Discard = jetstream.DiscardNew })
	r.flood(1, 2, 200, nil)
	waitFor(t, "a few refused replays", func() bool { return r.count(&r.retried) >= 3 })
	var no *AckError
	r.mu.Lock()
	if len(r.causes) == 0 || !errors.As(r.causes[0], &no) {
		t.Errorf("got troubles %v, want an *AckError first", r.causes)
	}
	r.mu.Unlock()
	if r.Unacked() == 0 {
		t.Fatal("the full stream took everything")
	}
	// What a worker does: it takes events out, so that there is room for some more.
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() { drained <- r.Drain(ctx) }()
	var all []*jetstream.RawStreamMsg
	for finished := false; !finished; {
		got := stored(t, e.ClientURL(), "EVENTS")
		all = append(all, got...)
		if len(got) > 0 {
			s, err := r.b.js.Stream(t.Context(), "EVENTS")
			if err == nil {
				err = s.Purge(t.Context(), jetstream.WithPurgeSequence(got[len(got)-1].Sequence+1))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-drained:
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, stored(t, e.ClientURL(), "EVENTS")...)
			finished = true
		default:
		}
	}
	if err := verdict(all, 1, 200); err != nil {
		t.Error(err)
	}
}

func TestFault_an_absent_server_is_waited_for_and_then_gets_everything(t *testing.T) {
	d := startNATS(t)
	d.kill()
	lost := make(chan error, 1)
	b, err := Connect(t.Context(), Options{URL: d.url(), Hooks: Hooks{Lost: func(err error) { lost <- err }}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	<-lost
	if b.Connected() || b.Err() == nil {
		t.Fatalf("got connected %v, err %v, want neither to be good", b.Connected(), b.Err())
	}
	p := NewPublisher(b, PublisherOptions{})
	defer p.Close()
	if err := p.Publish(t.Context(), event(0, 1)); err != nil {
		t.Fatal(err)
	}
	d.start()
	if err := p.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := b.Err(); err != nil {
		t.Fatalf("got %v while connected, want nil", err)
	}
}
