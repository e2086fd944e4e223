package messages

import (
	"encoding/hex"
	"time"
)

// Trace names the span of a sampled event, in which the spans of whoever reads it continue. The zero value names none.
type Trace struct {
	TraceID [16]byte
	SpanID  [8]byte
}

// HeaderTrace is the header with the trace context of a sampled event, as the W3C's Trace Context writes it.
const HeaderTrace = "traceparent"

// TraceParentSize is the length of that header's value in bytes.
const TraceParentSize = 55

// AppendParent appends the value of HeaderTrace: version 00, both ids, and the flag that says "sampled".
func (t *Trace) AppendParent(dst []byte) []byte {
	dst = append(dst, "00-"...)
	dst = hex.AppendEncode(dst, t.TraceID[:])
	dst = append(dst, '-')
	dst = hex.AppendEncode(dst, t.SpanID[:])
	return append(dst, "-01"...)
}

// ParseTraceParent reads what AppendParent wrote. It returns nil for anything else.
func ParseTraceParent(text string) *Trace {
	if len(text) != TraceParentSize || text[:3] != "00-" || text[35] != '-' || text[52:] != "-01" {
		return nil
	}
	t := &Trace{}
	if _, err := hex.Decode(t.TraceID[:], []byte(text[3:35])); err != nil {
		return nil
	}
	if _, err := hex.Decode(t.SpanID[:], []byte(text[36:52])); err != nil {
		return nil
	}
	if t.TraceID == [16]byte{} || t.SpanID == [8]byte{} {
		return nil
	}
	return t
}

// Delivery is an event's whole way, from its frame to the acknowledgement or to where it was dropped, for whoever records it.
type Delivery struct {
	Kind    *Kind
	ShardID int
	Seq     int64 // Discord's; of one of drover's own events 0
	ID      string
	Subject string // with the prefix

	Read, Sent, Acked time.Time // Sent is the first try; zero: another process made it. Acked of one that was shed: when it was
	Sends             int       // above 1: tries failed, or nobody knew whether they had
	Spooled           bool      // it waited on disk
	Shed              bool      // it was dropped, for want of room: nobody will read it
	Trace             *Trace    // nil: it was not sampled
}
