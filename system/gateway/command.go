package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Command is a request that a worker sends over a shard's connection: op 3, 4, 8, 31 or 43.
type Command struct {
	Op   int
	Body json.RawMessage // d, an object
}

// Errors of Outbox.Queue, besides ErrTooLong. Nothing was queued.
var (
	ErrCommand    = errors.New("gateway: not a command")
	ErrOutboxFull = errors.New("gateway: too many commands wait for this shard")
)

const (
	maxNonce   = 32  // bytes; Discord drops a longer one without a word
	maxUserIDs = 100 // of one op 8
)

// order is a command on its way.
type order struct {
	op      int
	payload []byte
	guild   uint64    // of op 8
	nonce   string    // of op 8
	whole   bool      // op 8 for all members of the guild
	after   time.Time // not to be sent before; zero: at any time
	sent    time.Time
}

// newOrder checks a command and encodes it.
func newOrder(c Command) (*order, error) {
	switch c.Op {
	case OpPresence, OpVoiceState, OpRequestMembers, OpRequestSounds, OpRequestChannel:
	default:
		return nil, fmt.Errorf("%w: op %d", ErrCommand, c.Op)
	}
	if body := bytes.TrimSpace(c.Body); len(body) == 0 || body[0] != '{' || !json.Valid(body) {
		return nil, fmt.Errorf("%w: op %d: its body is not a JSON object", ErrCommand, c.Op)
	}
	o := &order{op: c.Op, payload: append([]byte(nil), `{"op":`...)}
	o.payload = append(strconv.AppendInt(o.payload, int64(c.Op), 10), `,"d":`...)
	o.payload = append(append(o.payload, c.Body...), '}')
	if len(o.payload) > MaxPayload {
		return nil, fmt.Errorf("%w: op %d of %d bytes", ErrTooLong, c.Op, len(o.payload))
	}
	if c.Op != OpRequestMembers {
		return o, nil
	}
	return o, o.parseMembers(c.Body)
}

// parseMembers reads what the limits of op 8 go by.
func (o *order) parseMembers(body []byte) error {
	var d struct {
		Guild snowflake       `json:"guild_id"`
		Query *string         `json:"query"`
		Limit int             `json:"limit"`
		Users json.RawMessage `json:"user_ids"`
		Nonce string          `json:"nonce"`
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("%w: op 8: %w", ErrCommand, err)
	}
	var users []json.RawMessage
	if err := json.Unmarshal(d.Users, &users); err != nil && len(d.Users) > 0 {
		users = []json.RawMessage{d.Users} // a single id is allowed as well
	}
	switch {
	case d.Guild == 0:
		return fmt.Errorf("%w: op 8 without guild_id", ErrCommand)
	case (d.Query == nil) == (len(users) == 0):
		return fmt.Errorf("%w: op 8 needs one of query and user_ids", ErrCommand)
	case len(users) > maxUserIDs:
		return fmt.Errorf("%w: op 8 for %d user_ids, at most %d", ErrCommand, len(users), maxUserIDs)
	case len(d.Nonce) > maxNonce:
		return fmt.Errorf("%w: op 8 with a nonce of %d bytes, at most %d", ErrCommand, len(d.Nonce), maxNonce)
	}
	o.guild, o.nonce = uint64(d.Guild), d.Nonce
	o.whole = d.Query != nil && *d.Query == "" && d.Limit == 0
	return nil
}
