package main

// broken is a compose file with one thing changed, which must be refused.
type broken struct {
	name     string
	old, new string // the first that stands there, and what replaces it
	want     string // in the fault
}

var breaks = []broken{
	{"no YAML", "services:\n", "services: [\n", "load:"},
	{"a key that compose does not know", "    hostname: drover-1", "    hostnames: drover-1", "load:"},
	{"an unknown dependency", "simulator: {condition: service_healthy}", "simulators: {condition: service_healthy}", "load:"},
	{"an image without a version", "image: prom/prometheus:v3.5.0", "image: prom/prometheus:latest", "images: prometheus"},
	{"another NATS than drover is tested with", "nats:2.15.2-alpine", "nats:2.9.0-alpine", "images: nats-1"},
	{"two NATS servers", "command: [-c, /etc/nats/nats.conf, --name, nats-3]", "command: [-c, /etc/nats/nats.conf, --name, nats-2]", "cluster: nats-3"},
	{"a misspelt key", "DROVER_POOL_SIZE:", "DROVER_POOLS_SIZE:", "DROVER_POOLS_SIZE is no variable of drover's"},
	{"a value that drover refuses", `DROVER_POOL_SIZE: "2"`, `DROVER_POOL_SIZE: "two"`, "environment: drover-1"},
	{"a password in clear", "${DEMO_POSTGRES_PASSWORD:-demo-postgres}", "hunter2", "secrets:"},
	{"a token in clear", "DISCORD_TOKEN: ${DEMO_DISCORD_TOKEN:-demo-token}", "DISCORD_TOKEN: MTk4NjIy.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "secrets:"},
	{"a password in an address", "app_worker:${DEMO_WORKER_PASSWORD:-demo-worker}@", "app_worker:swordfish@", "secrets:"},
	{"nodes with one name", "DROVER_CLUSTER_NODE: drover-2", "DROVER_CLUSTER_NODE: drover-1", "cluster: drover-2"},
	{"streams without copies", `DROVER_STREAMS_EVENTS_REPLICAS: "3"`, `DROVER_STREAMS_EVENTS_REPLICAS: "1"`, "cluster: drover-1: streams have not three copies"},
	{"one spool for two", `"drover-2:/var/lib/drover"`, `"drover-1:/var/lib/drover"`, "have the same spool"},
	{"the spool elsewhere", `"drover-1:/var/lib/drover"`, `"drover-1:/data"`, "state: drover-1"},
	{"a root that can be written to", "read_only: true", "read_only: false", "hardening:"},
	{"capabilities", "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "keeps capabilities"},
	{"no limit of memory", "limits: {cpus: \"0.25\", memory: 64M}", "limits: {cpus: \"0.25\"}", "limits: pgbouncer"},
	{"less time than the drain takes", "stop_grace_period: 40s", "stop_grace_period: 10s", "limits: drover-1: stop_grace_period"},
	{"an open port", `"127.0.0.1:4222:4222"`, `"4222:4222"`, "is open to other machines"},
	{"a wrong port", "@pgbouncer:6432/", "@pgbouncer:5432/", "worker asks for pgbouncer:5432, where nobody listens"},
	{"a health check at a wrong port", "http://127.0.0.1:8222/healthz", "http://127.0.0.1:8322/healthz", "health check asks at 8322"},
	{"waiting for the health of what cannot say it", "migrate: {condition: service_completed_successfully}", "migrate: {condition: service_healthy}", "which has no check"},
	{"a worker before the tables", "      migrate: {condition: service_completed_successfully}\n", "", "worker does not wait for migrate"},
	{"a file that is not there", "./nats.conf:", "./nats-server.conf:", "nats-server.conf is not there"},
	{"no alerts", "      - \"../alerts/drover.yaml:/etc/prometheus/rules/drover.yaml:ro\"\n", "", "prometheus: deploy/alerts/drover.yaml"},
	{"no dashboards", "../dashboards:/etc/grafana/dashboards/drover:ro", "../dashboards:/etc/grafana/dashboards/other:ro", "grafana: fleet.json"},
	{"a volume that nobody declares", "  prometheus:\n  grafana:\n", "  prometheus:\n", "load:"},
	{"a flag that the simulator has not", "--max-concurrency", "--max-concurency", "simulator: drover simulate"},
	{"another token", `--token, "${DEMO_DISCORD_TOKEN:-demo-token}"`, `--token, "${DEMO_DISCORD_TOKEN:-demo-other}"`, "another token than the simulator takes"},
}
