package messages

import "time"

// Assign tells the root that this node serves a pool from now on. A pool that it serves already stays as it is; one
// that leaves may be assigned again when Revoke or Drop is answered.
type Assign struct {
	Pool       int
	Shards     []int  // ids of its shards, rising
	Total      int    // shards of the bot
	GatewayURL string // where sessions without a resume URL begin, as /gateway/bot names it
	Fence      Fence  // of the pool's lease; nil: always valid
	// Spread is over how long its sessions dial that are resumed; 0: 1 s.
	Spread time.Duration
	// Sessions are the checkpoints that an earlier process or another node left behind, by shard id.
	Sessions map[int]Checkpoint
	// Lost tells shards without a checkpoint, by id, of a session that they had and that nobody can RESUME.
	Lost map[int]LostSession
}

// Revoke asks the root for the orderly hand-over of one pool while the others go on: its shards stop reading, what they
// took is waited for until it is acknowledged, the last checkpoints are written, and the sessions close with 4000, so that
// another node can RESUME them. The sender gets Revoked.
type Revoke struct {
	Pool int
	// Timeout bounds it, but for up to 3 s of the last checkpoints. Too low: what is not acknowledged is published again
	// by the next node, which is dropped by its id within the duplicate window only. Too high: while NATS is away nobody
	// serves the pool.
	Timeout time.Duration
}

// Revoked answers Revoke: nothing of the pool is left on this node, and nothing of it will be published or saved any more.
type Revoked struct {
	Pool    int
	Unacked int   // events that were given up unacknowledged; Discord replays its own to the next node
	Err     error // why the last checkpoints are not all as new as they could be; nil: they are
}

// Drop tells the root that a pool is another node's by now: its connections are closed with 4000, nothing of it is
// published or saved any more, and its sessions are forgotten. The sender gets Dropped.
type Drop struct{ Pool int }

// Dropped answers Drop: nothing of the pool is left on this node.
type Dropped struct{ Pool int }

// PoolLeft tells health to forget the shards of a pool.
type PoolLeft struct {
	Pool int
	Note string // for the history
}
