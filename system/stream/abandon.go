package stream

import "drover/messages"

// Abandon forgets everything unacknowledged of f without a word to its receipts: f has ended, and whoever holds the
// sessions now has their events replayed.
func (p *Publisher) Abandon(messages.Fence) {} // TODO(lead): window, stage and spool

// Abandon does nothing: everything is acknowledged at once.
func (l *LogSink) Abandon(messages.Fence) {}
