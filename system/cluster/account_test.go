package cluster

import (
	"context"
	"strings"
	"testing"
	"time"
)

// loop has a shard identify again and again, as op 9 false to each IDENTIFY makes it. It ends with the process.
func (p *permitProcess) loop(shardID int) {
	p.identifying.Go(func() {
		for again := false; ; again = true {
			permit, err := p.Acquire(p.running, shardID, again)
			if err != nil {
				return
			}
			permit.Spent()
			p.c.wrote(shardID)
			permit.Done()
			if !pause(p.running.Done(), 3*time.Second) {
				return
			}
		}
	})
}

func TestConformance22_loops_of_all_processes_stay_under_the_governor_over_restarts(t *testing.T) {
	const shards, total = 4, 1000
	inCluster(t, Limit{Total: total, Remaining: total, ResetAfter: 20 * time.Hour, MaxConcurrency: 2, Shards: shards}, func(c *permitCluster) {
		for hour := 0; hour < 27; hour += 3 { // each process forgets, and believes that its IDENTIFYs are first ones
			a, b := c.process(), c.process()
			for id := range shards {
				[]*permitProcess{a, b}[id%2].loop(id)
			}
			<-time.After(3 * time.Hour)
			switch hour % 2 {
			case 0:
				a.kill()
				b.kill()
			default:
				a.end()
				b.end()
			}
		}
		c.spaced(2)
		most := 0
		writes := c.all()
		for i, first := 0, 0; i < len(writes); i++ {
			for writes[i].at-writes[first].at >= 24*time.Hour {
				first++
			}
			most = max(most, i-first+1)
		}
		// A day touches two of Discord's windows at the most, and each allows every shard a first one.
		if limit := total/2 + 2*shards; most > limit {
			t.Errorf("got %d IDENTIFYs within 24 hours, want at most %d", most, limit)
		}
		if most < total/2-50 {
			t.Errorf("got %d IDENTIFYs within 24 hours: does something else hold them back?", most)
		}
		p := c.process()
		p.identify(0, true, 0)
		<-time.After(time.Second)
		if b := p.Budget(); b.Held != 1 || !strings.Contains(b.Reason, "looks like a loop") || b.Repeated != total/2 {
			t.Errorf("got %+v, want the governor to hold one back, and to say so", b)
		}
	})
}

func TestConformance21_the_reserve_is_kept_over_processes(t *testing.T) {
	limit := Limit{Total: 1000, Remaining: 53, ResetAfter: time.Hour, MaxConcurrency: 4, Shards: 8}
	inCluster(t, limit, func(c *permitCluster) {
		a := c.process()
		a.identify(0, false, from(0, 4)...)
		c.wait(4, 30*time.Second)
		a.kill()
		b := c.process()
		b.identify(0, false, 0) // it does not know that this is a repetition
		<-time.After(time.Minute)
		if got := b.Budget(); got.Held != 1 || got.Remaining != 49 || got.Reserve != 50 || !strings.Contains(got.Reason, "identify.reserve") {
			t.Errorf("got %+v, want the shard held back at the reserve", got)
		}
		b.identify(0, false, 4) // its key is the same
		if w := c.wait(5, 10*time.Second)[4]; w.shardID != 4 {
			t.Errorf("got shard %d, want the one that has not identified yet", w.shardID)
		}
		if w := c.wait(6, 2*time.Hour)[5]; w.shardID != 0 || w.at < 59*time.Minute {
			t.Errorf("got %+v, want shard 0 in the next window", w)
		}
	})
}

func TestConformance20_the_last_IDENTIFY_is_one_for_all_processes(t *testing.T) {
	limit := Limit{Total: 1000, Remaining: 1, ResetAfter: time.Hour, MaxConcurrency: 16, Shards: 4}
	inCluster(t, limit, func(c *permitCluster) {
		processes := []*permitProcess{c.process(), c.process(), c.process()}
		<-time.After(time.Second)
		for id, p := range processes {
			p.identify(0, false, id)
		}
		<-time.After(30 * time.Minute)
		if n := len(c.all()); n != 1 {
			t.Errorf("got %d IDENTIFYs, want 1: one is left", n)
		}
		held := 0
		for _, p := range processes {
			if b := p.Budget(); b.Held > 0 && strings.Contains(b.Reason, "today's 1000 IDENTIFYs are spent") {
				held++
			}
		}
		if held != 2 {
			t.Errorf("got %d processes that say so, want 2", held)
		}
		c.wait(3, time.Hour)
	})
}

func TestAccount_takes_the_smaller_remainder_of_any_process(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		a, b := c.process(), c.process()
		<-time.After(time.Second)
		less := day(1)
		less.Remaining = 700 // somebody else uses the token too
		a.Update(less)
		<-time.After(time.Second)
		b.Update(day(1)) // an older answer
		<-time.After(time.Second)
		b.identify(0, false, 0)
		c.wait(1, time.Minute)
		<-time.After(DefaultSlotTTL)
		for _, p := range []*permitProcess{a, b} {
			if got := p.Budget().Remaining; got != 699 {
				t.Errorf("got %d left, want 699", got)
			}
		}
	})
}

func TestAccount_survives_a_bucket_that_was_deleted(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		p := c.process()
		p.identify(0, false, from(0, 4)...)
		c.wait(4, time.Minute)
		for damage, value := range map[string][]byte{"deleted": nil, "no JSON": []byte("x"), "nonsense": []byte(`{"total":-1}`)} {
			before := p.Budget().Remaining
			c.fleet.mu.Lock()
			if e := c.fleet.entries[budgetKey]; value == nil {
				delete(c.fleet.entries, budgetKey)
			} else {
				e.Value = value
				c.fleet.entries[budgetKey] = e
			}
			c.fleet.mu.Unlock()
			p.identify(0, false, 0)
			<-time.After(time.Minute)
			if got := p.Budget(); got.Remaining != before-1 {
				t.Errorf("%s: got %d left, want %d: what was seen last counts", damage, got.Remaining, before-1)
			}
		}
	})
}

func TestAccount_a_change_whose_answer_was_lost_counts_once(t *testing.T) {
	inCluster(t, day(1), func(c *permitCluster) {
		p := c.process()
		<-time.After(time.Second)
		n := 0
		a := p.shared.account
		a.fleet = kvClient{c.fleet, p.away, func() kvFault {
			if n++; n == 2 { // read, and then written
				return kvUnanswered
			}
			return kvFine
		}}
		before := time.Now()
		ok, err := a.change(func(b *budget) bool { b.Spent += 10; return true })
		if took := time.Since(before); err == nil || ok || took > changeTimeout {
			t.Errorf("got %v, %v after %v, want an error: nobody knows", ok, err, took)
		}
		_ = a.look(context.Background())
		if got := p.Budget().Remaining; got != 990 {
			t.Errorf("got %d left, want 990", got)
		}
	})
}
