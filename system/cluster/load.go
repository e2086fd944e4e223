package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// Loaded is what Sessions knows about the shards that were asked for.
type Loaded struct {
	// Sessions has the checkpoints by shard id; a shard without one, or with one that cannot be read, is
	// missing. In a checkpoint whose guild set is not known, Guilds is nil.
	Sessions map[int]messages.Checkpoint
	// Other is set when a shard is missing while there are sessions of another total: the bot was
	// sharded differently. nil: none.
	Other *OtherTotal
}

// OtherTotal is a sharding that this bot had before; of several the one that was in contact last.
type OtherTotal struct {
	Shards  int       // of the whole bot
	Contact time.Time // the last sign of life of any of its sessions
	// Guilds are all guilds that the bot was in. nil unless the guild set of every shard is known: what is
	// missing in a part of them says nothing.
	Guilds map[uint64]struct{}
}

// reads is how many records are read side by side. Too low: a large node starts slowly where NATS is
// far away; 1,000 shards at 5 ms take 160 ms. Too high: they queue up in the server.
const reads = 64

// Load reads the checkpoints of these shards of a bot of total shards. A record that cannot be read is
// logged and left out. Acked[Events] is raised to where the guild set was taken if that is later: it is only
// ever written for acknowledged state. A bucket that does not exist holds nothing, and that is no error.
func (s *Sessions) Load(ctx context.Context, total int, shardIDs []int) (Loaded, error) {
	loaded, err := s.load(ctx, total, shardIDs)
	if err != nil {
		return Loaded{}, fmt.Errorf("cluster: load sessions: %w", err)
	}
	return loaded, nil
}

func (s *Sessions) load(ctx context.Context, total int, shardIDs []int) (Loaded, error) {
	// Not open: what is there can be read even where it could not be written.
	kv, err := s.bucket.js.KeyValue(ctx, s.bucket.want.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return Loaded{Sessions: map[int]messages.Checkpoint{}}, nil
	}
	if err != nil {
		return Loaded{}, fmt.Errorf("bucket %s: %w", s.bucket.want.Bucket, err)
	}
	sessions, err := s.readSessions(ctx, kv, total, shardIDs)
	if err != nil {
		return Loaded{}, err
	}
	if err := s.readGuilds(ctx, kv, total, sessions); err != nil {
		return Loaded{}, err
	}
	loaded := Loaded{Sessions: sessions}
	if len(sessions) < len(shardIDs) {
		if loaded.Other, err = s.otherTotal(ctx, kv, total); err != nil {
			return Loaded{}, err
		}
	}
	return loaded, nil
}

// readSessions reads the records of shards, without guilds.
func (s *Sessions) readSessions(ctx context.Context, kv jetstream.KeyValue, total int, shardIDs []int) (map[int]messages.Checkpoint, error) {
	keys := make([]string, len(shardIDs))
	for i, id := range shardIDs {
		keys[i] = shardKey{total, id}.session()
	}
	ahead, err := s.bucket.ahead(ctx)
	if err != nil {
		return nil, err
	}
	values, err := get(ctx, kv, keys)
	if err != nil {
		return nil, err
	}
	sessions := make(map[int]messages.Checkpoint, len(shardIDs))
	for i, entry := range values {
		if entry == nil {
			continue
		}
		s.setRevisions(shardKey{total, shardIDs[i]}, revisions{session: entry.Revision()})
		c, err := decodeSession(entry.Value(), total, shardIDs[i])
		if err != nil {
			s.log.Warn("stored session cannot be read and is ignored", "key", keys[i], "err", err)
			continue
		}
		c.Contact, c.Written = ourContact(c, entry.Created().Add(ahead)), entry.Created()
		sessions[c.ShardID] = c
	}
	return sessions, nil
}

// clockSlack is how far two clocks may be apart without that anybody minds. What is asked of a contact is whether it was within minutes.
const clockSlack = 10 * time.Second

