package stream

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"drover/messages"
)

func TestSpool_full_sheds_what_may_be_shed_and_makes_the_rest_wait(t *testing.T) {
	typing := messages.KindOf([]byte("TYPING_START"))
	var mu sync.Mutex
	shed := 0
	dir := t.TempDir()
	d := startNATS(t)
	var told deliveries
	o := inFile(Options{URL: d.url(), Window: 32})
	po := func() PublisherOptions {
		return PublisherOptions{
			Spool: testSpool(t, dir, 1<<20), Shed: []string{"TYPING_START"},
			OnShed:      func(*messages.Kind, int) { mu.Lock(); defer mu.Unlock(); shed++ },
			OnDelivered: told.note,
		}
	}
	r := newRigWith(t, o, po())
	r.flood(1, 1, 10, nil)
	r.drain()
	d.kill()
	full := make(chan int64)
	go func() { // ends with the process
		seq := int64(11)
		for r.Publish(context.Background(), event(0, seq)) == nil {
			seq++
		}
		full <- seq
	}()
	waitFor(t, "a full spool", r.Full)
	var acks receipts
	for seq := int64(100_000); seq < 100_050; seq++ {
		ev := event(1, seq)
		ev.Kind, ev.Receipt = typing, &acks
		r.publishAll(ev)
	}
	acks.once(t, 100_000, 100_049)
	if mu.Lock(); shed != 50 {
		t.Errorf("got %d events shed, want 50", shed)
	}
	mu.Unlock()
	for i, one := range told.all[len(told.all)-50:] {
		if !one.Shed || one.Seq != int64(100_000+i) || one.Kind != typing || one.Subject != "events.typing.start" || one.ID == "" || one.Acked.Before(one.Read) {
			t.Fatalf("got %+v, want what was dropped", one)
		}
	}
	gap := func(r *rig) {
		t.Helper()
		r.drain()
		var gaps []string
		for _, m := range stored(t, d.url(), "EVENTS") {
			if m.Header.Get(messages.HeaderEvent) == "DROVER_SHARD_GAP" {
				gaps = append(gaps, string(m.Data))
			}
		}
		if len(gaps) != 1 {
			t.Fatalf("got gaps %v, want one", gaps)
		}
		var e Envelope
		var data messages.GapData
		if err := json.Unmarshal([]byte(gaps[0]), &e); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.ShardID != 1 || data.Reason != messages.GapShed || data.LastAckedSeq != 99_999 || data.Session != "session-" || data.To < data.From {
			t.Errorf("got gap %+v of shard %d", data, e.ShardID)
		}
	}
	t.Run("and the next process declares it too", func(t *testing.T) {
		r.stop()
		<-full
		d.start()
		again := newRigWith(t, o, po())
		gap(again)
		again.spoolEmpty()
		again.stop()
		third := newRigWith(t, o, po())
		third.flood(1, 200_000, 200_001, nil)
		gap(third) // still one
	})
}
