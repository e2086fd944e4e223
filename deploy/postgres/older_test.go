package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"drover/system/store"
)

// foundation is a database of the earlier kind: ids at random, guilds and users
// as text, an enumeration, row security without FORCE and with the flag alone,
// functions of the same names, an audit log with a cascade.
const foundation = `
CREATE TYPE subscription_tier AS ENUM ('free', 'pro', 'enterprise', 'legacy');
CREATE TABLE communities (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), discord_guild_id varchar(20) UNIQUE, name varchar(100) NOT NULL, theme_id varchar(50) DEFAULT 'basic',
  subscription_tier subscription_tier DEFAULT 'free', settings jsonb DEFAULT '{}', is_active boolean DEFAULT true,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE profiles (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), community_id uuid NOT NULL REFERENCES communities (id) ON DELETE CASCADE,
  discord_id varchar(20) NOT NULL, wallet_address varchar(64), tier varchar(50), current_rank integer, created_at timestamptz DEFAULT now(),
  UNIQUE (community_id, discord_id));
CREATE TABLE badges (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), community_id uuid REFERENCES communities (id), profile_id uuid REFERENCES profiles (id) ON DELETE CASCADE,
  badge_type varchar(50), earned_at timestamptz DEFAULT now());
CREATE TABLE eligibility_rules (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), community_id uuid REFERENCES communities (id), name text, chain_id integer, contract_address text,
  rule_type text, parameters jsonb, role_id varchar(20), tier varchar(20), priority integer, enabled boolean);
CREATE TABLE audit_logs (
  id bigserial PRIMARY KEY, community_id uuid REFERENCES communities (id) ON DELETE CASCADE, actor_id text, actor_type text, action text NOT NULL,
  target_type text, target_id text, metadata jsonb, ip_address text, created_at timestamptz DEFAULT now());
CREATE TABLE audit_logs_default (archived jsonb);
CREATE FUNCTION get_tenant_context() RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT nullif(current_setting('app.current_tenant', true), '')::uuid $$;
CREATE FUNCTION set_tenant_context(p_tenant uuid, p_admin boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.current_tenant', p_tenant::text, false); END $$;
ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON profiles USING (community_id = get_tenant_context() OR current_setting('app.is_admin', true) = 'true');
CREATE VIEW leaderboard AS SELECT discord_id, current_rank FROM profiles;
INSERT INTO communities (id, discord_guild_id, name, subscription_tier, settings, is_active) VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', '{own_guild}', 'First', 'pro', '{"a": 1}', true),
  ('aaaaaaaa-0000-4000-8000-000000000002', '{victim_guild}', 'Second', 'legacy', NULL, false),
  ('aaaaaaaa-0000-4000-8000-000000000003', NULL, 'Of nobody', 'free', '{}', true);
INSERT INTO profiles (id, community_id, discord_id, wallet_address, tier, current_rank) VALUES
  ('bbbbbbbb-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', '42', '0xabc', 'gold', 7),
  ('bbbbbbbb-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000002', '42', NULL, NULL, NULL),
  ('bbbbbbbb-0000-4000-8000-000000000003', 'aaaaaaaa-0000-4000-8000-000000000001', 'no number', NULL, NULL, NULL),
  ('bbbbbbbb-0000-4000-8000-000000000004', 'aaaaaaaa-0000-4000-8000-000000000003', '43', NULL, NULL, NULL);
INSERT INTO badges (community_id, profile_id, badge_type) VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000001', 'early'),
  -- A badge of one community for the member of another: the older key let it pass.
  ('aaaaaaaa-0000-4000-8000-000000000001', 'bbbbbbbb-0000-4000-8000-000000000002', 'crossed');
INSERT INTO eligibility_rules (community_id, name, chain_id, rule_type, parameters, role_id, tier, priority, enabled) VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', 'known', 1, 'nft_ownership', '{"min": 1}', '55', 'gold', 3, true),
  ('aaaaaaaa-0000-4000-8000-000000000001', 'unknown', 1, 'phase_of_the_moon', '[]', 'x', NULL, NULL, true);
INSERT INTO audit_logs (community_id, actor_id, actor_type, action, target_type, target_id, metadata, ip_address, created_at) VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', 'ann', 'admin', 'old', 'profile', '1', '{"k": "v"}', '10.0.0.1', '2024-02-29 12:00+00'),
  ('aaaaaaaa-0000-4000-8000-000000000001', NULL, 'robot', 'odd', NULL, NULL, NULL, 'somewhere', 'infinity'),
  (NULL, 'x', 'system', 'of nobody', NULL, NULL, NULL, NULL, now());
`

