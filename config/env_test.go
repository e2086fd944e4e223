package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoad_reads_every_alias(t *testing.T) {
	tests := []struct{ env, key, want string }{
		{"DISCORD_TOKEN=abc", "discord.token", "abc"},
		{"DISCORD_BOT_TOKEN=abc", "discord.token", "abc"},
		{"DISCORD_INTENTS=GUILDS, GUILD_MESSAGES", "discord.intents", "GUILDS,GUILD_MESSAGES"},
		{"DISCORD_INTENTS=513", "discord.intents", "513"},
		{"POOL_ID=3", "pool.id", "3"},
		{"SHARD_ID=4", "pool.id", "4"},
		{"TOTAL_SHARDS=250", "pool.total_shards", "250"},
		{"NATS_URL=nats://a:4222, nats://b:4222", "nats.url", "nats://a:4222,nats://b:4222"},
		{"NATS_URL=None", "nats.url", "none"},
		{"HTTP_PORT=8080", "http.addr", ":8080"},
		{"METRICS_PORT=8081", "http.addr", ":8081"},
		{"LOG_LEVEL=DEBUG", "log.level", "debug"},
		{"LOG_LEVEL=warning", "log.level", "warn"},
		{"DATABASE_URL=postgres://u:p@h/d", "database.url", "postgres://u:p@h/d"},
		{"OTEL_TRACES_EXPORTER=otlp", "telemetry.traces", "otlp"},
		{"OTEL_METRICS_EXPORTER=otlp,prometheus", "telemetry.metrics", "otlp"},
		{"OTEL_METRICS_EXPORTER=prometheus", "telemetry.metrics", "none"},
		{"OTEL_LOGS_EXPORTER=OTLP", "telemetry.logs", "otlp"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", "telemetry.endpoint", "http://collector:4318"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "telemetry.protocol", "grpc"},
		{"OTEL_TRACES_SAMPLER=parentbased_always_on", "telemetry.sampler", "always_on"},
		{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "telemetry.sampler", "traceidratio"},
		{"OTEL_TRACES_SAMPLER_ARG=0.25", "telemetry.sampler_arg", "0.25"},
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.env, func(t *testing.T) {
			cfg, report, err := load(t, "", tt.env)
			if err != nil {
				t.Fatal(err)
			}
			got := byKey[tt.key].value(cfg)
			if s, ok := got.(Secret); ok {
				got = s.Reveal()
			}
			if formatValue(got) != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
			name, _, _ := strings.Cut(tt.env, "=")
			tested[name] = true
			if report.Origin[tt.key] != name {
				t.Errorf("got origin %q, want %q", report.Origin[tt.key], name)
			}
		})
	}
	for _, names := range aliases {
		for _, name := range names {
			if !tested[name] {
				t.Errorf("alias %s has no test", name)
			}
		}
	}
}

func TestLoad_prefers_the_stronger_variable(t *testing.T) {
	for key, names := range aliases {
		all := append([]string{envName(key)}, names...)
		for i := range all[:len(all)-1] {
			t.Run(all[i], func(t *testing.T) {
				value := map[string]string{
					"log.level": "debug", "nats.url": "nats://h:1", "http.addr": "4001", "database.url": "postgres://h/1",
					"telemetry.traces": "otlp", "telemetry.metrics": "otlp", "telemetry.logs": "otlp", "telemetry.endpoint": "http://h:1",
					"telemetry.protocol": "grpc", "telemetry.sampler": "always_on", "telemetry.sampler_arg": "0.1",
				}[key]
				weaker := map[string]string{
					"log.level": "error", "nats.url": "nats://h:2", "http.addr": "4002", "database.url": "postgres://h/2",
					"telemetry.traces": "none", "telemetry.metrics": "none", "telemetry.logs": "none", "telemetry.endpoint": "http://h:2",
					"telemetry.protocol": "http/protobuf", "telemetry.sampler": "always_off", "telemetry.sampler_arg": "0.2",
				}[key]
				if value == "" {
					value, weaker = "1", "2"
				}
				if all[i] == "DROVER_HTTP_ADDR" {
					value = ":4001"
				}
				_, report, err := load(t, "", all[i+1]+"="+weaker, all[i]+"="+value)
				if err != nil {
					t.Fatal(err)
				}
				if report.Origin[key] != all[i] {
					t.Errorf("got %s from %s, want it from %s", key, report.Origin[key], all[i])
				}
			})
		}
	}
}

