package main

var traffic = dashboard{
	name:        "traffic",
	title:       "drover / Traffic",
	description: "How many events pass, how long does one take from Discord to JetStream, and what is on its way?",
	rows: []row{
		{"Now", []panel{
			{
				"Received", "Dispatches read from Discord.", number, "ops", 4,
				[]query{{`sum(rate(gateway_events_received_total{` + nodes + `}[$__rate_interval]))`, "events/s"}}, nil,
			},
			{
				"Acknowledged", "Events that JetStream has stored.", number, "ops", 4,
				[]query{{`sum(rate(gateway_events_routed_total{` + nodes + `}[$__rate_interval]))`, "events/s"}}, nil,
			},
			{
				"Latency, 99 %", "From reading an event to JetStream's acknowledgement.", number, "s", 4,
				[]query{{`histogram_quantile(0.99, sum by (le) (rate(gateway_event_route_duration_seconds_bucket{` + nodes + `}[$__rate_interval])))`, "p99"}},
				[]threshold{{0, good}, {0.5, poor}, {3, bad}},
			},
			{
				"Unacknowledged", "Events on their way: window and spool together.", number, "short", 4,
				[]query{{`sum(gateway_unacked_events{` + nodes + `})`, "events"}}, nil,
			},
			{
				"In the spool", "Events on disk, since NATS takes them too slowly or not at all.", number, "bytes", 4,
				[]query{{`sum(gateway_spool_bytes{` + nodes + `})`, "bytes"}}, []threshold{{0, good}, {1, poor}},
			},
			{
				"Failed attempts to publish", "Each of them is made again until it is acknowledged.", number, "ops", 4,
				[]query{{`sum(rate(gateway_route_failures_total{` + nodes + `}[$__rate_interval]))`, "attempts/s"}}, []threshold{{0, good}, {0.01, bad}},
			},
		}},
		{"Events", []panel{
			{
				"Received, by type", "The twelve most frequent types.", stacked, "ops", 12,
				[]query{{`topk(12, sum by (event_type) (rate(gateway_events_received_total{` + nodes + `}[$__rate_interval])))`, "{{event_type}}"}}, nil,
			},
			{
				"Received, filtered, acknowledged", "Acknowledged and filtered together follow received; where they stay below, events wait.", lines, "ops", 12,
				[]query{
					{`sum(rate(gateway_events_received_total{` + nodes + `}[$__rate_interval]))`, "received"},
					{`sum(rate(gateway_events_routed_total{` + nodes + `}[$__rate_interval]))`, "acknowledged"},
					{`sum(rate(gateway_events_filtered_total{` + nodes + `}[$__rate_interval]))`, "filtered"},
				}, nil,
			},
			{
				"Acknowledged, by node", "How the work is spread.", lines, "ops", 12,
				[]query{{`sum by (instance) (rate(gateway_events_routed_total{` + nodes + `}[$__rate_interval]))`, "{{instance}}"}}, nil,
			},
			{
				"Events that suffered", "Shed: dropped since the spool was full. Late: interactions that were published after their 3 s. Oversize: published without their data.", lines, "short", 12,
				[]query{
					{`sum by (event_type) (increase(gateway_shed_events_total{` + nodes + `}[$__rate_interval]))`, "shed {{event_type}}"},
					{`sum(increase(gateway_late_interactions_total{` + nodes + `}[$__rate_interval]))`, "late"},
					{`sum by (event_type) (increase(gateway_oversize_events_total{` + nodes + `}[$__rate_interval]))`, "oversize {{event_type}}"},
				}, nil,
			},
		}},
		{"Latency", []panel{
			{
				"Latency of events", "From reading an event's frame to JetStream's acknowledgement. A band that moves up is a slow NATS; a second band is one slow node or stream.", heat, "s", 12,
				[]query{{`sum by (le) (increase(gateway_event_route_duration_seconds_bucket{` + nodes + `}[$__rate_interval]))`, "{{le}}"}}, nil,
			},
			{
				"Latency, quantiles", "The same as lines.", lines, "s", 12,
				[]query{
					{`histogram_quantile(0.5, sum by (le) (rate(gateway_event_route_duration_seconds_bucket{` + nodes + `}[$__rate_interval])))`, "50 %"},
					{`histogram_quantile(0.99, sum by (le) (rate(gateway_event_route_duration_seconds_bucket{` + nodes + `}[$__rate_interval])))`, "99 %"},
					{`histogram_quantile(0.999, sum by (le) (rate(gateway_event_route_duration_seconds_bucket{` + nodes + `}[$__rate_interval])))`, "99.9 %"},
				}, nil,
			},
		}},
		{"Publishing", []panel{
			{
				"Failed attempts to publish, by node", "No answer within publish.ack_timeout, or a refusal. On one node it is its network, on all of them NATS.", lines, "ops", 8,
				[]query{{`sum by (instance) (rate(gateway_route_failures_total{` + nodes + `}[$__rate_interval]))`, "{{instance}}"}}, nil,
			},
			{
				"Unacknowledged events", "The window, and what is in the spool. The window holds publish.window events for each of the two streams.", lines, "short", 8,
				[]query{{`sum by (instance) (gateway_unacked_events{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"NATS connected", "1 while it is, else 0.", lines, "short", 8,
				[]query{{`gateway_nats_connected{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Window, share in use", "Credits that are spent, for each of the two streams. At 1 the next event goes to the spool.", lines, "percentunit", 8,
				[]query{{`gateway_window_events{` + nodes + `} / gateway_window_limit{` + nodes + `}`, "{{stream}}, {{instance}}"}}, nil,
			},
			{
				"Window, bytes", "64 MiB for each stream bound it too.", lines, "bytes", 8,
				[]query{{`gateway_window_bytes{` + nodes + `}`, "{{stream}}, {{instance}}"}}, nil,
			},
			{
				"Shards that wait for room", "They read nothing meanwhile, and Discord keeps their events for a minute or two.", lines, "short", 8,
				[]query{{`sum by (instance) (gateway_window_waiting{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Longest time without an acknowledgement", "Of a shard. It follows quiet guilds as well as a NATS that does not answer.", lines, "s", 12,
				[]query{{`max by (instance) (gateway_last_ack_age_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
			{
				"Compression", "Bytes of events over bytes on the wire.", lines, "none", 12,
				[]query{{`sum by (instance) (rate(gateway_inflated_bytes_total{` + nodes + `}[$__rate_interval])) / sum by (instance) (rate(gateway_received_bytes_total{` + nodes + `}[$__rate_interval]))`, "{{instance}}"}}, nil,
			},
		}},
		{"Spool", []panel{
			{
				"Spool, share of its limit", "Full at 1, for EVENTS at 7/8: then shards stop reading, and events in backpressure.shed are dropped.", lines, "percentunit", 8,
				[]query{{`gateway_spool_bytes{` + nodes + `} / gateway_spool_limit_bytes{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Age of the oldest event in the spool", "It grows while NATS is away and falls while the spool is published.", lines, "s", 8,
				[]query{{`gateway_spool_age_seconds{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Events in the spool", "The height of what is to be caught up with.", lines, "short", 8,
				[]query{{`gateway_spool_events{` + nodes + `}`, "{{instance}}"}}, nil,
			},
		}},
		{"Checkpoints", []panel{
			{
				"Checkpoints of sessions", "Written to NATS, so that another process can RESUME. Failed ones are tried again.", lines, "ops", 12,
				[]query{{`sum by (outcome) (rate(gateway_checkpoints_total{` + nodes + `}[$__rate_interval]))`, "{{outcome}}"}}, nil,
			},
			{
				"Age of what no checkpoint has", "A crash now would have Discord replay as much more.", lines, "s", 12,
				[]query{{`max by (instance) (gateway_checkpoint_age_seconds{` + nodes + `})`, "{{instance}}"}}, nil,
			},
		}},
	},
}
