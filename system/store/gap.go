package store

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Gap says that events may be missing.
type Gap struct {
	EventID  string // the id of the event that tells of it, or another UUID that is the same when it is told again
	ShardID  int    // whose communities are concerned; AllShards: all
	Position int64  // what stands behind it in the streams is whole again
	At       time.Time
	Reason   string
}

// AllShards in place of a shard's number means every community.
const AllShards = -1

// MarkStale marks the communities of a shard, each in a transaction of its own with its audit row, up to width of them
// side by side. A gap that was marked to its end is not marked again; told again after an error it marks what is left, and nothing
// twice. A community that was reconciled by a later event than the gap is not marked. progress is called after each one, from several goroutines; it may be nil. It returns how many were marked, also beside an error.
func (s *Store) MarkStale(ctx context.Context, g Gap, width int, progress func()) (int, error) {
	if done, err := s.gapDone(ctx, g, "SELECT count(*) FROM applied_events WHERE community_id = $1::uuid AND event_id = $2::uuid"); err != nil || done {
		return 0, err
	}
	guilds, err := s.guildsOf(ctx, g.ShardID)
	if err != nil {
		return 0, err
	}
	var (
		next  = make(chan uint64)
		mu    sync.Mutex
		count int
		first error
		wg    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range max(1, min(width, len(guilds))) {
		wg.Go(func() { // ends when next is closed; MarkStale waits for it
			for guild := range next {
				marked, err := s.markOne(ctx, g, guild)
				mu.Lock()
				if err != nil && first == nil {
					first = err
					cancel()
				}
				if marked {
					count++
				}
				mu.Unlock()
				if progress != nil {
					progress()
				}
			}
		})
	}
	for _, guild := range guilds {
		select {
		case next <- guild:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	if first == nil {
		first = context.Cause(ctx)
	}
	if first == nil {
		_, first = s.gapDone(ctx, g, "WITH noted AS (INSERT INTO applied_events (community_id, event_id) VALUES ($1::uuid, $2::uuid) ON CONFLICT DO NOTHING) SELECT 1::bigint")
	}
	return count, first
}

// noGuild is in place of a community in the ids of events that belong to none.
const noGuild = 0

// gapDone asks or notes, as the login role, whether a gap was marked to its end.
func (s *Store) gapDone(ctx context.Context, g Gap, sql string) (done bool, err error) {
	nobody := CommunityID(noGuild)
	err = s.transact(ctx, s.enter(nobody), func(ctx context.Context, tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(sql, nobody.String(), g.EventID).QueryRow(func(row pgx.Row) error {
			var n int64
			err := row.Scan(&n)
			done = n > 0
			return err
		})
		return tx.SendBatch(ctx, b).Close()
	})
	return done, err
}

// guildsOf lists the guilds of a shard. It is the one look over all tenants, at ids only, which the login role has.
func (s *Store) guildsOf(ctx context.Context, shardID int) ([]uint64, error) {
	sql, args := "SELECT guild_id FROM communities WHERE shard_id = $1 AND active ORDER BY guild_id", []any{shardID}
	if shardID == AllShards {
		sql, args = "SELECT guild_id FROM communities WHERE active ORDER BY guild_id", nil
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, s.clean("communities of a shard", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, s.clean("communities of a shard", err)
	}
	guilds := make([]uint64, len(ids))
	for i, id := range ids {
		guilds[i] = uint64(id)
	}
	return guilds, nil
}

// markOne reports whether the community is stale now and was not marked by this gap before.
func (s *Store) markOne(ctx context.Context, g Gap, guildID uint64) (marked bool, err error) {
	err = s.WithTenant(ctx, CommunityID(guildID), func(ctx context.Context, tx *Tx) error {
		n, err := tx.Exec(ctx, `UPDATE communities SET
			stale_since = coalesce(stale_since, $2::timestamptz), gap_position = $3
			WHERE id = $1::uuid AND $3 > greatest(gap_position, sync_position)`, tx.Community(), g.At, g.Position)
		marked = n > 0
		if err != nil || !marked {
			return err
		}
		return tx.Audit(ctx, Audit{
			ID: derivedID(g.EventID, tx.Community()), At: g.At, ActorType: "system", Actor: actor, Action: "community.stale",
			Target: strconv.FormatUint(guildID, 10), Metadata: map[string]any{"event_id": g.EventID, "shard_id": g.ShardID, "reason": g.Reason},
		})
	})
	return marked && err == nil, err
}
