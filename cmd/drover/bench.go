package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drover/system"
	"drover/system/bench"
	"drover/system/gateway"
)

// benchmarking is drover bench: its flags, and where it writes.
type benchmarking struct {
	bench.Options
	asJSON                bool
	markdown, plots, keep string

	out, progress io.Writer
}

func newBenchCommand() *cobra.Command {
	b := &benchmarking{}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what drover costs, against raw JetStream and a hand-written bot",
		Long: `Bench measures drover on this machine: events per second against what NATS' own client can do at all and against a
hand-written bot, processor time and allocations per event, latency, memory, and cost over the number of sessions.
It plays Discord, and needs no token, no other program and no network. It needs Linux.

Everything that is measured runs as a process of its own: the generator (drover simulate), drover with its defaults
(telemetry, checkpoints and window on), the NATS server, and what drover is compared with. Each row of a
round has a fresh NATS server. What is compared runs by turns; a ratio is the median of the rounds' ratios, and
[lowest–highest] stands behind it.

The first table holds the figures against what must hold and against the goal; below it stands every row. The
exit code is 0 when everything ran and what must hold does, also where a goal is missed; 1 when something that must
hold does not, or something did not run; 2 for flags that make no sense. A full run takes about 40 minutes, in which
nothing else should run on the machine.`,
		Example: `  drover bench --quick                                  does everything run? under a minute, no verdicts
  drover bench                                          everything, 5 rounds
  drover bench --only throughput --rounds 1             a first look, about three minutes
  drover bench --only throughput,latency --sessions 16
  drover bench --nats-server $(which nats-server)       your NATS server
  drover bench --storage file                           streams on disk
  drover bench --json > bench.json                      for other programs; progress goes to standard error
  drover bench --markdown report.md --plots .           a report with plots`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.out, b.progress = cmd.OutOrStdout(), cmd.OutOrStdout()
			if b.asJSON {
				b.progress = cmd.ErrOrStderr()
			}
			return b.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&b.Only, "only", nil, "groups to run, comma-separated: "+strings.Join(bench.Groups(), ", "))
	f.BoolVar(&b.Quick, "quick", false, "small and short, one round, no verdicts: shows that everything runs")
	f.IntVar(&b.Rounds, "rounds", 0, "each figure is the median of so many (default 5, with --quick 1)")
	f.IntVar(&b.Events, "events", 0, "events of one throughput measurement (default 200000, with --quick 10000)")
	f.IntVar(&b.Sessions, "sessions", 1, "gateway sessions of the throughput and latency rows")
	f.StringVar(&b.Storage, "storage", "memory", "storage of the streams: memory or file")
	f.StringVar(&b.NATS, "nats-server", "", "a nats-server program to run (default: the server inside this program, as a process of its own)")
	f.BoolVar(&b.asJSON, "json", false, "the report as one JSON document; progress goes to standard error")
	f.StringVar(&b.markdown, "markdown", "", "file for the report as Markdown")
	f.StringVar(&b.plots, "plots", "", "folder for plots (SVG)")
	f.StringVar(&b.keep, "keep", "", "folder that keeps logs and stores (default: kept only when something did not run)")
	f.StringVar(&b.Profile, "profile", "", "folder for CPU and allocation profiles of the node in the throughput rows")
	f.StringArrayVar(&b.Env, "env", nil, "further variable for the node, NAME=VALUE")
	f.StringVar(&b.Rows, "rows", "", "regular expression: only rows whose name it matches, without a verdict where another is needed")
	_ = f.MarkHidden("rows")
	_ = f.MarkHidden("profile") // for who changes drover
	_ = f.MarkHidden("env")
	return cmd
}

// run does what the flags say.
func (b *benchmarking) run(ctx context.Context) error {
	dir := b.keep
	err := b.prepare()
	if err == nil && dir == "" {
		dir, err = os.MkdirTemp("", "drover-bench-")
	}
	b.Dir, b.Keep = dir, b.keep != ""
	if err == nil {
		err = b.Check()
	}
	if err != nil {
		if b.keep == "" && dir != "" {
			_ = os.RemoveAll(dir)
		}
		return &system.Error{Code: exitUsage, Text: "bench", Err: err}
	}
	report, err := bench.Run(ctx, b.Options)
	if b.keep == "" && (err == nil || ctx.Err() != nil) {
		_ = os.RemoveAll(dir) // what is left is in a temporary folder
	}
	if ctx.Err() != nil { // numbers that did not come are no good news: not 0, as for other verbs
		return &system.Error{Code: exitFailure, Text: "the benchmark was interrupted and shows nothing"}
	}
	if err != nil {
		return &system.Error{Code: exitFailure, Text: "the benchmark did not run to its end; logs are in " + dir, Err: err}
	}
	if err := b.write(report); err != nil {
		return err
	}
	if missed := report.Missed(); len(missed) > 0 {
		return &system.Error{Code: exitFailure, Text: "not what must hold: " + strings.Join(missed, "; ")}
	}
	return nil
}

// prepare fills in what the flags leave open.
func (b *benchmarking) prepare() error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("where this program is: %w", err)
	}
	intents, err := gateway.ParseIntents([]string{"all"})
	if err != nil {
		return err
	}
	b.Program, b.Version, b.Intents = program, Version(), uint64(intents)
	b.Command = "drover " + strings.Join(os.Args[1:], " ")
	began := time.Now()
	b.Say = func(line string) {
		_, _ = fmt.Fprintf(b.progress, "%6.1fs %s\n", time.Since(began).Seconds(), line)
	}
	return nil
}

// write puts the report wherever it is wanted.
func (b *benchmarking) write(report *bench.Report) error {
	var err error
	if b.plots != "" {
		err = report.WritePlots(b.plots)
	}
	if b.markdown != "" {
		err = errors.Join(err, b.writeMarkdown(report))
	}
	if b.asJSON {
		return errors.Join(err, report.WriteJSON(b.out))
	}
	_, _ = fmt.Fprintln(b.out)
	return errors.Join(err, report.WriteTable(b.out))
}

// writeMarkdown writes the page, with links to the plots as seen from it.
func (b *benchmarking) writeMarkdown(report *bench.Report) error {
	plots := ""
	if b.plots != "" {
		from, err := filepath.Abs(filepath.Dir(b.markdown))
		if err != nil {
			return fmt.Errorf("bench: --markdown: %w", err)
		}
		to, err := filepath.Abs(b.plots)
		if err != nil {
			return fmt.Errorf("bench: --plots: %w", err)
		}
		if plots, err = filepath.Rel(from, to); err != nil {
			return fmt.Errorf("bench: --plots as seen from --markdown: %w", err)
		}
	}
	var text strings.Builder
	if err := report.WriteMarkdown(&text, plots); err != nil {
		return err
	}
	if err := os.WriteFile(b.markdown, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("bench: --markdown: %w", err)
	}
	return nil
}
