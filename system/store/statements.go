package store

import "github.com/jackc/pgx/v5/pgconn"

type commandTag = pgconn.CommandTag

// The statements of changes. Each fact has a position, and is only replaced by one with a higher position, so that
// changes may come in any order and more than once. $1 is the community, the last parameter the position.
const (
	// communityHere: 2 name or NULL, 3 joined or NULL, 4 at, 5 whether all members were listed, 6 position.
	communityHere = `UPDATE communities SET
		active = active OR $6 > active_position,
		left_at = CASE WHEN $6 > active_position THEN NULL ELSE left_at END,
		joined_at = CASE WHEN $6 > active_position THEN coalesce($3::timestamptz, joined_at) ELSE joined_at END,
		name = CASE WHEN $6 > name_position THEN coalesce($2::text, name) ELSE name END,
		stale_since = CASE WHEN $6 > gap_position THEN NULL ELSE stale_since END,
		reconciled_at = CASE WHEN $6 > sync_position THEN $4::timestamptz ELSE reconciled_at END,
		event_at = greatest(event_at, $4::timestamptz),
		active_position = greatest(active_position, $6),
		name_position = CASE WHEN $2::text IS NULL THEN name_position ELSE greatest(name_position, $6) END,
		sync_position = greatest(sync_position, $6),
		complete_position = CASE WHEN $5 THEN greatest(complete_position, $6) ELSE complete_position END
		WHERE id = $1::uuid AND ($6 > least(active_position, name_position, sync_position) OR $5 AND $6 > complete_position)`

	// communityKnown: 2 joined or NULL, 3 at, 4 position. The bot is in the guild, and nothing else is known.
	communityKnown = `UPDATE communities SET
		active = true, left_at = NULL, joined_at = coalesce($2::timestamptz, joined_at), event_at = greatest(event_at, $3::timestamptz),
		active_position = $4
		WHERE id = $1::uuid AND $4 > active_position`

	// communityRenamed: 2 name or NULL, 3 at, 4 position.
	communityRenamed = `UPDATE communities SET
		name = coalesce($2::text, name), event_at = greatest(event_at, $3::timestamptz), name_position = $4
		WHERE id = $1::uuid AND $4 > name_position`

	// communityLeft: 2 at, 3 position.
	communityLeft = `UPDATE communities SET
		active = false, left_at = $2::timestamptz, event_at = greatest(event_at, $2::timestamptz), active_position = $3
		WHERE id = $1::uuid AND $3 > active_position`

	// membersHere: 2 members as JSON, 3 at, 4 position. Who came before a list of all members, and is not in it, has left.
	membersHere = `INSERT INTO profiles AS p
		(community_id, user_id, username, nick, roles, joined_at, event_at, active, left_at, member_position, detail_position)
		SELECT c.id, m.user_id, m.username, m.nick, coalesce(m.roles, '{}'), m.joined_at, $3::timestamptz,
		$4 > c.complete_position, CASE WHEN $4 > c.complete_position THEN NULL ELSE c.reconciled_at END, greatest($4, c.complete_position), $4
		FROM communities c, jsonb_to_recordset($2::jsonb) AS m (user_id bigint, username text, nick text, roles bigint[], joined_at timestamptz)
		WHERE c.id = $1::uuid
		ON CONFLICT (community_id, user_id) DO UPDATE SET
		username = CASE WHEN $4 > p.detail_position THEN excluded.username ELSE p.username END,
		nick = CASE WHEN $4 > p.detail_position THEN excluded.nick ELSE p.nick END,
		roles = CASE WHEN $4 > p.detail_position THEN excluded.roles ELSE p.roles END,
		joined_at = CASE WHEN $4 > p.detail_position THEN coalesce(excluded.joined_at, p.joined_at) ELSE p.joined_at END,
		stale_since = CASE WHEN $4 > p.detail_position THEN NULL ELSE p.stale_since END,
		active = CASE WHEN excluded.member_position > p.member_position THEN excluded.active ELSE p.active END,
		left_at = CASE WHEN excluded.member_position <= p.member_position THEN p.left_at
			WHEN excluded.active THEN NULL ELSE coalesce(p.left_at, excluded.left_at) END,
		event_at = greatest(p.event_at, excluded.event_at),
		member_position = greatest(p.member_position, excluded.member_position),
		detail_position = greatest(p.detail_position, $4)
		WHERE excluded.member_position > p.member_position OR $4 > p.detail_position`

	// memberLeft: 2 user, 3 name, 4 at, 5 position. Of somebody unknown it is noted too: an older event may still come.
	memberLeft = `INSERT INTO profiles AS p (community_id, user_id, username, active, left_at, event_at, member_position)
		VALUES ($1::uuid, $2, $3, false, $4::timestamptz, $4::timestamptz, $5)
		ON CONFLICT (community_id, user_id) DO UPDATE SET
		active = false, left_at = excluded.left_at, stale_since = NULL,
		event_at = greatest(p.event_at, excluded.event_at), member_position = $5
		WHERE $5 > p.member_position`

	// membersGone: 2 the users that are members, 3 at, 4 position.
	membersGone = `UPDATE profiles SET
		active = false, left_at = $3::timestamptz, stale_since = NULL, event_at = greatest(event_at, $3::timestamptz), member_position = $4
		WHERE community_id = $1::uuid AND active AND member_position < $4 AND NOT (user_id = ANY ($2::bigint[]))
		RETURNING user_id`

	// membersUncertain: 2 users that were seen, 3 position. Where events may be missing, a list that is not complete says nothing
	// of those who are not in it: they are marked until an event tells of them. It stands before communityHere, which ends the gap.
	membersUncertain = `UPDATE profiles p SET stale_since = c.stale_since
		FROM communities c
		WHERE c.id = $1::uuid AND c.stale_since IS NOT NULL AND c.gap_position < $3
		AND p.community_id = c.id AND p.active AND p.stale_since IS NULL
		AND greatest(p.member_position, p.detail_position) < c.gap_position AND NOT (p.user_id = ANY ($2::bigint[]))`
)
