package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"drover/messages"
)

// Sessions keeps the checkpoints of this bot's sessions in a JetStream key-value bucket, so that any
// process can RESUME them.
//
// Any goroutine may call its methods, Save and Forget of one shard one at a time. Each call is bounded
// by its context, or where that has no deadline by JetStream's 5 s for each request. An error means
// "unknown": what was to be written may have been.
//
// A shard has two records, since its guild set is large and rarely changes: shard.<total>.<id> and
// guilds.<total>.<id>. The guild set is written first, so after a crash it may be the newer of the two.
type Sessions struct {
	bucket *bucket
	log    *slog.Logger

	mu    sync.Mutex
	known map[shardKey]revisions
}

// SessionsOptions say where the sessions are kept.
type SessionsOptions struct {
	// Prefix is streams.prefix. Empty: "drover". The bucket is <prefix>_sessions.
	Prefix string
	// Replicas is 1 to 5 copies in a NATS cluster. 0: what exists, 1 for a new bucket. One copy is away
	// with its server; with more, each checkpoint waits for a majority.
	Replicas int
	// Log tells of records that cannot be read or kept. nil: nobody is told.
	Log *slog.Logger
}

// ErrSuperseded means that Save has not kept the checkpoint: another node serves the shard by now, and has kept one.
var ErrSuperseded = errors.New("a node that serves it since has kept a newer one")

// ErrGuildsGone means that Save has kept the session, but that the shard's guild set, which was not
// given, is gone with an earlier bucket: call Save again with it.
var ErrGuildsGone = errors.New("its guild set is gone with an earlier bucket: save it again")

// shardKey names a shard of a bot of total shards.
type shardKey struct{ total, shardID int }

func (k shardKey) session() string { return fmt.Sprintf("shard.%d.%d", k.total, k.shardID) }
func (k shardKey) guilds() string  { return fmt.Sprintf("guilds.%d.%d", k.total, k.shardID) }

// revisions are what a shard's records are known to have in the bucket. 0: none, or not known.
type revisions struct {
	session, guilds uint64
	guildsGone      bool // there was a guild set, and it has to be written again
}

// NewSessions returns a store without asking NATS anything.
func NewSessions(js jetstream.JetStream, o SessionsOptions) *Sessions {
	if o.Prefix == "" {
		o.Prefix = "drover"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	want := jetstream.KeyValueConfig{
		Bucket: o.Prefix + "_sessions", Description: "drover: what any process needs to RESUME a session",
		// No TTL: a guild set is written when it changes, which may be never.
		Storage: jetstream.FileStorage, History: 1, Replicas: o.Replicas,
	}
	return &Sessions{
		bucket: &bucket{js: js, want: want, log: o.Log, settingUp: make(chan struct{}, 1)},
		log:    o.Log, known: map[shardKey]revisions{},
	}
}

// Ensure makes the bucket exist, with file storage and without an age limit. An existing one is kept.
// It may be called at any time and again. Where somebody must act the error is a *BucketError.
func (s *Sessions) Ensure(ctx context.Context) error {
	if err := s.bucket.ensure(ctx); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Save writes c: the guild set first, unless c.Guilds is nil, then the session. A bucket that is gone is
// made again, once, for which ctx should allow 2 s. When a Save with a guild set fails, the shard's next one
// has to carry it again; so it has after ErrGuildsGone.
func (s *Sessions) Save(ctx context.Context, c messages.Checkpoint) error {
	err := s.save(ctx, &c)
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if err = s.bucket.ensure(ctx); err == nil {
			err = s.save(ctx, &c)
		}
	}
	if err != nil {
		return fmt.Errorf("cluster: save the session of shard %d: %w", c.ShardID, err)
	}
	return nil
}

func (s *Sessions) save(ctx context.Context, c *messages.Checkpoint) error {
	if c.Session == "" {
		return errors.New("there is none: forget the shard instead")
	}
	kv, err := s.bucket.open(ctx)
	if err != nil {
		return err
	}
	k := shardKey{c.Shards, c.ShardID}
	if c.Guilds != nil {
		if err := s.saveGuilds(ctx, kv, k, c); err != nil {
			return err
		}
	}
	data, err := encodeSession(c, time.Now())
	if err != nil {
		return err
	}
	r := s.revisions(k)
	check := func(found []byte) error { return superseded(found, k, c.Epoch) }
	var gone bool
	if r.session, gone, err = put(ctx, kv, k.session(), data, r.session, check); err != nil {
		return err
	}
	// A session that was not there any more, and whose set was: the whole bucket is another one.
	if gone && r.guilds != 0 && c.Guilds == nil {
		r.guilds, r.guildsGone = 0, true
	}
	s.setRevisions(k, r)
	if r.guildsGone {
		return ErrGuildsGone
	}
	return nil
}

// superseded tells whether a node that serves the shard since has kept the checkpoint that was found.
func superseded(found []byte, k shardKey, epoch uint64) error {
	if have, err := decodeSession(found, k.total, k.shardID); err == nil && have.Epoch > epoch {
		return ErrSuperseded
	}
	return nil
}

func (s *Sessions) saveGuilds(ctx context.Context, kv jetstream.KeyValue, k shardKey, c *messages.Checkpoint) error {
	data := encodeGuilds(c.Session, c.Acked[messages.Events], c.Guilds)
	r := s.revisions(k)
	check := func([]byte) error { // a guild set has no epoch: its session has
		entry, err := kv.Get(ctx, k.session())
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return superseded(entry.Value(), k, c.Epoch)
	}
	var err error
	r.guilds, _, err = put(ctx, kv, k.guilds(), data, r.guilds, check)
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		// A session can be resumed without its guild set. The older set must go: it would pass for this one.
		s.log.Warn("guild set is larger than NATS allows and is not kept: raise max_payload of the NATS server",
			"shard_id", k.shardID, "guilds", len(c.Guilds), "bytes", len(data))
		r.guilds, err = 0, s.bucket.purge(ctx, k.guilds())
	}
	if err != nil {
		return err
	}
	r.guildsGone = false
	s.setRevisions(k, r)
	return nil
}

func (s *Sessions) revisions(k shardKey) revisions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[k]
}

func (s *Sessions) setRevisions(k shardKey, r revisions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[k] = r
}

// Forget deletes one shard's records: its session has ended for good.
func (s *Sessions) Forget(ctx context.Context, total, shardID int) error {
	k := shardKey{total, shardID}
	s.mu.Lock()
	delete(s.known, k)
	s.mu.Unlock()
	// The session first: a guild set alone means nothing to anybody.
	if err := s.bucket.purge(ctx, k.session(), k.guilds()); err != nil {
		return fmt.Errorf("cluster: forget the session of shard %d: %w", shardID, err)
	}
	return nil
}

// ForgetOther deletes the records of every other total: they belong to a sharding that this bot no
// longer runs.
func (s *Sessions) ForgetOther(ctx context.Context, total int) error {
	keys, err := s.bucket.keys(ctx)
	if err == nil {
		var others []string
		for _, key := range keys {
			if _, k, ok := parseKey(key); ok && k.total != total {
				others = append(others, fmt.Sprintf("shard.%d.*", k.total), fmt.Sprintf("guilds.%d.*", k.total))
			}
		}
		slices.Sort(others)
		slices.Reverse(others) // sessions before guild sets, as in Forget
		err = s.bucket.purge(ctx, slices.Compact(others)...)
	}
	if err != nil {
		return fmt.Errorf("cluster: forget the sessions of other totals than %d: %w", total, err)
	}
	return nil
}
