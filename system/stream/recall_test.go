package stream

import (
	"testing"
	"time"

	"drover/messages"
)

// What JetStream stored and never acknowledged, found again after its duplicate window has forgotten it.
func TestRecall_keeps_what_is_stored_from_being_stored_twice(t *testing.T) {
	const window = 300 * time.Millisecond
	forgetful := func(url string) Options {
		o := inFile(Options{URL: url, Window: 400, AckTimeout: 2 * time.Second})
		o.Events.Duplicates, o.Commands.Duplicates = window, window
		return o
	}
	// deafen publishes what is stored and not acknowledged, and waits until the duplicate window is over.
	deafen := func(r *rig, p *proxy, d *natsd) {
		r.flood(2, 1, 20, nil)
		r.drain()
		p.deafen()
		r.flood(2, 21, 100, nil)
		r.publishAll(click(2, 1), click(2, 2))
		waitFor(t, "stored", func() bool {
			return len(stored(t, d.url(), "EVENTS")) == 200 && len(stored(t, d.url(), "COMMANDS")) == 2
		})
		over := time.Now().Add(2 * window)
		waitFor(t, "the end of the duplicate window", func() bool { return time.Now().After(over) })
	}
	check := func(t *testing.T, d *natsd) {
		t.Helper()
		if err := verdict(stored(t, d.url(), "EVENTS"), 1, 150, 150); err != nil {
			t.Error(err)
		}
		if n := len(stored(t, d.url(), "COMMANDS")); n != 3 {
			t.Errorf("got %d interactions, want 3", n)
		}
	}
	t.Run("in the same process", func(t *testing.T) {
		d := startNATS(t)
		p := startProxy(t, d.addr)
		r := newRigWith(t, forgetful(p.url()), PublisherOptions{})
		deafen(r, p, d)
		p.cut()
		r.flood(2, 101, 150, nil)
		r.publishAll(click(2, 3))
		r.drain()
		check(t, d)
	})
	t.Run("by the next process", func(t *testing.T) {
		dir := t.TempDir()
		d := startNATS(t)
		p := startProxy(t, d.addr)
		r := newRigWith(t, forgetful(p.url()), PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
		deafen(r, p, d)
		if err := r.Spill(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.stop()
		p.cut()
		again := newRigWith(t, forgetful(p.url()), PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
		again.flood(2, 101, 150, nil)
		again.publishAll(click(2, 3))
		again.drain()
		check(t, d)
	})
}

// What JetStream stored, never acknowledged and forgot since it was too old: it cannot be read back, only counted.
func TestRecall_counts_what_has_aged_out(t *testing.T) {
	for _, company := range []bool{false, true} {
		t.Run(map[bool]string{false: "alone", true: "in company"}[company], func(t *testing.T) {
			d := startNATS(t)
			p := startProxy(t, d.addr)
			o := inFile(Options{URL: p.url(), AckTimeout: 10 * time.Second})
			o.Events.MaxAge, o.Events.Duplicates = 800*time.Millisecond, 200*time.Millisecond
			r := newRigWith(t, o, PublisherOptions{})
			r.flood(1, 1, 10, nil)
			r.drain()
			others := uint64(0)
			if company {
				if _, err := r.b.js.Publish(t.Context(), "events.of.another", nil); err != nil {
					t.Fatal(err)
				}
				others = 1
			}
			r.flood(1, 11, 20, nil)
			r.drain()
			newest := func() uint64 {
				last, err := r.b.LastSeq(t.Context(), messages.Events)
				if err != nil {
					t.Fatal(err)
				}
				return last
			}
			p.deafen()
			r.flood(1, 21, 60, nil)
			direct := connect(t, Options{URL: d.url()})
			waitFor(t, "stored, and aged out", func() bool {
				s, err := direct.js.Stream(t.Context(), "EVENTS")
				return err == nil && s.CachedInfo().State.LastSeq == 60+others && s.CachedInfo().State.Msgs == 0
			})
			p.cut()
			r.flood(1, 61, 70, nil)
			r.drain()
			want := uint64(70)
			if company { // nobody can know whose the missing ones were: better twice than never
				want = 70 + 40 + others
			}
			if got := newest(); got != want {
				t.Errorf("%d events were stored in all, want %d", got, want)
			}
		})
	}
}
