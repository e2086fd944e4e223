package actors

import (
	"context"
	"errors"
	"time"

	"drover/messages"
	"drover/system/telemetry"
)

// keeper writes the checkpoints of one pool's shards: its own goroutine, since the store may be slow or away, which
// must hold up no shard. It belongs to the pool actor, reads what shards publish in atomics and under locks of their
// own, and touches nothing of theirs.
type keeper struct {
	*Options
	assign messages.Assign
	fence  messages.Fence // invalid: nothing may be written, and stays due
	shards []*keeping
	poke   <-chan struct{}

	cancel context.CancelFunc
	last   chan func(error) // capacity 1: write the last checkpoints, call it, and end
	done   chan struct{}

	first int                 // index of the shard that the next round begins with
	point messages.Checkpoint // of the shard that the round is at: one for each would be most of what an idle node allocates
	told  time.Time           // when a failure was last logged
}

// keeping is what the store has of one shard, as far as the keeper knows.
type keeping struct {
	id      int
	carried *carried
	saved   messages.Checkpoint // without guilds
	guilds  uint64              // version of the guild set that is stored; 0: not known
}

const (
	// saveTimeout bounds one checkpoint. Too low: a slow store never gets one; too high: the others are late.
	saveTimeout = 2 * time.Second
	// lastTimeout bounds all of the last ones together. What is not written then is replayed, and recognised by its id.
	lastTimeout = 3 * time.Second
	// contactAge is how old the last sign of life may become in the store while nothing else changes: it says whether a
	// RESUME is worth a try.
	contactAge = time.Minute
	// tellAgain is how often a store that does not take checkpoints is logged.
	tellAgain = 10 * time.Second
)

// startKeeper starts the keeper's goroutine. It ends by stop, or by finish.
func startKeeper(o *Options, a messages.Assign, kept *pooled) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{
		Options: o, assign: a, fence: kept.tenure, poke: kept.poke, cancel: cancel,
		last: make(chan func(error), 1), done: make(chan struct{}),
	}
	for _, id := range a.Shards {
		k.shards = append(k.shards, &keeping{id: id, carried: kept.shards[id]})
	}
	go k.run(ctx)
	return k
}

// stop ends the keeper at once and waits for it. A nil keeper is stopped.
func (k *keeper) stop() {
	if k != nil {
		k.cancel()
		<-k.done
	}
}

// finish has the keeper write the last checkpoint of every shard, within lastTimeout, call then with what kept it from
// that, and end.
func (k *keeper) finish(then func(error)) { k.last <- then }

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	defer k.cancel()
	tick := time.NewTicker(k.CheckpointInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = k.round(ctx, (*keeping).due) // told, and tried again
		case <-k.poke:
			_ = k.round(ctx, (*keeping).fresh)
		case then := <-k.last:
			bounded, cancel := context.WithTimeout(ctx, lastTimeout)
			err := k.round(bounded, func(*keeping, *messages.Checkpoint) bool { return true })
			cancel()
			then(err)
			return
		}
	}
}

// round saves the checkpoints that wanted chooses. It ends with the first failure, since the store is away: the next
// round tries again, with another shard first.
func (k *keeper) round(ctx context.Context, wanted func(*keeping, *messages.Checkpoint) bool) error {
	for range k.shards {
		s := k.shards[k.first]
		k.first = (k.first + 1) % len(k.shards)
		version, ok := k.next(s, &k.point)
		s.note(&k.point)
		if !ok || !wanted(s, &k.point) {
			continue
		}
		if err := k.save(ctx, s, k.point, version); err != nil {
			return err
		}
	}
	return nil
}

// next makes c a shard's checkpoint as of now. Guilds is set where the store has not got them, and version is that of the
// set. ok is false where it must not be written: the shard has no session, or is about to begin one.
func (k *keeper) next(s *keeping, c *messages.Checkpoint) (version uint64, ok bool) {
	tails := k.Window.Stored() // before the marks: what is sent after them stands behind these
	m, about, received := s.carried.marks.Load(), s.carried.memo.Load(), s.carried.Received()
	*c = messages.Checkpoint{ShardID: s.id, Shards: k.assign.Total, Session: m.session}
	if m.session == "" {
		return 0, false
	}
	c.Acked, c.Stored, ok = m.point(received)
	for stream, tail := range tails { // of a quiet shard: the next process shall not read half the stream back for it
		if m.nothingOpen(messages.Stream(stream), received) {
			c.Stored[stream] = max(c.Stored[stream], tail)
		}
	}
	guilds, version, current := s.carried.tracker.Known(m.number, c.Acked[messages.Events])
	if !ok || !current || about == nil || about.session != m.session {
		return version, false
	}
	c.ResumeURL, c.GatewayURL, c.Fingerprint = about.url, about.base, about.fingerprint
	c.Contact, c.Connection = about.contact, about.connection
	if version != s.guilds {
		c.Guilds = append([]uint64{}, guilds...) // nil would leave the stored set as it is
	}
	if messages.Sabotaged(messages.CheckpointReceived) {
		for stream := range c.Acked {
			c.Acked[stream] = s.carried.tracker.Seq()
		}
	}
	return version, true
}

func (k *keeper) save(ctx context.Context, s *keeping, c messages.Checkpoint, version uint64) error {
	if !messages.Valid(k.fence) {
		return errFenced // another node may have written a newer one
	}
	bounded, cancel := context.WithTimeout(ctx, saveTimeout)
	err := k.Sessions.Save(bounded, c)
	cancel()
	if err != nil {
		s.guilds = 0 // it may be gone with the store: the next one carries it
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return err // stopped
		}
		k.Meters.Checkpoint(telemetry.Failed)
		if now := time.Now(); now.Sub(k.told) >= tellAgain {
			k.told = now
			k.Log.Warn("checkpoint not written: tried again until it is", "shard_id", s.id, "pool_id", k.assign.Pool, "err", err)
		}
		return err
	}
	k.Meters.Checkpoint(telemetry.Saved)
	c.Guilds = nil
	s.saved, s.guilds = c, version
	s.carried.unsaved.Store(0)
	return nil
}

// note tells health since when the store is behind.
func (s *keeping) note(c *messages.Checkpoint) {
	if c.Session == "" || !s.moved(c) {
		s.carried.unsaved.Store(0)
		return
	}
	s.carried.unsaved.CompareAndSwap(0, time.Now().UnixNano())
}

// moved reports whether c knows more than what is stored.
func (s *keeping) moved(c *messages.Checkpoint) bool {
	// A higher position alone is not worth a write; a lower one is of a stream that was made again.
	return s.fresh(c) || c.Acked != s.saved.Acked || c.Guilds != nil ||
		c.Stored[messages.Events] < s.saved.Stored[messages.Events] || c.Stored[messages.Commands] < s.saved.Stored[messages.Commands]
}

// fresh reports whether c is of a session that is not stored.
func (s *keeping) fresh(c *messages.Checkpoint) bool { return c.Session != s.saved.Session }

// due reports whether c is to be written.
func (s *keeping) due(c *messages.Checkpoint) bool {
	return s.moved(c) || c.Connection != s.saved.Connection || c.ResumeURL != s.saved.ResumeURL || c.GatewayURL != s.saved.GatewayURL ||
		c.Contact.Sub(s.saved.Contact) >= contactAge
}
