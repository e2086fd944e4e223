package system

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"drover/config"
	"drover/messages"
	"drover/system/cluster"
	"drover/system/gateway"
)

// heritage is what earlier processes left behind for the shards of this node. The zero value is nothing.
type heritage struct {
	sessions map[int]messages.Checkpoint
	other    *cluster.OtherTotal // the bot was sharded differently; nil: it was not
	dead     *messages.StreamLost
	stranded []messages.Stranded // sessions in the spool without a checkpoint
}

// inherit asks the session store what it has of these shards, of total.
func (s *System) inherit(ctx context.Context, total int, shards []int) (h heritage, err error) {
	if s.sessions == nil {
		return h, nil
	}
	return h, s.fromStore(ctx, func() error {
		loaded, err := s.sessions.Load(ctx, total, shards)
		if err != nil {
			return err
		}
		h = heritage{sessions: loaded.Sessions, other: loaded.Other}
		if err := s.findDead(ctx, &h); err != nil {
			return err
		}
		return s.readBack(ctx, h.sessions)
	})
}

// storedTotal is the number of shards that the bot had, if any of its sessions may still be resumed; else 0. Another
// number would cost all of them.
func (s *System) storedTotal(ctx context.Context) (total int, err error) {
	if s.sessions == nil {
		return 0, nil
	}
	return total, s.fromStore(ctx, func() error {
		loaded, err := s.sessions.Load(ctx, 0, []int{0}) // no bot has 0 shards: all records are of another total
		if err == nil && loaded.Other != nil && time.Since(loaded.Other.Contact) <= gateway.SessionLife {
			total = loaded.Other.Shards
		}
		return err
	})
}

// fromStore tries ask until the session store answers. A bucket that somebody must look at ends the node; anything else
// may pass.
func (s *System) fromStore(ctx context.Context, ask func() error) error {
	s.waitingFor("the session store")
	for {
		err := s.sessions.Ensure(ctx)
		if err == nil {
			err = ask()
		}
		var unusable *cluster.BucketError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &unusable):
			return &Error{Code: exitConfig, Text: "session store", Err: err}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		s.log.Warn("stored sessions not read", "err", err, "wait", streamsAgain)
		s.waitingFor("the session store (" + err.Error() + ")")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(streamsAgain):
		}
	}
}

// findDead finds streams that are others than the checkpoints speak of: a memory stream died while nobody looked.
func (s *System) findDead(ctx context.Context, h *heritage) error {
	for stream := range messages.Stream(messages.Streams) {
		last, err := s.broker.LastSeq(ctx, stream)
		if err != nil {
			return err
		}
		made, err := s.madeAt(ctx, stream)
		if err != nil {
			return err
		}
		var seen time.Time // for the last time, by any of the sessions
		for _, c := range h.sessions {
			// The end alone says little: what the spool had may be published by now, or what other nodes have.
			dead := c.Stored[stream] > last || c.Stored[stream] > 0 && made.After(c.Written)
			if dead && c.Contact.After(seen) {
				seen = c.Contact
			}
		}
		if seen.IsZero() {
			continue
		}
		if h.dead == nil {
			h.dead = &messages.StreamLost{From: seen}
		}
		h.dead.Streams = append(h.dead.Streams, stream)
		h.dead.From = earlier(h.dead.From, agedOut(s.stream(stream), seen))
		s.log.Error("a stream was lost while drover was away: acknowledged events that no worker had read are gone", "stream", stream.String())
	}
	return nil
}

// madeAt is when a stream was made, by the clock of NATS. That there is none, although it was set up, passes: the
// publisher makes it again.
func (s *System) madeAt(ctx context.Context, of messages.Stream) (time.Time, error) {
	stream, err := s.broker.JetStream().Stream(ctx, s.broker.StreamName(of))
	if err != nil {
		return time.Time{}, fmt.Errorf("read stream %s: %w", s.broker.StreamName(of), err)
	}
	return stream.CachedInfo().Created, nil
}

