package gatewaysim

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options says what kind of Discord the server plays. The zero value is a
// usable server: one shard recommended, ten guilds, no traffic, any token.
type Options struct {
	// Token is the only bot token that is accepted. Empty: any non-empty one.
	Token string
	// Shards is the count that /gateway/bot recommends. Default 1. It bounds
	// nothing: a bot may identify with any count.
	Shards int
	// Guilds is the number of guilds that the bot is in, over all shards.
	// Default 10 × Shards; -1 for none. Guild i lies on shard i % n for every
	// usual shard count n, so each shard gets its share.
	Guilds int
	// MaxGuildsPerShard is the slice size above which IDENTIFY is answered
	// with 4011. Default 2500, as with Discord.
	MaxGuildsPerShard int
	// GuildBytes is the size of the smallest and of the largest GUILD_CREATE, a few
	// hundred bytes more or less; the others lie evenly between, by the seed. Both
	// from 5,000 to 1,000,000. Default 0, 0: as they come, 6 to 35 KB.
	GuildBytes [2]int
	// ShardMultiple, if above 1, closes 4010 for shard counts that are no
	// multiple of it ("large bot sharding").
	ShardMultiple int

	// Rate is the number of events per second over all sessions. 0: none.
	Rate float64
	// Smooth sends each event when it is due, as a gateway does, and not what is due in a millisecond together. It takes
	// some percent of a CPU while there is traffic.
	Smooth bool
	// Events ends the traffic after that many events. 0: it never ends.
	Events int64
	// Seed makes ids, names and the mix of events. The same seed gives the
	// same guilds; the times in payloads come from the clock.
	Seed uint64

	// MaxConcurrency is session_start_limit.max_concurrency. Default 16.
	MaxConcurrency int
	// IdentifyEvery is the least time between two IDENTIFYs of one rate-limit
	// key (shard_id % max_concurrency). Default 5 s.
	IdentifyEvery time.Duration
	// DailyTotal is session_start_limit.total. Default max(1000, 5 × Shards).
	// One IDENTIFY more than that resets the token and ends all sessions.
	DailyTotal int
	// CountRefused makes a rate-limited IDENTIFY spend budget too. Discord's
	// staff said that only successful ones count, a report said otherwise.
	CountRefused bool

	// Heartbeat is the interval in HELLO. Default 41.25 s.
	Heartbeat time.Duration
	// HeartbeatGrace is how many intervals without a heartbeat end a
	// connection. Default 1.75; below 1 the server cuts healthy clients.
	HeartbeatGrace float64
	// HeartbeatCloseCode is sent when heartbeats stop. Default 4000.
	HeartbeatCloseCode int

	// SessionLife is how long a session without a connection can be resumed.
	// Default 90 s.
	SessionLife time.Duration
	// ReplayBuffer is the number of events that a session can replay. Default
	// max(100, min(3500, 75 × guilds of the session)). Too low for the rate:
	// every RESUME is answered with op 9 false.
	ReplayBuffer int
	// ResumeURLForm is how READY writes resume_gateway_url: "" as Discord does
	// (no path, no query), "slash" with a trailing slash, "query" with a query.
	ResumeURLForm string

	// DeniedPrivileged holds the privileged intent bits that are switched off
	// for this bot; asking for one of them closes 4014. Default: none.
	DeniedPrivileged uint64

	// ZstdWindow is the window of zstd-stream in bytes, a power of two from
	// 1 KiB to 8 MiB. Default 128 KiB.
	ZstdWindow int

	// GuildSpread is the time over which the GUILD_CREATEs that follow a READY
	// are spread. Default 0: at once.
	GuildSpread time.Duration

	// Stamp notes when each dispatch was handed to its socket: see
	// Server.Written. What is not asked for takes memory, 24 bytes a write.
	Stamp bool

	// Record keeps every dispatch of every session (see Ledger) and every
	// client frame without a bound. For tests; memory grows with the traffic.
	Record bool

	// Log receives transitions. Default: nothing is logged.
	Log *slog.Logger
}

