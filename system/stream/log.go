package stream

import (
	"context"
	"log/slog"
	"time"

	"drover/messages"
)

// LogSinkOptions say where a LogSink writes.
type LogSinkOptions struct {
	Log *slog.Logger
	// OnAck is called for each event, as a Publisher's is.
	OnAck func(Ack)
}

// LogSink takes the place of a Publisher where there is no NATS (nats.url: none): each event
// becomes one line and counts as acknowledged. The line holds Discord's data with its tokens
// redacted, up to maxLogged. Any goroutine may use it.
type LogSink struct{ o LogSinkOptions }

// maxLogged is how many bytes of an event's data are logged: a large guild's GUILD_CREATE has megabytes.
const maxLogged = 8 << 10

// NewLogSink returns a LogSink.
func NewLogSink(o LogSinkOptions) *LogSink {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &LogSink{o}
}

// Publish writes the line and acknowledges ev before it returns. It never fails.
func (l *LogSink) Publish(ctx context.Context, ev *messages.Event) error {
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("event_type", ev.Kind.Type), slog.Int("shard_id", ev.ShardID),
		slog.String("event_id", ev.EventID()), slog.Int64("seq", ev.Seq), slog.Int("bytes", len(ev.Data)))
	for _, id := range [...]struct {
		key    string
		digits []byte
	}{{"guild_id", ev.GuildID}, {"channel_id", ev.ChannelID}, {"user_id", ev.UserID}} {
		if id.digits != nil {
			attrs = append(attrs, slog.String(id.key, string(id.digits)))
		}
	}
	data := RedactTokens(ev.Data)
	if len(data) > maxLogged {
		data = append(data[:maxLogged], "…"...)
	}
	attrs = append(attrs, slog.String("data", string(data)))
	l.o.Log.LogAttrs(ctx, slog.LevelInfo, "event", attrs...)
	if ev.Receipt != nil {
		ev.Receipt.Acked(ev.Kind.Stream, ev.Seq, 0)
	}
	if now := time.Now(); l.o.OnAck != nil {
		l.o.OnAck(Ack{Kind: ev.Kind, ShardID: ev.ShardID, At: now, Took: now.Sub(ev.Read)})
	}
	return nil
}

// The rest of a Publisher: there is nothing to wait for.

// Flush does nothing.
func (l *LogSink) Flush() {}

// FlushSoon does nothing.
func (l *LogSink) FlushSoon() {}

// Pause does nothing.
func (l *LogSink) Pause() {}

// Replay does nothing.
func (l *LogSink) Replay(context.Context) error { return nil }

// Unacked returns 0.
func (l *LogSink) Unacked() int { return 0 }

// OldestUnacked returns 0.
func (l *LogSink) OldestUnacked() time.Duration { return 0 }

// Drain returns nil.
func (l *LogSink) Drain(context.Context) error { return nil }

// Adopt returns nothing: there is no spool.
func (l *LogSink) Adopt(string, messages.Receipt) (none [messages.Streams]messages.Spooled) {
	return none
}

// Stored returns nothing: there are no streams.
func (l *LogSink) Stored() (none [messages.Streams]uint64) { return none }

// Full returns false.
func (l *LogSink) Full() bool { return false }

// Spill returns nil.
func (l *LogSink) Spill(context.Context) error { return nil }

// Close does nothing.
func (l *LogSink) Close() {}

// Abandon does nothing: everything is acknowledged at once.
func (l *LogSink) Abandon(messages.Fence) {}
