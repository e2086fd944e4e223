// Package system is a drover node as a value: New checks, Run serves until its context ends. Tests,
// the demo and the command line start the same thing.
package system

import (
	"context"
	crand "crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"drover/actors"
	"drover/config"
	"drover/messages"
	"drover/system/cluster"
	"drover/system/gateway"
	"drover/system/stream"
	"drover/system/telemetry"
	"drover/system/web"
)

// System is one node. New makes it, Run runs it once; Status, Traffic and Reload may be called from
// any goroutine while it runs.
type System struct {
	cfg     config.Config
	o       Options
	intents gateway.Intents
	log     *slog.Logger
	started time.Time

	telemetry *telemetry.Telemetry
	web       *web.Server
	filter    *actors.Filter
	permits   *cluster.Permits
	process   string // random: this process among all of the bot
	home      string // what only one living process has; empty: nobody knows

	// Set by Run, in this order.
	embedded  *stream.Embedded  // nil on an external NATS
	broker    *stream.Broker    // nil where nats.url is none
	publisher *stream.Publisher // nil where nats.url is none
	window    window
	sessions  *cluster.Sessions // nil where nats.url is none
	stores    stores            // the same
	ahead     *ahead
	placement atomic.Pointer[placement]
	stop      context.CancelCauseFunc // ends Run, for a reason
	root      atomic.Pointer[actor.PID]
	actors    *actor.ActorSystem

	reached  atomic.Int64                  // Unix ns of when NATS was connected last; 0: never
	clock    atomic.Pointer[time.Duration] // NATS' clock minus ours; nil: not measured yet
	phase    atomic.Pointer[string]        // what the start waits for, in words; empty: it is over
	refusal  chan error                    // capacity 1: Discord refuses the bot
	quiesced chan struct{}                 // closed when no shard takes an event any more
	drained  chan struct{}                 // closed when every session is closed
	once     sync.Once

	remade   remade
	patience patience
}

// Options are what the process gives a node beside its configuration. The zero value works.
type Options struct {
	Version string
	Log     *slog.Logger   // nil discards
	Level   *slog.LevelVar // of Log, for Reload; may be nil

	// NetDial and HTTP replace the network to Discord in tests; nil is the real one.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	HTTP    *http.Client
	TLS     *tls.Config // for wss and https to a server with a CA of its own; nil: the system's roots
	// Acked is called for each of Discord's dispatches when JetStream has acknowledged it, with its sequence number. For
	// measurements. It runs on NATS' goroutine and must not block.
	Acked func(shardID int, seq int64)
	// Ready is called once when the node has listened on its HTTP address. It must not block.
	Ready func(httpAddr string)
}

// New checks what can be known to be wrong before anything starts. cfg has been validated.
func New(cfg config.Config, o Options) (*System, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	intents, err := gateway.ParseIntents(cfg.Discord.Intents)
	if err != nil {
		return nil, &Error{Code: exitConfig, Text: "discord.intents (DISCORD_INTENTS)", Err: err}
	}
	s := &System{
		cfg: cfg, o: o, intents: intents, log: o.Log, started: time.Now(), patience: usual,
		filter: &actors.Filter{}, refusal: make(chan error, 1), process: strings.ToLower(crand.Text()), quiesced: make(chan struct{}), drained: make(chan struct{}),
	}
	s.filter.Set(cfg.Events.Allow, cfg.Events.Deny)
	s.waitingFor("NATS")
	s.telemetry, err = telemetry.New(telemetry.Options{
		Node: cfg.Cluster.Node, Version: o.Version, Shards: cfg.Pool.TotalShards, ShardLabels: cfg.Metrics.ShardLabels, Log: o.Log,
		Export: exported(cfg.Telemetry), Secrets: []string{cfg.Discord.Token.Reveal(), cfg.NATS.Password.Reveal(), cfg.NATS.Token.Reveal()},
	})
	if err != nil {
		return nil, &Error{Code: exitConfig, Text: "telemetry", Err: err}
	}
	s.log = s.telemetry.Log()
	s.warnOfEvents(cfg.Events)
	s.permits = cluster.NewPermits(cluster.Limit{MaxConcurrency: 1}, s.log)
	s.permits.Reserve(cfg.Identify.Reserve.Of)
	s.telemetry.Meters.Observe(s.Status)
	s.web = web.New(web.Options{
		Addr: cfg.HTTP.Addr, Status: s.Status, Traffic: s.Traffic, Cluster: s.Cluster, Metrics: s.telemetry.Handler(),
		Sample: s.sample, History: s.history, Remote: s.remoteShard, Address: s.addressOf,
		Node: cfg.Cluster.Node, Version: o.Version, PoolID: cfg.Pool.ID, Log: s.log,
	})
	return s, nil
}

