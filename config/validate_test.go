package config

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidate_accepts_the_defaults(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	id := func(n int) *int { return &n }
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"token_with_a_blank", func(c *Config) { c.Discord.Token = "a b" },
			[]string{"discord.token: the value has a blank or a special character inside: copy the token again, without anything around it"}},
		{"traces_for_the_console", func(c *Config) { c.Telemetry.Traces = "console" },
			[]string{`telemetry.traces: "console" is not one of its words: write auto, otlp or none`}},
		{"metrics_and_logs_for_the_console", func(c *Config) { c.Telemetry.Metrics, c.Telemetry.Logs = "console", "console" },
			[]string{`telemetry.metrics: "console" is not one of its words: write otlp or none`,
				`telemetry.logs: "console" is not one of its words: write otlp or none`}},
		{"telemetry_by_json", func(c *Config) { c.Telemetry.Protocol = "http/json" },
			[]string{`telemetry.protocol: "http/json" is not one of its words: write http/protobuf or grpc`}},
		{"endpoint_without_a_scheme", func(c *Config) { c.Telemetry.Endpoint = "collector:4317" },
			[]string{`telemetry.endpoint: "collector:4317" is not an http or https URL: write it like http://collector:4318, or http://collector:4317 for grpc`}},
		{"a_sampler_of_another_library", func(c *Config) { c.Telemetry.Sampler = "jaeger_remote" },
			[]string{`telemetry.sampler: "jaeger_remote" is not one of its words: write traceidratio, always_on or always_off`}},
		{"more_than_all_events", func(c *Config) { c.Telemetry.SamplerArg = 1.5 },
			[]string{"telemetry.sampler_arg: 1.5 is not a share: write a number from 0 to 1"}},
		{"everything_slow", func(c *Config) { c.Telemetry.Slow = 0 },
			[]string{"telemetry.slow: 0s is below 10ms: write 10ms to 10m"}},
		{"api_url_without_a_scheme", func(c *Config) { c.Discord.APIURL = "discord.com/api" },
			[]string{`discord.api_url: "discord.com/api" is not an http or https URL: write it like https://discord.com/api/v10`}},
		{"api_url_of_a_socket", func(c *Config) { c.Discord.APIURL = "wss://h" },
			[]string{`discord.api_url: "wss://h" is not an http or https URL: write it like https://discord.com/api/v10`}},
		{"api_url_with_a_query", func(c *Config) { c.Discord.APIURL = "http://h/?v=10" },
			[]string{"discord.api_url: the value has a query or a fragment: end it after the path, as in https://discord.com/api/v10"}},
		{"intents_empty_entry", func(c *Config) { c.Discord.Intents = []string{""} },
			[]string{"discord.intents: an entry is empty: remove it"}},
		{"compress", func(c *Config) { c.Discord.Compress = "gzip" },
			[]string{`discord.compress: "gzip" is not one of its words: write zstd-stream, zlib-stream or none`}},
		{"pool_size_zero", func(c *Config) { c.Pool.Size = 0 },
			[]string{"pool.size: 0 is below 1: write 1 to 100000"}},
		{"pool_absurd", func(c *Config) { c.Pool = Pool{ID: id(-1), Size: math.MaxInt, TotalShards: math.MaxInt} },
			[]string{
				"pool.size: 9223372036854775807 is above 100000: write 1 to 100000",
				"pool.total_shards: 9223372036854775807 is above 1000000: write 0 to 1000000",
				"pool.id: -1 is below 0: write 0 to 999999",
			}},
		{"pool_beyond_the_last", func(c *Config) { c.Pool = Pool{ID: id(2), Size: 25, TotalShards: 50} },
			[]string{"pool.id: 2 is beyond the last pool: 50 shards in pools of 25 give pools 0 to 1"}},
		{"pool_last", func(c *Config) { c.Pool = Pool{ID: id(1), Size: 25, TotalShards: 26} }, nil},
		{"nats_urls", func(c *Config) { c.NATS.URL = "nats://a:4222,tls://b,wss://c:1,localhost:4222,[::1]:4222" }, nil},
		{"nats_scheme", func(c *Config) { c.NATS.URL = "http://a" },
			[]string{`nats.url: "http://a" has the scheme http: use nats, tls, ws or wss`}},
		{"nats_port", func(c *Config) { c.NATS.URL = "nats://a:70000" },
			[]string{`nats.url: "nats://a:70000" has the port 70000: use 1 to 65535`}},
		{"nats_nonsense", func(c *Config) { c.NATS.URL = "nats://:" },
			[]string{`nats.url: "nats://:" is not a server: write it like nats://host:4222`}},
		{"worker_limits", func(c *Config) {
			c.Worker = Worker{Durable: "a.b", APIPrefix: "a.>", Batch: 0, Concurrency: 1001, AckWait: time.Millisecond, Dead: Dead{Name: "EVENTS", MaxAge: time.Second, MaxBytes: 5}}
		},
			[]string{
				`worker.durable: "a.b" is not a consumer's name: use at most 64 letters, digits, _ and -`,
				`worker.api_prefix: "a.>" is not a prefix of subjects: use words of letters, digits, _ and - with dots between them, like drover.API`,
				"worker.batch: 0 is below 1: write 1 to 10000",
				"worker.concurrency: 1001 is above 1000: write 1 to 1000",
				"worker.ack_wait: 1ms is below 1s: write 1s to 10m",
				`worker.dead.name: "EVENTS" is the name of another stream of drover's too: give each stream its own`,
				"worker.dead.max_age: 1s is below 1m: write 1m to 8760h",
				"worker.dead.max_bytes: 5 is below 1MiB: write a larger size",
			}},
		{"database_limits", func(c *Config) {
			c.Database.MaxConns, c.Database.ConnectTimeout, c.Database.StatementTimeout = 0, time.Hour, time.Minute
		},
			[]string{
				"database.max_conns: 0 is below 1: write 1 to 1000",
				"database.connect_timeout: 1h is above 1m: write 100ms to 1m",
				"database.statement_timeout: 1m is above 30s: write 100ms to 30s",
			}},
		{"nats_none_in_a_list", func(c *Config) { c.NATS.URL = "nats://a,none" },
			[]string{"nats.url: none stands in a list of servers: write none alone, or remove it"}},
		{"nats_two_ways_to_log_in", func(c *Config) { c.NATS.URL = "nats://u:p@a"; c.NATS.Token = "t" },
			[]string{"nats.token: is a way to log in, and so is nats.url: keep one"}},
		{"nats_password_without_user", func(c *Config) { c.NATS.URL = "h"; c.NATS.Password = "p" },
			[]string{"nats.password: is set without nats.user: set both"}},
		{"nats_user_without_password", func(c *Config) { c.NATS.URL = "h"; c.NATS.User = "u" },
			[]string{"nats.user: is set without nats.password: set both, or nats.token"}},
		{"nats_login_without_server", func(c *Config) { c.NATS.Token = "t" },
			[]string{"nats.token: is set, but nats.url is empty, which starts drover's own server: set nats.url too"}},
		{"nats_half_certificate", func(c *Config) { c.NATS.TLS.KeyFile = file },
			[]string{"nats.tls.cert_file: goes together with nats.tls.key_file: set both or neither"}},
		{"nats_creds_folder", func(c *Config) { c.NATS.URL = "h"; c.NATS.CredsFile = dir },
			[]string{`nats.creds_file: "` + dir + `" is a folder: name the file in it`}},
		{"nats_ca_missing", func(c *Config) { c.NATS.TLS.CAFile = "/nowhere/ca.pem" },
			[]string{`nats.tls.ca_file: "/nowhere/ca.pem" cannot be read: check the path (seen from ` + workingDir() + `) and its rights`}},
		{"nats_embedded", func(c *Config) { c.NATS.Embedded = Embedded{Listen: "4222"} },
			[]string{
				`nats.embedded.listen: "4222" is not an address: write host:port or :port, with a port from 0 to 65535`,
				"nats.embedded.data_dir: is empty: name a folder, like ./data",
			}},
		{"prefix", func(c *Config) { c.Streams.Prefix = "a.b" },
			[]string{`streams.prefix: "a.b" is not a prefix: use at most 32 letters, digits, _ and -`}},
		{"stream_names", func(c *Config) { c.Streams.Events.Name = "a b"; c.Streams.Commands.Name = "a b" },
			[]string{
				`streams.events.name: "a b" is not a stream's name: use at most 128 letters, digits, _ and -`,
				`streams.commands.name: "a b" is not a stream's name: use at most 128 letters, digits, _ and -`,
				`streams.commands.name: "a b" is the name of streams.events too: give each stream its own`,
			}},
		{"storage", func(c *Config) { c.Streams.Events.Storage = "disk" },
			[]string{`streams.events.storage: "disk" is not one of its words: write auto, memory or file`}},
		{"max_age_short", func(c *Config) { c.Streams.Events.MaxAge = time.Millisecond },
			[]string{"streams.events.max_age: 1ms is below 1s: write 1s or more, or 0 for no limit"}},
		{"stream_without_end", func(c *Config) { c.Streams.Commands.MaxAge = 0 },
			[]string{"streams.commands.max_age: 0 together with max_bytes 0 lets the stream grow without end: set one of them"}},
		{"stream_by_size_only", func(c *Config) { c.Streams.Commands.MaxAge = 0; c.Streams.Commands.MaxBytes = 1 << 30 }, nil},
		{"max_bytes_negative", func(c *Config) { c.Streams.Events.MaxBytes = -1 },
			[]string{"streams.events.max_bytes: -1 is below 0: write a size, or 0 for no limit"}},
		{"replicas_many", func(c *Config) { c.NATS.URL = "h"; c.Streams.Events.Replicas = 6 },
			[]string{"streams.events.replicas: 6 is above 5: write 0 to 5"}},
		{"replicas_embedded", func(c *Config) { c.Streams.Events.Replicas = 3 },
			[]string{"streams.events.replicas: 3 needs a NATS cluster, but nats.url is empty, which starts one embedded server: write 0 or 1, or set nats.url"}},
		{"duplicates_above_max_age", func(c *Config) { c.Streams.Commands.Duplicates = 2 * time.Minute },
			[]string{"streams.commands.duplicates: 2m is above max_age (1m): NATS refuses that, write at most max_age"}},
		{"duplicates_off", func(c *Config) { c.Streams.Events.Duplicates = 0 },
			[]string{"streams.events.duplicates: 0s is below 1s: write 1s or more"}},
		{"window", func(c *Config) { c.Publish.Window = 1 << 21 },
			[]string{"publish.window: 2097152 is above 1048576: write 1 to 1048576"}},
		{"ack_timeout", func(c *Config) { c.Publish.AckTimeout = time.Hour },
			[]string{"publish.ack_timeout: 1h is above 1m: write 100ms to 1m"}},
		{"ack_timeout_negative", func(c *Config) { c.Publish.AckTimeout = -time.Second },
			[]string{"publish.ack_timeout: -1s is below 100ms: write 100ms to 1m"}},
		{"ack_timeout_above_duplicates", func(c *Config) { c.Streams.Events.Duplicates = 3 * time.Second },
			[]string{"publish.ack_timeout: 4s is not below the streams' duplicates (3s), so a repeated event would be stored twice: lower it"}},
		{"events", func(c *Config) { c.Events.Allow = []string{"message.create"}; c.Events.Deny = []string{"*"} },
			[]string{
				`events.allow: "message.create" is not an event: write Discord's name, like MESSAGE_CREATE`,
				`events.deny: "*" is not an event: write Discord's name, like MESSAGE_CREATE`,
			}},
		{"checkpoint_interval", func(c *Config) { c.Session.CheckpointInterval = 10 * time.Millisecond },
			[]string{"session.checkpoint_interval: 10ms is below 100ms: write 100ms to 1m"}},
		{"checkpoint_interval_long", func(c *Config) { c.Session.CheckpointInterval = time.Hour },
			[]string{"session.checkpoint_interval: 1h is above 1m: write 100ms to 1m"}},
		{"reserve_share", func(c *Config) { c.Identify.Reserve = "10%" }, nil},
		{"reserve_all", func(c *Config) { c.Identify.Reserve = "100 %" }, nil},
		{"reserve_nothing", func(c *Config) { c.Identify.Reserve = "0" }, nil},
		{"reserve_word", func(c *Config) { c.Identify.Reserve = "half" },
			[]string{`identify.reserve: "half" is no reserve: write auto, a share like 10% or a number like 50`}},
		{"reserve_empty", func(c *Config) { c.Identify.Reserve = "" },
			[]string{`identify.reserve: "" is no reserve: write auto, a share like 10% or a number like 50`}},
		{"reserve_above_all", func(c *Config) { c.Identify.Reserve = "101%" },
			[]string{`identify.reserve: "101%" is more than there is: write at most 100%`}},
		{"reserve_no_share", func(c *Config) { c.Identify.Reserve = "NaN%" },
			[]string{`identify.reserve: "NaN%" is no reserve: write auto, a share like 10% or a number like 50`}},
		{"reserve_negative", func(c *Config) { c.Identify.Reserve = "-1" },
			[]string{`identify.reserve: "-1" is below 0: write 0 to 1000000, or auto`}},
		{"reserve_high", func(c *Config) { c.Identify.Reserve = "1000001" },
			[]string{`identify.reserve: "1000001" is above 1000000: write 0 to 1000000, or auto`}},
		{"spool_off", func(c *Config) { c.Spool.MaxBytes = 0 }, nil},
		{"spool_least", func(c *Config) { c.Spool.MaxBytes = 1 << 20 }, nil},
		{"spool_small", func(c *Config) { c.Spool.MaxBytes = 1 << 19 },
			[]string{"spool.max_bytes: 512KiB is below 1MiB: write a larger size, or 0 for no spool"}},
		{"spool_negative", func(c *Config) { c.Spool.MaxBytes = -1 },
			[]string{"spool.max_bytes: -1 is below 0: write a size, or 0 for no spool"}},
		{"spool_folder", func(c *Config) { c.Spool.Dir = dir }, nil},
		{"spool_folder_to_be_made", func(c *Config) { c.Spool.Dir = filepath.Join(dir, "new") }, nil},
		{"spool_file", func(c *Config) { c.Spool.Dir = file },
			[]string{`spool.dir: "` + file + `" is a file: name a folder`}},
		{"shed_nothing", func(c *Config) { c.Backpressure.Shed = nil }, nil},
		{"shed", func(c *Config) {
			c.Backpressure.Shed = []string{"TYPING_START", "typing.start", "INTERACTION_CREATE", "GUILD_CREATE", "GUILD_DELETE", "DROVER_SHARD_GAP", "NONE"}
		}, []string{
			"backpressure.shed: INTERACTION_CREATE must not be dropped, since a user waits for the answer: remove it",
			"backpressure.shed: GUILD_CREATE must not be dropped, since it tells which guilds the bot is in: remove it",
			"backpressure.shed: GUILD_DELETE must not be dropped, since it tells which guilds the bot is in: remove it",
			"backpressure.shed: DROVER_SHARD_GAP must not be dropped, since it tells what became of a shard: remove it",
			"backpressure.shed: none stands in a list of events: write none alone, or remove it",
			`backpressure.shed: "typing.start" is not an event: write Discord's name, like MESSAGE_CREATE`,
		}},
		{"http_port", func(c *Config) { c.HTTP.Addr = ":99999" },
			[]string{`http.addr: ":99999" is not an address: write host:port or :port, with a port from 0 to 65535`}},
		{"http_empty", func(c *Config) { c.HTTP.Addr = "" },
			[]string{`http.addr: "" is not an address: write host:port or :port, with a port from 0 to 65535`}},
		{"log", func(c *Config) { c.Log = Log{Level: "trace", Format: "xml"} },
			[]string{
				`log.level: "trace" is not one of its words: write debug, info, warn or error`,
				`log.format: "xml" is not one of its words: write json or text`,
			}},
		{"labels", func(c *Config) { c.Metrics.ShardLabels = "yes" },
			[]string{`metrics.shard_labels: "yes" is not one of its words: write auto, always or never`}},
		{"min_ready", func(c *Config) { c.Health.MinReady = math.NaN() },
			[]string{"health.min_ready: NaN is not a share: write a number from 0 to 1"}},
		{"shutdown", func(c *Config) { c.Shutdown.Timeout = 0 },
			[]string{"shutdown.timeout: 0s is below 100ms: write 100ms to 1h"}},
		{"lease_ttl", func(c *Config) { c.Cluster.LeaseTTL = time.Second },
			[]string{"cluster.lease_ttl: 1s is below 2s: write 2s to 1m"}},
		{"lease_ttl_long", func(c *Config) { c.Cluster.LeaseTTL = 2 * time.Minute },
			[]string{"cluster.lease_ttl: 2m is above 1m: write 2s to 1m"}},
		{"capacity", func(c *Config) { c.Cluster.Capacity = 0 },
			[]string{"cluster.capacity: 0 is below 1: write 1 to 1000"}},
		{"capacity_high", func(c *Config) { c.Cluster.Capacity = 1001 },
			[]string{"cluster.capacity: 1001 is above 1000: write 1 to 1000"}},
		{"node", func(c *Config) { c.Cluster.Node = "my node" },
			[]string{`cluster.node: "my node" is not a name: use at most 255 letters, digits, dots, _ and -`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(&c)
			if diff := cmp.Diff(tt.want, problemTexts(t, c.Validate())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRequireDatabase_tells_what_is_wrong_and_no_secret(t *testing.T) {
	tests := []struct {
		name         string
		url, migrate Secret
		key          string // of the wrong address for migrations
		word         string // of what is said about it; empty: right
	}{
		{"nothing", "", "", "database.migrate_url", "there is none"},
		{"other_database", "mysql://u:hunter2@h/d", "", "database.url", "not an address"},
		{"other_database_for_migrations", "postgres://h/d", "mysql://u:hunter2@h", "database.migrate_url", "not an address"},
		{"no_address", "postgres://h/d", "hunter2", "database.migrate_url", "not an address"},
		{"url_for_both", "postgresql://u:hunter2@h/d", "", "", ""},
		{"words", "host=/run/postgresql dbname=drover", "host=h password=hunter2", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			c.Database.URL, c.Database.MigrateURL = tt.url, tt.migrate
			if err := c.Validate(); err != nil {
				t.Errorf("Validate: got %v, want nil: drover run needs no database", err)
			}
			got := strings.Join(problemTexts(t, c.RequireMigration()), "")
			if tt.word == "" {
				if got != "" {
					t.Errorf("got %q, want nothing", got)
				}
			} else if !strings.HasPrefix(got, tt.key+": ") || !strings.Contains(got, tt.word) {
				t.Errorf("got %q, want %s: %s", got, tt.key, tt.word)
			}
			if wrong := c.RequireDatabase() != nil; wrong != (tt.url == "" || strings.HasPrefix(string(tt.url), "mysql")) {
				t.Errorf("RequireDatabase: got an error %v for %q", wrong, tt.url.Reveal())
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("secret in %s", got)
			}
		})
	}
}

func TestRequireToken_names_the_variable(t *testing.T) {
	c := Default()
	if err := c.RequireToken(); len(problemTexts(t, err)) != 1 {
		t.Errorf("got %v, want one problem", err)
	}
	c.Discord.Token = "t"
	if err := c.RequireToken(); err != nil {
		t.Error(err)
	}
}
