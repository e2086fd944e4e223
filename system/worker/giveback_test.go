package worker

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestGiveBack_returns_what_has_come_and_nobody_took(t *testing.T) {
	r := newRig(t)
	for _, e := range traffic(seeded(t), 20, 3, 5) {
		r.publish(e)
	}
	r.stored()
	cons, err := r.broker.JetStream().CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{
		Durable: "fickle", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 10 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := msgs.Next(); err != nil { // which is in hand, and not given back
		t.Fatal(err)
	}
	waitFor(t, "all of them to have come", func() bool {
		info, err := cons.Info(t.Context())
		return err == nil && info.NumAckPending == 20
	})
	giveBack(msgs)
	again, err := cons.Fetch(20, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for m := range again.Messages() {
		if meta, err := m.Metadata(); err != nil || meta.NumDelivered != 2 {
			t.Errorf("got %+v, %v, want a second delivery", meta, err)
		}
		n++
	}
	if n != 19 {
		t.Errorf("%d came again, want 19", n)
	}
}
