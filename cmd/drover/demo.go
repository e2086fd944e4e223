package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"drover/config"
	"drover/messages"
	"drover/system"
	"drover/system/gatewaysim"
	"drover/system/stream"
	"drover/system/telemetry"
)

// demo is a whole drover in one process: a simulated Discord, a node with its embedded NATS server,
// and a consumer that reads the streams as any worker would.
type demo struct {
	cfg   config.Config
	sim   *gatewaysim.Server
	node  *system.System
	calm  bool
	rate  float64
	page  string
	nats  string
	nodes error   // how the node ended
	db    *demoDB // nil without --with-db

	mu     sync.Mutex
	recent []stream.Message // newest last, bounded
	stored [messages.Streams]uint64
}

// demoFlags are the few things that a demo lets choose.
type demoFlags struct {
	httpAddr, natsListen string
	shards, guilds       int
	concurrency          int
	rate                 float64
	calm, plain          bool
	withDB               bool
}

func newDemoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the whole system at work, without a token",
		Long: `Demo starts everything in one process: a simulated Discord gateway with traffic, a drover node with 25
shards, its embedded NATS server, and a consumer that shows what arrives in the streams. It needs no
token, no network and no other program, and leaves nothing behind.

With --with-db it also starts PostgreSQL and PgBouncer (Debian: apt-get install postgresql pgbouncer) in a temporary folder, makes the
schema, and runs a worker (drover worker) that keeps communities and members in step: the view then shows the rows.

Every few seconds it breaks a connection, so that you see a session being resumed. The node's status page is
on http.addr; workers, or "drover tail", can read the streams on nats.embedded.listen meanwhile.`,
		Example: `  drover demo
  drover demo --shards 100 --rate 5000
  drover demo --with-db
  drover demo --http-addr 127.0.0.1:9191 --nats-listen 127.0.0.1:4333`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), f) },
	}
	d := config.Default()
	flags := cmd.Flags()
	flags.StringVar(&f.httpAddr, "http-addr", d.HTTP.Addr, "where the status page is (http.addr)")
	flags.StringVar(&f.natsListen, "nats-listen", d.NATS.Embedded.Listen, "where workers find the streams (nats.embedded.listen)")
	flags.IntVar(&f.shards, "shards", d.Pool.Size, "number of shards")
	flags.IntVar(&f.guilds, "guilds", 0, "number of guilds; 0: ten per shard")
	flags.IntVar(&f.concurrency, "max-concurrency", 16, "shards that may identify at once, every 5 s")
	flags.Float64Var(&f.rate, "rate", 250, "events per second over all shards")
	flags.BoolVar(&f.calm, "calm", false, "break no connections")
	flags.BoolVar(&f.withDB, "with-db", false, "with PostgreSQL, PgBouncer and a worker")
	flags.BoolVar(&f.plain, "plain", false, "plain lines even on a terminal")
	return cmd
}

