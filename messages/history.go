package messages

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// ShardHistory is what a node remembers of one of its shards, since the shard came to it. It is bounded.
type ShardHistory struct {
	Began  time.Time    `json:"began"`  // when this node began to remember
	Events []ShardEvent `json:"events"` // newest first
	Closes []CloseCount `json:"closes"` // by code

	Sessions   int `json:"sessions"`   // that began
	Resumes    int `json:"resumes"`    // that worked
	Identifies int `json:"identifies"` // that were sent
	Dials      int `json:"dials"`      // that failed
	Lost       int `json:"lost"`       // connections that ended without a close code
}

// ShardEvent is one line of a shard's history, for people. It holds no token and no whole session id.
type ShardEvent struct {
	At      time.Time `json:"at"`
	Until   time.Time `json:"until,omitzero"`       // of the last one, where Times is more than 1
	Times   int       `json:"times"`                // how often in a row
	State   State     `json:"state"`                // the shard's from then on
	Text    string    `json:"text"`                 // why, in words; may be empty
	Code    int       `json:"close_code,omitempty"` // with which Discord closed the connection
	Session string    `json:"session,omitempty"`    // first 8 characters of the session that this is about
	Error   bool      `json:"error,omitempty"`      // nobody asked for it
}

// CloseCount says how often Discord closed a shard's connections with one code.
type CloseCount struct {
	Code    int       `json:"code"` // 0: codes beyond those that are told apart
	Meaning string    `json:"meaning"`
	Count   int       `json:"count"`
	Last    time.Time `json:"last"`
}

// ShardDetail is all that is known of one shard: the answer of /api/v1/shards/ID.
type ShardDetail struct {
	ShardStatus
	LastDispatch time.Time    `json:"last_dispatch,omitzero"` // when the newest dispatch was read
	History      ShardHistory `json:"history"`
	Series       ShardSeries  `json:"series"`
}

// ShardSeries is what was measured of a shard, oldest first and at equal distances.
type ShardSeries struct {
	End     time.Time `json:"end"`          // of the newest step
	Step    float64   `json:"step_s"`       // between two values, in seconds
	Rate    Measured  `json:"rate"`         // events per second
	Latency Measured  `json:"heartbeat_ms"` // heartbeat latency
}

// Measured are values; what is not known is NaN, and null in JSON. Four digits are enough for a picture.
type Measured []float32

// MarshalJSON implements json.Marshaler.
func (m Measured) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 6*len(m)+2), '[')
	for i, v := range m {
		if i > 0 {
			out = append(out, ',')
		}
		if v != v || v-v != 0 { // no number, or none that JSON can write
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, float64(v), 'g', 4, 32)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Measured) UnmarshalJSON(data []byte) error {
	var values []*float32
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*m = make(Measured, len(values))
	for i, v := range values {
		(*m)[i] = float32(math.NaN())
		if v != nil {
			(*m)[i] = *v
		}
	}
	return nil
}

// ShardSample is what is measured of a shard again and again. It has no pointers: a thousand of them are cheap.
type ShardSample struct {
	ID      int
	Seq     int64   // newest sequence number read; it begins anew with a session
	Latency float64 // of the last heartbeat, in milliseconds; 0: none was acknowledged yet
	Ready   bool
}

// SampleQuery asks for a sample of every shard: a []ShardSample, put into the memory of Into where that has room. Who asks
// must not use Into again unless the answer came.
type SampleQuery struct{ Into []ShardSample }

// HistoryQuery asks for the history of a shard: a *ShardHistory, nil where the node does not serve it.
type HistoryQuery struct{ ShardID int }