// Run serves until ctx ends, then drains within shutdown.timeout. It returns nil when everything that was taken is
// acknowledged and every session was left resumable; else an *Error with the exit code.
func (s *System) Run(ctx context.Context) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(errors.New("node stopped"))
	s.stop = stop
	defer s.closeTelemetry()
	if err := s.openStream(running); err != nil {
		return err
	}
	defer s.closeStream()
	if err := s.startActors(); err != nil {
		return err
	}
	defer s.stopActors()
	defer s.endMetrics()
	if err := s.web.Listen(); err != nil {
		return listening(err)
	}

	var owned sync.WaitGroup // every goroutine that is started here
	defer owned.Wait()
	serving, silence := context.WithCancel(context.WithoutCancel(running)) // the endpoints answer during the drain as well
	defer silence()
	owned.Go(func() {
		if err := s.web.Serve(serving); err != nil {
			stop(&Error{Code: exitFailure, Text: "http", Err: err})
		}
	})
	if s.o.Ready != nil {
		s.o.Ready(s.web.Addr())
	}
	s.connectStream()
	identifying, done := context.WithCancel(context.WithoutCancel(running)) // until the last permit is done
	defer done()
	owned.Go(func() { s.permits.Run(identifying) })
	owned.Go(func() { s.compareClocks(running) })
	owned.Go(func() {
		if err := s.assign(running); err != nil {
			stop(err)
		}
	})

	select {
	case <-running.Done():
	case err := <-s.refusal:
		stop(refused(err))
	}
	return s.drain(running)
}

// warnOfEvents names what the event filter will hardly mean: events that nobody knows, which may be a slip or
// newer than drover, and allowed events that Discord never sends with the intents that are asked for.
func (s *System) warnOfEvents(e config.Events) {
	for key, names := range map[string][]string{"events.allow": e.Allow, "events.deny": e.Deny} {
		for _, name := range names {
			if meant := gateway.NearestEvent(name); meant != name {
				s.log.Warn("the event filter names an event that Discord does not document", "key", key, "event", name, "did_you_mean", meant)
			}
		}
	}
	for _, name := range e.Allow {
		if needs := gateway.IntentsOf(name); needs != 0 && needs&s.intents == 0 {
			s.log.Warn("events.allow names an event that needs another intent", "event", name,
				"discord_intents", s.intents.Names(), "needs_one_of", needs.Names())
		}
	}
}

// Reload takes over what may change while the node runs: log level and event filter.
func (s *System) Reload(cfg config.Config) {
	if s.o.Level != nil {
		_ = s.o.Level.UnmarshalText([]byte(cfg.Log.Level)) // validated
	}
	s.filter.Set(cfg.Events.Allow, cfg.Events.Deny)
	s.warnOfEvents(cfg.Events)
}

