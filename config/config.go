// Package config is what an operator can choose: one struct, one place with
// defaults, and a strict reader that reports everything wrong at once.
//
// Sources, later ones win: defaults < file < environment < flags. The package
// imports nothing else of drover; package system translates a Config into the
// options of the parts.
package config

import (
	"path/filepath"
	"time"
)

// Config is the whole configuration of a node. Default makes one, Load reads
// one. It is a value: copy it, do not change one that a system runs on.
//
// Every field is one key, named by its mapstructure tags joined with dots
// (Pool.Size is pool.size). Each key is also the environment variable
// DROVER_ + the key in capitals with _ for . (DROVER_POOL_SIZE).
type Config struct {
	Discord      Discord      `mapstructure:"discord"`
	Pool         Pool         `mapstructure:"pool"`
	NATS         NATS         `mapstructure:"nats"`
	Streams      Streams      `mapstructure:"streams"`
	Publish      Publish      `mapstructure:"publish"`
	Session      Session      `mapstructure:"session"`
	Identify     Identify     `mapstructure:"identify"`
	Spool        Spool        `mapstructure:"spool"`
	Backpressure Backpressure `mapstructure:"backpressure"`
	Events       Events       `mapstructure:"events"`
	HTTP         HTTP         `mapstructure:"http"`
	Log          Log          `mapstructure:"log"`
	Metrics      Metrics      `mapstructure:"metrics"`
	Telemetry    Telemetry    `mapstructure:"telemetry"`
	Health       Health       `mapstructure:"health"`
	Shutdown     Shutdown     `mapstructure:"shutdown"`
	Cluster      Cluster      `mapstructure:"cluster"`
	Database     Database     `mapstructure:"database"`
	Worker       Worker       `mapstructure:"worker"`
}

// Discord says which bot this is and what it asks the gateway for.
type Discord struct {
	// Token is the bot's token, without "Bot " in front. Only `drover run`
	// needs it (RequireToken).
	Token Secret `mapstructure:"token"`
	// APIURL is the base of the REST API, http or https, without a slash at
	// the end. Any Discord-compatible server or REST proxy will do.
	APIURL URL `mapstructure:"api_url"`
	// Intents are names (GUILDS) or a number ("3"), checked by who knows them
	// (gateway.ParseIntents). Too few: events never arrive. Too many: traffic
	// nobody reads, and 4014 for privileged ones that the portal does not allow.
	Intents []string `mapstructure:"intents"`
	// Compress is zstd-stream, zlib-stream or none.
	Compress string `mapstructure:"compress"`
}

// Pool is how shards are grouped. Its methods are the pool arithmetic.
type Pool struct {
	// ID pins this node to one pool, 0 or more. nil: not pinned.
	ID *int `mapstructure:"id"`
	// Size is the number of shards of a pool, 1 to 100000. Too low: many pools
	// to hand around. Too high: a lost node takes more shards with it.
	Size int `mapstructure:"size"`
	// TotalShards is the number of shards of the whole bot, at most 1000000.
	// 0: as many as Discord recommends.
	TotalShards int `mapstructure:"total_shards"`
}

// NATS is the server that events are published to.
type NATS struct {
	// URL is a comma list of servers of one cluster (nats://, tls://, ws://,
	// wss:// or host:port). Empty: an embedded server. "none": events are
	// logged and not published.
	URL URL `mapstructure:"url"`
	// User and Password go together. Of User, Token, CredsFile, NKeyFile and a
	// user inside URL at most one may be set.
	User     string `mapstructure:"user"`
	Password Secret `mapstructure:"password"`
	Token    Secret `mapstructure:"token"`
	// CredsFile is a path to a .creds file (JWT and seed).
	CredsFile string `mapstructure:"creds_file"`
	// NKeyFile is a path to an NKey seed.
	NKeyFile string   `mapstructure:"nkey_file"`
	TLS      TLS      `mapstructure:"tls"`
	Embedded Embedded `mapstructure:"embedded"`
}

// TLS holds paths of PEM files for the connection to NATS. All empty: the
// system's CAs, and TLS only where the server or a tls:// URL asks for it.
type TLS struct {
	// CAFile holds the CAs to trust instead of the system's.
	CAFile string `mapstructure:"ca_file"`
	// CertFile and KeyFile are the client's certificate; both or neither.
	CertFile string `mapstructure:"cert_file"`
	KeyFile  string `mapstructure:"key_file"`
}

// Embedded is the NATS server that runs inside drover when nats.url is empty.
type Embedded struct {
	// Listen is the host:port for workers. Port 0 takes any free port.
	Listen string `mapstructure:"listen"`
	// DataDir is the folder of the embedded server's store, and of the spool
	// unless spool.dir is set; it must be writable.
	DataDir string `mapstructure:"data_dir"`
}

