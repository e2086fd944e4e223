package main

import (
	"context"
	"fmt"
	"os"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"drover/config"
	"drover/system"
	"drover/system/telemetry"
)

func newWorkerCommand() *cobra.Command {
	var (
		sources sourceFlags
		maker   bool
	)
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Keep PostgreSQL in step with the streams: guilds and members",
		Long: `Worker reads the events of guilds and members from the stream EVENTS and keeps the tables communities and profiles in
step, each change with its row in audit_logs, in one transaction. It talks to NATS and PostgreSQL, and needs
no token: nodes (drover run) and workers are separate processes, as many of each as you like.

Each event has its effect once, whatever is replayed, delivered again or killed: ids of applied events and the position of each fact
are in the database. What can never be applied goes to the stream DEAD, with the reason in its headers; everything
else waits in the stream until it works.

Before the first start: drover migrate up, and a login role for it (docs/worker.md). database.url usually leads through PgBouncer in
transaction mode. Several workers of one worker.durable share the events. SIGTERM finishes what is in hand within
shutdown.timeout and exits with 0; /health, /ready and /metrics are on http.addr.

Where NATS keeps workers in an account of their own (worker.api_prefix, docs/security.md), an operator makes their consumer with
--make-consumer, which needs no database.`,
		Example: `  DATABASE_URL=postgres://app_worker:…@127.0.0.1:6432/drover NATS_URL=nats://nats:4222 drover worker
  drover worker --config drover.yaml --http-addr :9091     # beside a node, which has :9090
  DROVER_NATS_USER=operator … drover worker --make-consumer # once, where workers may not
  drover demo --with-db                                    # see it at work, with a PostgreSQL of its own`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, report, err := sources.load()
			if err != nil {
				return err
			}
			if maker {
				return makeConsumer(cmd, cfg)
			}
			if err := cfg.RequireDatabase(); err != nil {
				return err
			}
			return runWorker(cmd.Context(), cfg, report)
		},
	}
	sources.add(cmd)
	cmd.Flags().BoolVar(&maker, "make-consumer", false, "make the durable consumer as NATS' operator, and end")
	return cmd
}

// makeConsumer needs an answer within the time that an operator waits for one.
func makeConsumer(cmd *cobra.Command, cfg config.Config) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), answerTime)
	defer cancel()
	name, err := system.MakeConsumer(ctx, cfg, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "consumer %s is there: workers of that worker.durable find it\n", name)
	return err
}

// runWorker runs a worker until ctx ends, with its log on standard error.
func runWorker(ctx context.Context, cfg config.Config, report config.Report) error {
	log, _ := telemetry.NewLogger(os.Stderr, cfg.Log.Format, cfg.Log.Level,
		cfg.Database.URL.Reveal(), cfg.Discord.Token.Reveal(), cfg.NATS.Password.Reveal(), cfg.NATS.Token.Reveal())
	for _, w := range report.Warnings {
		log.Warn("configuration", "what", w)
	}
	defer keepMemory(log, memlimit.FromCgroup)()
	manager := newServiceManager(ctx, log)
	defer manager.close()
	w, err := system.NewWorker(ctx, cfg, system.WorkerOptions{
		Version: Version(), Log: log,
		Ready: func(addr string) {
			log.Info("listening", "http", addr, "node", cfg.Cluster.Node)
			manager.listening(addr)
		},
	})
	if err != nil {
		return err
	}
	return w.Run(ctx)
}
