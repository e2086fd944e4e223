package telemetry

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"drover/messages"
	"drover/system/simtime"
)

func TestBuckets_cover_every_duration(t *testing.T) {
	last := -1
	for _, took := range []time.Duration{
		-time.Second, 0, time.Microsecond, 7 * time.Microsecond, 8 * time.Microsecond, 15 * time.Microsecond, 16 * time.Microsecond,
		time.Millisecond, time.Second, time.Minute, time.Hour, 1 << 62,
	} {
		b := bucketOf(took)
		if b < last || b < 0 || b >= buckets {
			t.Errorf("%v: got bucket %d after %d", took, b, last)
		}
		last = b
	}
	for us := range int64(1 << 20) {
		took := time.Duration(us) * time.Microsecond
		bound := upperBound(bucketOf(took))
		if bound <= took || float64(bound) > float64(took)*1.125+float64(time.Microsecond) {
			t.Fatalf("%v: got bound %v, want above it by at most 12.5 %%", took, bound)
		}
	}
}

func TestQuantiles(t *testing.T) {
	now := time.Now()
	start := func() *rates {
		r := &rates{}
		r.start(now)
		return r
	}
	near := func(t *testing.T, what string, got, want time.Duration) {
		t.Helper()
		if got < want || float64(got) > float64(want)*1.13 {
			t.Errorf("%s: got %v, want %v or up to 12.5 %% more", what, got, want)
		}
	}
	t.Run("are_zero_without_events", func(t *testing.T) {
		if p50, p99 := start().quantiles(now); p50 != 0 || p99 != 0 {
			t.Errorf("got %v and %v", p50, p99)
		}
	})
	t.Run("agree_with_sorting", func(t *testing.T) {
		r := start()
		random := rand.New(rand.NewPCG(1, 2))
		var all []time.Duration
		for range 10_000 {
			took := time.Duration(random.ExpFloat64() * float64(3*time.Millisecond))
			all = append(all, took)
			r.record(now, took)
		}
		slices.Sort(all)
		p50, p99 := r.quantiles(now)
		near(t, "p50", p50, all[4999])
		near(t, "p99", p99, all[9899])
	})
	t.Run("one_event_is_both", func(t *testing.T) {
		r := start()
		r.record(now, 40*time.Millisecond)
		p50, p99 := r.quantiles(now)
		near(t, "p50", p50, 40*time.Millisecond)
		near(t, "p99", p99, 40*time.Millisecond)
	})
	t.Run("forget_after_a_minute", func(t *testing.T) {
		r := start()
		r.record(now, time.Second)
		r.record(now.Add(30*time.Second), time.Millisecond)
		_, p99 := r.quantiles(now.Add(59 * time.Second))
		near(t, "within the minute", p99, time.Second)
		_, p99 = r.quantiles(now.Add(80 * time.Second))
		near(t, "after it", p99, time.Millisecond)
		if p50, _ := r.quantiles(now.Add(time.Hour)); p50 != 0 {
			t.Errorf("after an hour: got %v, want 0", p50)
		}
	})
	t.Run("slots_are_used_again", func(t *testing.T) {
		r := start()
		for i := range 100 {
			r.record(now.Add(time.Duration(i)*slotLength), time.Duration(i+1)*time.Millisecond)
		}
		p50, _ := r.quantiles(now.Add(99 * slotLength))
		near(t, "p50 of the newest seven", p50, 97*time.Millisecond)
	})
}

func TestRate(t *testing.T) {
	simtime.Run(t, func(t *testing.T) {
		m := start(t, Options{Shards: 1}).Meters
		kind := messages.KindOf([]byte("MESSAGE_CREATE"))
		second := func(events int) float64 {
			<-time.After(time.Second) // in the bubble's time
			for range events {
				m.Received(0, 0, kind)
			}
			return m.Rate()
		}
		var got float64
		for range 20 {
			got = second(50)
		}
		if got != 50 {
			t.Errorf("steady: got %v, want 50", got)
		}
		for range marks {
			got = second(500)
		}
		if got != 500 {
			t.Errorf("after a change: got %v, want 500", got)
		}
		<-time.After(time.Hour)
		if got = second(0); got != 0 {
			t.Errorf("after silence: got %v, want 0", got)
		}
	})
}

func TestTraffic(t *testing.T) {
	m := start(t, Options{Shards: 200}).Meters // labelled by pool: the page must not depend on labels
	join, create := messages.KindOf([]byte("GUILD_MEMBER_ADD")), messages.KindOf([]byte("MESSAGE_CREATE"))
	for shard := range 200 {
		m.Received(shard, shard/25, join)
		m.Received(shard, shard/25, create)
		m.Routed(shard, shard/25, time.Now(), 2*time.Millisecond)
	}
	m.RouteFailure(3)
	m.Oversize(0, 0, create) // not received once more
	got := m.Traffic()
	if got.Received != 400 || got.Routed != 200 || got.Failures != 3 || got.ByType["member.join"] != 200 || got.ByType["message.create"] != 200 || len(got.ByType) != 2 {
		t.Errorf("got %+v", got)
	}
	if got.P50 < 2*time.Millisecond || got.P99 > 3*time.Millisecond {
		t.Errorf("got %v and %v", got.P50, got.P99)
	}
}
