package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// actor is who stands in the audit log.
const actor = "drover worker"

// Apply brings the changes of one guild into its community's tables, in their order, each with its audit row, all in one
// transaction. A change whose id was applied before is a Duplicate and changes nothing. After an error nothing was applied, or, where the
// connection broke while it was committed, everything: then a second Apply finds Duplicates.
//
// Two calls for one guild wait for one another, in this process or another, and so come one after the other. Their
// order does not matter to the result.
func (s *Store) Apply(ctx context.Context, guildID uint64, changes []Change) ([]Outcome, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	community := CommunityID(guildID)
	var outcomes []Outcome
	err := s.transact(ctx, s.enter(community), func(ctx context.Context, tx pgx.Tx) (err error) {
		a := &application{tx: tx, community: community.String(), guildID: int64(guildID), changes: changes}
		if err := a.begin(ctx); err != nil {
			return err
		}
		if len(a.todo) > 0 {
			if err := a.write(ctx); err != nil {
				return err
			}
		}
		outcomes = a.outcomes
		return nil
	})
	return outcomes, err
}

// application is one attempt of one Apply.
type application struct {
	tx        pgx.Tx
	community string
	guildID   int64
	changes   []Change
	outcomes  []Outcome
	todo      []int // indices of the changes that are new
	audits    []Audit
}

// begin notes the ids, as the login role, and finds out which are new. Another transaction that has noted one of them and is not
// committed yet is waited for. Then it becomes the tenant.
func (a *application) begin(ctx context.Context) error {
	ids := make([]string, len(a.changes))
	newest := 0
	for i := range a.changes {
		ids[i] = strings.ToLower(a.changes[i].EventID) // as PostgreSQL gives it back
		if a.changes[i].Position > a.changes[newest].Position {
			newest = i
		}
	}
	b := &pgx.Batch{}
	fresh := map[string]bool{}
	b.Queue(`INSERT INTO applied_events (community_id, event_id)
		SELECT $1::uuid, id::uuid FROM unnest($2::text[]) WITH ORDINALITY AS e (id, n) ORDER BY n
		ON CONFLICT DO NOTHING RETURNING event_id::text`, a.community, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			fresh[id] = true
		}
		return rows.Err()
	})
	b.Queue(roleTenant)
	// The row's lock makes the transactions of a community follow one another, also where nothing in the row changes.
	last := &a.changes[newest]
	b.Queue(`INSERT INTO communities AS c (id, guild_id, shard_id, event_at, joined_at) VALUES ($1::uuid, $2, $3, $4, $4)
		ON CONFLICT (id) DO UPDATE SET shard_id = excluded.shard_id
		WHERE c.shard_id IS DISTINCT FROM excluded.shard_id AND $5 > greatest(c.active_position, c.gap_position, c.sync_position)`,
		a.community, a.guildID, last.ShardID, last.At, last.Position)
	if err := a.tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	a.outcomes = make([]Outcome, len(a.changes))
	for i := range a.changes {
		a.outcomes[i] = Duplicate
		if fresh[ids[i]] {
			delete(fresh, ids[i]) // twice in one call counts once
			a.outcomes[i] = Superseded
			a.todo = append(a.todo, i)
		}
	}
	return nil
}

// write applies the new changes and writes their audit rows.
func (a *application) write(ctx context.Context) error {
	b := &pgx.Batch{}
	left := map[int][]int64{} // users whom a complete list of members does not hold any more, by change
	for _, i := range a.todo {
		if err := a.queue(b, i, left); err != nil {
			return err
		}
	}
	if err := a.tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	b = &pgx.Batch{}
	for _, i := range a.todo {
		a.audit(i, left[i])
	}
	if err := queueAudit(b, a.community, a.audits); err != nil {
		return err
	}
	return a.tx.SendBatch(ctx, b).Close()
}

