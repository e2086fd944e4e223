package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"drover/messages"
)

// publishAll publishes events of the kinds, one sequence number after the other from 1, shard = seq % 2.
func publishAll(t *testing.T, r *rig, first int64, kinds ...*messages.Kind) {
	t.Helper()
	for i, k := range kinds {
		ev := event(int(first+int64(i))%2, first+int64(i))
		ev.Kind = k
		if k == memberJoin {
			ev.GuildID = []byte("7")
		}
		if err := r.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	r.drain()
}

// follow collects until n messages came, and returns "type seq" of each.
func follow(t *testing.T, b *Broker, o FollowOptions, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	err := b.Follow(ctx, o, func(m Message) error {
		if m.Err != nil {
			t.Error(m.Err)
		}
		got = append(got, m.Envelope.Type+" "+m.Seq)
		if len(got) == n {
			return errStop
		}
		return nil
	})
	if !errors.Is(err, errStop) {
		t.Errorf("got %v after %v, want %v", err, got, errStop)
	}
	slices.Sort(got) // two streams have no common order
	return got
}

func TestFollow_delivers_what_matches(t *testing.T) {
	e := startEmbedded(t)
	r := newRig(t, Options{Server: e, Prefix: "p"})
	publishAll(t, r, 1, messageCreate, memberJoin, interaction, messageCreate)
	one := 1
	for _, c := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"all", Filter{}, []string{"interaction.create session-1:3", "member.join session-0:2", "message.create session-0:4", "message.create session-1:1"}},
		{"a type", Filter{Types: []string{"member.join"}}, []string{"member.join session-0:2"}},
		{"a pattern", Filter{Types: []string{"m*"}}, []string{"member.join session-0:2", "message.create session-0:4", "message.create session-1:1"}},
		{"patterns that overlap", Filter{Types: []string{"member.*", "member.join", "interaction.*"}}, []string{"interaction.create session-1:3", "member.join session-0:2"}},
		{"a shard", Filter{ShardID: &one}, []string{"interaction.create session-1:3", "message.create session-1:1"}},
		{"a guild", Filter{GuildID: "7"}, []string{"member.join session-0:2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := follow(t, r.b, FollowOptions{Filter: c.filter, All: true}, len(c.want)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	t.Run("since", func(t *testing.T) {
		if got := follow(t, r.b, FollowOptions{Since: time.Hour}, 4); len(got) != 4 {
			t.Errorf("got %v, want 4 messages", got)
		}
	})
	t.Run("not a type that is none", func(t *testing.T) {
		if err := r.b.Follow(t.Context(), FollowOptions{Filter: Filter{Types: []string{"events.>"}}}, nil); err == nil {
			t.Error("got no error")
		}
	})
}

func TestFollow_waits_for_streams_and_goes_on_when_they_are_made_again(t *testing.T) {
	d := startNATS(t)
	b := connect(t, Options{URL: d.url()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := make(chan string, 10)
	var mu sync.Mutex
	var got []string
	done := make(chan error, 1)
	go func() {
		done <- b.Follow(ctx, FollowOptions{Waiting: func(s string) { waiting <- s }}, func(m Message) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprintf("%s %s %s %d %d", m.Envelope.ID, m.Seq, m.Subject, m.StreamSeq, m.Stream))
			if m.Received.Before(m.Stored) || m.ID != m.Envelope.ID || m.Event != "MESSAGE_CREATE" {
				t.Errorf("got %+v, want times and headers in order", m)
			}
			return nil
		})
	}()
	if a, b := <-waiting, <-waiting; a == b {
		t.Errorf("got %s twice, want both streams", a)
	}
	has := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == n }
	}
	r := newRig(t, Options{URL: d.url()})
	publishAll(t, r, 1, messageCreate, messageCreate)
	waitFor(t, "2 messages", has(2))
	d.kill() // and with it the streams, which are in memory
	d.start()
	publishAll(t, r, 3, messageCreate)
	waitFor(t, "the third message", has(3))
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	want := fmt.Sprintf("%s session-1:3 events.message.create 1 0", event(1, 3).EventID())
	if got[2] != want {
		t.Errorf("got %s, want %s", got[2], want)
	}
}

func TestRedactTokens(t *testing.T) {
	for _, c := range []struct{ name, raw, want string }{
		{"both keys", `{"interaction_token":"abc","data":{"id":"1","token":"abc\"d","x":"token"}}`, `{"interaction_token":"***","data":{"id":"1","token":"***","x":"token"}}`},
		{"spaces", "{\"token\" :\n \"abc\" }", "{\"token\" :\n \"***\" }"},
		{"an escaped key", `{"tok\u0065n":"abc"}`, `{"tok\u0065n":"***"}`},
		{"in an array", `[{"token":"abc"},"token","abc"]`, `[{"token":"***"},"token","abc"]`},
		{"no string", `{"token":null,"x":"abc"}`, `{"token":null,"x":"abc"}`},
		{"an object below the key", `{"token":{"x":"abc"}}`, `{"token":{"x":"abc"}}`},
		{"a message about tokens", `{"content":"\"token\":\"abc\""}`, `{"content":"\"token\":\"abc\""}`},
		{"cut short", `{"token":"abc`, `{"token":"***"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(RedactTokens([]byte(c.raw))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
