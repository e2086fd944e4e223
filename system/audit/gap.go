package audit

import (
	"slices"
	"strings"
	"time"
)

// Gap is the data of a shard.gap event: drover says that events may be missing.
type Gap struct {
	Shard   int    `json:"shard_id"` // of the envelope
	Reason  string `json:"reason"`
	Session string `json:"session"` // first 8 characters
	Acked   int64  `json:"last_acked_seq"`
	From    int64  `json:"from"` // Unix ms
	To      int64  `json:"to"`
}

// Reasons that excuse other events than those of a session that is gone.
const (
	StreamLost = "stream_lost" // a memory stream died: what was stored before it was made again may be gone
	Shed       = "shed"        // the spool was full and types that may be dropped were
)

// slack is how far clocks of two processes, and an event's way to drover, may put times apart.
const slack = 2 * time.Second

func (g Gap) to() time.Time { return time.UnixMilli(g.To) }

// covers reports whether the gap declares the loss of d.
func (g Gap) covers(d *Sent, shed []string) bool {
	if g.Shard != d.Shard {
		return false
	}
	switch g.Reason {
	case StreamLost:
		return !d.At.After(g.to())
	case Shed:
		// Where it begins the sequence number says exactly. An event that waited in a socket was made before it was read.
		return g.names(d.Session) && d.Seq > g.Acked && slices.Contains(shed, d.T) && !d.At.After(g.to().Add(slack))
	}
	return g.names(d.Session) && d.Seq > g.Acked
}

func (g Gap) names(session string) bool {
	return g.Session != "" && strings.HasPrefix(session, g.Session)
}
