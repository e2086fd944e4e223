package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"drover/messages"
)

func TestControl_the_node_that_serves_a_shard_tells_its_history(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	answers := func(name string, shard func(context.Context, int) (messages.ShardDetail, bool, error)) {
		n := newTestNode(t, srv, name, 4)
		c, err := StartControl(ControlOptions{
			JetStream: n.js, Node: n.Node, Version: "test", Shard: shard,
			Shards: func(context.Context) ([]messages.ShardStatus, error) { return []messages.ShardStatus{{ID: 1}}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Stop)
		if err := n.js.Conn().FlushTimeout(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	_, js := srv.connect()
	o := NewOperator(js, "")
	if _, found, err := o.Shard(t.Context(), 1, 10*time.Second); found || !errors.Is(err, ErrNobody) {
		t.Errorf("without nodes: got %v, %v, want that nobody answers", found, err)
	}
	answers("before", nil) // knows nothing of the question
	answers("other", func(context.Context, int) (messages.ShardDetail, bool, error) {
		return messages.ShardDetail{}, false, nil
	})
	answers("slow", func(context.Context, int) (messages.ShardDetail, bool, error) {
		return messages.ShardDetail{}, false, errors.New("the actors do not answer")
	})
	answers("it", func(_ context.Context, id int) (messages.ShardDetail, bool, error) {
		d := messages.ShardDetail{ShardStatus: messages.ShardStatus{ID: id, Node: "it", State: messages.Ready}}
		d.History.Events = []messages.ShardEvent{{Text: "ready (resumed)", State: messages.Ready}}
		d.Series.Rate = messages.Measured{1, 2}
		return d, id == 3, nil
	})
	d, found, err := o.Shard(t.Context(), 3, 10*time.Second)
	if err != nil || !found || d.Node != "it" || len(d.History.Events) != 1 || len(d.Series.Rate) != 2 {
		t.Errorf("got %+v, %v, %v, want the shard from who serves it", d, found, err)
	}
	if _, found, err := o.Shard(t.Context(), 2, 300*time.Millisecond); found || err == nil || err.Error() != "the actors do not answer" {
		t.Errorf("a shard of nobody: got %v, %v, want the one that could not look named", found, err)
	}
}

// A node of before the question answers with a list.
func TestOperator_passes_over_nodes_that_list_their_shards(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	nc, js := srv.connect()
	sub, err := nc.SubscribeSync(controlSubject("", controlShards))
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the answers
		m, err := sub.NextMsg(10 * time.Second)
		if err == nil {
			_ = m.Respond([]byte(`[{"id":3,"node":"old"}]`))
			_ = m.Respond([]byte(`{"id":3,"node":"new","state":"ready"}`))
		}
	}()
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	d, found, err := NewOperator(js, "").Shard(t.Context(), 3, 10*time.Second)
	if err != nil || !found || d.Node != "new" {
		t.Errorf("got %+v, %v, %v, want the answer of the new one", d, found, err)
	}
}
