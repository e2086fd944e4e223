package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Opcodes of Discord's "Gateway Opcodes" that a bot sends or receives.
const (
	OpDispatch       = 0
	OpHeartbeat      = 1
	OpIdentify       = 2
	OpPresence       = 3
	OpVoiceState     = 4
	OpResume         = 6
	OpReconnect      = 7
	OpRequestMembers = 8
	OpInvalidSession = 9
	OpHello          = 10
	OpHeartbeatACK   = 11
	OpRequestSounds  = 31
	OpRequestChannel = 43
)

// MaxPayload is the size in bytes up to which Discord accepts a message; it closes with 4002 over it.
const MaxPayload = 4096

// ErrTooLong says that a payload is over MaxPayload. It was not sent, the connection stays.
var ErrTooLong = errors.New("gateway: payload over 4096 bytes")

// Names of the two dispatches that belong to the session.
const (
	nameReady   = "READY"
	nameResumed = "RESUMED"
)

// ReadyData is what drover uses of READY.
type ReadyData struct {
	SessionID string
	ResumeURL string   // without query; may be empty
	UserID    uint64   // 0 if absent
	Guilds    []uint64 // guilds of this shard, not loaded yet
	Shard     []int    // id and count as Discord understood them; nil if absent
}

// ParseReady reads the d of a READY. Guild ids that are no number are left out.
func ParseReady(d []byte) (ReadyData, error) {
	var raw struct {
		SessionID string   `json:"session_id"`
		ResumeURL string   `json:"resume_gateway_url"`
		User      entity   `json:"user"`
		Guilds    []entity `json:"guilds"`
		Shard     []int    `json:"shard"`
	}
	if err := json.Unmarshal(d, &raw); err != nil {
		return ReadyData{}, fmt.Errorf("gateway: parse READY: %w", err)
	}
	r := ReadyData{SessionID: raw.SessionID, ResumeURL: raw.ResumeURL, UserID: uint64(raw.User.ID), Shard: raw.Shard}
	if r.SessionID == "" {
		return r, errors.New("gateway: READY without session_id")
	}
	r.Guilds = make([]uint64, 0, len(raw.Guilds))
	for _, g := range raw.Guilds {
		if g.ID != 0 {
			r.Guilds = append(r.Guilds, uint64(g.ID))
		}
	}
	return r, nil
}

// For reports whether READY is for the slice that was asked for. Dispatches of any other session must
// not be served. A READY that names no slice passes.
func (r ReadyData) For(shardID, shards int) bool {
	return r.Shard == nil || slices.Equal(r.Shard, []int{shardID, shards})
}

// entity is any object of which only the id matters.
type entity struct {
	ID snowflake `json:"id"`
}

// snowflake is an id as a decimal string or an integer; anything else reads as 0.
type snowflake uint64

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (s *snowflake) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseUint(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		n = 0
	}
	*s = snowflake(n)
	return nil
}

// maxInterval bounds a HELLO's interval: past it a dead connection would go unnoticed for too long.
const maxInterval = time.Hour

// ParseHello returns the heartbeat interval of a HELLO's d.
func ParseHello(d []byte) (time.Duration, error) {
	var raw struct {
		Interval float64 `json:"heartbeat_interval"` // milliseconds
	}
	if err := json.Unmarshal(d, &raw); err != nil {
		return 0, fmt.Errorf("gateway: parse HELLO: %w", err)
	}
	if raw.Interval < 1 || raw.Interval > float64(maxInterval/time.Millisecond) {
		return 0, fmt.Errorf("gateway: HELLO with a heartbeat interval of %v ms", raw.Interval)
	}
	return time.Duration(raw.Interval * float64(time.Millisecond)), nil
}

// AppendHeartbeat appends an op 1. A seq of 0 is null: no dispatch was received in this session.
func AppendHeartbeat(dst []byte, seq int64) []byte {
	dst = append(dst, `{"op":1,"d":`...)
	if seq <= 0 {
		return append(dst, `null}`...)
	}
	return append(strconv.AppendInt(dst, seq, 10), '}')
}

// AppendResume appends an op 6.
func AppendResume(dst []byte, token, sessionID string, seq int64) []byte {
	return appendPayload(dst, OpResume, struct {
		Token     string `json:"token"`
		SessionID string `json:"session_id"`
		Seq       int64  `json:"seq"`
	}{token, sessionID, seq})
}

// AppendIdentify appends an op 2. Presence is part of it because, unlike a RESUME, a new session
// does not keep the old one's.
func AppendIdentify(dst []byte, o SessionOptions) []byte {
	return appendPayload(dst, OpIdentify, struct {
		Token          string          `json:"token"`
		Intents        Intents         `json:"intents"`
		Shard          [2]int          `json:"shard"`
		LargeThreshold int             `json:"large_threshold,omitempty"`
		Properties     property        `json:"properties"`
		Presence       json.RawMessage `json:"presence,omitempty"`
	}{o.Token, o.Intents, [2]int{o.ShardID, o.Shards}, o.LargeThreshold, properties(), o.Presence})
}

type property struct {
	OS      string `json:"os"`
	Browser string `json:"browser"`
	Device  string `json:"device"`
}

func properties() property { return property{OS: runtime.GOOS, Browser: "drover", Device: "drover"} }

// appendPayload panics where d cannot be encoded: SessionOptions.Validate has excluded that.
func appendPayload(dst []byte, op int, d any) []byte {
	body, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("gateway: encode op %d: %v", op, err))
	}
	dst = append(dst, `{"op":`...)
	dst = append(strconv.AppendInt(dst, int64(op), 10), `,"d":`...)
	return append(append(dst, body...), '}')
}
