// Command drover herds the gateway sessions (shards) of a Discord bot and
// publishes their events to NATS JetStream. Each verb has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes that main itself decides; others come from errors that have one.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	crashBySignal()
	ctx, stop := signalContext(os.Stderr)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and returns the process's exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// What goes wrong before a verb begins is a wrong command line.
	started := false
	root := newRootCommand()
	beforeRun(root, func() { started = true })
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil || stoppedBySignal(ctx, err) {
		return 0
	}
	text := "drover: " + strings.TrimPrefix(err.Error(), "drover: ")
	if !started {
		text += fmt.Sprintf("\nSee %q.", cmd.CommandPath()+" --help")
	}
	_, _ = fmt.Fprintln(stderr, text) // nowhere is left to report that this failed
	return exitCode(err, started)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "drover",
		Short: "Herds the gateway sessions of a Discord bot and publishes their events to NATS JetStream",
		Long: `drover herds the gateway sessions (shards) of a Discord bot and publishes their events to NATS
JetStream, so that workers in any language can read them, in order and without a connection to Discord.

Three commands to start with:

  drover demo                        the whole system with a simulated Discord; no token needed
  DISCORD_TOKEN=… drover run         a node for your bot, with a NATS server of its own
  drover tail                        the events as they arrive, from another terminal

drover config print --default writes a commented configuration file. Every key is also a variable:
pool.size is DROVER_POOL_SIZE.`,
		Args:          onlySubcommands,
		RunE:          showHelp,
		SilenceUsage:  true, // a runtime error is one line, not a manual
		SilenceErrors: true, // execute prints them
		Version:       Version(),
	}
	root.SetVersionTemplate("drover {{.Version}}\n")
	root.AddCommand(
		newRunCommand(),
		newDemoCommand(),
		newSimulateCommand(),
		newTailCommand(),
		newShardsCommand(),
		newWorkerCommand(),
		newAuditCommand(),
		newBenchCommand(),
		newNATSChildCommand(),
		newBenchNodeCommand(),
		newBenchBotCommand(),
		newBenchRawCommand(),
		newMigrateCommand(),
		newRetentionCommand(),
		newConfigCommand(),
		newHealthcheckCommand(),
		newVersionCommand(),
	)
	return root
}

// onlySubcommands refuses arguments that are no subcommand, and suggests one.
func onlySubcommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra sets its own default too late for us
	if meant := cmd.SuggestionsFor(args[0]); len(meant) > 0 {
		return fmt.Errorf("unknown command %q for %q: did you mean %s?", args[0], cmd.CommandPath(), strings.Join(meant, " or "))
	}
	return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// beforeRun calls f when a verb of the tree begins, after flags and arguments
// were found right.
func beforeRun(cmd *cobra.Command, f func()) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			f()
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		beforeRun(sub, f)
	}
}

// exitCode is the code that err carries, else 2 for a wrong command line and 1
// for a failure.
func exitCode(err error, started bool) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	if !started {
		return exitUsage
	}
	return exitFailure
}

// stopped is the cause of a context that a signal ended.
type stopped struct{ signal os.Signal }

func (s stopped) Error() string { return "stopped by signal: " + s.signal.String() }

// signalContext is ended by SIGINT or SIGTERM, with the signal as its cause. A
// second one stops the process at once, since the first may take as long as
// shutdown.timeout. stop gives the signals back.
func signalContext(stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ended, done := make(chan struct{}), make(chan struct{})
	// Ends when stop closes ended; stop waits on done.
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			cancel(stopped{s})
		case <-ended:
			return
		}
		select {
		case s := <-signals:
			_, _ = fmt.Fprintf(stderr, "drover: %v again: stopped at once\n", s)
			os.Exit(exitFailure)
		case <-ended:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		<-done
		cancel(nil)
	}
}

// stoppedBySignal reports whether err only says that ctx was ended by a signal,
// which is what was asked for.
func stoppedBySignal(ctx context.Context, err error) bool {
	var s stopped
	return errors.As(context.Cause(ctx), &s) && (errors.Is(err, context.Canceled) || errors.As(err, &s))
}
