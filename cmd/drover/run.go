package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"drover/config"
	"drover/system"
	"drover/system/telemetry"
)

func newRunCommand() *cobra.Command {
	var sources sourceFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node: Discord's gateway in, JetStream out",
		Long: `Run connects this node's shards to Discord and publishes every event to NATS JetStream.

All it needs is a token. Without nats.url it starts a NATS server of its own, for workers on
nats.embedded.listen. It stops on SIGINT or SIGTERM: sessions stay resumable, and what was read is
acknowledged before the process ends. A second signal stops at once. SIGHUP reads the
configuration again; log level and event filter take effect without a restart.`,
		Example: `  DISCORD_TOKEN=… drover run
  DISCORD_TOKEN=… NATS_URL=nats://nats:4222 drover run --config drover.yaml
  DISCORD_TOKEN=x drover run --api-url http://127.0.0.1:4290/api/v10   # against drover simulate`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, report, err := sources.load()
			if err != nil {
				return err
			}
			if err := cfg.RequireToken(); err != nil {
				return err
			}
			return runNode(cmd.Context(), cfg, report, nil)
		},
	}
	sources.add(cmd)
	return cmd
}

// runNode runs a node until ctx ends, with its log on standard error and its configuration reloaded
// on SIGHUP or when the file changes. acked is system.Options.Acked.
func runNode(ctx context.Context, cfg config.Config, report config.Report, acked func(shardID int, seq int64)) error {
	hup := make(chan os.Signal, 1) // from here on a SIGHUP is a wish and no end
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	log, level := telemetry.NewLogger(os.Stderr, cfg.Log.Format, cfg.Log.Level,
		cfg.Discord.Token.Reveal(), cfg.NATS.Password.Reveal(), cfg.NATS.Token.Reveal())
	for _, w := range report.Warnings {
		log.Warn("configuration", "what", w)
	}
	defer keepMemory(log, memlimit.FromCgroup)()
	manager := newServiceManager(ctx, log)
	defer manager.close()
	node, err := system.New(cfg, system.Options{
		Version: Version(), Log: log, Level: level, Acked: acked,
		Ready: func(addr string) {
			log.Info("listening", "http", addr, "node", cfg.Cluster.Node)
			manager.listening(addr)
		},
	})
	if err != nil {
		return err
	}
	log = node.Log()
	watcher := config.Watch(ctx, cfg, report)
	reloaded := make(chan struct{})
	go func() { // ends when the watcher is closed
		defer close(reloaded)
		reload(hup, watcher, node, manager, log)
	}()
	err = node.Run(ctx)
	watcher.Close()
	<-reloaded
	return err
}

// reload applies changes of the configuration until the watcher ends.
func reload(hup <-chan os.Signal, watcher *config.Watcher, node *system.System, manager *serviceManager, log *slog.Logger) {
	for {
		select {
		case <-hup:
			manager.reloading()
			watcher.Reload() // brings a change, whatever it finds
		case change, ok := <-watcher.Changes():
			if !ok {
				return
			}
			manager.reloaded()
			if change.Err != nil {
				log.Error("configuration not taken over; the old one stays", "err", change.Err)
				continue
			}
			node.Reload(change.Config)
			log.Info("configuration read again", "applied", change.Applied, "need_restart", change.NeedRestart)
		}
	}
}
