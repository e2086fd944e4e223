package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SessionOptions say what a shard is, fixed for a Session's life. Validate them once.
type SessionOptions struct {
	Token          string // without "Bot "
	Intents        Intents
	ShardID        int // 0 ≤ ShardID < Shards
	Shards         int
	Presence       json.RawMessage // body of op 3, sent with each IDENTIFY; nil: none
	LargeThreshold int             // 50 to 250 members; 0: Discord's default, 50
	URL            string          // base URL of the gateway, with or without query
	Compress       string          // zlib-stream, zstd-stream or none
	Rand           func() float64  // in [0,1)
	// Spread is over how long shards dial, each at random, that are resumed together at their start; 0: 1 s. Too low: a
	// thousand dial at once; too high: a few wait for nothing.
	Spread time.Duration
}

// Validate returns an error that names what OpenSession could not work with.
func (o SessionOptions) Validate() error {
	if o.Token == "" {
		return errors.New("gateway: session: no token")
	}
	if o.Rand == nil {
		return errors.New("gateway: session: no source of randomness")
	}
	if o.ShardID < 0 || o.ShardID >= o.Shards {
		return fmt.Errorf("gateway: session: shard %d of %d does not exist", o.ShardID, o.Shards)
	}
	if o.LargeThreshold != 0 && (o.LargeThreshold < 50 || o.LargeThreshold > 250) {
		return fmt.Errorf("gateway: session: large threshold %d is not in 50 to 250", o.LargeThreshold)
	}
	if _, err := GatewayURL(o.URL, o.Compress); err != nil {
		return fmt.Errorf("gateway: session: %w", err)
	}
	if len(o.Presence) > 0 && !json.Valid(o.Presence) {
		return errors.New("gateway: session: presence is not valid JSON")
	}
	if n := len(AppendIdentify(nil, o)); n > MaxPayload {
		return fmt.Errorf("gateway: session: IDENTIFY of %d bytes, shorten the presence: %w", n, ErrTooLong)
	}
	return nil
}
