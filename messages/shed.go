package messages

import (
	"encoding/json"
	"strconv"
	"time"
)

// Shed is what was dropped of one session while the spool was full: events of the types that the operator
// names for it.
type Shed struct {
	ShardID  int       `json:"shard"`
	Session  string    `json:"session"` // Discord's whole session id
	Before   int64     `json:"before"`  // sequence number before the first one that was dropped
	From, To time.Time // of the first and of the last one
	Count    int       `json:"count"`
}

// Event makes the shard.gap that declares it. Its id follows from session, beginning and end: another end is another gap.
func (s Shed) Event() *Event {
	body, err := json.Marshal(GapData{
		Reason: GapShed, Session: ShortSession(s.Session), LastAckedSeq: s.Before, From: s.From.UnixMilli(), To: s.To.UnixMilli(),
	})
	if err != nil {
		body = nil // cannot be: a plain struct of strings and numbers
	}
	id := strconv.AppendInt([]byte(s.Session+":shed:"), s.Before, 10)
	id = strconv.AppendInt(append(id, ':'), s.To.UnixMilli(), 10)
	return &Event{Kind: ShardGapKind, Session: s.Session, ShardID: s.ShardID, Read: s.To, Data: body, ID: hashID(id)}
}

// GapShed is the reason of a shard.gap that declares events which were dropped on purpose.
const GapShed = "shed"
