package messages

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Event is one dispatch on its way from a shard's read goroutine to a stream.
//
// Its slices may alias the frame that was read: they are valid only until Publish returns, so
// whoever takes an Event encodes it (AppendEnvelope) before that.
type Event struct {
	Kind    *Kind
	Session string    // Discord's session id
	Seq     int64     // Discord's sequence number in Session
	ShardID int       //
	Read    time.Time // when the frame was read

	// GuildID, ChannelID and UserID are decimal digits without quotes, or nil.
	GuildID, ChannelID, UserID []byte

	Data  []byte // Discord's d, byte for byte
	Extra []byte // members to splice in front of Data's own, as `"k":v,"k":v`; or nil

	// ID overrides the derived event id, for events that are no dispatch. Such an event has no
	// Drover-Seq header.
	ID string

	// More says that another event is about to follow at once, so that this one need not be sent alone. Whoever sets it
	// flushes the window before it waits for anything else.
	More bool

	// Fence must be valid whenever the event is sent; nil: it always is.
	Fence Fence

	// Receipt learns of the acknowledgement; nil where nobody needs to.
	Receipt Receipt

	// Trace is the event's span; nil: it is not sampled.
	Trace *Trace
}

// Receipt is told when JetStream has acknowledged an event.
type Receipt interface {
	// Acked is called once per event, on the goroutine that received the acknowledgement: it must
	// not block. stored is the event's sequence number in its stream; 0 where nothing was stored.
	Acked(stream Stream, seq int64, stored uint64)
}

// Headers of a published event.
const (
	HeaderID    = "Nats-Msg-Id"  // the event id: JetStream drops a second copy inside its duplicate window
	HeaderEvent = "Drover-Event" // Discord's t
	HeaderSeq   = "Drover-Seq"   // "<session id>:<sequence>"
	HeaderAge   = "Drover-Age"   // only on an interaction that is published late: ms since it was read
)

// EventID derives the id of a dispatch: a UUID (version 8) of the first 16 bytes of SHA-256 over
// "<session>:<seq>". A replayed event therefore has the id that it had the first time.
func EventID(session string, seq int64) string {
	if Sabotaged(RandomIDs) {
		return hashID([]byte(rand.Text()))
	}
	var in [96]byte
	return hashID(AppendSeq(in[:0], session, seq))
}

// AppendSeq appends "<session>:<seq>", the value of the header Drover-Seq.
func AppendSeq(dst []byte, session string, seq int64) []byte {
	dst = append(dst, session...)
	dst = append(dst, ':')
	return strconv.AppendInt(dst, seq, 10)
}

// hashID makes a UUID of version 8, variant RFC 9562, of what identifies an event.
func hashID(of []byte) string {
	sum := sha256.Sum256(of)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], sum[0:4])
	hex.Encode(out[9:13], sum[4:6])
	hex.Encode(out[14:18], sum[6:8])
	hex.Encode(out[19:23], sum[8:10])
	hex.Encode(out[24:36], sum[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// EventID returns the event's id: ID where it is set, else the derived one.
func (e *Event) EventID() string {
	if e.ID != "" {
		return e.ID
	}
	return EventID(e.Session, e.Seq)
}

// AppendEnvelope appends the event's envelope (contract §3) under the given id: eight fields, always all,
// always in this order, with Data's bytes unchanged.
func (e *Event) AppendEnvelope(dst []byte, id string) []byte {
	dst = e.appendHead(dst, id)
	if len(e.Extra) == 0 || len(e.Data) == 0 || e.Data[0] != '{' {
		if len(e.Data) == 0 {
			return append(dst, `null}`...)
		}
		dst = append(dst, e.Data...)
		return append(dst, '}')
	}
	dst = append(dst, '{')
	dst = append(dst, e.Extra...)
	if rest := bytes.TrimLeft(e.Data[1:], " \t\r\n"); len(rest) > 0 && rest[0] != '}' {
		dst = append(dst, ',')
	}
	dst = append(dst, e.Data[1:]...)
	return append(dst, '}')
}

func (e *Event) appendHead(dst []byte, id string) []byte {
	dst = append(dst, `{"event_id":"`...)
	dst = append(dst, id...)
	dst = append(dst, `","event_type":"`...)
	dst = append(dst, e.Kind.Type...)
	dst = append(dst, `","shard_id":`...)
	dst = strconv.AppendInt(dst, int64(e.ShardID), 10)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, e.Read.UnixMilli(), 10)
	dst = appendID(append(dst, `,"guild_id":`...), e.GuildID)
	dst = appendID(append(dst, `,"channel_id":`...), e.ChannelID)
	dst = appendID(append(dst, `,"user_id":`...), e.UserID)
	return append(dst, `,"data":`...)
}

func appendID(dst, digits []byte) []byte {
	if digits == nil {
		return append(dst, `null`...)
	}
	dst = append(dst, '"')
	dst = append(dst, digits...)
	return append(dst, '"')
}
