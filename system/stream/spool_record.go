package stream

import (
	"bytes"
	be "encoding/binary" // the tests of this package have a variable binary
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"drover/messages"
)

// record is one event in the spool: its envelope, and what publishing it again takes.
type record struct {
	// index is its position in its lane, counted from 1. append gives it; it rises and is never used
	// again while the file lives, also not after everything was removed or the process was replaced.
	index uint64

	name, typ, subject string // the event's Kind: Discord's t, event type, subject without prefix

	shardID int
	session string
	seq     int64
	read    time.Time // kept in milliseconds
	id      string
	own     bool            // a life-cycle event: no Drover-Seq, no part of the session's sequence
	data    int             // bytes of Discord's d
	trace   *messages.Trace // nil: not sampled
	body    []byte          // the envelope
}

// recordVersion begins every record. Another layout takes another number, so that a drover which
// does not know it says so and guesses nothing.
const recordVersion = 1

// recordPrefix are the bytes before the head: version and checksum.
const recordPrefix = 1 + 4

// castagnoli is computed by the processor. bbolt checks its own two meta pages, and no data.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errRecordVersion = errors.New("written by a newer drover")

// recordHead is the line in front of the body. Its names are short: there are hundreds of thousands.
type recordHead struct {
	Name    string `json:"t"`
	Type    string `json:"y"`
	Subject string `json:"u"`
	ShardID int    `json:"n"`
	Session string `json:"s"`
	Seq     int64  `json:"q"`
	Read    int64  `json:"r"` // Unix milliseconds
	ID      string `json:"i"`
	Own     bool   `json:"o,omitempty"`
	Data    int    `json:"d"`
	Trace   string `json:"p,omitempty"` // as in the header
}

// encode lays the record out as it stands in the file: version (one byte), CRC-32C of all that follows
// (four bytes, big endian), the head as one line of JSON, the body.
func (r *record) encode() ([]byte, error) {
	parent := ""
	if r.trace != nil {
		parent = string(r.trace.AppendParent(nil))
	}
	head, err := json.Marshal(recordHead{
		Name: r.name, Type: r.typ, Subject: r.subject, ShardID: r.shardID, Session: r.session, Seq: r.seq,
		Read: r.read.UnixMilli(), ID: r.id, Own: r.own, Data: r.data, Trace: parent,
	})
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	b := make([]byte, recordPrefix, recordPrefix+len(head)+1+len(r.body))
	b = append(append(append(b, head...), '\n'), r.body...) // JSON has no bare newline in it
	return sealed(b), nil
}

// sealed fills in what stands before the head.
func sealed(b []byte) []byte {
	if len(b) < recordPrefix {
		return b
	}
	b[0] = recordVersion
	be.BigEndian.PutUint32(b[1:], crc32.Checksum(b[recordPrefix:], castagnoli))
	return b
}

// decodeRecord reads what encode made. Its body aliases b, and nothing else of it does.
func decodeRecord(index uint64, b []byte) (record, error) {
	if len(b) == 0 {
		return record{}, fmt.Errorf("record %d: empty", index)
	}
	if b[0] != recordVersion {
		return record{}, fmt.Errorf("record %d: layout %d: %w", index, b[0], errRecordVersion)
	}
	if len(b) < recordPrefix || crc32.Checksum(b[recordPrefix:], castagnoli) != be.BigEndian.Uint32(b[1:]) {
		return record{}, fmt.Errorf("record %d: wrong checksum", index)
	}
	line, body, ok := bytes.Cut(b[recordPrefix:], []byte{'\n'})
	if !ok {
		return record{}, fmt.Errorf("record %d: no body", index)
	}
	var h recordHead
	if err := json.Unmarshal(line, &h); err != nil {
		return record{}, fmt.Errorf("record %d: %w", index, err)
	}
	return record{
		index: index,
		name:  h.Name, typ: h.Type, subject: h.Subject,
		shardID: h.ShardID, session: h.Session, seq: h.Seq, read: time.UnixMilli(h.Read), id: h.ID, own: h.Own, data: h.Data,
		trace: messages.ParseTraceParent(h.Trace), body: body,
	}, nil
}

// indexKey is a record's key: bbolt orders keys by their bytes.
func indexKey(index uint64) []byte { return be.BigEndian.AppendUint64(nil, index) }

func keyIndex(key []byte) uint64 { return be.BigEndian.Uint64(key) }
