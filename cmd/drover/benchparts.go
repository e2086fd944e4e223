package main

import (
	"context"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"drover/system/bench"
)

// part is a process of drover bench: where it is spoken with, and for how many acknowledgements it has room.
type part struct {
	control string
	acks    int
}

func (p *part) add(cmd *cobra.Command) {
	cmd.Hidden = true
	cmd.Args = cobra.NoArgs
	cmd.Flags().StringVar(&p.control, "control", "127.0.0.1:0", "address on which drover bench speaks with this process")
	cmd.Flags().IntVar(&p.acks, "acks", 0, "acknowledgements that are noted until drover bench asks for them")
}

// serve answers drover bench while do works, and ends both with the process that started this one.
func (p *part) serve(ctx context.Context, with *bench.Part, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	gone := orphaned()
	var all sync.WaitGroup
	all.Go(func() { // ends with ctx
		select {
		case <-gone:
			cancel(errors.New("nobody is there any more"))
		case <-ctx.Done():
		}
	})
	all.Go(func() { // ends with ctx
		if err := with.Serve(ctx, p.control); err != nil {
			cancel(err)
		}
	})
	err := do(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	all.Wait()
	return err
}

// newBenchNodeCommand is drover run, with an ear for drover bench.
func newBenchNodeCommand() *cobra.Command {
	var p part
	var sources sourceFlags
	cmd := &cobra.Command{
		Use:   "bench-node",
		Short: "Be the node of a benchmark",
		Long:  "Bench-node is drover run, which also notes when events were acknowledged and writes profiles. drover bench starts it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, report, err := sources.load()
			if err != nil {
				return err
			}
			with := bench.NewPart(p.acks)
			var acked func(int, int64)
			if p.acks > 0 {
				acked = with.Note
			}
			return p.serve(cmd.Context(), with, func(ctx context.Context) error { return runNode(ctx, cfg, report, acked) })
		},
	}
	p.add(cmd)
	sources.add(cmd)
	return cmd
}

// newBenchBotCommand runs what drover is compared with.
func newBenchBotCommand() *cobra.Command {
	var p part
	var b bench.Bot
	cmd := &cobra.Command{
		Use:   "bench-bot",
		Short: "Be the hand-written bot of a benchmark",
		Long:  "Bench-bot is the bot that drover is compared with (system/bench/bot.go). drover bench starts it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			with := bench.NewPart(p.acks)
			if p.acks > 0 {
				b.Acked = with.Note
			}
			return p.serve(cmd.Context(), with, b.Run)
		},
	}
	p.add(cmd)
	f := cmd.Flags()
	f.StringVar(&b.APIURL, "api-url", "", "base of Discord's REST API")
	f.StringVar(&b.NATS, "nats-url", "", "NATS server")
	f.StringVar(&b.Token, "token", "", "the bot's token")
	f.Uint64Var(&b.Intents, "intents", 0, "gateway intents")
	f.IntVar(&b.Shards, "shards", 1, "shards of the bot")
	return cmd
}

// newBenchRawCommand runs the publisher that shows what NATS' own client can do.
func newBenchRawCommand() *cobra.Command {
	var p part
	var url, samples string
	cmd := &cobra.Command{
		Use:   "bench-raw",
		Short: "Be the raw publisher of a benchmark",
		Long:  "Bench-raw publishes messages that drover has stored before, with nothing around it. drover bench starts it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := bench.NewRaw(url, samples)
			if err != nil {
				return err
			}
			defer raw.Close()
			with := bench.NewPart(0)
			with.Handle("POST /prepare", raw.Prepare)
			with.Handle("POST /publish", raw.Publish)
			return p.serve(cmd.Context(), with, func(ctx context.Context) error {
				<-ctx.Done()
				return nil
			})
		},
	}
	p.add(cmd)
	f := cmd.Flags()
	f.StringVar(&url, "nats-url", "", "NATS server")
	f.StringVar(&samples, "samples", "", "file with the messages")
	return cmd
}
