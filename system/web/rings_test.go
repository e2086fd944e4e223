package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"drover/messages"
)

// filled are rings that were told samples at equal steps.
func filled(n int, sample func(step int) nodeSample) *rings {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := newRings(0, began)
	for i := range n {
		s := sample(i)
		r.add(began.Add(time.Duration(i)*stepLength+time.Millisecond), &s)
	}
	return r
}

// same compares with unknown values.
func same(a, b messages.Measured) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

func TestRings(t *testing.T) {
	steady := func(step int) nodeSample {
		return nodeSample{
			traffic: messages.Traffic{
				Received: uint64(50 * step), Routed: uint64(45 * step), Unacked: 7, Spooled: 3, P50: 2 * time.Millisecond, P99: 9 * time.Millisecond,
			},
			shards: []messages.ShardSample{{ID: 0, Seq: int64(20 * step), Latency: 40, Ready: true}, {ID: 1, Seq: 5, Latency: 100}, {ID: 2, Ready: true}},
			memory: 64e6, heap: 16e6,
		}
	}
	t.Run("hold_what_was_measured", func(t *testing.T) {
		r := filled(4, steady)
		for m, want := range map[int]messages.Measured{
			received: {unknown, 10, 10, 10}, stored: {unknown, 9, 9, 9}, median: {2, 2, 2, 2}, slow: {9, 9, 9, 9}, inFlight: {4, 4, 4, 4}, onDisk: {3, 3, 3, 3},
			heartbeat: {100, 100, 100, 100}, slowestHeartbeat: {100, 100, 100, 100}, notReady: {1, 1, 1, 1}, memory: {64e6, 64e6, 64e6, 64e6}, tries: {unknown, 0, 0, 0},
		} {
			if got := r.series(m); !same(got, want) {
				t.Errorf("%s: got %v, want %v", measureNames[m], got, want)
			}
		}
		s, ok := r.shard(0)
		if !ok || s.Step != 10 || !same(s.Rate, messages.Measured{unknown, 4}) || !same(s.Latency, messages.Measured{40, 40}) {
			t.Errorf("shard 0: got %+v, want four events a second", s)
		}
		if s, _ := r.shard(2); !same(s.Latency, messages.Measured{unknown, unknown}) {
			t.Errorf("shard 2: got %v, want no latency before the first heartbeat", s.Latency)
		}
		if _, ok := r.shard(3); ok {
			t.Error("got a shard that is not there")
		}
	})
	t.Run("are_bounded_to_15_minutes", func(t *testing.T) {
		r := filled(1000, steady)
		if got := len(r.series(received)); got != steps {
			t.Errorf("got %d steps, want %d", got, steps)
		}
		if s, _ := r.shard(0); len(s.Rate) != shardSteps || s.Rate[0] != 4 {
			t.Errorf("got %d steps of a shard, the oldest %v", len(s.Rate), s.Rate[0])
		}
	})
	t.Run("begin_anew_with_a_session", func(t *testing.T) {
		r := filled(6, func(step int) nodeSample {
			return nodeSample{shards: []messages.ShardSample{{ID: 0, Seq: []int64{0, 1000, 1000, 2000, 0, 30}[step]}}}
		})
		if s, _ := r.shard(0); !same(s.Rate, messages.Measured{unknown, 100, 3}) {
			t.Errorf("got %v, want 30 events since the new session began", s.Rate)
		}
	})
	t.Run("leave_out_what_nobody_measured", func(t *testing.T) {
		r := filled(4, steady)
		late := steady(20)
		r.add(r.began.Add(20*stepLength), &late) // the process stood still for 16 steps
		got := r.series(inFlight)
		if len(got) != 21 || got[3] != 4 || got[4] == got[4] || got[19] == got[19] || got[20] != 4 {
			t.Errorf("got %v, want a gap of 16", got)
		}
		day := steady(20000)
		r.add(r.began.Add(20000*stepLength), &day)
		if got := r.series(inFlight); len(got) != steps || got[steps-1] != 4 || got[steps-2] == got[steps-2] {
			t.Errorf("after a day: got %v", got)
		}
		silent := nodeSample{silent: true}
		r.add(r.began.Add(20001*stepLength), &silent)
		if got := r.series(notReady); got[steps-1] == got[steps-1] {
			t.Error("a node that does not answer has shards that are ready")
		}
	})
	t.Run("forget_shards_that_have_left", func(t *testing.T) {
		r := filled(3, steady)
		for i := range 2 {
			s := nodeSample{shards: []messages.ShardSample{{ID: 1}}}
			r.add(r.began.Add(time.Duration(3+i)*stepLength), &s)
		}
		if len(r.shards) != 1 || r.shards[1] == nil {
			t.Errorf("got %v, want shard 1 alone", r.shards)
		}
	})
	t.Run("keep_values_to_half_a_percent", func(t *testing.T) {
		for _, v := range []float32{0, 0.001, 0.4, 1, 41.25, 1234.5, 3e6} {
			if got := unpack(pack(v)); math.Abs(float64(got-v)) > float64(v)*0.005 {
				t.Errorf("got %v, want %v", got, v)
			}
		}
		if got := unpack(pack(unknown)); got == got {
			t.Errorf("got %v, want unknown", got)
		}
	})
}

