package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drover/messages"
)

// ClockOffset is the clock of the server that leads the stream of events minus this machine's. It asks for what the server knows
// of that stream, since the answer carries the time at which it was written; the true offset is within half a round trip of what
// is returned, and a round trip of more than a second is an error.
func (b *Broker) ClockOffset(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, slowestClock)
	defer cancel()
	asked := time.Now()
	s, err := b.js.Stream(ctx, b.StreamName(messages.Events))
	if err != nil {
		return 0, fmt.Errorf("stream: clock: %w", b.clean(err))
	}
	at := s.CachedInfo().TimeStamp
	if at.IsZero() {
		return 0, errors.New("stream: clock: the server does not say the time: it is older than 2.10")
	}
	return at.Sub(asked.Add(time.Since(asked) / 2)), nil
}

// slowestClock bounds the round trip, and with it the error, of a comparison of clocks.
const slowestClock = time.Second
