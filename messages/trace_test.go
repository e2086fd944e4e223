package messages

import (
	"strings"
	"testing"
)

func TestTrace_parent_is_read_as_it_was_written(t *testing.T) {
	of := Trace{TraceID: [16]byte{0x0a, 15: 0xff}, SpanID: [8]byte{0x01, 7: 0x80}}
	text := string(of.AppendParent(nil))
	if want := "00-0a0000000000000000000000000000ff-0100000000000080-01"; text != want || len(text) != TraceParentSize {
		t.Fatalf("got %q of %d bytes, want %q of %d", text, len(text), want, TraceParentSize)
	}
	if got := ParseTraceParent(text); got == nil || *got != of {
		t.Errorf("got %v, want %v", got, of)
	}
}

func TestTrace_parent_that_makes_no_sense_is_none(t *testing.T) {
	whole := "00-0a0000000000000000000000000000ff-0100000000000080-01"
	for _, text := range []string{
		"", whole[:54], whole + "0", strings.Replace(whole, "00-", "01-", 1), strings.TrimSuffix(whole, "01") + "00",
		strings.Replace(whole, "ff", "fg", 1), strings.Replace(whole, "80-", "8x-", 1),
		"00-00000000000000000000000000000000-0100000000000080-01", "00-0a0000000000000000000000000000ff-0000000000000000-01",
	} {
		if got := ParseTraceParent(text); got != nil {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
}
