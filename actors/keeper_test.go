package actors

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"drover/messages"
	"drover/system/gatewaysim"
)

func TestKeeper_writes_what_moved_and_not_more_often_than_it_may(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{Guilds: 4}, func(_ *node, o *Options) { o.CheckpointInterval = 2 * time.Second }, func(n *node) {
		n.awaitReady()
		n.saved()
		then := time.Now()
		for i := range 100 {
			n.dispatch(0, i)
			elapse(100 * time.Millisecond)
		}
		n.saved()
		writes := n.store.since(0, then)
		if len(writes) < 4 || len(writes) > 6 {
			t.Errorf("got %d checkpoints in 10s, want one each 2s", len(writes))
		}
		for i := 1; i < len(writes); i++ {
			if apart := writes[i].at.Sub(writes[i-1].at); apart < 2*time.Second {
				t.Errorf("got two checkpoints within %v, want 2s", apart)
			}
			if writes[i].Guilds != nil {
				t.Error("got the guild set again, although nothing changed in it")
			}
		}
		if got := n.store.since(1, then); len(got) != 0 {
			t.Errorf("got %d checkpoints of a shard that read nothing, want none", len(got))
		}
		last := n.store.of(0)
		if s := n.status().Shards[0]; last.Seq() != s.SeqReceived || last.Stored[messages.Events] == 0 || last.GatewayURL == "" ||
			last.ResumeURL == "" || last.Fingerprint == "" || last.Shards != 2 || last.Connection == 0 {
			t.Errorf("got %+v, want everything up to %d", last, s.SeqReceived)
		}
	})
}

func TestKeeper_keeps_the_last_contact_of_a_quiet_shard_young(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		then := time.Now()
		elapse(time.Hour)
		if age := time.Since(n.store.of(0).Contact); age > 2*time.Minute {
			t.Errorf("got a last contact %v ago, want it younger than two minutes", age)
		}
		if got := len(n.store.since(0, then)); got < 30 || got > 61 {
			t.Errorf("got %d checkpoints in a quiet hour, want about one a minute", got)
		}
	})
}

func TestKeeper_writes_the_guild_set_when_it_changes(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		then := time.Now()
		joined := n.sim.JoinGuild()
		elapse(3 * time.Second)
		if err := n.sim.LeaveGuild(joined); err != nil {
			t.Fatal(err)
		}
		elapse(3 * time.Second)
		if err := n.sim.GuildOutage(n.sim.GuildIDs(0, 1)[0], time.Second); err != nil {
			t.Fatal(err)
		}
		elapse(5 * time.Second)
		var sizes []int
		for _, w := range n.store.since(0, then) {
			if w.Guilds != nil {
				sizes = append(sizes, len(w.Guilds))
			}
		}
		if len(sizes) != 2 || sizes[0] != 3 || sizes[1] != 2 {
			t.Errorf("got guild sets of %v, want 3 after the join and 2 after the leave; an outage changes nothing", sizes)
		}
	})
}

func TestKeeper_whose_store_fails_tries_again_and_holds_up_nobody(t *testing.T) {
	for name, hang := range map[string]bool{"it answers with an error": false, "it does not answer": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 2, gatewaysim.Options{Guilds: 4}, nil, func(n *node) {
				n.awaitReady()
				n.saved()
				n.store.sabotage(errTest, hang)
				began := time.Now()
				for i := range 60 {
					n.dispatch(0, i)
					n.dispatch(1, i)
					elapse(500 * time.Millisecond)
				}
				if got := n.window.ofType("sheep.shorn"); got != 120 {
					t.Errorf("got %d events while the store is away, want 120", got)
				}
				s := n.status().Shards // answered at once
				for _, shard := range s {
					if age := time.Since(shard.Unsaved); shard.Unsaved.IsZero() || age < 25*time.Second {
						t.Errorf("shard %d: got unsaved since %v, want since about 30s", shard.ID, age)
					}
				}
				n.sim.Drop(gatewaysim.One(0)) // RESUME needs no store
				n.await(time.Minute, "resumed", func() bool { return n.sim.Counts().Resumed == 1 })
				told := strings.Count(n.log.String(), "checkpoint not written")
				if most := int(time.Since(began)/tellAgain) + 1; told < 2 || told > most {
					t.Errorf("got %d lines of it in %v, want 2 to %d", told, time.Since(began), most)
				}
				n.store.sabotage(nil, false)
				then := time.Now()
				n.saved()
				for _, shard := range s {
					if w := n.store.since(shard.ID, then); len(w) == 0 || w[0].Guilds == nil {
						t.Errorf("shard %d: got writes %+v, want the first one with the guild set: an error says nothing of what is stored", shard.ID, w)
					}
				}
			})
		})
	}
}

// A record that the store never takes must not keep it from taking the others.
func TestKeeper_begins_behind_the_shard_that_failed(t *testing.T) {
	inBubble(t, 3, gatewaysim.Options{Guilds: 6}, func(n *node, o *Options) { o.Sessions = refusing{n.store, 0} }, func(n *node) {
		n.awaitReady()
		elapse(10 * time.Second)
		for shard := range 3 {
			if got := n.store.of(shard).Session != ""; got != (shard != 0) {
				t.Errorf("shard %d: got stored %v", shard, got)
			}
		}
	})
}

func TestKeeper_survives_a_panic_of_its_pool(t *testing.T) {
	inBubble(t, 2, gatewaysim.Options{Guilds: 4}, nil, func(n *node) {
		n.awaitReady()
		n.saved()
		panicOnce(n, "shard restarts")
		n.sim.AnswerResume(gatewaysim.AnswerFault{Answer: gatewaysim.AnswerDrop}, gatewaysim.Limit{Count: 2})
		n.sim.Drop(gatewaysim.One(0))
		elapse(5 * time.Minute)
		n.awaitReady()
		n.dispatch(0, 1)
		n.dispatch(1, 1)
		n.saved()
		if got := n.sim.Counts().Identifies; got != 2 {
			t.Errorf("got %d IDENTIFYs, want 2", got)
		}
	})
}

func TestKeeper_without_a_store_is_none(t *testing.T) {
	inBubble(t, 1, gatewaysim.Options{Guilds: 2}, func(_ *node, o *Options) { o.Sessions = nil }, func(n *node) {
		n.awaitReady()
		n.dispatch(0, 1)
		synctest.Wait()
		if !n.status().Shards[0].Unsaved.IsZero() {
			t.Error("got something unsaved where nothing is saved")
		}
		n.awaitDrained(time.Second)
	})
}
