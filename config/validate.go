package config

import (
	"math"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// natsNone is the nats.url that publishes nothing.
const natsNone = "none"

// Limits against slips of the keyboard, far above what anyone runs.
const (
	maxPoolSize    = 100_000
	maxTotalShards = 1_000_000
	maxWindow      = 1 << 20
	maxReplicas    = 5 // JetStream's own limit
	maxCapacity    = 1000
	maxReserve     = 1_000_000
	maxConns       = 1000
	maxBatch       = 10_000
)

// minSpool is the smallest spool: below it, it would be full before it helps.
const minSpool Bytes = 1 << 20

// shedNone is "none" as tidy leaves it in a list where it does not stand alone.
const shedNone = "NONE"

// neverShed are events that no bot can do without, and why.
var neverShed = map[string]string{
	"INTERACTION_CREATE": "since a user waits for the answer",
	"GUILD_CREATE":       "since it tells which guilds the bot is in",
	"GUILD_DELETE":       "since it tells which guilds the bot is in",
}

var (
	streamWord = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	nodeWord   = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	apiPrefix  = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	eventWord  = regexp.MustCompile(`^[A-Z0-9_]+$`)
)

// Validate checks every rule and returns an *Error with all that are broken,
// or nil. It opens no connection and no file, but looks whether the files that
// are named exist. Names of intents are checked by who knows them.
func (c Config) Validate() error {
	var ps problems
	c.Discord.validate(&ps)
	c.Pool.validate(&ps)
	c.NATS.validate(&ps)
	c.Streams.validate(&ps, c.NATS.URL == "")
	c.Publish.validate(&ps, c.Streams)
	checkDuration(&ps, "session.checkpoint_interval", c.Session.CheckpointInterval, 100*time.Millisecond, time.Minute)
	c.Identify.validate(&ps)
	c.Spool.validate(&ps)
	c.Backpressure.validate(&ps)
	c.Events.validate(&ps)
	checkHostPort(&ps, "http.addr", c.HTTP.Addr)
	checkWord(&ps, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	checkWord(&ps, "log.format", c.Log.Format, "json", "text")
	checkWord(&ps, "metrics.shard_labels", c.Metrics.ShardLabels, "auto", "always", "never")
	c.Telemetry.validate(&ps)
	if m := c.Health.MinReady; math.IsNaN(m) || m < 0 || m > 1 {
		ps.add("health.min_ready", "", "%v is not a share: write a number from 0 to 1", m)
	}
	checkDuration(&ps, "shutdown.timeout", c.Shutdown.Timeout, 100*time.Millisecond, time.Hour)
	c.Cluster.validate(&ps)
	c.Database.validate(&ps)
	c.Worker.validate(&ps, c.Streams)
	return ps.err()
}

func (t Telemetry) validate(ps *problems) {
	checkWord(ps, "telemetry.traces", t.Traces, "auto", "otlp", "none")
	checkWord(ps, "telemetry.metrics", t.Metrics, "otlp", "none")
	checkWord(ps, "telemetry.logs", t.Logs, "otlp", "none")
	checkWord(ps, "telemetry.protocol", t.Protocol, "http/protobuf", "grpc")
	checkWord(ps, "telemetry.sampler", t.Sampler, "traceidratio", "always_on", "always_off")
	if u, err := url.Parse(string(t.Endpoint)); t.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		ps.add("telemetry.endpoint", "", "%q is not an http or https URL: write it like http://collector:4318, or http://collector:4317 for grpc", t.Endpoint)
	}
	if s := t.SamplerArg; math.IsNaN(s) || s < 0 || s > 1 {
		ps.add("telemetry.sampler_arg", "", "%v is not a share: write a number from 0 to 1", s)
	}
	checkDuration(ps, "telemetry.slow", t.Slow, 10*time.Millisecond, 10*time.Minute)
}

func (i Identify) validate(ps *problems) {
	if _, _, err := i.Reserve.parse(); err != nil {
		ps.add("identify.reserve", "", "%q %v", string(i.Reserve), err)
	}
}

func (c Cluster) validate(ps *problems) {
	// The empty name becomes the host's; 255 bytes is the longest host name.
	if n := c.Node; n != "" && (!nodeWord.MatchString(n) || len(n) > 255) {
		ps.add("cluster.node", "", "%q is not a name: use at most 255 letters, digits, dots, _ and -", n)
	}
	checkDuration(ps, "cluster.lease_ttl", c.LeaseTTL, 2*time.Second, time.Minute)
	checkRange(ps, "cluster.capacity", c.Capacity, 1, maxCapacity)
}

func (d Database) validate(ps *problems) {
	checkRange(ps, "database.max_conns", d.MaxConns, 1, maxConns)
	checkDuration(ps, "database.connect_timeout", d.ConnectTimeout, 100*time.Millisecond, time.Minute)
	checkDuration(ps, "database.statement_timeout", d.StatementTimeout, 100*time.Millisecond, 30*time.Second)
}

func (w Worker) validate(ps *problems, s Streams) {
	if !streamWord.MatchString(w.Durable) || len(w.Durable) > 64 {
		ps.add("worker.durable", "", "%q is not a consumer's name: use at most 64 letters, digits, _ and -", w.Durable)
	}
	if w.APIPrefix != "" && !apiPrefix.MatchString(w.APIPrefix) {
		ps.add("worker.api_prefix", "", "%q is not a prefix of subjects: use words of letters, digits, _ and - with dots between them, like drover.API", w.APIPrefix)
	}
	checkRange(ps, "worker.batch", w.Batch, 1, maxBatch)
	checkRange(ps, "worker.concurrency", w.Concurrency, 1, maxConns)
	checkDuration(ps, "worker.ack_wait", w.AckWait, time.Second, 10*time.Minute)
	if !streamWord.MatchString(w.Dead.Name) || len(w.Dead.Name) > 128 {
		ps.add("worker.dead.name", "", "%q is not a stream's name: use at most 128 letters, digits, _ and -", w.Dead.Name)
	}
	if w.Dead.Name == s.Events.Name || w.Dead.Name == s.Commands.Name {
		ps.add("worker.dead.name", "", "%q is the name of another stream of drover's too: give each stream its own", w.Dead.Name)
	}
	checkDuration(ps, "worker.dead.max_age", w.Dead.MaxAge, time.Minute, 8760*time.Hour)
	if w.Dead.MaxBytes < minSpool {
		ps.add("worker.dead.max_bytes", "", "%s is below %s: write a larger size", w.Dead.MaxBytes, minSpool)
	}
}

// RequireDatabase returns an *Error unless database.url is an address of
// PostgreSQL. Validate does not look at it: DATABASE_URL may be set for another
// program, to another kind of database, beside a `drover run` that needs none.
func (c Config) RequireDatabase() error {
	return requireDatabase("database.url", c.Database.URL,
		"set DATABASE_URL to the address of PgBouncer or PostgreSQL, like postgres://app_worker:password@host:6432/drover?sslmode=verify-full")
}

// RequireMigration returns an *Error unless Database.MigrationURL is an address
// of PostgreSQL.
func (c Config) RequireMigration() error {
	key := "database.migrate_url"
	if c.Database.MigrateURL == "" && c.Database.URL != "" {
		key = "database.url"
	}
	return requireDatabase(key, c.Database.MigrationURL(),
		"set DROVER_DATABASE_MIGRATE_URL to the owner's address of PostgreSQL itself, like postgres://postgres:password@host:5432/drover?sslmode=verify-full")
}

// requireDatabase tells only what is wrong with an address, and nothing of it: a
// password may stand anywhere in it.
func requireDatabase(key string, value Secret, remedy string) error {
	var ps problems
	scheme, _, found := strings.Cut(string(value), "://")
	switch {
	case value == "":
		ps.add(key, "", "there is none: %s", remedy)
	case found && scheme != "postgres" && scheme != "postgresql",
		!found && !strings.Contains(string(value), "="):
		ps.add(key, "", "the value is not an address of PostgreSQL: %s", remedy)
	}
	return ps.err()
}

// RequireToken returns an *Error unless there is a bot token. Only who talks to
// Discord itself needs one.
func (c Config) RequireToken() error {
	if c.Discord.Token != "" {
		return nil
	}
	var ps problems
	ps.add("discord.token", "", "there is none: set DISCORD_TOKEN to the bot's token (Discord's developer portal, page Bot), or try `drover demo`, which needs none")
	return ps.err()
}

func (d Discord) validate(ps *problems) {
	if strings.ContainsFunc(string(d.Token), func(r rune) bool { return r <= ' ' || r > '~' }) {
		ps.add("discord.token", "", "the value has a blank or a special character inside: copy the token again, without anything around it")
	}
	u, err := url.Parse(string(d.APIURL))
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		ps.add("discord.api_url", "", "%q is not an http or https URL: write it like https://discord.com/api/v10", d.APIURL)
	case u.RawQuery != "" || u.Fragment != "":
		ps.add("discord.api_url", "", "the value has a query or a fragment: end it after the path, as in https://discord.com/api/v10")
	}
	if len(d.Intents) == 0 {
		ps.add("discord.intents", "", "the list is empty, so Discord would send hardly anything: name at least GUILDS, or write 0 if you mean none")
	}
	for _, name := range d.Intents {
		if strings.TrimSpace(name) == "" {
			ps.add("discord.intents", "", "an entry is empty: remove it")
		}
	}
	checkWord(ps, "discord.compress", d.Compress, "zstd-stream", "zlib-stream", "none")
}