func TestMigrate_takes_over_the_earlier_foundation(t *testing.T) {
	for _, role := range []string{"postgres", "migrator"} {
		t.Run(role, func(t *testing.T) {
			name := empty(t)
			judge := owner(t, name)
			do(t, judge, "ALTER DATABASE "+name+" OWNER TO migrator; SET ROLE "+role+";"+foundation+
				"ALTER TABLE profiles FORCE ROW LEVEL SECURITY; RESET ROLE")
			var notices []string
			m := store.Migrator{URL: server.DirectURL(role, name), Notice: func(line string) { notices = append(notices, line) }}
			up(t, m)
			told := strings.Join(notices, "\n")
			for _, want := range []string{"communities: 2 of 3", "profiles: 2 of 4", "badges: 2 of 2", "eligibility_rules: 2 of 2", "audit_logs: 2 of 3"} {
				if !strings.Contains(told, want) {
					t.Errorf("notices: got %s, want %q in them", told, want)
				}
			}
			for _, tt := range []struct{ what, sql, want string }{
				{"communities", "SELECT string_agg(concat_ws(' ', id, guild_id, name, subscription_tier, settings, active), '; ' ORDER BY guild_id) FROM communities",
					`{own} {own_guild} First pro {"a": 1} t; {victim} {victim_guild} Second free {"older_subscription_tier": "legacy"} f`},
				{"profiles", "SELECT string_agg(concat_ws(' ', community_id, id, user_id, wallet_address, tier, current_rank), '; ' ORDER BY id) FROM profiles",
					"{own} bbbbbbbb-0000-4000-8000-000000000001 42 0xabc gold 7; {victim} bbbbbbbb-0000-4000-8000-000000000002 42"},
				{"badges", "SELECT string_agg(concat_ws(' ', community_id, profile_id, badge), '; ' ORDER BY badge) FROM badges",
					"{victim} bbbbbbbb-0000-4000-8000-000000000002 crossed; {own} bbbbbbbb-0000-4000-8000-000000000001 early"},
				{"rules", "SELECT string_agg(concat_ws(' ', name, chain, rule_type, parameters, role_id, tier_mapping, priority, enabled), '; ' ORDER BY name) FROM eligibility_rules",
					`known 1 nft_ownership {"min": 1} 55 {"tier": "gold"} 3 t; unknown 1 custom {} {} 0 f`},
				{"audit rows", "SELECT string_agg(concat_ws(' ', community_id, actor_type, actor, action, target, metadata, host(ip)), '; ' ORDER BY action DESC) FROM audit_logs",
					`{own} admin ann old profile:1 {"k": "v"} 10.0.0.1; {own} system unknown odd  {}`},
				{"a partition of the audit row's month", "SELECT tableoid::regclass FROM audit_logs WHERE action = 'old'", "audit_logs_2024_02"},
				{"the older rows", "SELECT (SELECT count(*) FROM foundation.communities) || ' ' || (SELECT count(*) FROM foundation.profiles) || ' ' || (SELECT count(*) FROM foundation.audit_logs)", "3 4 3"},
				{"the older view", "SELECT count(*) FROM leaderboard", "4"},
				{"who reads them", "SELECT has_schema_privilege('app_rw', 'foundation', 'USAGE') OR has_schema_privilege('app_admin', 'foundation', 'USAGE')", "f"},
				{"which became which", "SELECT community_id FROM foundation.community_ids WHERE older = 'aaaaaaaa-0000-4000-8000-000000000002'", "{victim}"},
			} {
				if got := ask(t, judge, tt.sql); got != fill(tt.want) {
					t.Errorf("%s: got\n%s\nwant\n%s", tt.what, got, fill(tt.want))
				}
			}
			if got := ask(t, judge, `SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class WHERE relnamespace = 'public'::regnamespace
				AND relkind IN ('r', 'p') AND relname <> 'drover_migrations' AND NOT (relrowsecurity AND relforcerowsecurity)`); got != "" {
				t.Errorf("row security is not forced on %s", got)
			}
			if got := len(up(t, m)); got != 0 {
				t.Errorf("up twice: got %d migrations, want none", got)
			}

			// What the take-over has made, retention must be able to drop.
			done, err := m.Retain(t.Context(), store.Retention{AuditMonths: 13, EventDays: 7})
			if err != nil || !slices.Contains(done.Months, "audit_logs_2024_02") {
				t.Errorf("retention: got %+v, %v, want the month of the older row dropped", done, err)
			}
			if got := ask(t, judge, `SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class WHERE relnamespace = 'public'::regnamespace
				AND relname ~ '^audit_logs' AND relkind IN ('r', 'p') AND relowner <> 'app_owner'::regrole`); got != "" {
				t.Errorf("not app_owner's: %s", got)
			}

			// Back: what was there before is there again.
			if _, err := m.Down(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, judge, "SELECT count(*) || ' ' || count(discord_guild_id) FROM public.communities"); got != "3 2" {
				t.Errorf("down: got %s communities, want 3 2", got)
			}
			if got := ask(t, judge, "SELECT count(*) FROM pg_namespace WHERE nspname = 'foundation'"); got != "0" {
				t.Error("down: the schema foundation is still there")
			}
			if got := len(up(t, m)); got != steps {
				t.Errorf("up again: got %d migrations, want %d", got, steps)
			}
		})
	}
}

// A foundation of which only a part is there.
func TestMigrate_takes_over_a_part_of_it(t *testing.T) {
	name := empty(t)
	judge := owner(t, name)
	do(t, judge, "CREATE TABLE communities (id int, guild_id bigint, name text); INSERT INTO communities VALUES (1, {own_guild}, 'First')")
	m := store.Migrator{URL: server.OwnerURL(name)}
	up(t, m)
	if got := ask(t, judge, "SELECT id || ' ' || name FROM communities"); got != fill("{own} First") {
		t.Errorf("got %s, want the community", got)
	}
	if got := ask(t, judge, "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'foundation'::regnamespace AND relkind = 'r'"); got != "communities community_ids profile_ids" {
		t.Errorf("schema foundation: got %s", got)
	}
}
