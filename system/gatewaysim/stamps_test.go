package gatewaysim

import (
	"encoding/binary"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestEveryDispatchIsStamped(t *testing.T) {
	s := newServer(t, Options{Guilds: 6, Rate: 5000, Events: 400, Stamp: true})
	var sessions []string
	for shard := range 2 {
		c, r := start(t, s, "zlib-stream", intentsKnown, shard, 2)
		sessions = append(sessions, r.SessionID)
		go func() { // ends with the server
			for {
				if _, err := c.message(); err != nil {
					return
				}
			}
		}()
	}
	<-s.TrafficDone()
	surgeNow(t, s, 600)
	s.Jump(All, 2) // sequences that are never sent
	dispatchTo(t, s, 1)
	at := releaseNow(t, s)
	waitFor(t, "the last write", func() bool {
		for _, ses := range s.State().Sessions {
			if ses.Unsent > 0 {
				return false
			}
		}
		return true
	})
	written, err := s.Written()
	if err != nil {
		t.Fatal(err)
	}
	var got [2][]Written
	for _, w := range written {
		got[w.ShardID] = append(got[w.ShardID], w)
	}
	for shard, l := range s.Ledger() {
		if l.SessionID != sessions[shard] || len(got[shard]) != len(l.Dispatch) {
			t.Fatalf("shard %d: %d stamps for %d dispatches", shard, len(got[shard]), len(l.Dispatch))
		}
		for i, w := range got[shard] {
			d := l.Dispatch[i]
			if w.Seq != d.Seq || i > 0 && w.At.Before(got[shard][i-1].At) || w.At.Before(d.At) {
				t.Fatalf("stamp %d is s %d at %v, made %v, want s %d", i, w.Seq, w.At, d.At, d.Seq)
			}
			if held := d.Seq > l.Dispatch[len(l.Dispatch)-1].Seq-300; held && w.At.Before(at) {
				t.Fatalf("s %d was written %v before the release", d.Seq, at.Sub(w.At))
			}
		}
	}
	if again, err := s.Written(); err != nil || len(again) > 0 {
		t.Errorf("got %d stamps (%v), want them forgotten", len(again), err)
	}
}

func TestWrittenIsBinaryOverHTTP(t *testing.T) {
	s := newServer(t, Options{Guilds: -1, Stamp: true})
	c, _ := start(t, s, "none", 0, 3, 4)
	dispatchTo(t, s, 1)
	c.event("TEST_EVENT")
	res, err := http.Get(s.ControlURL() + "/written")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || len(b) != 2*24 {
		t.Fatalf("got %d bytes (%v), want 2 records of 24", len(b), err)
	}
	shard, seq, at := binary.LittleEndian.Uint32(b[24:]), binary.LittleEndian.Uint64(b[32:]), int64(binary.LittleEndian.Uint64(b[40:]))
	if age := time.Since(time.Unix(0, at)); shard != 3 || seq != 2 || age < 0 || age > time.Minute {
		t.Errorf("got shard %d, seq %d, %v ago, want 3, 2, just now", shard, seq, age)
	}
	if _, err := newServer(t, Options{}).Written(); err == nil {
		t.Error("no error without Options.Stamp")
	}
}
