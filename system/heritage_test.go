package system

import (
	"testing"
	"time"

	"drover/messages"
)

// A process that dies before a session's first checkpoint leaves events in the spool, and nobody who could RESUME.
func TestHeritage_declares_a_session_that_only_the_spool_knows(t *testing.T) {
	now := time.Now()
	h := heritage{sessions: map[int]messages.Checkpoint{
		1: {ShardID: 1, Session: "stored", Contact: now},
		2: {ShardID: 2, Session: "newer", Contact: now},
		3: {ShardID: 3, Session: "older", Contact: now.Add(-time.Minute)},
	}}
	shards := []int{0, 1, 2, 3}
	h.findStranded([]messages.Stranded{
		{Session: "unknown", ShardID: 0, Last: 70, At: now},
		{Session: "stored", ShardID: 1, Last: 80, At: now},
		{Session: "ended", ShardID: 2, Last: 90, At: now.Add(-time.Second)}, // declared when "newer" began
		{Session: "overtaking", ShardID: 3, Last: 100, At: now.Add(-time.Second)},
		{Session: "elsewhere", ShardID: 4, Last: 110, At: now}, // of a pool that is not asked for
	}, shards)
	a := messages.Assign{Shards: shards, Total: 4}
	h.give(&a)
	lost, ok := a.Lost[0]
	if len(a.Lost) != 1 || !ok || lost.Name != "unknown" || lost.Gap.Reason != messages.GapSpoolStranded || lost.Gap.LastAckedSeq != 70 || lost.Gap.From != now.UnixMilli() {
		t.Errorf("got lost %+v, want the session of shard 0, from the spool's last event on", a.Lost)
	}
	gaps := h.overtaken(shards, now)
	if len(gaps) != 1 || gaps[0].ShardID != 3 || gaps[0].Gap.Session != "overtaki" || gaps[0].Gap.LastAckedSeq != 100 || gaps[0].Gap.To == 0 {
		t.Errorf("got gaps %+v, want the one of shard 3", gaps)
	}
}