// Streams are the two JetStream streams that drover sets up.
type Streams struct {
	// Prefix keeps two bots apart on one NATS: letters, digits, _ and -, at
	// most 32. Empty: none.
	Prefix   string `mapstructure:"prefix"`
	Events   Stream `mapstructure:"events"`
	Commands Stream `mapstructure:"commands"`
}

// Stream is the setting of one JetStream stream.
type Stream struct {
	// Name is the stream's name, before streams.prefix is put in front.
	Name string `mapstructure:"name"`
	// Storage is auto, memory or file. auto: memory on an external NATS, file
	// on the embedded one; an existing stream keeps what it has.
	Storage string `mapstructure:"storage"`
	// MaxAge is how long events are kept, at least 1s; 0: no limit, and then
	// MaxBytes must be set. Too low: workers that were away miss events.
	MaxAge time.Duration `mapstructure:"max_age"`
	// MaxBytes bounds the stream's size; the oldest events go first. 0: no limit.
	MaxBytes Bytes `mapstructure:"max_bytes"`
	// Replicas is 0 to 5; 0 keeps what an existing stream has, and is 1 for a new one. Above 1 needs an
	// external cluster.
	Replicas int `mapstructure:"replicas"`
	// Duplicates is the window in which a repeated event is dropped, at least
	// 1s and at most MaxAge. Too low: a replay after a crash is stored twice; events
	// that are unknown for longer than half of it are looked up in the stream. Too
	// high: memory of the server, about 130 bytes for each event in the window.
	Duplicates time.Duration `mapstructure:"duplicates"`
}

// Publish is the way from a shard to JetStream.
type Publish struct {
	// Window is the number of events that may wait for JetStream's answer at
	// once, 1 to 1048576, for the whole node and each of the two streams. What does not fit goes to the spool. Too low: throughput ends at
	// window / round trip (256 is enough on loopback, 4096 covers 200,000
	// events/s at 20 ms). Too high: more memory and a longer replay when NATS
	// was away.
	Window int `mapstructure:"window"`
	// AckTimeout is how long an event may stay unanswered before everything
	// unanswered is sent again, 100ms to 1m. Too low: needless replays of a
	// slow server. Too high: a dead connection is noticed late.
	AckTimeout time.Duration `mapstructure:"ack_timeout"`
}

// Session is how sessions outlive the process.
type Session struct {
	// CheckpointInterval is how often at most a shard's checkpoint is written to
	// NATS, 100ms to 1m. Too low: a write per shard and interval. Too high: after
	// a crash more is read from Discord once more, and dropped as known.
	CheckpointInterval time.Duration `mapstructure:"checkpoint_interval"`
}

// Identify is how the daily IDENTIFYs are spent, which all nodes of the bot share.
type Identify struct {
	// Reserve is how many of them are kept for shards that have not identified
	// today: auto (5 % of the day's total or one for each shard, whichever is
	// more), a share like 10%, or a number. Nodes should agree. Too low: a loop of
	// repeated IDENTIFYs leaves nothing for a cold start. Too high: shards whose
	// session was lost wait for the next day although IDENTIFYs are left.
	Reserve Reserve `mapstructure:"reserve"`
}

// Spool holds on disk what NATS does not take at the moment.
type Spool struct {
	// Dir is its folder; it must be writable and survive a restart. Empty: see
	// SpoolDir.
	Dir string `mapstructure:"dir"`
	// MaxBytes bounds it, at least 1MiB. 0: no spool, so that shards stop reading
	// as soon as the window is full. 10 minutes at 1,000 events/s of 1.4 KB take
	// about 1 GB. Too low: an outage of NATS reaches Discord, which keeps events
	// for a minute or two. Too high: a full disk.
	MaxBytes Bytes `mapstructure:"max_bytes"`
}

// SpoolDir is the folder of the spool: spool.dir, else spool inside
// nats.embedded.data_dir, whether there is an embedded server or not.
func (c Config) SpoolDir() string {
	if c.Spool.Dir != "" {
		return c.Spool.Dir
	}
	return filepath.Join(c.NATS.Embedded.DataDir, "spool")
}

// Backpressure is what gives way when neither NATS nor the spool takes more.
type Backpressure struct {
	// Shed names events, by Discord's t, that are dropped and counted then. All
	// others wait, and their shards stop reading. Empty: all wait. "none" alone
	// is the empty list too, for the environment, where an empty variable is
	// unset.
	Shed []string `mapstructure:"shed"`
}