// Limits of what the server keeps without Options.Record, and takes in.
const (
	keptConnections = 1024 // connection records
	keptFrames      = 16   // client frames of one connection
	keptViolations  = 256
	maxClientBytes  = 4096 // Discord: larger payloads close 4002
	sendsPerWindow  = 120  // Discord: more of them in a minute close 4008
	sendWindow      = time.Minute
)

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	setd := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.Shards, 1)
	set(&o.Guilds, 10*o.Shards)
	o.Guilds = max(o.Guilds, 0) // -1: none
	set(&o.MaxGuildsPerShard, 2500)
	set(&o.MaxConcurrency, 16)
	setd(&o.IdentifyEvery, 5*time.Second)
	set(&o.DailyTotal, max(1000, 5*o.Shards))
	setd(&o.Heartbeat, 41250*time.Millisecond)
	if o.HeartbeatGrace == 0 {
		o.HeartbeatGrace = 1.75
	}
	set(&o.HeartbeatCloseCode, 4000)
	setd(&o.SessionLife, 90*time.Second)
	set(&o.ZstdWindow, 128<<10)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Check says everything that is wrong with o in one error; nil if New will take it.
func (o Options) Check() error {
	o = o.withDefaults()
	var broken []string
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			broken = append(broken, fmt.Sprintf(format, args...))
		}
	}
	rule(o.Shards >= 1 && o.Shards <= 1<<20, "shards is %d, want 1 to %d", o.Shards, 1<<20)
	rule(o.Guilds <= 10_000_000, "guilds is %d, want at most 10000000", o.Guilds)
	rule(o.GuildBytes == [2]int{} || o.GuildBytes[0] >= 5_000 && o.GuildBytes[0] <= o.GuildBytes[1] && o.GuildBytes[1] <= 1_000_000,
		"guild size is %d-%d, want two numbers of bytes from 5000 to 1000000, the smaller first", o.GuildBytes[0], o.GuildBytes[1])
	rule(o.Rate >= 0 && o.Rate <= 10_000_000, "rate is %v, want 0 to 10000000 events per second", o.Rate)
	rule(o.Events >= 0, "events is %d, want 0 or more", o.Events)
	rule(o.MaxConcurrency >= 1 && o.MaxConcurrency <= 1<<16, "max concurrency is %d, want 1 to 65536", o.MaxConcurrency)
	rule(o.IdentifyEvery > 0, "identify spacing is %v, want more than 0", o.IdentifyEvery)
	rule(o.DailyTotal >= 1, "daily total is %d, want 1 or more", o.DailyTotal)
	rule(o.Heartbeat >= 10*time.Millisecond, "heartbeat is %v, want 10ms or more", o.Heartbeat)
	rule(o.HeartbeatGrace >= 1, "heartbeat grace is %v intervals, want 1 or more", o.HeartbeatGrace)
	rule(validCloseCode(o.HeartbeatCloseCode), "heartbeat close code is %d, want 1000 to 4999", o.HeartbeatCloseCode)
	rule(o.SessionLife > 0, "session life is %v, want more than 0", o.SessionLife)
	rule(o.ReplayBuffer >= 0, "replay buffer is %d, want 0 (automatic) or more", o.ReplayBuffer)
	rule(o.ZstdWindow >= 1<<10 && o.ZstdWindow <= 8<<20 && o.ZstdWindow&(o.ZstdWindow-1) == 0,
		"zstd window is %d, want a power of two from 1024 to 8388608 bytes", o.ZstdWindow)
	rule(o.ResumeURLForm == "" || o.ResumeURLForm == "slash" || o.ResumeURLForm == "query",
		"resume URL form is %q, want empty, slash or query", o.ResumeURLForm)
	rule(o.GuildSpread >= 0, "guild spread is %v, want 0 or more", o.GuildSpread)
	if len(broken) == 0 {
		return nil
	}
	return errors.New("gatewaysim: options: " + strings.Join(broken, "; "))
}

// replayCapacity is the number of events that a session of that many guilds
// can replay: nobody outside Discord knows the real number, this is what was
// seen by those who counted.
func (o Options) replayCapacity(guilds int) int {
	if o.ReplayBuffer > 0 {
		return o.ReplayBuffer
	}
	return max(100, min(3500, 75*guilds))
}
