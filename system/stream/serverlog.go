package stream

import (
	"context"
	"fmt"
	"log/slog"
)

// serverLog hands the embedded server's log on: chatter at debug, warnings and errors at warn. Any
// goroutine may use it.
type serverLog struct {
	log   *slog.Logger
	fatal chan error // the first fatal error; the server does not stop the process, so we must know
}

func newServerLog(log *slog.Logger) *serverLog {
	return &serverLog{log: log, fatal: make(chan error, 1)}
}

func (l *serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.write(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.write(slog.LevelWarn, format, v) }

func (l *serverLog) Fatalf(format string, v ...any) {
	l.write(slog.LevelWarn, format, v)
	select {
	case l.fatal <- fmt.Errorf(format, v...): // keeps an error among v for errors.As where it stands with %w
	default:
	}
}

func (l *serverLog) write(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "nats server", "text", fmt.Sprintf(format, v...))
	}
}
