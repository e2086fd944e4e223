package stream

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drover/messages"
)

// deliveries keeps what a Publisher says is worth a span.
type deliveries struct {
	mu  sync.Mutex
	all []messages.Delivery
}

func (d *deliveries) note(of messages.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = append(d.all, of)
}

func (d *deliveries) seqs() (seqs []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.all {
		seqs = append(seqs, d.all[i].Seq)
	}
	slices.Sort(seqs)
	return seqs
}

func TestDelivery_tells_of_what_is_sampled_or_slow_or_repeated(t *testing.T) {
	d := startNATS(t)
	way := startProxy(t, d.addr)
	var told deliveries
	r := newRigWith(t, Options{URL: way.url(), AckTimeout: 300 * time.Millisecond}, PublisherOptions{OnDelivered: told.note, Slow: time.Hour})
	waitFor(t, "the connection", func() bool { return r.b.Connected() })
	publish := func(seq int64, read time.Time, of *messages.Trace) {
		t.Helper()
		ev := event(0, seq)
		ev.Read, ev.Trace = read, of
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	of := &messages.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
	publish(1, time.Now(), nil)
	publish(2, time.Now(), of)
	publish(3, time.Now().Add(-2*time.Hour), nil)
	r.drain()
	if diff := cmp.Diff([]int64{2, 3}, told.seqs()); diff != "" {
		t.Fatal(diff)
	}
	for _, one := range told.all {
		if one.Sends != 1 || one.Sent.Before(one.Acked.Add(-time.Minute)) || one.Acked.Before(one.Sent) || one.Subject != "events.message.create" || one.ID == "" {
			t.Errorf("got %+v", one)
		}
	}
	if told.all[0].Trace != of || told.all[1].Trace != nil {
		t.Error("the traces are not those of the events")
	}
	way.deafen() // what is sent arrives, and no answer comes back
	publish(4, time.Now(), nil)
	waitFor(t, "the time-out", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.causes) > 0 })
	way.cut()
	r.drain()
	if diff := cmp.Diff([]int64{2, 3, 4}, told.seqs()); diff != "" {
		t.Fatal(diff)
	}
	if last := told.all[2]; last.Sends < 2 {
		t.Errorf("got %+v, want more than one send", last)
	}
}

// A worker of an event that waited out an outage on disk continues its trace as well.
func TestDelivery_keeps_the_trace_over_the_spool_and_another_process(t *testing.T) {
	e := startEmbedded(t)
	dir := t.TempDir()
	spool := newSpool(t, dir, 1<<30)
	before := newRigWith(t, Options{URL: "nats://127.0.0.1:1", Window: 16}, PublisherOptions{Spool: spool}) // nobody is there
	of := messages.Trace{TraceID: [16]byte{1, 15: 2}, SpanID: [8]byte{3, 7: 4}}
	for seq := range int64(40) {
		ev := event(0, seq+1)
		if seq == 30 {
			ev.Trace = &of
		}
		if err := before.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := before.Spill(t.Context()); err != nil {
		t.Fatal(err)
	}
	before.stop()

	var told deliveries
	r := newRigWith(t, Options{Server: e, Window: 16}, PublisherOptions{Spool: newSpool(t, dir, 1<<30), OnDelivered: told.note})
	r.drain()
	if diff := cmp.Diff([]int64{31}, told.seqs()); diff != "" {
		t.Fatal(diff)
	}
	if one := told.all[0]; *one.Trace != of || !one.Spooled {
		t.Errorf("got %+v with %v, want %v", one, one.Trace, of)
	}
	parents := map[string]int{}
	for _, m := range stored(t, e.ClientURL(), "EVENTS") {
		if parent := m.Header.Get(messages.HeaderTrace); parent != "" {
			parents[fmt.Sprint(m.Header.Get(messages.HeaderSeq), " ", parent)]++
		}
	}
	if diff := cmp.Diff(map[string]int{"session-0:31 " + string(of.AppendParent(nil)): 1}, parents); diff != "" {
		t.Error(diff)
	}
}

func TestWindows_say_how_many_credits_are_spent(t *testing.T) {
	r := newRigWith(t, Options{URL: "nats://127.0.0.1:1", Window: 8}, PublisherOptions{})
	for seq := range int64(8) {
		if err := r.Publish(t.Context(), event(0, seq+1)); err != nil {
			t.Fatal(err)
		}
	}
	full := make(chan error, 1)
	go func() { full <- r.Publish(t.Context(), event(0, 9)) }()
	waitFor(t, "somebody waits", func() bool { return r.Windows()[messages.Events].Waiting == 1 })
	w := r.Windows()
	if e, c := w[messages.Events], w[messages.Commands]; e.Stream != "events" || e.Limit != 8 || e.Used != 8 || e.Bytes == 0 || c.Stream != "commands" || c.Used != 0 {
		t.Errorf("got %+v", w)
	}
	r.stop()
	<-full
}