// What the comment of rings says.
func TestRings_are_small(t *testing.T) {
	const shards = 1000
	var s nodeSample
	for id := range shards {
		s.shards = append(s.shards, messages.ShardSample{ID: id, Seq: 1, Latency: 41})
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := newRings(0, time.Now())
	for i := range 2 * steps {
		r.add(r.began.Add(time.Duration(i)*stepLength), &s)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	took := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d bytes for %d shards, %d a shard", took, shards, took/shards)
	if took > 500*shards {
		t.Errorf("got %d bytes for %d shards, want at most 500 a shard", took, shards)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(s)
}

func TestMeasured_writes_what_is_not_known_as_null(t *testing.T) {
	data, err := json.Marshal(messages.Measured{1, unknown, 0.12345678, 1234567, float32(math.Inf(1))})
	if err != nil || string(data) != "[1,null,0.1235,1.235e+06,null]" {
		t.Errorf("got %s, %v", data, err)
	}
	var back messages.Measured
	if err := json.Unmarshal([]byte("[1,null,2.5]"), &back); err != nil || !same(back, messages.Measured{1, unknown, 2.5}) {
		t.Errorf("got %v, %v", back, err)
	}
}

func TestSampler_asks_the_cheap_way_and_gives_its_memory_away_when_there_is_no_answer(t *testing.T) {
	var silent bool
	var given [][]messages.ShardSample
	s := New(Options{
		Status: func(context.Context) (messages.NodeStatus, error) {
			t.Error("a whole status was asked for")
			return messages.NodeStatus{}, nil
		},
		Traffic: func() messages.Traffic { return messages.Traffic{} },
		Sample: func(_ context.Context, into []messages.ShardSample) ([]messages.ShardSample, error) {
			given = append(given, into)
			if silent {
				return nil, errors.New("deadline")
			}
			return append(into[:0], messages.ShardSample{ID: 1, Ready: true}), nil
		},
	})
	p := newSampler(s)
	p.take(t.Context())
	p.take(t.Context())
	silent = true
	p.take(t.Context())
	silent = false
	p.take(t.Context())
	if cap(given[0]) != 0 || cap(given[1]) == 0 || cap(given[2]) == 0 || cap(given[3]) != 0 {
		t.Errorf("got %d, %d, %d and %d places, want the memory kept until it is in doubt", cap(given[0]), cap(given[1]), cap(given[2]), cap(given[3]))
	}
	if got := s.rings.series(notReady); !same(got, messages.Measured{0, 0, unknown, 0}) {
		t.Errorf("got %v", got)
	}
	if got := s.rings.series(memory); len(got) != 4 || got[0] < 1e6 {
		t.Errorf("got %v as memory", got)
	}
}
