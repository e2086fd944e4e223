-- What load.js works on: 20 communities with 1,000 members and 3 rules each. As a
-- superuser, in a database that `drover migrate up` made; a second time it changes
-- nothing. The members are the same people in every community, so that a query
-- that reaches over its own tenant has too many rows.
INSERT INTO communities (id, guild_id, name)
SELECT app_community_id(g), g, 'load test ' || g
FROM generate_series(1000001, 1000020) g
ON CONFLICT DO NOTHING;

INSERT INTO profiles (community_id, user_id, username, nick, wallet_address, tier, current_rank, roles, joined_at)
SELECT app_community_id(g), u, 'user' || u, 'nick' || u, '0x' || md5(g || ':' || u), (ARRAY['bronze', 'silver', 'gold'])[1 + u % 3], u,
       ARRAY[1, 2, 3]::bigint[], now()
FROM generate_series(1000001, 1000020) g, generate_series(1, 1000) u
ON CONFLICT DO NOTHING;

INSERT INTO eligibility_rules (community_id, name, chain, rule_type, priority)
SELECT app_community_id(g), 'rule ' || n, 'ethereum', 'token_balance', n
FROM generate_series(1000001, 1000020) g, generate_series(1, 3) n
WHERE NOT EXISTS (SELECT FROM eligibility_rules WHERE community_id = app_community_id(g));
