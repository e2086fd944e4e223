package main

var node = dashboard{
	name:        "node",
	title:       "drover / Node",
	description: "What does a process cost, and is its machine large enough?",
	rows: []row{
		{"Processor", []panel{
			{
				"CPU", "Cores in use. Above 70 % of what the process may have, latency begins to grow.", lines, "none", 8,
				[]query{{`rate(process_cpu_seconds_total{` + nodes + `}[$__rate_interval])`, "{{instance}}"}}, nil,
			},
			{
				"CPU for an event", "Processor time over events acknowledged. Few events make it large, since heartbeats and scrapes cost the same.", lines, "s", 8,
				[]query{{`sum by (instance) (rate(process_cpu_seconds_total{` + nodes + `}[$__rate_interval])) / sum by (instance) (rate(gateway_events_routed_total{` + nodes + `}[$__rate_interval]))`, "{{instance}}"}}, nil,
			},
			{
				"Network", "Bytes of the machine or the container, all processes in it together.", lines, "Bps", 8,
				[]query{
					{`rate(process_network_receive_bytes_total{` + nodes + `}[$__rate_interval])`, "in, {{instance}}"},
					{`rate(process_network_transmit_bytes_total{` + nodes + `}[$__rate_interval])`, "out, {{instance}}"},
				}, nil,
			},
		}},
		{"Memory", []panel{
			{
				"Resident memory", "What the system counts for the process. The spool's mapped file is in it while it is used.", lines, "bytes", 8,
				[]query{{`process_resident_memory_bytes{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Go's memory and its limit", "Memory that Go holds, and GOMEMLIMIT: 75 % of the container's limit where you set none. Without any limit there is no such line.", lines, "bytes", 8,
				[]query{
					{`go_memstats_sys_bytes{` + nodes + `} - go_memstats_heap_released_bytes{` + nodes + `}`, "held, {{instance}}"},
					{`go_gc_gomemlimit_bytes{` + nodes + `} < 1e15`, "limit, {{instance}}"},
				}, nil,
			},
			{
				"Heap", "What lives and what waits to be collected. It follows guilds and the window, not the traffic.", lines, "bytes", 8,
				[]query{{`go_memstats_heap_alloc_bytes{` + nodes + `}`, "{{instance}}"}}, nil,
			},
		}},
		{"Garbage collection", []panel{
			{
				"Collections", "Often under traffic, seldom at rest. Many without traffic: the memory limit is near.", lines, "ops", 8,
				[]query{{`rate(go_gc_duration_seconds_count{` + nodes + `}[$__rate_interval])`, "{{instance}}"}}, nil,
			},
			{
				"Longest pause", "Of the last collections (OpenMetrics and the older format write the quantile differently). Milliseconds point at a machine without free processors.", lines, "s", 8,
				[]query{{`go_gc_duration_seconds{` + nodes + `, quantile=~"1|1.0"}`, "{{instance}}"}}, nil,
			},
			{
				"Allocation", "Bytes allocated. An event allocates about its own envelope, no more.", lines, "Bps", 8,
				[]query{{`rate(go_memstats_alloc_bytes_total{` + nodes + `}[$__rate_interval])`, "{{instance}}"}}, nil,
			},
		}},
		{"Process", []panel{
			{
				"Goroutines", "A few for each shard. A number that only grows is a leak: please report it.", lines, "short", 8,
				[]query{{`go_goroutines{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Open files", "One for each shard, and some.", lines, "percentunit", 8,
				[]query{{`process_open_fds{` + nodes + `} / process_max_fds{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Threads", "The system's.", lines, "short", 8,
				[]query{{`go_threads{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Time since the start", "A saw is a crash loop.", lines, "s", 8,
				[]query{{`time() - process_start_time_seconds{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Health and readiness", "What /health and /ready answer: 1 is yes.", lines, "short", 8,
				[]query{
					{`gateway_node_live{` + nodes + `}`, "live, {{instance}}"},
					{`gateway_node_ready{` + nodes + `}`, "ready, {{instance}}"},
				}, nil,
			},
			{
				"Longest silence of an actor", "For how long one of them owes a sign of life. At 30 s /health fails.", lines, "s", 8,
				[]query{{`gateway_actor_silence_seconds{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Telemetry that was lost or summed up", "Batches that the OTLP receiver did not take, and slow publishes that share a span since they were too many.", lines, "short", 8,
				[]query{
					{`sum by (signal) (increase(gateway_export_failures_total{` + nodes + `}[$__rate_interval]))`, "{{signal}}"},
					{`sum(increase(gateway_spans_summed_total{` + nodes + `}[$__rate_interval]))`, "spans"},
				}, nil,
			},
			{
				"Clock", "NATS' clock minus the node's. One node that differs is wrong itself; if all do, NATS' host is.", lines, "s", 8,
				[]query{{`gateway_clock_offset_seconds{` + nodes + `}`, "{{instance}}"}}, nil,
			},
			{
				"Versions", "Nodes by version. Two of them outside a rollout: one was forgotten.", stacked, "short", 8,
				[]query{{`count by (version, go_version) (gateway_build_info{` + nodes + `})`, "{{version}} ({{go_version}})"}}, nil,
			},
		}},
	},
}
