package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Memory is what of a Session survives a restart of its owner. A plain value: copy it freely.
// The zero value is a shard that never was connected.
type Memory struct {
	Resume  ResumePoint
	Contact time.Time // last sign of life of Resume's session; zero: not known

	NotBefore time.Time // no dial before
	Open      bool      // a dial or connection was under way; still set at Start: its owner crashed
	Served    time.Time // when READY or RESUMED of the open connection came; zero unless it serves

	// In a row, since the last READY or RESUMED:
	Losses           int // of connections and dials, for whatever reason
	DialFailures     int // connections that ended before HELLO; says which URL is next
	ResumeFailures   int // RESUMEs written since one led to RESUMED, or at least to a replayed dispatch
	IdentifyFailures int // IDENTIFYs written since one led to READY
	InvalidTrue      int // op 9 with true
	Normal           int // closes by the server with 1000

	Brief int // connections in a row that served for less than a minute

	ZlibOnly bool // zstd-stream asked for too large a window; zlib-stream takes its place from then on
}

// ResumePoint is what a RESUME needs. The zero value is no session.
type ResumePoint struct {
	SessionID   string
	URL         string // resume_gateway_url as READY gave it, without query; may be empty
	Seq         int64  // newest sequence received
	Fingerprint string // of the identity that the session was made with
}

// Seen is what the read goroutine knows at the moment of a call.
type Seen struct {
	Seq     int64     // newest sequence accepted of the current session; 0 before the first
	At      time.Time // last inbound message of the current connection
	Blocked bool      // the reader waits for room in the publisher, so silence proves nothing
}

// Resumes reports whether OpenSession would go on with m's session: it has one, of the same identity.
func (m Memory) Resumes(o SessionOptions) bool {
	return m.Resume.SessionID != "" && m.Resume.Fingerprint == fingerprint(o)
}

// fingerprint tells whether a stored session belongs to the same identity: token, intents, slice.
func fingerprint(o SessionOptions) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%d/%d", o.Token, o.Intents, o.ShardID, o.Shards))
	return hex.EncodeToString(sum[:16])
}

// TokenFingerprint stands for a bot's token where it is compared with that of other processes: half a SHA-256, from which nobody
// finds the token.
func TokenFingerprint(token string) string {
	sum := sha256.Sum256([]byte("drover token " + token))
	return hex.EncodeToString(sum[:8])
}