func (p Pool) validate(ps *problems) {
	checkRange(ps, "pool.size", p.Size, 1, maxPoolSize)
	checkRange(ps, "pool.total_shards", p.TotalShards, 0, maxTotalShards)
	if p.ID == nil {
		return
	}
	id := *p.ID
	checkRange(ps, "pool.id", id, 0, maxTotalShards-1)
	if p.Size >= 1 && p.TotalShards >= 1 && id >= p.PoolCount(p.TotalShards) {
		ps.add("pool.id", "", "%d is beyond the last pool: %d shards in pools of %d give pools 0 to %d",
			id, p.TotalShards, p.Size, p.PoolCount(p.TotalShards)-1)
	}
}

func (n NATS) validate(ps *problems) {
	credentials := n.credentials()
	switch n.URL {
	case natsNone:
	case "":
		if len(credentials) > 0 {
			ps.add(credentials[0], "", "is set, but nats.url is empty, which starts drover's own server: set nats.url too")
		}
	default:
		for part := range strings.SplitSeq(string(n.URL), ",") {
			checkNATSURL(ps, URL(part))
		}
	}
	if len(credentials) > 1 {
		ps.add(credentials[0], "", "is a way to log in, and so is %s: keep one", strings.Join(credentials[1:], " and "))
	}
	if n.User == "" && n.Password != "" {
		ps.add("nats.password", "", "is set without nats.user: set both")
	}
	if n.User != "" && n.Password == "" {
		ps.add("nats.user", "", "is set without nats.password: set both, or nats.token")
	}
	if (n.TLS.CertFile == "") != (n.TLS.KeyFile == "") {
		ps.add("nats.tls.cert_file", "", "goes together with nats.tls.key_file: set both or neither")
	}
	checkFile(ps, "nats.creds_file", n.CredsFile)
	checkFile(ps, "nats.nkey_file", n.NKeyFile)
	checkFile(ps, "nats.tls.ca_file", n.TLS.CAFile)
	checkFile(ps, "nats.tls.cert_file", n.TLS.CertFile)
	checkFile(ps, "nats.tls.key_file", n.TLS.KeyFile)
	checkHostPort(ps, "nats.embedded.listen", n.Embedded.Listen)
	if n.Embedded.DataDir == "" {
		ps.add("nats.embedded.data_dir", "", "is empty: name a folder, like ./data")
	}
}

