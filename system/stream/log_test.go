package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogSink_writes_a_line_with_the_tokens_redacted_and_acknowledges(t *testing.T) {
	var out bytes.Buffer
	acks := make(ackLog, 1)
	told := 0
	l := NewLogSink(LogSinkOptions{Log: slog.New(slog.NewTextHandler(&out, nil)), OnAck: func(Ack) { told++ }})
	ev := event(3, 7)
	ev.Kind, ev.Receipt = interaction, acks
	ev.Data, ev.Extra = []byte(`{"id":"1","token":"s3cret"}`), []byte(`"interaction_token":"s3cret"`)
	if err := l.Publish(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	if got := <-acks; got != 7 || told != 1 {
		t.Errorf("got %d acknowledged, told %d times, want 7, once", got, told)
	}
	for _, want := range []string{"event_type=interaction.create", "shard_id=3", "guild_id=700000000000000010", "seq=7", "bytes=27", `data="{\"id\":\"1\",\"token\":\"***\"}"`, "event_id=" + ev.EventID()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s in it", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "s3cret") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("got %s, want one line without the token", out.String())
	}
}