func TestLoad_counts_an_empty_variable_as_unset(t *testing.T) {
	cfg, _, err := load(t, "nats: {url: nats://file:4222}", "NATS_URL=", "DROVER_NATS_URL= ", "DROVER_POOL_SIZE=")
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.NATS.URL.Reveal(); got != "nats://file:4222" || cfg.Pool.Size != 25 {
		t.Errorf("got url %q, size %d, want the file's and 25", got, cfg.Pool.Size)
	}
}

func TestLoad_every_key_from_its_variable(t *testing.T) {
	file := writeFile(t, "")
	text := map[string]string{
		"discord.token": "tok", "discord.api_url": "http://127.0.0.1:1/api", "discord.intents": "GUILDS", "discord.compress": "none",
		"pool.id": "0", "pool.size": "5", "pool.total_shards": "6",
		"nats.url": "nats://h:1", "nats.user": "u", "nats.password": "p", "nats.token": "t", "nats.creds_file": file, "nats.nkey_file": file,
		"nats.tls.ca_file": file, "nats.tls.cert_file": file, "nats.tls.key_file": file,
		"nats.embedded.listen": "127.0.0.1:0", "nats.embedded.data_dir": "d",
		"streams.prefix":      "p",
		"streams.events.name": "E", "streams.events.storage": "file", "streams.events.max_age": "10m",
		"streams.events.max_bytes": "1GiB", "streams.events.replicas": "3", "streams.events.duplicates": "3m",
		"streams.commands.name": "C", "streams.commands.storage": "memory", "streams.commands.max_age": "2m",
		"streams.commands.max_bytes": "10MB", "streams.commands.replicas": "2", "streams.commands.duplicates": "30s",
		"publish.window": "1", "publish.ack_timeout": "1s",
		"session.checkpoint_interval": "2s", "identify.reserve": "50", "spool.dir": "d", "spool.max_bytes": "1GiB", "backpressure.shed": "MESSAGE_REACTION_ADD",
		"events.allow": "MESSAGE_CREATE", "events.deny": "TYPING_START",
		"http.addr": "h:1", "log.level": "debug", "log.format": "text", "metrics.shard_labels": "never",
		"telemetry.traces": "otlp", "telemetry.metrics": "otlp", "telemetry.logs": "otlp", "telemetry.endpoint": "http://h:4317",
		"telemetry.protocol": "grpc", "telemetry.sampler": "always_on", "telemetry.sampler_arg": "0.5", "telemetry.slow": "2s",
		"health.min_ready": "0.5", "shutdown.timeout": "1m", "cluster.node": "n1", "cluster.lease_ttl": "4s", "cluster.capacity": "2",
		"database.url": "postgres://u:p@h/d", "database.migrate_url": "postgres://o:p@h/d", "database.max_conns": "3",
		"database.connect_timeout": "1s", "database.statement_timeout": "20s",
		"worker.durable": "w2", "worker.api_prefix": "drover.API", "worker.batch": "10", "worker.concurrency": "3", "worker.ack_wait": "10s",
		"worker.dead.name": "LOST", "worker.dead.max_age": "24h", "worker.dead.max_bytes": "1MiB",
	}
	for _, f := range allFields {
		if text[f.key] == "" {
			t.Errorf("key %s has no test", f.key)
			continue
		}
		var report Report
		var found problems
		values := readEnv([]string{envName(f.key) + "=" + text[f.key]}, &report, &found)
		cfg, err := merge(map[string]string{}, values)
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", f.key, found, err)
			continue
		}
		if diff := cmp.Diff(f.value(Default()), f.value(cfg)); diff == "" {
			t.Errorf("%s: still the default", f.key)
		}
		for _, other := range allFields {
			if other.key != f.key && !cmp.Equal(other.value(Default()), other.value(cfg)) {
				t.Errorf("%s changed %s too", envName(f.key), other.key)
			}
		}
	}
}

func TestKeys_have_variables_of_their_own(t *testing.T) {
	owner := map[string]string{}
	for _, k := range Keys() {
		for _, name := range k.Env {
			if owner[name] != "" {
				t.Errorf("%s sets %s and %s", name, owner[name], k.Name)
			}
			owner[name] = k.Name
		}
	}
	for key := range aliases {
		if _, ok := byKey[key]; !ok {
			t.Errorf("alias of the unknown key %s", key)
		}
	}
	for _, key := range liveKeys {
		if _, ok := byKey[key]; !ok {
			t.Errorf("live key %s is unknown", key)
		}
	}
}