// credentials names the keys that each are a way to log in; nats.url is one
// when it holds a user.
func (n NATS) credentials() []string {
	var keys []string
	for _, k := range []struct {
		key string
		set bool
	}{
		{"nats.user", n.User != "" || n.Password != ""},
		{"nats.token", n.Token != ""},
		{"nats.creds_file", n.CredsFile != ""},
		{"nats.nkey_file", n.NKeyFile != ""},
		{"nats.url", strings.Contains(string(n.URL), "@")},
	} {
		if k.set {
			keys = append(keys, k.key)
		}
	}
	return keys
}

func checkNATSURL(ps *problems, raw URL) {
	text := string(raw)
	if !strings.Contains(text, "://") {
		text = "nats://" + text // as the NATS clients do
	}
	if strings.EqualFold(string(raw), natsNone) {
		ps.add("nats.url", "", "none stands in a list of servers: write none alone, or remove it")
		return
	}
	u, err := url.Parse(text) // its error may hold the password: not shown
	if err != nil || u.Hostname() == "" {
		ps.add("nats.url", "", "%q is not a server: write it like nats://host:4222", raw)
		return
	}
	if !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		ps.add("nats.url", "", "%q has the scheme %s: use nats, tls, ws or wss", raw, u.Scheme)
	}
	if port := u.Port(); port != "" && !validPort(port, 1) {
		ps.add("nats.url", "", "%q has the port %s: use 1 to 65535", raw, port)
	}
}