// Events chooses by Discord's t names (MESSAGE_CREATE) what is published.
// It can change while the node runs.
type Events struct {
	// Allow, when not empty, lists everything that is published.
	Allow []string `mapstructure:"allow"`
	// Deny lists what is not published; it wins over Allow.
	Deny []string `mapstructure:"deny"`
}

// HTTP is the server of /health, /ready, /metrics, the API and the status page.
type HTTP struct {
	// Addr is host:port; without a host, all interfaces. Port 0 takes any free port.
	Addr string `mapstructure:"addr"`
}

// Log is the log on standard error.
type Log struct {
	// Level is debug, info, warn or error. It can change while the node runs.
	Level string `mapstructure:"level"`
	// Format is json or text.
	Format string `mapstructure:"format"`
}

// Metrics is what /metrics shows.
type Metrics struct {
	// ShardLabels is auto, always or never. auto: the label shard_id up to 100
	// shards a node, pool_id above. always on a big node: very many series.
	ShardLabels string `mapstructure:"shard_labels"`
}

// Telemetry is what leaves the process by OTLP. The keys have OpenTelemetry's own
// variables beside them; all its other ones (headers, certificates, time-outs,
// batches, one receiver per signal) are read by OpenTelemetry's SDK itself.
type Telemetry struct {
	// Traces is auto, otlp or none. auto: otlp where an endpoint is named.
	Traces string `mapstructure:"traces"`
	// Metrics is otlp or none; they are at /metrics in any case.
	Metrics string `mapstructure:"metrics"`
	// Logs is otlp or none; they are on standard error in any case.
	Logs string `mapstructure:"logs"`
	// Endpoint is the base URL of the receiver, http or https. Empty: the SDK's own
	// default, which is localhost.
	Endpoint URL `mapstructure:"endpoint"`
	// Protocol is http/protobuf or grpc.
	Protocol string `mapstructure:"protocol"`
	// Sampler says which events have a span: always_on, always_off or traceidratio.
	// always_off switches all traces off, those of connections too.
	Sampler string `mapstructure:"sampler"`
	// SamplerArg is the share of events with a span under traceidratio, 0 to 1. Too
	// low: nothing to look at. Too high: processor time, and a large bill.
	SamplerArg float64 `mapstructure:"sampler_arg"`
	// Slow is from when on an event has a span although it was not sampled, 10ms to
	// 10m. Too low: every hiccup is a span. Too high: only the sampled ones tell.
	Slow time.Duration `mapstructure:"slow"`
}

// Health is when a node calls itself ready.
type Health struct {
	// MinReady is the share of this node's shards that must be ready, 0 to 1.
	MinReady float64 `mapstructure:"min_ready"`
}

// Shutdown is how a node stops.
type Shutdown struct {
	// Timeout bounds the drain, 100ms to 1h. Too low: events may stay
	// unanswered (they are replayed at the next start). Too high: an
	// orchestrator kills the process first; keep it below its grace period.
	Timeout time.Duration `mapstructure:"timeout"`
}

// Cluster is this node among others.
type Cluster struct {
	// Node is this node's name: letters, digits, . _ -. Empty: the host's name,
	// which Load fills in.
	Node string `mapstructure:"node"`
	// LeaseTTL is how long a pool belongs to a node that is not heard of any
	// more, 2s to 1m; all nodes must agree. A dead node's pools are resumed
	// elsewhere about a second after it. Too low: a slow disk of NATS, or an
	// election there, moves pools for nothing. Too high: Discord forgets sessions,
	// and events, before they are resumed; above 15s that begins.
	LeaseTTL time.Duration `mapstructure:"lease_ttl"`
	// Capacity is this node's weight when pools are shared out, 1 to 1000: a node
	// with 2 gets twice as many as one with 1. Too low: this node idles. Too high:
	// it takes more than it can carry.
	Capacity int `mapstructure:"capacity"`
}

// Database is PostgreSQL, for `drover worker`, `drover migrate` and `drover
// retention`. `drover run` needs none.
type Database struct {
	// URL is postgres://user:password@host:port/database?sslmode=…, or the same as
	// key=value words; a secret as a whole. Usually it leads through PgBouncer.
	URL Secret `mapstructure:"url"`
	// MigrateURL is the same for the owner, straight to PostgreSQL. Empty: URL.
	MigrateURL Secret `mapstructure:"migrate_url"`
	// MaxConns bounds the connections of a process, 1 to 1000. Too low: transactions
	// wait for one another. Too high: all processes together ask for more than
	// PgBouncer's pool serves, and wait there.
	MaxConns int `mapstructure:"max_conns"`
	// ConnectTimeout bounds one attempt to connect, 100ms to 1m.
	ConnectTimeout time.Duration `mapstructure:"connect_timeout"`
	// StatementTimeout bounds each statement, and how long a transaction may stand
	// idle, 100ms to 30s: PgBouncer ends connections at 30s. Too low: large guilds
	// fail. Too high: a stuck transaction holds its locks for so long.
	StatementTimeout time.Duration `mapstructure:"statement_timeout"`
}

