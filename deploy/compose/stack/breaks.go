package main

// broken is a compose file with one thing changed, which must be refused.
type broken struct {
	name     string
	old, new string // the first that stands there, and what replaces it
	want     string // in the fault
	inBot    bool   // it is bot.yaml that is changed
}

var breaks = []broken{
	{"no YAML", "services:\n", "services: [\n", "load:", false},
	{"a key that compose does not know", "    hostname: drover-1", "    hostnames: drover-1", "load:", false},
	{"an unknown dependency", "simulator: {condition: service_healthy}", "simulators: {condition: service_healthy}", "load:", false},
	{"an image without a version", "image: prom/prometheus:v3.5.0", "image: prom/prometheus:latest", "images: prometheus", false},
	{"another NATS than drover is tested with", "nats:2.15.2-alpine", "nats:2.9.0-alpine", "images: nats-1", false},
	{"two NATS servers", "command: [-c, /etc/nats/nats.conf, --name, nats-3]", "command: [-c, /etc/nats/nats.conf, --name, nats-2]", "cluster: nats-3", false},
	{"a misspelt key", "DROVER_POOL_SIZE:", "DROVER_POOLS_SIZE:", "DROVER_POOLS_SIZE is no variable of drover's", false},
	{"a value that drover refuses", `DROVER_POOL_SIZE: "2"`, `DROVER_POOL_SIZE: "two"`, "environment: drover-1", false},
	{"a password in clear", "${DEMO_POSTGRES_PASSWORD:-demo-postgres}", "hunter2", "secrets:", false},
	{"a token in clear", "DISCORD_TOKEN: ${DEMO_DISCORD_TOKEN:-demo-token}", "DISCORD_TOKEN: MTk4NjIy.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs", "secrets:", false},
	{"a password in an address", "app_worker:${DEMO_WORKER_PASSWORD:-demo-worker}@", "app_worker:swordfish@", "secrets:", false},
	{"nodes with one name", "DROVER_CLUSTER_NODE: drover-2", "DROVER_CLUSTER_NODE: drover-1", "cluster: drover-2", false},
	{"streams without copies", `DROVER_STREAMS_EVENTS_REPLICAS: "3"`, `DROVER_STREAMS_EVENTS_REPLICAS: "1"`, "cluster: drover-1: streams have not three copies", false},
	{"one spool for two", `"drover-2:/var/lib/drover"`, `"drover-1:/var/lib/drover"`, "have the same spool", false},
	{"the spool elsewhere", `"drover-1:/var/lib/drover"`, `"drover-1:/data"`, "state: drover-1", false},
	{"a root that can be written to", "read_only: true", "read_only: false", "hardening:", false},
	{"capabilities", "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "keeps capabilities", false},
	{"no limit of memory", "limits: {cpus: \"0.25\", memory: 64M}", "limits: {cpus: \"0.25\"}", "limits: pgbouncer", false},
	{"less time than the drain takes", "stop_grace_period: 40s", "stop_grace_period: 10s", "limits: drover-1: stop_grace_period", false},
	{"an open port", `"127.0.0.1:4222:4222"`, `"4222:4222"`, "is open to other machines", false},
	{"a wrong port", "@pgbouncer:6432/", "@pgbouncer:5432/", "worker asks for pgbouncer:5432, where nobody listens", false},
	{"a health check at a wrong port", "http://127.0.0.1:8222/healthz", "http://127.0.0.1:8322/healthz", "health check asks at 8322", false},
	{"a health check by a program that the image lacks", `test: [CMD, /usr/local/bin/drover, healthcheck, --addr, "http://127.0.0.1:4290"]`, `test: [CMD, wget, -q, "http://127.0.0.1:4290/health"]`, "which is not in drover's image", false},
	{"waiting for the health of what cannot say it", "migrate: {condition: service_completed_successfully}", "migrate: {condition: service_healthy}", "which has no check", false},
	{"a worker before the tables", "      migrate: {condition: service_completed_successfully}\n", "", "worker does not wait for migrate", false},
	{"a file that is not there", "./nats.conf:", "./nats-server.conf:", "nats-server.conf is not there", false},
	{"no alerts", "      - \"../alerts/drover.yaml:/etc/prometheus/rules/drover.yaml:ro\"\n", "", "prometheus: deploy/alerts/drover.yaml", false},
	{"no dashboards", "../dashboards:/etc/grafana/dashboards/drover:ro", "../dashboards:/etc/grafana/dashboards/other:ro", "grafana: fleet.json", false},
	{"a volume that nobody declares", "  prometheus:\n  grafana:\n", "  prometheus:\n", "load:", false},
	{"a flag that the simulator has not", "--max-concurrency", "--max-concurency", "simulator: drover simulate", false},
	{"another token", `--token, "${DEMO_DISCORD_TOKEN:-demo-token}"`, `--token, "${DEMO_DISCORD_TOKEN:-demo-other}"`, "another token than the simulator takes", false},
	{"a configuration as text in a read-only service", lastLimits + volumes, lastLimits + "    configs: [{source: text, target: /etc/text}]\nconfigs:\n  text: {content: text}\n" + volumes, "files: otel-collector: the config text", false},
	{"a secret of the environment in a read-only service", lastLimits + volumes, lastLimits + "    secrets: [text]\nsecrets:\n  text: {environment: TEXT}\n" + volumes, "files: otel-collector: the secret text", false},
	{"a password in a script", `pool_admin "$$POOL_ADMIN_PASSWORD"`, "pool_admin hunter2", "secrets:", false},
	{"users of PgBouncer where nobody can write", `tmpfs: ["/run/pgbouncer:size=64k,mode=1777"]`, `tmpfs: ["/run/bouncer:size=64k,mode=1777"]`, "files: pgbouncer writes to /run/pgbouncer/", false},
	{"a bot that waits for the simulator", "    depends_on:\n      simulator: !reset null\n", "", "load: bot.yaml", true},
	{"a bot at the simulated Discord", "      DROVER_DISCORD_API_URL: !reset null\n", "", "bot: drover-1 asks", true},
	{"a bot with the simulator's pools", "      DROVER_POOL_SIZE: !reset null\n", "", "bot: drover-1 has pools of 2", true},
	{"a bot that a fatal error starts again and again", "    restart: on-failure:3\n", "", "bot: drover-1 is started again by unless-stopped", true},
	{"a bot without a token of its own", "${DISCORD_TOKEN:?the token of your bot}", "${DISCORD_TOKEN:-demo-token}", "bot: a token is not asked for", true},
}

// The end of the services in compose.yaml, and what follows.
const (
	lastLimits = "        limits: {cpus: \"0.5\", memory: 256M}\n"
	volumes    = "\n# Nodes need their spool"
)
