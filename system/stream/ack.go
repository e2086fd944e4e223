package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrAckTimeout means that JetStream did not acknowledge an event in time.
var ErrAckTimeout = errors.New("stream: no acknowledgement in time")

// ErrNoStream means that no stream took a published event: it was deleted, or died with its server.
var ErrNoStream = errors.New("stream: no stream took the event")

// AckError is JetStream's refusal of an event.
type AckError struct {
	Stream      string
	Code        int // JetStream's error code, like 10077
	Description string
}

func (e *AckError) Error() string {
	return fmt.Sprintf("stream: %s refused the event: %s (code %d)", e.Stream, e.Description, e.Code)
}

// errCodeTooLarge: the stream's own max_msg_size is below the message's size.
const errCodeTooLarge = 10054

// pubAck is JetStream's answer to a publish.
type pubAck struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
	Error  *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// parseAck reads an answer and the status in its header, if any: where the event stands in its stream. That it stood there before is as good. The common
// form is read in place; anything else by encoding/json.
func parseAck(data []byte, status string) (stored uint64, err error) {
	if len(data) == 0 {
		if status == "503" {
			return 0, ErrNoStream
		}
		return 0, errors.New("stream: an empty acknowledgement")
	}
	if stored, ok := quickAck(data); ok {
		return stored, nil
	}
	var a pubAck
	if err := json.Unmarshal(data, &a); err != nil {
		return 0, fmt.Errorf("stream: acknowledgement: %w", err)
	}
	switch {
	case a.Error != nil:
		return 0, &AckError{Stream: a.Stream, Code: a.Error.Code, Description: a.Error.Description}
	case a.Stream == "" || a.Seq == 0:
		return 0, errors.New("stream: an acknowledgement without stream or sequence")
	}
	return a.Seq, nil
}

// quickAck reads {"stream":"EVENTS","seq":12} and {"stream":"EVENTS","seq":12,"duplicate":true}, also
// with a space after a comma and with a domain between.
func quickAck(b []byte) (stored uint64, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return 0, false
	}
	end := bytes.IndexByte(b, '"')
	if end <= 0 || bytes.IndexByte(b[:end], '\\') >= 0 {
		return 0, false
	}
	b = bytes.TrimLeft(b[end+1:], ", ")
	b, ok = bytes.CutPrefix(b, []byte(`"seq":`))
	if !ok {
		return 0, false
	}
	digits := 0
	for digits < len(b) && digits < 19 && b[digits] >= '0' && b[digits] <= '9' {
		stored = stored*10 + uint64(b[digits]-'0')
		digits++
	}
	if stored == 0 || b[0] == '0' {
		return 0, false
	}
	switch string(b[digits:]) {
	case `}`, `,"duplicate":true}`, `,"duplicate": true}`, `, "duplicate": true}`:
		return stored, true
	}
	return 0, false
}
