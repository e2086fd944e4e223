package postgres_test

import (
	"strings"

	"drover/system/store"
)

// Three tenants: the attacker's own, the victim's, and one that is only there.
const (
	ownGuild       = 700000000000000001
	victimGuild    = 700000000000000002
	bystanderGuild = 700000000000000003
	emptyGuild     = 700000000000000004 // no community yet
)

// marker stands in every text of the victim that nobody else may read. Its
// members' ids are victimUser and the next ones.
const marker = "VICTIM"

const (
	victimUser    = "800000000000000777"
	victimProfile = "0f0f0f0f-0000-4000-8000-000000000777"
	ownProfile    = "0f0f0f0f-0000-4000-8000-000000000111"
	ownBadge      = "0f0f0f0f-0000-4000-8000-000000000222"
	nobody        = "0f0f0f0f-0000-4000-8000-00000000dead"
)

var names = strings.NewReplacer(
	"{own}", store.CommunityID(ownGuild).String(),
	"{victim}", store.CommunityID(victimGuild).String(),
	"{bystander}", store.CommunityID(bystanderGuild).String(),
	"{empty}", store.CommunityID(emptyGuild).String(),
	"{own_guild}", "700000000000000001",
	"{victim_guild}", "700000000000000002",
	"{empty_guild}", "700000000000000004",
	"{no_guild}", "700000000000000005",
	"{victim_user}", victimUser,
	"{victim_profile}", victimProfile,
	"{own_profile}", ownProfile,
	"{own_badge}", ownBadge,
	"{nobody}", nobody,
)

// fill puts ids for {names}.
func fill(sql string) string { return names.Replace(sql) }

// people makes the tenants. The attacker's nicks are numbers, so that a cast of
// them never fails.
var people = fill(`
INSERT INTO communities (id, guild_id, name, settings) VALUES
  ('{own}', {own_guild}, 'OWN', '{}'), ('{victim}', {victim_guild}, 'VICTIM name', '{"secret": "VICTIM settings"}'),
  ('{bystander}', 700000000000000003, 'BYSTANDER', '{}');
INSERT INTO profiles (community_id, id, user_id, username, wallet_address, nick, tier, current_rank) VALUES
  ('{own}', '{own_profile}', 800000000000000111, 'own', '0xown', '1', 'gold', 1),
  ('{own}', gen_random_uuid(), 800000000000000112, 'own', NULL, '2', 'gold', 2),
  ('{victim}', '{victim_profile}', {victim_user}, 'VICTIM user', '0xVICTIM', 'VICTIM nick', 'VICTIM tier', 1),
  ('{victim}', gen_random_uuid(), 800000000000000778, 'VICTIM user', '0xVICTIM2', 'VICTIM nick', 'VICTIM tier', 2),
  ('{bystander}', gen_random_uuid(), 800000000000000999, 'bystander', NULL, '3', NULL, 3);
INSERT INTO badges (community_id, id, profile_id, badge) VALUES
  ('{own}', '{own_badge}', '{own_profile}', 'OWN badge'), ('{victim}', gen_random_uuid(), '{victim_profile}', 'VICTIM badge');
INSERT INTO eligibility_rules (community_id, name, chain, rule_type) VALUES
  ('{own}', 'OWN rule', 'ethereum', 'custom'), ('{victim}', 'VICTIM rule', 'ethereum', 'custom');
INSERT INTO audit_logs (community_id, actor_type, actor, action) VALUES
  ('{own}', 'user', 'OWN actor', 'made'), ('{victim}', 'user', 'VICTIM actor', 'made'), ('{bystander}', 'user', 'x', 'made');
INSERT INTO applied_events (community_id, event_id) VALUES ('{own}', '{nobody}'), ('{victim}', '{victim_profile}');
ANALYZE;
`)
