package messages

import (
	"strings"
	"testing"
	"time"
)

func benchEvent() *Event {
	return &Event{
		Kind: KindOf([]byte("MESSAGE_CREATE")), Session: "3f0c9a1e77aa4c1fb2e0d1c2b3a49586", Seq: 123456, ShardID: 7, Read: time.Now(),
		GuildID: []byte("1200000000000000051"), ChannelID: []byte("1200000000000000061"), UserID: []byte("1200000000000000042"),
		Data: []byte(`{"id":"1200000000000000071","content":"` + strings.Repeat("ha", 680) + `"}`),
	}
}

func BenchmarkEvent_AppendEnvelope(b *testing.B) {
	e := benchEvent()
	var buf []byte
	b.SetBytes(int64(len(e.Data)))
	b.ReportAllocs()
	for b.Loop() {
		buf = e.AppendEnvelope(buf[:0], "f2a1c0de-0000-8000-8000-000000000000")
	}
}

func BenchmarkEventID(b *testing.B) {
	e := benchEvent()
	b.ReportAllocs()
	for b.Loop() {
		e.EventID()
	}
}