// agedOut is when the oldest event was stored that a stream still held at some time; zero: it may hold any.
func agedOut(c config.Stream, at time.Time) time.Time {
	if c.MaxAge == 0 {
		return time.Time{}
	}
	return at.Add(-c.MaxAge)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (s *System) stream(of messages.Stream) config.Stream {
	if of == messages.Commands {
		return s.cfg.Streams.Commands
	}
	return s.cfg.Streams.Events
}

// readBack finds out what is stored beyond the marks of checkpoints. JetStream's duplicate window alone would let it in
// again where the way to the RESUME, and through its replay, takes longer than that.
func (s *System) readBack(ctx context.Context, sessions map[int]messages.Checkpoint) error {
	for stream := range messages.Stream(messages.Streams) {
		old := map[string]int{} // session → shard
		var after uint64
		for id, c := range sessions {
			if time.Since(c.Contact) > gateway.SessionLife {
				continue // nobody resumes it
			}
			if len(old) == 0 || c.Stored[stream] < after {
				after = c.Stored[stream]
			}
			old[c.Session] = id
		}
		if len(old) == 0 {
			continue
		}
		began, found := time.Now(), map[int][]int64{}
		_, err := s.broker.StoredSince(ctx, stream, after, func(_, header string, _ uint64) {
			session, seq, ok := parseSeq(header)
			if id, asked := old[session]; ok && asked && seq > sessions[id].Acked[stream] {
				found[id] = append(found[id], seq)
			}
		})
		if err != nil {
			return err
		}
		stored := 0
		for id, seqs := range found {
			c := sessions[id]
			c.Beyond[stream] = seqs
			sessions[id] = c
			stored += len(seqs)
		}
		s.log.Info("read back what is stored beyond the checkpoints", "stream", stream.String(),
			"sessions", len(old), "stored", stored, "took", time.Since(began))
	}
	return nil
}

// parseSeq reads the header Drover-Seq: "<session>:<sequence>".
func parseSeq(header string) (session string, seq int64, ok bool) {
	at := strings.LastIndexByte(header, ':')
	if at < 0 {
		return "", 0, false
	}
	seq, err := strconv.ParseInt(header[at+1:], 10, 64)
	return header[:at], seq, err == nil
}

// gatewayURL is where the newest of the sessions began; empty where none is remembered.
func (h *heritage) gatewayURL() string {
	var url string
	var at time.Time
	for _, c := range h.sessions {
		if c.GatewayURL != "" && (url == "" || c.Contact.After(at)) {
			url, at = c.GatewayURL, c.Contact
		}
	}
	return url
}

// acked is what is known to be stored of each session.
func (h *heritage) acked() map[string][messages.Streams]int64 {
	upTo := make(map[string][messages.Streams]int64, len(h.sessions))
	for _, c := range h.sessions {
		upTo[c.Session] = c.Acked
	}
	return upTo
}

// give puts what belongs to the pool's shards into a.
func (h *heritage) give(a *messages.Assign) {
	a.Sessions, a.Lost = map[int]messages.Checkpoint{}, map[int]messages.LostSession{}
	for _, id := range a.Shards {
		if c, ok := h.sessions[id]; ok {
			a.Sessions[id] = c
		} else if h.other != nil {
			a.Lost[id] = lostBy(h.other, id, a.Total)
		}
	}
	for _, s := range h.stranded {
		_, stored := a.Sessions[s.ShardID]
		_, lost := a.Lost[s.ShardID]
		if !stored && !lost && slices.Contains(a.Shards, s.ShardID) {
			a.Lost[s.ShardID] = messages.LostSession{Name: s.Session, Gap: strandedGap(s)}
		}
	}
}

// strandedGap begins a gap behind what the spool has of a session that nobody can resume: its process ended before the
// first checkpoint.
func strandedGap(s messages.Stranded) messages.GapData {
	return messages.GapData{
		Reason: messages.GapSpoolStranded, Session: messages.ShortSession(s.Session), LastAckedSeq: s.Last, From: s.At.UnixMilli(),
	}
}

// findStranded keeps those sessions of shards in the spool that no checkpoint knows.
func (h *heritage) findStranded(spooled []messages.Stranded, shards []int) {
	for _, s := range spooled {
		if !slices.Contains(shards, s.ShardID) {
			continue
		}
		c, stored := h.sessions[s.ShardID]
		if stored && (c.Session == s.Session || s.At.Before(c.Contact)) {
			continue // that one's, or an older one, whose end was declared when this one began
		}
		h.stranded = append(h.stranded, s)
	}
}

// overtaken are stranded sessions of those shards that have a checkpoint of an older one: that one's gap does not name them.
func (h *heritage) overtaken(shards []int, now time.Time) (gaps []messages.LifeCycle) {
	for _, s := range h.stranded {
		if _, stored := h.sessions[s.ShardID]; stored && slices.Contains(shards, s.ShardID) {
			gap := strandedGap(s)
			gap.To = now.UnixMilli()
			gaps = append(gaps, messages.LifeCycle{ShardID: s.ShardID, Session: s.Session, Seq: s.Last, At: now, Gap: &gap})
		}
	}
	return gaps
}

// lostBy is what a shard of total lost when the bot was sharded anew.
func lostBy(o *cluster.OtherTotal, id, total int) messages.LostSession {
	lost := messages.LostSession{
		// The same after each start until the next sharding, so that what is told again is the same event.
		Name: fmt.Sprintf("%d shards until %d", o.Shards, o.Contact.UnixMilli()),
		Gap:  messages.GapData{Reason: messages.GapIdentityChanged, From: o.Contact.UnixMilli()},
	}
	if o.Guilds != nil {
		lost.Guilds = []uint64{}
	}
	for guild := range o.Guilds {
		if gateway.ShardOf(guild, total) == id {
			lost.Guilds = append(lost.Guilds, guild)
		}
	}
	return lost
}

// forgetOthers deletes what is stored of other shardings, as soon as every shard of this one has a session in the store,
// also those of other nodes: until then some shard may still have to declare what it lost. It ends with ctx.
func (s *System) forgetOthers(ctx context.Context, total int) {
	all := make([]int, total)
	for id := range all {
		all[id] = id
	}
	for wait := time.Second; ; wait = min(2*wait, forgetAgain) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		loaded, err := s.sessions.Load(ctx, total, all)
		if err == nil && len(loaded.Sessions) == total {
			if err = s.sessions.ForgetOther(ctx, total); err == nil {
				s.log.Info("sessions of another number of shards forgotten", "shards", total)
				return
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("sessions of another number of shards are still stored", "err", err)
		}
	}
}

// forgetAgain is how often it is looked in the end whether old records may go. They do no harm.
const forgetAgain = 30 * time.Second
