package stream

import (
	"testing"
	"time"

	"drover/messages"
)

// staged puts events on the way to the disk, all in one instant.
func (r *rig) stageAll(events ...*messages.Event) {
	r.sendLock.Lock()
	defer r.sendLock.Unlock()
	r.Publisher.mu.Lock()
	defer r.Publisher.mu.Unlock()
	r.spill()
	for _, ev := range events {
		it := item{
			kind: ev.Kind, shardID: ev.ShardID, session: ev.Session, seq: ev.Seq, read: ev.Read, id: ev.EventID(),
			data: len(ev.Data), body: newBuffer(1024), taken: r.clock(),
		}
		it.body.b = ev.AppendEnvelope(it.body.b, it.id)
		it.bytes = len(it.body.b)
		r.stage(r.lanes[ev.Kind.Stream], &it)
	}
}

// Events that went past the disk, since it was empty and the window had room, must be on it before any that came later.
func TestSpool_has_what_went_past_it_before_what_comes_behind(t *testing.T) {
	for _, kind := range []*messages.Kind{messageCreate, interaction} {
		t.Run(kind.Name, func(t *testing.T) {
			dir := t.TempDir()
			d := startNATS(t)
			p := startProxy(t, d.addr)
			r := newRigWith(t, inFile(Options{URL: p.url(), Window: 8}), PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
			r.flood(1, 1, 1, nil)
			r.drain()
			p.deafen()
			first := event(0, 2)
			first.Kind = kind
			events := []*messages.Event{first}
			for seq := int64(3); seq <= 20; seq++ {
				events = append(events, event(0, seq))
			}
			r.stageAll(events...)
			waitFor(t, "something on disk", func() bool { return r.spooled() > 0 })
			r.stop() // at any moment
			s := testSpool(t, dir, 1<<30)
			defer s.close()
			if got := s.leftovers(kind.Stream)["session-0"].first; got != 2 {
				t.Errorf("the spool begins with %d, and 2 is nowhere", got)
			}
		})
	}
}

// Who else publishes may have begun after our last acknowledgement: then what has aged out was not ours.
func TestRecall_does_not_take_the_events_of_another_for_its_own(t *testing.T) {
	d := startNATS(t)
	p := startProxy(t, d.addr)
	o := inFile(Options{URL: p.url(), AckTimeout: 10 * time.Second})
	o.Events.MaxAge, o.Events.Duplicates = 800*time.Millisecond, 200*time.Millisecond
	r := newRigWith(t, o, PublisherOptions{})
	r.flood(1, 1, 10, nil)
	r.drain()
	p.swallow(true)
	r.flood(1, 11, 20, nil) // never arrives
	other := connect(t, Options{URL: d.url()})
	publish := func(n int) {
		for range n {
			if _, err := other.js.Publish(t.Context(), "events.of.another", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(5)
	waitFor(t, "aged out", func() bool {
		s, err := other.js.Stream(t.Context(), "EVENTS")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	publish(1)
	p.swallow(false)
	p.cut()
	r.drain()
	if got, err := other.LastSeq(t.Context(), messages.Events); err != nil || got != 10+5+1+10 {
		t.Errorf("%d events were stored in all, want 26 (%v)", got, err)
	}
}

func TestClose_leaves_nothing_in_the_spool_that_is_acknowledged(t *testing.T) {
	dir := t.TempDir()
	d := startNATS(t)
	r := newRigWith(t, inFile(Options{URL: d.url(), Window: 64}), PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	r.flood(1, 1, 1, nil)
	r.drain()
	d.kill()
	r.flood(1, 2, 500, nil)
	waitFor(t, "something on disk", func() bool { return r.spooled() > 0 })
	d.start()
	r.drain()
	r.stop()
	s := testSpool(t, dir, 1<<30)
	defer s.close()
	if _, n, _ := s.stats(); n != 0 {
		t.Errorf("%d acknowledged events are left", n)
	}
}

// The spool may have room again between the decision to drop and the drop.
func TestShed_is_declared_where_the_spool_has_room_again_already(t *testing.T) {
	d := startNATS(t)
	r := newRigWith(t, inFile(Options{URL: d.url()}), PublisherOptions{Spool: testSpool(t, t.TempDir(), 1<<30), Shed: []string{"TYPING_START"}})
	ev := event(0, 7)
	ev.Kind = messages.KindOf([]byte("TYPING_START"))
	if !r.drop(ev) {
		t.Fatal("not dropped")
	}
	r.drain()
	msgs := stored(t, d.url(), "EVENTS")
	if len(msgs) != 1 || msgs[0].Header.Get(messages.HeaderEvent) != "DROVER_SHARD_GAP" {
		t.Errorf("got %d events, want the gap", len(msgs))
	}
}
