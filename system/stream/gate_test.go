package stream

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestGate_never_lets_a_sender_of_an_old_connection_meet_a_new_one(t *testing.T) {
	var g gate
	var current atomic.Uint64 // the newest dial that succeeded
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				epoch := g.epoch.Load()
				if !g.enter(epoch) {
					continue
				}
				if now := current.Load(); now > epoch {
					t.Errorf("inside with epoch %d while connection %d is up", epoch, now)
				}
				g.leave()
			}
		})
	}
	for dials := 0; dials < 1000; {
		if g.dialing() == nil {
			current.Store(g.epoch.Load())
			dials++
		}
	}
	close(stop)
	wg.Wait()
}

func TestPublish_sends_nothing_on_another_connection_before_Replay(t *testing.T) {
	d := startNATS(t)
	p := startProxy(t, d.addr)
	b := connect(t, inFile(Options{URL: p.url()}))
	troubles := make(chan error, 10)
	pub := NewPublisher(b, PublisherOptions{OnTrouble: func(err error) { troubles <- err }})
	defer pub.Close()
	if err := pub.Publish(t.Context(), event(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := pub.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.cut()
	waitFor(t, "the connection is lost", func() bool { return !b.Connected() })
	if err := b.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	for seq := int64(2); seq <= 3; seq++ { // nobody has called Pause
		if err := pub.Publish(t.Context(), event(0, seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-troubles; !errors.Is(err, errReconnected) {
		t.Errorf("got %v, want %v", err, errReconnected)
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, 1); err != nil {
		t.Errorf("before Replay: %v", err)
	}
	if err := pub.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pub.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := verdict(stored(t, d.url(), "EVENTS"), 1, 3); err != nil {
		t.Errorf("after Replay: %v", err)
	}
	if len(troubles) != 0 {
		t.Errorf("got trouble %v, want it told once", <-troubles)
	}
}

func TestPause_holds_events_back_and_Replay_sends_only_those(t *testing.T) {
	e := startEmbedded(t)
	retried := 0
	b := connect(t, Options{Server: e})
	p := NewPublisher(b, PublisherOptions{OnRetry: func(n int, _ error) { retried += n }})
	defer p.Close()
	for seq := int64(1); seq <= 3; seq++ {
		p.Pause()
		if err := p.Publish(t.Context(), event(0, seq)); err != nil {
			t.Fatal(err)
		}
		if got := p.Unacked(); got == 0 || p.OldestUnacked() <= 0 {
			t.Errorf("got %d unacknowledged, the oldest for %v, want some", got, p.OldestUnacked())
		}
		if err := p.Replay(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := verdict(stored(t, e.ClientURL(), "EVENTS"), 1, 3); err != nil {
		t.Error(err)
	}
	if retried != 0 || p.OldestUnacked() != 0 {
		t.Errorf("got %d sent again, the oldest for %v, want 0 and 0", retried, p.OldestUnacked())
	}
}

func TestDelay_grows_to_2_s_and_stays_there(t *testing.T) {
	for attempt := -1; attempt < 80; attempt++ {
		want := min(50*time.Millisecond<<min(max(attempt, 0), 10), 2*time.Second)
		if got := delay(attempt); got < want/2 || got > want {
			t.Errorf("attempt %d: got %v, want %v to %v", attempt, got, want/2, want)
		}
	}
}