func (s Streams) validate(ps *problems, embedded bool) {
	if s.Prefix != "" && (!streamWord.MatchString(s.Prefix) || len(s.Prefix) > 32) {
		ps.add("streams.prefix", "", "%q is not a prefix: use at most 32 letters, digits, _ and -", s.Prefix)
	}
	s.Events.validate(ps, "streams.events.", embedded)
	s.Commands.validate(ps, "streams.commands.", embedded)
	if s.Events.Name == s.Commands.Name && s.Events.Name != "" {
		ps.add("streams.commands.name", "", "%q is the name of streams.events too: give each stream its own", s.Commands.Name)
	}
}

func (s Stream) validate(ps *problems, prefix string, embedded bool) {
	if !streamWord.MatchString(s.Name) || len(s.Name) > 128 {
		ps.add(prefix+"name", "", "%q is not a stream's name: use at most 128 letters, digits, _ and -", s.Name)
	}
	checkWord(ps, prefix+"storage", s.Storage, "auto", "memory", "file")
	if s.MaxAge != 0 && s.MaxAge < time.Second {
		ps.add(prefix+"max_age", "", "%s is below 1s: write 1s or more, or 0 for no limit", formatDuration(s.MaxAge))
	}
	if s.MaxBytes < 0 {
		ps.add(prefix+"max_bytes", "", "%s is below 0: write a size, or 0 for no limit", s.MaxBytes)
	}
	if s.MaxAge == 0 && s.MaxBytes == 0 {
		ps.add(prefix+"max_age", "", "0 together with max_bytes 0 lets the stream grow without end: set one of them")
	}
	checkRange(ps, prefix+"replicas", s.Replicas, 0, maxReplicas)
	if embedded && s.Replicas > 1 && s.Replicas <= maxReplicas {
		ps.add(prefix+"replicas", "", "%d needs a NATS cluster, but nats.url is empty, which starts one embedded server: write 0 or 1, or set nats.url", s.Replicas)
	}
	switch {
	case s.Duplicates < time.Second:
		ps.add(prefix+"duplicates", "", "%s is below 1s: write 1s or more", formatDuration(s.Duplicates))
	case s.MaxAge >= time.Second && s.Duplicates > s.MaxAge:
		ps.add(prefix+"duplicates", "", "%s is above max_age (%s): NATS refuses that, write at most max_age",
			formatDuration(s.Duplicates), formatDuration(s.MaxAge))
	}
}

func (p Publish) validate(ps *problems, s Streams) {
	checkRange(ps, "publish.window", p.Window, 1, maxWindow)
	checkDuration(ps, "publish.ack_timeout", p.AckTimeout, 100*time.Millisecond, time.Minute)
	if window := min(s.Events.Duplicates, s.Commands.Duplicates); window >= time.Second &&
		p.AckTimeout <= time.Minute && p.AckTimeout >= window {
		ps.add("publish.ack_timeout", "", "%s is not below the streams' duplicates (%s), so a repeated event would be stored twice: lower it",
			formatDuration(p.AckTimeout), formatDuration(window))
	}
}

func (s Spool) validate(ps *problems) {
	switch {
	case s.MaxBytes < 0:
		ps.add("spool.max_bytes", "", "%s is below 0: write a size, or 0 for no spool", s.MaxBytes)
	case s.MaxBytes > 0 && s.MaxBytes < minSpool:
		ps.add("spool.max_bytes", "", "%s is below %s: write a larger size, or 0 for no spool", s.MaxBytes, minSpool)
	}
	// A folder that does not exist is made; whether it can be written shows then.
	if info, err := os.Stat(s.Dir); s.Dir != "" && err == nil && !info.IsDir() {
		ps.add("spool.dir", "", "%q is a file: name a folder", s.Dir)
	}
}

func (b Backpressure) validate(ps *problems) {
	const key = "backpressure.shed"
	for _, name := range b.Shed {
		switch {
		case name == shedNone:
			ps.add(key, "", "none stands in a list of events: write none alone, or remove it")
		case strings.HasPrefix(name, "DROVER_"):
			ps.add(key, "", "%s must not be dropped, since it tells what became of a shard: remove it", name)
		case neverShed[name] != "":
			ps.add(key, "", "%s must not be dropped, %s: remove it", name, neverShed[name])
		}
	}
	checkEvents(ps, key, b.Shed)
}

func (e Events) validate(ps *problems) {
	checkEvents(ps, "events.allow", e.Allow)
	checkEvents(ps, "events.deny", e.Deny)
}