func runDemo(ctx context.Context, f demoFlags) error {
	dir, err := os.MkdirTemp("", "drover-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir)

	live := term.IsTerminal(int(os.Stdout.Fd())) && !f.plain
	logTo := io.Writer(os.Stderr)
	level := "warn"
	if live { // lines of a log would tear the picture
		file, err := os.Create(dir + "/drover.log")
		if err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		defer file.Close()
		logTo, level = file, "info"
	}
	log, _ := telemetry.NewLogger(logTo, "text", level)

	world := gatewaysim.Options{
		Shards: f.shards, Guilds: f.guilds, MaxConcurrency: f.concurrency, Rate: f.rate, Seed: uint64(time.Now().UnixNano()),
	}
	if err := world.Check(); err != nil {
		return &system.Error{Code: exitUsage, Text: "demo", Err: err}
	}
	sim := gatewaysim.New(world)
	if err := sim.Start("127.0.0.1:0"); err != nil {
		return fmt.Errorf("demo: simulated gateway: %w", err)
	}
	defer sim.Close()

	if f.shards < 1 {
		return &system.Error{Code: exitUsage, Text: fmt.Sprintf("--shards is %d: write 1 or more", f.shards)}
	}
	cfg, err := f.config(dir, sim.APIURL())
	if err != nil {
		return err
	}
	d := &demo{cfg: cfg, sim: sim, calm: f.calm, rate: f.rate}
	if f.withDB {
		if d.db, err = startDemoDB(ctx); err != nil {
			return err
		}
		defer d.db.close()
	}
	return d.run(ctx, log, live)
}

// config is the node's: defaults, but for what the simulated world needs.
func (f demoFlags) config(dir, apiURL string) (config.Config, error) {
	set := func(key, value string) config.Flag { return config.Flag{Name: "demo", Key: key, Value: value} }
	cfg, _, err := config.Load(config.Source{Dirs: []string{}, Flags: []config.Flag{
		set("discord.token", "demo"), set("discord.api_url", apiURL),
		{Name: "--shards", Key: "pool.total_shards", Value: fmt.Sprint(f.shards)},
		{Name: "--http-addr", Key: "http.addr", Value: f.httpAddr},
		{Name: "--nats-listen", Key: "nats.embedded.listen", Value: f.natsListen},
		set("nats.embedded.data_dir", dir+"/nats"), set("shutdown.timeout", "10s"),
	}})
	return cfg, err
}

// run starts the parts and shows them until ctx ends or the node does.
func (d *demo) run(ctx context.Context, log *slog.Logger, live bool) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	listening := make(chan string, 1)
	node, err := system.New(d.cfg, system.Options{Version: Version(), Log: log, Ready: func(addr string) { listening <- addr }})
	if err != nil {
		return err
	}
	d.node = node
	var owned sync.WaitGroup // node, consumer and trouble; they end with ctx
	owned.Go(func() {
		d.nodes = node.Run(ctx)
		end(errNodeEnded)
	})
	select {
	case addr := <-listening:
		d.page, d.nats = pageURL(addr), node.EmbeddedURL()
		owned.Go(func() { d.consume(ctx, log) })
		if d.db != nil {
			owned.Go(func() { d.db.count(ctx) })
			owned.Go(func() {
				if err := d.db.work(ctx, d.cfg, d.nats, log); err != nil {
					log.Error("demo worker", "err", err)
				}
			})
		}
		if !d.calm {
			owned.Go(func() { d.trouble(ctx) })
		}
		if live {
			err = d.showLive(ctx, end)
		} else {
			d.showPlain(ctx)
		}
	case <-ctx.Done():
	}
	end(nil)
	owned.Wait()
	if d.nodes != nil {
		return advise(d.nodes)
	}
	d.farewell()
	return err
}

// advise names the demo's own flag for an address that is taken: it reads no variables.
func advise(err error) error {
	for key, flag := range map[string]string{"http.addr": "--http-addr", "nats.embedded.listen": "--nats-listen"} {
		if failed := (*system.Error)(nil); errors.As(err, &failed) && strings.HasPrefix(failed.Text, key+":") {
			return &system.Error{Code: failed.Code, Text: fmt.Sprintf("%v (of a demo: %s)", err, flag)}
		}
	}
	return err
}

var errNodeEnded = errors.New("the node ended")

// consume reads the streams as a worker does: over the listener, with a connection of its own.
func (d *demo) consume(ctx context.Context, log *slog.Logger) {
	broker, err := stream.Connect(ctx, stream.Options{URL: d.nats, Name: "drover demo consumer", Log: log})
	if err != nil {
		log.Error("demo consumer", "err", err)
		return
	}
	defer broker.Close()
	err = broker.Follow(ctx, stream.FollowOptions{All: true}, func(m stream.Message) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.stored[m.Stream]++
		if len(d.recent) == 64 {
			d.recent = append(d.recent[:0], d.recent[1:]...)
		}
		d.recent = append(d.recent, m)
		return nil
	})
	if err != nil && ctx.Err() == nil {
		log.Error("demo consumer", "err", err)
	}
}

// trouble breaks a connection now and then, once everything is up.
func (d *demo) trouble(ctx context.Context) {
	every := time.NewTicker(8 * time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		status, err := d.node.Status(ctx)
		if err != nil || !status.IsReady {
			continue
		}
		at := gatewaysim.One(rand.IntN(status.ShardsTotal))
		switch rand.IntN(3) {
		case 0:
			d.sim.Drop(at)
		case 1:
			d.sim.Reconnect(at)
		case 2:
			d.sim.CloseAll(at, 4000, "demo")
		}
	}
}

// farewell says what the demo has shown.
func (d *demo) farewell() {
	t := d.node.Traffic()
	if d.db != nil {
		d.db.look(context.Background())
		fmt.Printf("\nPostgreSQL held %s.", d.db.line())
	}
	fmt.Printf("\n%s events read from the gateway, %s acknowledged by JetStream (life-cycle events included), %d open. "+
		"Sessions were left resumable.\nNext: README.md, or drover run --help\n", thousands(t.Received), thousands(t.Routed), t.Unacked)
}
