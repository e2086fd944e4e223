package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
	"drover/system/stream"
)

// The worker of docs/events.md begins here.

// Event is drover's envelope, as far as this worker reads it.
type Event struct {
	ID      string          `json:"event_id"`
	Type    string          `json:"event_type"`
	GuildID *string         `json:"guild_id"`
	UserID  *string         `json:"user_id"`
	Data    json.RawMessage `json:"data"` // Discord's d
}

// work hands every member event to handle, one at a time. Processes that use the same durable name
// share the events among them.
func work(ctx context.Context, url string, handle func(Event) error) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, "EVENTS", jetstream.ConsumerConfig{
		Durable:       "my-worker",
		FilterSubject: "events.member.>",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       30 * time.Second, // then it is delivered again
	})
	if err != nil {
		return err
	}
	msgs, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer msgs.Stop()
	for {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		var e Event
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			_ = m.Term() // it will never be an envelope
			continue
		}
		if err := handle(e); err != nil {
			_ = m.NakWithDelay(time.Second)
			continue
		}
		_ = m.Ack()
	}
}

// The worker of docs/events.md ends here.

func Example_worker() {
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	server, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Shutdown()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	publish(ctx, server)

	err = work(ctx, server.ClientURL(), func(e Event) error {
		fmt.Println(e.Type, *e.GuildID, *e.UserID, string(e.Data))
		cancel()
		return nil
	})
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// member.leave 700000000000000010 800000000000000003 {"guild_id":"700000000000000010","user":{"id":"800000000000000003"}}
	// true
}

// publish does what a node does: connect, make the streams, publish one event.
func publish(ctx context.Context, server *stream.Embedded) {
	broker, err := stream.Connect(ctx, stream.Options{Server: server})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	publisher := stream.NewPublisher(broker, stream.PublisherOptions{})
	defer publisher.Close()
	err = errors.Join(publisher.Replay(ctx), publisher.Publish(ctx, &messages.Event{
		Kind: messages.KindOf([]byte("GUILD_MEMBER_REMOVE")), Session: "3f0c9a1e77", Seq: 31, Read: time.Now(),
		GuildID: []byte("700000000000000010"), UserID: []byte("800000000000000003"),
		Data: []byte(`{"guild_id":"700000000000000010","user":{"id":"800000000000000003"}}`),
	}), publisher.Drain(ctx))
	if err != nil {
		fmt.Println(err)
	}
}

func TestDocs_show_the_worker_that_compiles(t *testing.T) {
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, worker, _ := strings.Cut(string(code), "// The worker of docs/events.md begins here.\n\n")
	worker, _, found := strings.Cut(worker, "\n// The worker of docs/events.md ends here.")
	if !found {
		t.Fatal("the marks around the worker are gone")
	}
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), worker) {
		t.Error("docs/events.md does not have the worker as it stands here")
	}
}
