package main

var fleet = dashboard{
	name:        "fleet",
	title:       "drover / Fleet",
	description: "Is every shard served, by whom, and what did changes of hands cost?",
	rows: []row{
		{"Now", []panel{
			{
				"Nodes", "drover processes that Prometheus reaches.", number, "short", 3,
				[]query{{`count(gateway_build_info{` + bot + `})`, "nodes"}}, nil,
			},
			{
				"Shards ready", "Shards that serve, on all nodes.", number, "short", 3,
				[]query{{`sum(gateway_shard_state{` + bot + `, state="ready"})`, "ready"}}, nil,
			},
			{
				"Shards not ready", "All other states. A reconnect takes a second or two; what stays is for the alert ShardDown.", number, "short", 3,
				[]query{{`sum(gateway_shard_state{` + bot + `, state!="ready"})`, "not ready"}}, none,
			},
			{
				"Pools without a holder", "Pools of the bot less valid leases. During a failover one or more, for at most the lease's TTL and 2 s.", number, "short", 3,
				[]query{{`max(gateway_pools{` + bot + `}) - sum(gateway_lease_held{` + bot + `})`, "pools"}}, none,
			},
			{
				"Nodes without NATS", "Their events wait in window and spool.", number, "short", 3,
				[]query{{`count(gateway_nats_connected{` + bot + `}) - sum(gateway_nats_connected{` + bot + `})`, "nodes"}}, none,
			},
			{
				"IDENTIFYs left today", "Of all nodes together. A RESUME costs none.", number, "short", 3,
				[]query{{`min(gateway_identify_budget_remaining{` + bot + `})`, "left"}}, nil,
			},
			{
				"Guilds", "Guilds that the bot is in, unavailable ones included.", number, "short", 3,
				[]query{{`sum(gateway_guilds_total{` + bot + `})`, "guilds"}}, nil,
			},
			{
				"Gaps in 24 h", "Times at which events may be missing, each of them published as shard.gap.", number, "short", 3,
				[]query{{`sum(increase(gateway_session_gaps_total{` + bot + `}[24h]))`, "gaps"}}, none,
			},
		}},
		{"Shards", []panel{
			{
				"Shards by state", "What the shards do. A start shows many identifying: Discord lets max_concurrency of them in each 5 s.", stacked, "short", 12,
				[]query{{`sum by (state) (gateway_shard_state{` + nodes + `})`, "{{state}}"}}, nil,
			},
			{
				"Shards not ready, by node", "Which node has trouble with its connections.", lines, "short", 12,
				[]query{{`sum by (instance) (gateway_shard_state{` + nodes + `, state!="ready"})`, "{{instance}}"}}, nil,
			},
			{
				"Shards ready, the ten weakest pools", "Pools with the fewest ready shards. The last pool may be smaller than the others for good.", lines, "short", 12,
				[]query{{`bottomk(10, sum by (pool_id) (gateway_shards_ready{` + nodes + `}))`, "pool {{pool_id}}"}}, nil,
			},
			{
				"Longest silence of a shard", "Time since the newest event of the shard that has waited longest. It grows where guilds are quiet or an intent is missing, and where a connection is dead that still answers heartbeats.", lines, "s", 12,
				[]query{{`max by (instance) (gateway_last_dispatch_age_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Heartbeat latency", "Time until Discord acknowledges a heartbeat: the slowest shard of each node, and the median of all. One slow node is its network, all of them are Discord.", lines, "s", 12,
				[]query{
					{`max by (instance) (gateway_heartbeat_latency_seconds{` + nodes + `})`, "slowest, {{instance}}"},
					{`quantile(0.5, gateway_heartbeat_latency_seconds{` + nodes + `})`, "median"},
				}, nil,
			},
			{
				"Time since any heartbeat was acknowledged", "Beyond 41 s, Discord's interval, nothing of the node reaches Discord.", lines, "s", 12,
				[]query{{`time() - gateway_last_heartbeat_timestamp{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Longest time without a word from Discord", "Since anything was read from a shard's connection, heartbeats included. Beyond 83 s, two heartbeats, the connection is dead.", lines, "s", 12,
				[]query{{`max by (instance) (gateway_last_heard_age_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Restarts of shards", "By their pool: after a failure, or after a panic, which is a bug. Routine reconnects do not count.", lines, "short", 12,
				[]query{{`sum by (class) (increase(gateway_shard_restarts_total{` + nodes + `}[$__rate_interval]))`, "{{class}}"}}, nil,
			},
		}},
		{"Pools and leases", []panel{
			{
				"Pools held, by node", "Valid leases. It should be even but for nodes of another capacity.", stacked, "short", 12,
				[]query{{`sum by (instance) (gateway_lease_held{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Leases that changed hands", "Handed over: in order. Ran out or lost: a node was away, slow or cut off from NATS, and its pools failed over.", lines, "short", 12,
				[]query{
					{`sum(increase(gateway_lease_acquired_total{` + nodes + `}[$__rate_interval]))`, "acquired"},
					{`sum(increase(gateway_lease_handed_over_total{` + nodes + `}[$__rate_interval]))`, "handed over"},
					{`sum(increase(gateway_lease_ran_out_total{` + nodes + `}[$__rate_interval]))`, "ran out"},
					{`sum(increase(gateway_lease_lost_total{` + nodes + `}[$__rate_interval]))`, "lost"},
				}, nil,
			},
			{
				"Time until the first lease runs out", "A healthy node renews long before: this stays above half of cluster.lease_ttl.", lines, "s", 12,
				[]query{{`min by (instance) (gateway_lease_remaining_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Renewals of leases", "Unknown: NATS did not answer in time, and it is tried again.", lines, "ops", 12,
				[]query{{`sum by (outcome) (rate(gateway_lease_renewals_total{` + nodes + `}[$__rate_interval]))`, "{{outcome}}"}}, nil,
			},
		}},
		{"Sessions", []panel{
			{
				"RESUMEs and IDENTIFYs", "A RESUME costs nothing. IDENTIFYs are counted by Discord, and each one here means a new session.", lines, "short", 12,
				[]query{
					{`sum by (outcome) (increase(gateway_resumes_total{` + nodes + `}[$__rate_interval]))`, "RESUME {{outcome}}"},
					{`sum(increase(gateway_identifies_total{` + nodes + `}[$__rate_interval]))`, "IDENTIFY"},
				}, nil,
			},
			{
				"Errors by type", "close_… are Discord's close codes; docs/metrics.md explains the others. close_4000 and close_1001 are everyday.", lines, "short", 12,
				[]query{{`sum by (error_type) (increase(gateway_errors_total{` + nodes + `}[$__rate_interval]))`, "{{error_type}}"}}, nil,
			},
			{
				"Gaps by reason", "Events may be missing: what workers keep should be compared with Discord (docs/events.md).", lines, "short", 12,
				[]query{{`sum by (reason) (increase(gateway_session_gaps_total{` + nodes + `}[$__rate_interval]))`, "{{reason}}"}}, nil,
			},
			{
				"Jumps in sequence numbers", "Discord left numbers out within one session.", lines, "short", 12,
				[]query{{`sum by (instance) (increase(gateway_sequence_gaps_total{` + nodes + `}[$__rate_interval]))`, "{{instance}}"}}, nil,
			},
			{
				"Dials of the gateway", "Refused: by an HTTP status, which is Discord's edge. Failed and timeout: the network.", lines, "short", 8,
				[]query{{`sum by (outcome) (increase(gateway_dials_total{` + nodes + `}[$__rate_interval]))`, "{{outcome}}"}}, nil,
			},
			{
				"Close codes", "How Discord ended connections; none: without a close frame.", lines, "short", 8,
				[]query{{`sum by (code) (increase(gateway_close_codes_total{` + nodes + `}[$__rate_interval]))`, "{{code}}"}}, nil,
			},
			{
				"Pauses before a dial", "They double with each failure, up to a minute.", lines, "s", 8,
				[]query{
					{`histogram_quantile(0.5, sum by (le) (increase(gateway_backoff_seconds_bucket{` + nodes + `}[1h])))`, "50 %"},
					{`histogram_quantile(0.99, sum by (le) (increase(gateway_backoff_seconds_bucket{` + nodes + `}[1h])))`, "99 %"},
				}, nil,
			},
		}},
		{"Identify budget", []panel{
			{
				"IDENTIFYs of the day", "What Discord allows and what is left. At 0 it resets the bot's token.", lines, "short", 12,
				[]query{
					{`min(gateway_identify_budget_remaining{` + bot + `})`, "left"},
					{`max(gateway_identify_budget_limit{` + bot + `})`, "allowed"},
				}, nil,
			},
			{
				"Shards held back", "Shards that wait for another day, since the rest of the budget is kept for those that have not identified yet.", lines, "short", 12,
				[]query{{`sum by (instance) (gateway_identify_held_back{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Shards that wait to identify", "For their turn, max_concurrency of them each 5 s, and the time until the last of them is done at best.", lines, "short", 12,
				[]query{{`sum by (instance) (gateway_identify_waiting{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Time until the last shard has identified", "At best.", lines, "s", 6,
				[]query{{`max by (instance) (gateway_identify_eta_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Wait for a permit", "How long shards have waited.", lines, "s", 6,
				[]query{
					{`histogram_quantile(0.5, sum by (le) (increase(gateway_identify_wait_seconds_bucket{` + nodes + `}[24h])))`, "50 %"},
					{`histogram_quantile(0.99, sum by (le) (increase(gateway_identify_wait_seconds_bucket{` + nodes + `}[24h])))`, "99 %"},
				}, nil,
			},
		}},
	},
}
