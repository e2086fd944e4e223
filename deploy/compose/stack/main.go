// Command stack reads deploy/compose/compose.yaml with the compose library and holds it to the real configuration keys (lint), or
// starts what it describes as plain processes, kills a node, and judges what came of it (run).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("stack", flag.ContinueOnError)
	f.StringVar(&o.root, "root", "../../..", "the repository's root")
	f.StringVar(&o.drover, "drover", "", "the program drover, for run")
	f.StringVar(&o.nats, "nats-server", "", "the program nats-server, for run")
	f.StringVar(&o.keep, "keep", "", "folder that keeps logs and stores, for run (default: a temporary one)")
	f.IntVar(&o.kills, "kills", 2, "how often a node is killed, for run")
	if len(args) == 0 {
		return errors.New("say what to do: lint or run")
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	if o.root, err = filepath.Abs(o.root); err != nil {
		return err
	}
	switch args[0] {
	case "lint":
		return lint(ctx, o)
	case "run":
		return runStack(ctx, o)
	}
	return fmt.Errorf("%s is neither lint nor run", args[0])
}

// options are the flags.
type options struct {
	root, drover, nats, keep string
	kills                    int
}

func (o options) composeFile() string { return filepath.Join(o.root, "deploy/compose/compose.yaml") }

// load reads compose files' texts, one laid over the other, as if they stood in deploy/compose, with nothing of this machine's environment in them.
func load(ctx context.Context, o options, env types.Mapping, texts ...string) (*types.Project, error) {
	details := types.ConfigDetails{WorkingDir: filepath.Dir(o.composeFile()), Environment: env}
	if env == nil {
		details.Environment = types.Mapping{}
	}
	for _, text := range texts {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: o.composeFile(), Content: []byte(text)})
	}
	return loader.LoadWithContext(ctx, details, func(l *loader.Options) { l.SetProjectName("drover", true) })
}
