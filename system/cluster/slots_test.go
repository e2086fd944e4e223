package cluster

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestConformance19_three_processes_keep_the_spacing_of_one_key(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		for n := range 3 {
			c.process().identify(100*time.Millisecond, false, from(3*n, 3)...)
		}
		writes := c.wait(9, time.Minute)
		c.spaced(1)
		for n := range 3 {
			var own []int
			for _, w := range writes {
				if w.shardID/3 == n {
					own = append(own, w.shardID)
				}
			}
			if !slices.IsSorted(own) {
				t.Errorf("process %d: got the order %v, want it rising", n, own)
			}
		}
	})
}

func TestConformance19_two_processes_share_sixteen_keys(t *testing.T) {
	inCluster(t, day(16), func(c *permitCluster) {
		c.process().identify(time.Second, false, from(0, 32)...)
		c.process().identify(time.Second, false, from(32, 32)...)
		writes := c.wait(64, time.Minute)
		c.spaced(16)
		if first := writes[15].at; first > time.Second {
			t.Errorf("got the sixteenth IDENTIFY after %v, want them side by side", first)
		}
		if last := writes[63].at; last > 20*time.Second { // READY takes 1 s, and 5 s follow
			t.Errorf("got the last IDENTIFY after %v, want four rounds", last)
		}
	})
}

func TestConformance19_two_deployments_that_overlap_keep_the_spacing_of_each_shard(t *testing.T) {
	inCluster(t, day(4), func(c *permitCluster) {
		old, next := c.process(), c.process()
		old.identify(time.Second, false, from(0, 8)...)
		next.identify(time.Second, false, from(0, 8)...)
		c.wait(16, time.Minute)
		c.spaced(4)
		if got := next.Budget(); got.Remaining != 984 || got.Repeated != 8 {
			t.Errorf("got %d left and %d repeated, want 984 and 8: the second of each shard is a repetition", got.Remaining, got.Repeated)
		}
	})
}

func TestSlots_of_a_process_killed_before_the_write_are_free_after_the_TTL(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		killed, other := c.process(), c.process()
		permit := killed.acquire(0)
		killed.kill()
		other.identify(0, false, 1)
		if w := c.wait(1, time.Minute)[0]; w.at > DefaultSlotTTL+time.Second {
			t.Errorf("got the next IDENTIFY after %v, want it once the TTL is over", w.at)
		}
		if permit.Valid() {
			t.Error("the permit is still good, want it to have run out long before the slot was another's")
		}
	})
}

func TestSlots_a_process_that_stood_still_does_not_write_on_a_permit_of_before(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		permit := c.process().acquire(0)
		<-time.After(DefaultSlotTTL - Spacing - DefaultMargin - time.Second)
		if !permit.Valid() {
			t.Error("got no right to write, want it until the spacing and the margin are left of the TTL")
		}
		<-time.After(time.Second)
		if permit.Valid() {
			t.Error("got the right to write, want none: the slot might end within the spacing")
		}
		permit.Done()
	})
}

func TestSlots_of_a_process_killed_after_the_write_keep_the_spacing(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		killed, other := c.process(), c.process()
		permit := killed.acquire(0)
		<-time.After(20 * time.Second) // as late as may be
		permit.Spent()
		c.wrote(0)
		killed.kill()
		other.identify(0, false, 1)
		c.wait(2, time.Minute)
		c.spaced(1)
	})
}

func TestSlots_of_a_process_that_ends_in_order_keep_the_spacing(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		ending, unused, other := c.process(), c.process(), c.process()
		ending.identify(time.Minute, false, 0)
		c.wait(1, time.Second)
		ending.end()
		other.identify(0, false, 1)
		c.wait(2, time.Minute)
		c.spaced(1)
		<-time.After(time.Minute)
		unused.acquire(2).Done()
		unused.end()
		before := time.Now()
		other.acquire(3).Done()
		if took := time.Since(before); took > time.Second {
			t.Errorf("got a permit %v after one that was not used, want it at once", took)
		}
	})
}

func TestConformance19_an_unwritten_permit_is_free_at_once_for_the_other_process(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		p, other := c.process(), c.process()
		permit := p.acquire(0)
		other.identify(0, false, 1)
		<-time.After(3 * time.Second)
		permit.Done()
		if w := c.wait(1, time.Minute)[0]; w.at > 3500*time.Millisecond {
			t.Errorf("got an IDENTIFY after %v, want it right after 3s", w.at)
		}
		<-time.After(time.Minute)
		if got := p.Budget().Remaining; got != 999 {
			t.Errorf("got %d left, want 999: only what was written counts", got)
		}
	})
}

func TestConformance19_a_late_READY_holds_the_key_for_the_other_process_too(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		p, other := c.process(), c.process()
		p.identify(90*time.Second, false, 0) // in an outage of Discord
		c.wait(1, time.Second)
		other.identify(0, false, 1)
		writes := c.wait(2, 2*time.Minute)
		if gap := writes[1].at - writes[0].at; gap < 95*time.Second || gap > 96*time.Second {
			t.Errorf("got %v between the IDENTIFYs, want 95s", gap)
		}
	})
}

func TestSlots_a_Create_that_was_not_answered_is_found_again(t *testing.T) {
	for name, fault := range map[string]kvFault{"lost": kvLost, "unanswered": kvUnanswered} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, day(1), func(c *permitCluster) {
				var broken atomic.Bool
				c.fault = func() kvFault {
					if broken.Load() {
						return fault
					}
					return kvFine
				}
				p := c.process()
				<-time.After(time.Second)
				broken.Store(true)
				p.identify(0, false, 0)
				<-time.After(time.Second)
				broken.Store(false)
				if w := c.wait(1, time.Minute)[0]; w.at > 10*time.Second {
					t.Errorf("got the IDENTIFY after %v, want it with the second try", w.at)
				}
			})
		})
	}
}

func TestSlots_without_the_store_nobody_identifies(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		p := c.process()
		p.away.Store(true)
		p.identify(0, false, 0)
		<-time.After(10 * time.Minute)
		if b := p.Budget(); len(c.all()) > 0 || b.Waiting != 1 || b.Reason == "" {
			t.Errorf("got %d IDENTIFYs and %+v, want none and a reason", len(c.all()), b)
		}
		p.away.Store(false)
		c.wait(1, 10*time.Second)
		permit := p.acquire(1)
		p.away.Store(true)
		permit.Done()
		p.identify(0, false, 2)
		<-time.After(10 * time.Minute)
		p.away.Store(false)
		c.wait(2, 10*time.Second)
		if b := p.Budget(); b.Reason != "" || b.Waiting != 0 {
			t.Errorf("got %+v, want nothing held back", b)
		}
	})
}

func TestSlots_follow_a_new_max_concurrency(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		a, b := c.process(), c.process()
		a.identify(time.Second, false, from(0, 20)...)
		b.identify(time.Second, false, from(20, 20)...)
		c.wait(3, 20*time.Second)
		a.Update(day(16)) // b has not asked Discord
		writes := c.wait(40, time.Minute)
		c.spaced(16)
		if last := writes[39].at; last > 50*time.Second {
			t.Errorf("got the last IDENTIFY after %v, want both processes to use the new keys", last)
		}
		b.Update(day(1))
		<-time.After(10 * time.Second)
		c.unjudged = len(writes)
		a.identify(time.Second, true, 0, 1, 2)
		c.wait(c.unjudged+3, time.Minute)
		c.spaced(1)
	})
}
