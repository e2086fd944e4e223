package actors

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"drover/messages"
	"drover/system/gateway"
	"drover/system/simtime"
)

// failedDial is what a shard notes of one: it dials, and there is no connection.
func failedDial(p *past, text string) {
	p.add(messages.Connecting, "", "", false)
	p.ended(gateway.Down{Reason: gateway.DownDial})
	p.add(messages.Disconnected, text, "", false)
}

func TestPast(t *testing.T) {
	t.Run("tells_states_reasons_codes_and_sessions_newest_first", func(t *testing.T) {
		p := newPast()
		p.add(messages.Connecting, "", "", false)
		p.identified()
		p.add(messages.Identifying, "", "", false)
		p.up(false)
		p.add(messages.Ready, "ready (identified)", "abcdefgh", false)
		p.ended(gateway.Down{Reason: gateway.DownClosed, CloseCode: 4009})
		p.add(messages.Disconnected, "closed by Discord with 4009", "abcdefgh", false)
		h := p.history()
		var got []string
		for _, e := range h.Events {
			got = append(got, fmt.Sprint(e.State, " ", e.Text, " ", e.Code, " ", e.Session, " ", e.Error))
		}
		want := "disconnected closed by Discord with 4009 4009 abcdefgh true|ready ready (identified) 0 abcdefgh false|identifying  0  false|connecting  0  false"
		if strings.Join(got, "|") != want {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "|"), want)
		}
		if h.Sessions != 1 || h.Identifies != 1 || h.Resumes != 0 || len(h.Closes) != 1 || h.Closes[0].Meaning != "session timed out" || h.Closes[0].Count != 1 {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("counts_dials_that_fail_the_same_way_in_one_line", func(t *testing.T) {
		simtime.Run(t, func(t *testing.T) {
			p := newPast()
			p.ended(gateway.Down{Reason: gateway.DownClosed, CloseCode: 4000})
			p.add(messages.Disconnected, "closed", "", false)
			for i := range 1000 {
				failedDial(p, fmt.Sprintf("read udp 10.0.0.5:%d->10.0.0.%d:53: i/o timeout", 1024+i, i%3))
				time.Sleep(time.Second)
			}
			failedDial(p, "no such host")
			h := p.history()
			if len(h.Events) != 5 || h.Dials != 1001 {
				t.Fatalf("got %d lines of %d dials, want 5: %+v", len(h.Events), h.Dials, h.Events)
			}
			if e := h.Events[2]; e.Times != 1000 || e.Until.Sub(e.At) != 999*time.Second || e.Text != "read udp 10.0.0.5:2023->10.0.0.0:53: i/o timeout" {
				t.Errorf("got %+v, want a thousand in one line", e)
			}
			if e := h.Events[4]; e.Code != 4000 {
				t.Errorf("got %+v, want the cause of it all", e)
			}
		})
	})
	t.Run("is_bounded", func(t *testing.T) {
		p := newPast()
		for i := range 10 * maxLines {
			p.ended(gateway.Down{Reason: gateway.DownClosed, CloseCode: 4000 + i})
			p.add(messages.Disconnected, fmt.Sprint(i, strings.Repeat("x", 2*maxText)), "", false)
			if i%7 == 0 {
				failedDial(p, "refused")
				failedDial(p, "refused")
			}
		}
		h := p.history()
		if len(h.Events) != maxLines || len(h.Events[0].Text) > maxText+len("…") || !strings.HasPrefix(h.Events[0].Text, fmt.Sprint(10*maxLines-1)) {
			t.Errorf("got %d lines, the newest of %d bytes", len(h.Events), len(h.Events[0].Text))
		}
		for i := 1; i < len(h.Events); i++ {
			if h.Events[i].At.After(h.Events[i-1].At) {
				t.Errorf("line %d is newer than the one before it", i)
			}
		}
		if last := h.Closes[len(h.Closes)-1]; len(h.Closes) != maxCloses || last.Code != 0 || last.Count != 10*maxLines-maxCloses+1 {
			t.Errorf("got %d codes, the last of which is %+v", len(h.Closes), last)
		}
	})
}

// A thousand shards that are connected and quiet must not cost much. The memory of a type is the same everywhere.
func TestPast_is_small_at_rest(t *testing.T) {
	if size := unsafe.Sizeof(line{}); size != 48 {
		t.Errorf("a line has %d bytes, want 48", size)
	}
	const shards = 1000
	all := make([]*past, shards)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers of the first one let go
	runtime.ReadMemStats(&before)
	for i := range all {
		p := newPast()
		for _, state := range []messages.State{messages.Connecting, messages.Identifying, messages.Ready} {
			p.add(state, "ready", "abcdefgh", false)
		}
		all[i] = p
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / shards
	t.Logf("%d bytes for each of %d shards", each, shards)
	if each > 512 {
		t.Errorf("a history takes %d bytes at rest, want at most 512", each)
	}
	runtime.KeepAlive(all)
}

func TestHealth_tells_history_and_samples(t *testing.T) {
	c := newCarried(func() {})
	h := newHealth(&Options{}, map[int]*known{})
	h.started(messages.ShardStarted{ShardID: 3, Pool: 1, Live: c})
	h.changed(messages.ShardChanged{Status: messages.ShardStatus{ID: 3, State: messages.Ready, HeartbeatLatencyMS: 12}})
	c.tracker.Restore(77, nil)
	c.past.add(messages.Halted, errors.New("no").Error(), "", true)
	if got := h.history(3); got == nil || len(got.Events) != 1 || !got.Events[0].Error {
		t.Errorf("got %+v, want one line", got)
	}
	if got := h.history(4); got != nil {
		t.Errorf("got %+v of a shard that is not there", got)
	}
	into := make([]messages.ShardSample, 5, 8)
	got := h.sample(into)
	if len(got) != 1 || got[0] != (messages.ShardSample{ID: 3, Seq: 77, Latency: 12, Ready: true}) || &got[0] != &into[0] {
		t.Errorf("got %+v, want shard 3 in the memory that was given", got)
	}
	if allocs := testing.AllocsPerRun(10, func() { h.sample(into) }); allocs != 0 {
		t.Errorf("got %v allocations, want none", allocs)
	}
}