// queue queues one change. A statement that touched a row says so when the batch is read.
func (a *application) queue(b *pgx.Batch, i int, left map[int][]int64) error {
	c := &a.changes[i]
	touched := func(q *pgx.QueuedQuery) {
		q.Exec(func(tag commandTag) error {
			if tag.RowsAffected() > 0 {
				a.outcomes[i] = Applied
			}
			return nil
		})
	}
	if c.Kind == MemberLeft {
		if len(c.Members) != 1 {
			return fmt.Errorf("store: change %s: %d members, want 1", c.EventID, len(c.Members))
		}
		touched(b.Queue(memberLeft, a.community, c.Members[0].UserID, c.Members[0].Username, c.At, c.Position))
		return nil
	}
	if c.Kind == CommunityLeft {
		touched(b.Queue(communityLeft, a.community, c.At, c.Position))
		return nil
	}
	if len(c.Members) > 0 {
		list, err := json.Marshal(c.Members)
		if err != nil {
			return fmt.Errorf("store: change %s: members: %w", c.EventID, err)
		}
		touched(b.Queue(membersHere, a.community, string(list), c.At, c.Position))
	}
	switch c.Kind {
	case CommunityHere:
		if !c.Listed {
			touched(b.Queue(communityKnown, a.community, c.JoinedAt, c.At, c.Position))
			break
		}
		users := make([]int64, len(c.Members))
		for n := range c.Members {
			users[n] = c.Members[n].UserID
		}
		if c.Complete {
			b.Queue(membersGone, a.community, users, c.At, c.Position).Query(func(rows pgx.Rows) error {
				for rows.Next() {
					var user int64
					if err := rows.Scan(&user); err != nil {
						return err
					}
					left[i] = append(left[i], user)
				}
				return rows.Err()
			})
		} else {
			b.Queue(membersUncertain, a.community, users, c.Position)
		}
		touched(b.Queue(communityHere, a.community, c.Name, c.JoinedAt, c.At, c.Complete, c.Position))
	case CommunityRenamed:
		touched(b.Queue(communityRenamed, a.community, c.Name, c.At, c.Position))
	}
	return nil
}

// audit notes the rows of one change: one for the event, and one for each profile that it ended without an event of its own.
func (a *application) audit(i int, left []int64) {
	c := &a.changes[i]
	meta := map[string]any{"event_type": c.EventType, "shard_id": c.ShardID}
	e := Audit{ID: c.EventID, At: c.At, ActorType: "system", Actor: actor, Target: strconv.FormatInt(a.guildID, 10), Metadata: meta}
	switch c.Kind {
	case CommunityHere:
		e.Action = "community.here"
		if c.Listed {
			meta["members"], meta["complete"] = len(c.Members), c.Complete
		}
		if len(left) > 0 {
			meta["left"] = len(left)
		}
	case CommunityRenamed:
		e.Action = "community.update"
	case CommunityLeft:
		e.Action = "community.leave"
	case MemberHere, MemberLeft:
		e.Target = strconv.FormatInt(c.Members[0].UserID, 10)
		e.Action = map[string]string{"member.join": "profile.join", "member.leave": "profile.leave"}[c.EventType]
		if e.Action == "" {
			e.Action = "profile.update"
		}
	}
	if a.outcomes[i] == Superseded {
		meta["superseded"] = true
	}
	a.audits = append(a.audits, e)
	for _, user := range left {
		target := strconv.FormatInt(user, 10)
		a.audits = append(a.audits, Audit{
			ID: derivedID(c.EventID, target), At: c.At, ActorType: "system", Actor: actor, Action: "profile.leave", Target: target,
			Metadata: map[string]any{"event_type": c.EventType, "event_id": c.EventID, "reconciled": true},
		})
	}
}

// derivedID is the id of a further audit row of one event: a UUID of version 8, the same each time.
func derivedID(eventID, of string) string {
	sum := sha256.Sum256([]byte(eventID + ":" + of))
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[0:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:32]
}

// Position makes a change's position of where its event stands: the instant at which the stream was made and the
// sequence number in it. A stream that was made again begins later than the old one's numbers reached, unless that had held more than
// a thousand million events for each second of its life.
func Position(made time.Time, seq uint64) int64 { return made.UnixNano() + int64(seq) }
