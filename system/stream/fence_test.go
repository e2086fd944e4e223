package stream

import (
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"drover/messages"
)

// lease is a fence under the test's control.
type lease struct{ off atomic.Bool }

func (l *lease) Valid() bool { return !l.off.Load() }

// under gives events of a shard a fence.
func under(f messages.Fence, shardID int, first, last int64) (events []*messages.Event) {
	for seq := first; seq <= last; seq++ {
		ev := event(shardID, seq)
		ev.Fence = f
		events = append(events, ev)
	}
	return events
}

// seqs are the sequence numbers of a shard's events in the stream, in its order.
func seqs(t *testing.T, url string, shardID int) (found []int64) {
	t.Helper()
	for _, m := range stored(t, url, "EVENTS") {
		session, seq := "session-"+strconv.Itoa(shardID)+":", m.Header.Get(messages.HeaderSeq)
		if len(seq) > len(session) && seq[:len(session)] == session {
			n, err := strconv.ParseInt(seq[len(session):], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, n)
		}
	}
	return found
}

func wantSeqs(t *testing.T, url string, shardID int, first, last int64) {
	t.Helper()
	var want []int64
	for seq := first; seq <= last; seq++ {
		want = append(want, seq)
	}
	if got := seqs(t, url, shardID); !slices.Equal(got, want) {
		t.Errorf("shard %d: got %v stored, want %v", shardID, got, want)
	}
}

func TestFence_nothing_is_sent_while_it_is_invalid_and_everything_once_it_is_valid_again(t *testing.T) {
	d := startNATS(t)
	r := newRig(t, Options{URL: d.url()})
	var f lease
	r.publishAll(under(&f, 0, 1, 5)...)
	r.drain()
	waitFor(t, "the first replay to end", func() bool { // else that one would go on, and tell of no trouble
		r.Publisher.mu.Lock()
		defer r.Publisher.mu.Unlock()
		return !r.paused
	})
	f.off.Store(true)
	r.publishAll(under(&f, 0, 6, 10)...)
	r.publishAll(under(nil, 1, 1, 3)...) // publishing is one line: the others wait too
	waitFor(t, "publishing to pause", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.causes) > 0 })
	wantSeqs(t, d.url(), 0, 1, 5)
	f.off.Store(false)
	r.drain()
	wantSeqs(t, d.url(), 0, 1, 10)
	wantSeqs(t, d.url(), 1, 1, 3)
}

func TestAbandon_forgets_what_is_in_the_window_and_lets_the_others_go_on(t *testing.T) {
	d := startNATS(t)
	r := newRig(t, Options{URL: d.url(), Window: 16})
	var gone, stays lease
	var told receipts
	gone.off.Store(true)
	for _, ev := range under(&gone, 0, 1, 8) {
		ev.Receipt = &told
		r.publishAll(ev)
	}
	r.publishAll(under(&stays, 1, 1, 5)...)
	if got := r.Unacked(); got != 13 {
		t.Fatalf("got %d unacknowledged, want 13", got)
	}
	r.Abandon(&gone)
	r.publishAll(under(&stays, 1, 6, 30)...) // there is room again
	r.drain()
	if got := seqs(t, d.url(), 0); got != nil {
		t.Errorf("got %v stored of the pool that is gone", got)
	}
	wantSeqs(t, d.url(), 1, 1, 30)
	if len(told.acked) != 0 {
		t.Errorf("got receipts told %v of what was abandoned", told.acked)
	}
	r.Abandon(&gone) // nothing is left, and nobody minds
}

func TestAbandon_forgets_what_is_staged_and_spooled(t *testing.T) {
	d := startNATS(t)
	dir := t.TempDir()
	r := newRigWith(t, Options{URL: d.url(), Window: 4}, PublisherOptions{Spool: testSpool(t, dir, 1<<30), Fenced: true})
	var gone, stays, again lease
	r.Own([]int{0}, &gone, nil)
	r.Own([]int{1}, &stays, nil)
	r.drain()
	d.signal(syscall.SIGSTOP)
	for seq := int64(1); seq <= 40; seq++ { // both go over the disk
		r.publishAll(under(&gone, 0, seq, seq)...)
		r.publishAll(under(&stays, 1, seq, seq)...)
	}
	waitFor(t, "the spool", func() bool { return r.spooled() > 0 })
	gone.off.Store(true)
	r.Abandon(&gone)
	before := len(under(&gone, 0, 1, 40))
	r.Own([]int{0}, &again, nil) // the same session comes back, further on
	r.publishAll(under(&again, 0, 101, 110)...)
	d.signal(syscall.SIGCONT)
	r.drain()
	r.spoolEmpty()
	wantSeqs(t, d.url(), 1, 1, 40)
	got := seqs(t, d.url(), 0)
	if n := len(got); n < 10 || !slices.Equal(got[n-10:], []int64{101, 102, 103, 104, 105, 106, 107, 108, 109, 110}) {
		t.Fatalf("got %v stored, want what came back at the end", got)
	}
	if n := len(got) - 10; n > 4 || n >= before { // what was under way when NATS stopped may arrive
		t.Errorf("got %d events stored of what was abandoned, want no more than the window had sent", n)
	}
}

func TestOwn_publishes_of_an_earlier_process_only_what_is_ours_and_not_stored(t *testing.T) {
	d := startNATS(t)
	dir := t.TempDir()
	b := connect(t, Options{URL: d.url(), Window: 4})
	p := NewPublisher(b, PublisherOptions{Spool: testSpool(t, dir, 1<<30)})
	for shardID := range 3 {
		for _, ev := range under(nil, shardID, 1, 10) {
			if err := p.Publish(t.Context(), ev); err != nil { // paused: it never was replayed
				t.Fatal(err)
			}
		}
	}
	if err := p.Spill(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()

	r := newRigWith(t, Options{URL: d.url(), Window: 4}, PublisherOptions{Spool: testSpool(t, dir, 1<<30), Fenced: true})
	waitFor(t, "the connection", func() bool { return r.b.Connected() })
	var f lease
	r.Own([]int{5}, &f, nil)
	r.publishAll(under(&f, 5, 1, 3)...) // behind what nobody has claimed
	if got := len(stored(t, d.url(), "EVENTS")); got != 0 {
		t.Errorf("got %d events stored before anybody served their shards", got)
	}
	waitFor(t, "a shard that is waited for", func() bool { return slices.Equal(r.Unclaimed(), []int{0}) })
	r.Own([]int{0}, &f, map[string][messages.Streams]int64{"session-0": {7, 7}})
	r.Disown([]int{1})
	r.Own([]int{2}, &f, nil)
	r.drain()
	r.spoolEmpty()
	if got := r.Unclaimed(); len(got) != 0 {
		t.Errorf("got shards %v waited for at the end", got)
	}
	wantSeqs(t, d.url(), 0, 8, 10)
	wantSeqs(t, d.url(), 1, 1, 0)
	wantSeqs(t, d.url(), 2, 1, 10)
	wantSeqs(t, d.url(), 5, 1, 3)
}

// Nothing of a fence is sent after Abandon returned, also not what was gathered before.
func TestAbandon_leaves_nothing_gathered(t *testing.T) {
	r := newRig(t, Options{URL: startNATS(t).url()})
	waitFor(t, "an open publisher", func() bool { r.Publisher.mu.Lock(); defer r.Publisher.mu.Unlock(); return !r.paused })
	var f lease
	for _, ev := range under(&f, 0, 1, 5) {
		ev.More = true
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.Abandon(&f)
	if r.b.gate.wire.Load().pending.Load() {
		t.Error("got events that are still to be sent, want none")
	}
}