// ourContact is c's last contact by our own clock. c has it, and when it was written, by the clock of the node that wrote it, which may be
// hours off; written is when that was by ours.
func ourContact(c messages.Checkpoint, written time.Time) time.Time {
	if c.Contact.IsZero() || c.Written.IsZero() {
		return c.Contact
	}
	ours := written.Add(-max(c.Written.Sub(c.Contact), 0))
	if ours.Sub(c.Contact).Abs() < clockSlack {
		return c.Contact
	}
	return ours
}

// readGuilds puts the guild sets into sessions.
func (s *Sessions) readGuilds(ctx context.Context, kv jetstream.KeyValue, total int, sessions map[int]messages.Checkpoint) error {
	var ids []int
	var keys []string
	for id := range sessions {
		ids, keys = append(ids, id), append(keys, shardKey{total, id}.guilds())
	}
	values, err := get(ctx, kv, keys)
	if err != nil {
		return err
	}
	for i, entry := range values {
		if entry == nil {
			continue
		}
		k := shardKey{total, ids[i]}
		s.setRevisions(k, revisions{session: s.revisions(k).session, guilds: entry.Revision()})
		r, err := decodeGuilds(entry.Value())
		if err != nil {
			s.log.Warn("stored guild set cannot be read and is ignored", "key", keys[i], "err", err)
			continue
		}
		c := sessions[ids[i]]
		if r.session != c.Session {
			continue // a crash between the first two records of a session, or a set that was not kept
		}
		c.Guilds = r.guilds
		c.Acked[messages.Events] = max(c.Acked[messages.Events], r.seq)
		sessions[c.ShardID] = c
	}
	return nil
}

// otherTotal finds the newest sharding with another total than this one; nil: there is none.
func (s *Sessions) otherTotal(ctx context.Context, kv jetstream.KeyValue, total int) (*OtherTotal, error) {
	keys, err := s.bucket.keys(ctx)
	if err != nil {
		return nil, err
	}
	shards := map[int][]int{} // by total
	for _, key := range keys {
		if kind, k, ok := parseKey(key); ok && kind == "shard" && k.total != total {
			shards[k.total] = append(shards[k.total], k.shardID)
		}
	}
	var other *OtherTotal
	var newest map[int]messages.Checkpoint
	for n, ids := range shards {
		sessions, err := s.readSessions(ctx, kv, n, ids)
		if err != nil {
			return nil, err
		}
		for _, c := range sessions {
			if other == nil || c.Contact.After(other.Contact) {
				other, newest = &OtherTotal{Shards: n, Contact: c.Contact}, sessions
			}
		}
	}
	if other == nil || len(newest) != other.Shards {
		return other, nil
	}
	if err := s.readGuilds(ctx, kv, other.Shards, newest); err != nil {
		return nil, err
	}
	guilds := map[uint64]struct{}{}
	for _, c := range newest {
		if c.Guilds == nil {
			return other, nil
		}
		for _, id := range c.Guilds {
			guilds[id] = struct{}{}
		}
	}
	other.Guilds = guilds
	return other, nil
}

// get reads keys side by side; the entry of a key that is not there is nil. It waits for its goroutines.
func get(ctx context.Context, kv jetstream.KeyValue, keys []string) ([]jetstream.KeyValueEntry, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	entries := make([]jetstream.KeyValueEntry, len(keys))
	var next atomic.Int64
	var readers sync.WaitGroup
	for range min(reads, len(keys)) {
		readers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(keys) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				entry, err := kv.Get(ctx, keys[i])
				switch {
				case err == nil:
					entries[i] = entry
				case !errors.Is(err, jetstream.ErrKeyNotFound):
					cancel(fmt.Errorf("read %s of bucket %s: %w", keys[i], kv.Bucket(), err)) // the others end too
				}
			}
		})
	}
	readers.Wait()
	return entries, context.Cause(ctx)
}

// parseKey reads a key as shardKey writes it.
func parseKey(key string) (kind string, k shardKey, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 || parts[0] != "shard" && parts[0] != "guilds" {
		return "", shardKey{}, false
	}
	total, err := strconv.Atoi(parts[1])
	id, err2 := strconv.Atoi(parts[2])
	k = shardKey{total, id}
	ok = err == nil && err2 == nil && 0 <= id && id < total && total <= maxShards && (key == k.session() || key == k.guilds())
	return parts[0], k, ok
}
