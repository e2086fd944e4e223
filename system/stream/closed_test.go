package stream

import (
	"strings"
	"testing"
	"time"
)

// A server that takes what we say for nonsense ends the connection, and nats.go does not come back by itself.
func TestHooks_Closed_is_told_when_the_connection_is_gone_for_good_and_not_after_Close(t *testing.T) {
	d := startNATS(t)
	for name, ends := range map[string]struct {
		end  func(b *Broker) error
		told bool
	}{
		"by the server": {func(b *Broker) error { return b.JetStream().Conn().Publish(strings.Repeat("x", 8<<10), nil) }, true},
		"by us":         {func(b *Broker) error { b.Close(); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan error, 2)
			b := connect(t, Options{URL: "nats://" + d.addr, Hooks: Hooks{Closed: func(err error) { told <- err }}})
			if err := b.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			nc := b.JetStream().Conn()
			if err := ends.end(b); err != nil {
				t.Fatal(err)
			}
			if ends.told {
				select {
				case err := <-told:
					if text := err.Error(); !strings.Contains(text, "closed for good") || !strings.Contains(text, "control line") {
						t.Errorf("got %q, want what the server said", text)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("nobody was told")
				}
				return
			}
			if b.Close(); !nc.IsClosed() || len(told) > 0 {
				t.Errorf("got closed %v and %d words of it, want none: it was a wish", nc.IsClosed(), len(told))
			}
		})
	}
}