// startActors spawns the node's root actor with publisher and health. Pools follow with assign.
func (s *System) startActors() error {
	s.actors = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(warnings{s.log.Handler()})
	}))
	s.ahead = newAhead(func(ctx context.Context, url string) (*gateway.Conn, error) {
		return gateway.Dial(ctx, gateway.DialOptions{URL: url, UserAgent: s.userAgent(), NetDial: s.o.NetDial, TLS: s.o.TLS})
	})
	o := actors.Options{
		Node: s.cfg.Cluster.Node,
		Session: gateway.SessionOptions{
			Token: s.cfg.Discord.Token.Reveal(), Intents: s.intents, Compress: s.cfg.Discord.Compress, Rand: rand.Float64,
		},
		Dial:   s.ahead.Dial,
		Window: s.window, Permits: permits{s.permits}, Filter: s.filter,
		Meters: s.telemetry.Meters, Tracer: s.telemetry.Tracer, Log: s.log,
		CheckpointInterval: s.cfg.Session.CheckpointInterval,
		SignEvery:          s.patience.actor / 6,
		Refused:            func(err error) { s.refusal <- err },
		Quiesced:           func() { close(s.quiesced) },
		Drained:            func() { close(s.drained) },
	}
	if s.broker != nil {
		s.sessions = cluster.NewSessions(s.broker.JetStream(), cluster.SessionsOptions{
			Prefix: s.cfg.Streams.Prefix, Replicas: s.cfg.Streams.Events.Replicas, Log: s.log,
		})
		o.Sessions = epochs{s}
		s.stores = s.openStores()
		s.permits.Share(cluster.Shared{
			Slots: s.stores.identify, Fleet: s.stores.fleet, Process: s.process, Home: s.home, SlotTTL: cluster.DefaultSlotTTL, Margin: cluster.DefaultMargin,
		})
	}
	root, err := actors.Spawn(s.actors, o)
	if err != nil {
		return &Error{Code: exitFailure, Text: "actors", Err: err}
	}
	s.root.Store(root)
	return nil
}

// epochs keeps checkpoints under the epochs of their pools' leases: a late one must not replace what the next holder has kept.
type epochs struct{ s *System }

// Save implements actors.Sessions.
func (e epochs) Save(ctx context.Context, c messages.Checkpoint) error {
	if p := e.s.placement.Load(); p != nil {
		c.Epoch = p.epochOf(c.ShardID)
	}
	return e.s.sessions.Save(ctx, c)
}

// stores are the buckets that nodes share beside sessions.
type stores struct{ leases, members, identify, fleet *cluster.JetStreamStore }

// bucketPrefix is what names on NATS begin with that are this bot's alone.
func bucketPrefix(streamsPrefix string) string {
	if streamsPrefix == "" {
		return "drover"
	}
	return streamsPrefix
}

func (s *System) openStores() stores {
	prefix := bucketPrefix(s.cfg.Streams.Prefix)
	open := func(name, description string, ttl time.Duration) *cluster.JetStreamStore {
		return cluster.NewJetStreamStore(s.broker.JetStream(), cluster.StoreOptions{
			Bucket: prefix + "_" + name, Description: "drover: " + description, TTL: ttl, Replicas: s.cfg.Streams.Events.Replicas, Log: s.log,
		})
	}
	ttl := s.cfg.Cluster.LeaseTTL
	return stores{
		leases:   open("leases", "which node serves which pool", ttl),
		members:  open("members", "the nodes that are there", ttl),
		identify: open("identify", "who may IDENTIFY now", cluster.DefaultSlotTTL),
		fleet:    open("fleet", "what all nodes agree on, and the budget of IDENTIFYs", 0),
	}
}

// warnings lets only warnings and worse through: protoactor tells of every supervised failure and dead
// letter at info, which our own lines do better.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// tell sends a message to the root actor, if there is one yet.
func (s *System) tell(message any) {
	if root := s.root.Load(); root != nil {
		s.actors.Root.Send(root, message)
	}
}

// permits gives actors the cluster's permits under the interface that they declare.
type permits struct{ *cluster.Permits }

func (p permits) Acquire(ctx context.Context, shardID int, again bool) (actors.Permit, error) {
	permit, err := p.Permits.Acquire(ctx, shardID, again)
	if err != nil {
		return nil, err
	}
	return permit, nil
}

// userAgent is what Discord asks bots to call themselves (Reference, "User Agent").
func (s *System) userAgent() string {
	return "DiscordBot (https://github.com/drover-gateway/drover, " + s.o.Version + ")"
}
