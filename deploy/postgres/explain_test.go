package postgres_test

import (
	"regexp"
	"strings"
	"testing"
)

// crowd makes 100,000 rows of each kind (20,000 badges and events): those of 20
// large communities, and for communities themselves as many small ones.
const crowd = `
SET session_replication_role = replica;
TRUNCATE communities, profiles, badges, eligibility_rules, audit_logs, applied_events;
INSERT INTO communities (id, guild_id, shard_id)
	SELECT app_community_id(g), g, g % 200 FROM generate_series(700000000000000001, 700000000000100000) AS g;
INSERT INTO profiles (community_id, id, user_id, wallet_address, tier, current_rank)
	SELECT c.id, ('00000000-0000-4000-8000-' || lpad((c.n * 5000 + i)::text, 12, '0'))::uuid, 800000000000000000 + i, '0x' || i, 'tier' || i % 10, i
	FROM (SELECT id, guild_id - 700000000000000001 AS n FROM communities WHERE guild_id <= 700000000000000020) c, generate_series(1, 5000) AS i;
INSERT INTO badges (community_id, id, profile_id, badge) SELECT community_id, id, id, 'first' FROM profiles WHERE user_id % 5 = 0;
INSERT INTO eligibility_rules (community_id, chain, rule_type, priority, enabled)
	SELECT community_id, 'ethereum', 'custom', user_id % 1000, user_id % 50 = 0 FROM profiles;
INSERT INTO audit_logs (community_id, at, actor_type, actor, action)
	SELECT community_id, now() + user_id % 5000 * interval '1 minute', 'system', 'x', 'y' FROM profiles;
INSERT INTO applied_events (community_id, event_id, at) SELECT community_id, id, now() - user_id % 5000 * interval '1 minute' FROM profiles WHERE user_id % 5 = 0;
SET session_replication_role = DEFAULT;
ANALYZE;
`

func TestExplain_every_usual_query_uses_its_index(t *testing.T) {
	name := database(t, peopled)
	judge := owner(t, name)
	do(t, judge, crowd)
	const tenant = `NULLIF\(current_setting\('app\.current_tenant'::text, true\), ''::text\)\)?::uuid`
	queries := []struct {
		name, role, sql string
		index           string // regexp of the index, and of its condition
	}{
		{"community of the tenant by guild", "app_rw", "SELECT * FROM communities WHERE guild_id = {own_guild}",
			`communities_guild.*\n.*Index Cond: \(\(guild_id = .*id = \(?` + tenant},
		{"community by guild, for administrators", "app_admin", "SELECT * FROM communities WHERE guild_id = {own_guild}",
			`communities_guild.*\n.*Index Cond: \(guild_id = `},
		{"communities of a shard, for the worker", "app_worker", "SELECT guild_id FROM communities WHERE shard_id = 7", `communities_shard.*\n.*Index Cond: \(shard_id = 7`},
		{"member by user", "app_rw", "SELECT * FROM profiles WHERE user_id = 800000000000000005", `profiles_user.*\n.*Index Cond: \(\(community_id = \(?` + tenant + `\) AND \(user_id = `},
		{"member by wallet", "app_rw", "SELECT * FROM profiles WHERE wallet_address = '0x5'", `profiles_wallet.*\n.*Index Cond: \(\(community_id = .*wallet_address = `},
		{"members of a tier", "app_rw", "SELECT * FROM profiles WHERE tier = 'tier3'", `profiles_tier.*\n.*Index Cond: \(\(community_id = .*tier = `},
		{"best ranks", "app_rw", "SELECT * FROM profiles ORDER BY current_rank LIMIT 10", `profiles_rank.*\n.*Index Cond: \(community_id = `},
		{"members up to a rank", "app_rw", "SELECT * FROM profiles WHERE current_rank <= 10", `profiles_rank.*\n.*Index Cond: \(\(community_id = .*current_rank <= 10`},
		{"enabled rules by priority", "app_rw", "SELECT * FROM eligibility_rules WHERE enabled ORDER BY priority DESC", `eligibility_rules_enabled.*\n.*Index Cond: \(community_id = `},
		{"badges of a member", "app_rw", "SELECT * FROM badges WHERE profile_id = '00000000-0000-4000-8000-000000000005'",
			`badges_profile_badge.*\n.*Index Cond: \(\(community_id = .*profile_id = `},
		{"latest audit rows", "app_rw", "SELECT * FROM audit_logs ORDER BY at DESC LIMIT 50", `audit_logs_\w+_community_id_at_idx.*\n.*Index Cond: \(community_id = `},
		{"audit rows of a day", "app_rw", "SELECT * FROM audit_logs WHERE at >= now() AND at < now() + interval '1 day'",
			`audit_logs_\w+_community_id_at_idx.*\n.*Index Cond: \(\(community_id = .*at >= `},
		{"an event that was applied", "app_worker", "SELECT 1 FROM applied_events WHERE event_id = '00000000-0000-4000-8000-000000000005'",
			`applied_events_pkey.*\n.*Index Cond: \(\(community_id = .*event_id = `},
		{"events to forget", "careless", "DELETE FROM applied_events WHERE at < now() - interval '3 days 10 hours'", `applied_events_at.*\n.*Index Cond: \(\(?at < `},
		{"member by wallet, by the view", "app_rw", "SELECT * FROM active_members WHERE wallet_address = '0x5'", `profiles_wallet.*\n.*Index Cond: \(\(community_id = .*wallet_address = `},
		{"summary", "app_rw", "SELECT * FROM community_summary", `communities_pkey.*\n.*Index Cond: \(id = `},
	}
	scan := regexp.MustCompile(`Seq Scan on|Rows Removed by Filter`)
	for _, q := range queries {
		t.Run(strings.ReplaceAll(q.name, " ", "_"), func(t *testing.T) {
			conn := connect(t, server.DirectURL(q.role, name))
			plan, state := within(t, conn, "SET LOCAL app.is_admin = 'true'; EXPLAIN (COSTS OFF) "+q.sql)
			if state != "" {
				t.Fatalf("got state %s: %s", state, plan)
			}
			if !regexp.MustCompile(q.index).MatchString(plan) || scan.MatchString(plan) {
				t.Errorf("got\n%s\nwant %s, and no sequential scan", plan, q.index)
			}
			t.Logf("%s\n%s", q.sql, plan)
		})
	}

	// Trap 10: what the policies would cost if they were one.
	t.Run("one_policy_for_both_roles_would_lose_the_index", func(t *testing.T) {
		do(t, judge, "ALTER POLICY tenant ON profiles USING (app_is_admin() OR community_id = app_tenant())")
		conn := connect(t, server.DirectURL("app_rw", name))
		plan, _ := within(t, conn, "EXPLAIN (COSTS OFF) SELECT * FROM profiles WHERE user_id = 800000000000000005")
		if regexp.MustCompile(`Index Cond: \(\(community_id = `).MatchString(plan) {
			t.Errorf("the tenant is still an index condition, so that this test sees nothing:\n%s", plan)
		}
		t.Log(plan)
	})
}
