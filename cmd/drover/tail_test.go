package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"drover/messages"
	"drover/system/stream"
)

// untilLines is a writer that calls full when it has seen n lines.
type untilLines struct {
	text strings.Builder
	n    int
	full func()
}

func (u *untilLines) Write(b []byte) (int, error) {
	u.text.Write(b)
	if strings.Count(u.text.String(), "\n") == u.n {
		u.full()
	}
	return len(b), nil
}

// storedEvents starts a server whose streams hold one event of a member and one interaction.
func storedEvents(t *testing.T) (url string) {
	t.Helper()
	e, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	b, err := stream.Connect(t.Context(), stream.Options{Server: e, Prefix: "bot1"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := stream.NewPublisher(b, stream.PublisherOptions{})
	defer p.Close()
	for seq, ev := range []*messages.Event{
		{Kind: messages.KindOf([]byte("GUILD_MEMBER_ADD")), GuildID: []byte("7"), UserID: []byte("8"), Data: []byte("{\"user\":\n{\"id\":\"8\"}}")},
		{Kind: messages.KindOf([]byte("INTERACTION_CREATE")), Extra: []byte(`"interaction_token":"s3cret"`), Data: []byte(`{"token":"s3cret"}`)},
	} {
		ev.Session, ev.Seq, ev.ShardID, ev.Read = "session", int64(seq+1), 3, time.Now()
		if err := p.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e.ClientURL()
}

func TestTail(t *testing.T) {
	url := storedEvents(t)
	t.Setenv("NATS_URL", url)
	for _, c := range []struct {
		name  string
		args  []string
		lines int
		want  []string
	}{
		{"lines", []string{"--all"}, 2, []string{"member.join", "shard 3", "guild 7", "user 8", "interaction.create", " B, "}},
		{"data", []string{"--since", "1h", "--data", "--type", "interaction.*"}, 2, []string{`{"interaction_token":"***","token":"***"}`}},
		{"json", []string{"--all", "--json"}, 2, []string{`"data":{"user":{"id":"8"}}}`, `"interaction_token":"***"`}},
		{"one shard's guild", []string{"--all", "--shard", "3", "--guild", "7"}, 1, []string{"member.join"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			enough := false
			out := &untilLines{n: c.lines, full: func() { enough = true; cancel() }}
			cmd := newTailCommand()
			cmd.SetArgs(append(c.args, "--stream-prefix", "bot1"))
			cmd.SetOut(out)
			cmd.SetErr(io.Discard)
			if err := cmd.ExecuteContext(ctx); err != nil || !enough {
				t.Fatalf("got %v after\n%s", err, out.text.String())
			}
			for _, want := range c.want {
				if !strings.Contains(out.text.String(), want) {
					t.Errorf("got\n%s\nwithout %s", out.text.String(), want)
				}
			}
			if strings.Contains(out.text.String(), "s3cret") {
				t.Errorf("got a token in\n%s", out.text.String())
			}
			if c.name == "json" {
				for line := range strings.Lines(out.text.String()) {
					if !json.Valid([]byte(line)) {
						t.Errorf("got %s, want JSON", line)
					}
				}
			}
		})
	}
}

func TestTail_says_what_it_waits_for(t *testing.T) {
	e, err := stream.StartEmbedded(stream.EmbeddedOptions{Listen: "127.0.0.1:0", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown()
	for _, c := range []struct{ name, url, want string }{
		{"the streams", e.ClientURL(), "tail: waiting for the stream "},
		{"NATS", "nats://user:s3cret@127.0.0.1:1", "tail: waiting for NATS: connection to NATS: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			lines := 1
			if c.name == "the streams" {
				lines = 3 // connected, and one for each stream
			}
			notes := &untilLines{n: lines, full: cancel}
			cmd := newTailCommand()
			cmd.SetArgs([]string{"--nats", c.url})
			cmd.SetOut(io.Discard)
			cmd.SetErr(notes)
			if err := cmd.ExecuteContext(ctx); err != nil {
				t.Fatal(err)
			}
			if got := notes.text.String(); !strings.Contains(got, c.want) || strings.Contains(got, "s3cret") {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