// MigrationURL is the address for the owner: database.migrate_url, else
// database.url.
func (d Database) MigrationURL() Secret {
	if d.MigrateURL != "" {
		return d.MigrateURL
	}
	return d.URL
}

// Worker is `drover worker`, which keeps the database in step with the streams.
type Worker struct {
	// Durable is the name of the durable consumer, before streams.prefix is put in
	// front: letters, digits, _ and -, at most 64. Workers of one name share the
	// events.
	Durable string `mapstructure:"durable"`
	// APIPrefix is that of JetStream's API where another account of NATS exports the
	// stream of events, as deploy/nats/accounts.conf does; an operator makes the consumer then
	// (drover worker --make-consumer). "" asks JetStream itself.
	APIPrefix string `mapstructure:"api_prefix"`
	// Batch is how many events are asked for at once, and at most in one
	// transaction, 1 to 10000. Too low: a transaction for each event. Too high: more
	// is done again after an error.
	Batch int `mapstructure:"batch"`
	// Concurrency is how many communities are worked on at once, 1 to 1000. Too low:
	// a large one holds up the others. Too high: transactions wait for connections;
	// above database.max_conns it brings nothing.
	Concurrency int `mapstructure:"concurrency"`
	// AckWait is how long JetStream waits before it delivers an event again, 1s to
	// 10m. Too low: what is being worked on comes twice, and is dropped. Too high:
	// what a killed worker held waits for so long.
	AckWait time.Duration `mapstructure:"ack_wait"`
	Dead    Dead          `mapstructure:"dead"`
}

// Dead is the stream of events that a worker can never apply.
type Dead struct {
	// Name is the stream's name, before streams.prefix is put in front.
	Name string `mapstructure:"name"`
	// MaxAge is how long they stay, 1m to 8760h. Too low: nobody has seen them.
	MaxAge time.Duration `mapstructure:"max_age"`
	// MaxBytes bounds the stream, at least 1MiB; the oldest go first.
	MaxBytes Bytes `mapstructure:"max_bytes"`
}

// Default is the configuration of a node that was told nothing. It is the only
// place with defaults.
func Default() Config {
	return Config{
		Discord: Discord{
			APIURL:   "https://discord.com/api/v10",
			Intents:  []string{"GUILDS", "GUILD_MEMBERS"},
			Compress: "zstd-stream",
		},
		Pool: Pool{Size: 25},
		NATS: NATS{
			Embedded: Embedded{Listen: "127.0.0.1:4222", DataDir: "./data"},
		},
		Streams: Streams{
			Events: Stream{
				Name: "EVENTS", Storage: "auto", MaxAge: 5 * time.Minute,
				Duplicates: 2 * time.Minute,
			},
			Commands: Stream{
				Name: "COMMANDS", Storage: "auto", MaxAge: time.Minute,
				Duplicates: time.Minute,
			},
		},
		Publish:      Publish{Window: 4096, AckTimeout: 4 * time.Second},
		Session:      Session{CheckpointInterval: time.Second},
		Identify:     Identify{Reserve: ReserveAuto},
		Spool:        Spool{MaxBytes: 2 << 30},
		Backpressure: Backpressure{Shed: []string{"TYPING_START", "PRESENCE_UPDATE"}},
		HTTP:         HTTP{Addr: ":9090"},
		Log:          Log{Level: "info", Format: "json"},
		Metrics:      Metrics{ShardLabels: "auto"},
		Telemetry: Telemetry{
			Traces: "auto", Metrics: "none", Logs: "none", Protocol: "http/protobuf",
			Sampler: "traceidratio", SamplerArg: 0.01, Slow: time.Second,
		},
		Health:   Health{MinReady: 1.0},
		Shutdown: Shutdown{Timeout: 20 * time.Second},
		Cluster:  Cluster{LeaseTTL: 10 * time.Second, Capacity: 1},
		Database: Database{MaxConns: 10, ConnectTimeout: 5 * time.Second, StatementTimeout: 10 * time.Second},
		Worker: Worker{
			Durable: "worker", Batch: 256, Concurrency: 8, AckWait: 30 * time.Second,
			Dead: Dead{Name: "DEAD", MaxAge: 7 * 24 * time.Hour, MaxBytes: 256 << 20},
		},
	}
}
