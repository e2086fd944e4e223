// Command release builds what a version of drover is published as, so that anybody who has the same source and the same Go gets the same bytes:
// archives, an SBOM for each, checksums and the release notes. And it looks at such a folder with other eyes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

const usage = `release build  -version v0.1.0 [-root DIR] [-out DIR] [-targets linux/amd64,…]
release verify [-root DIR] DIR
release notes  -version v0.1.0 [-root DIR]`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release: "+err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do:\n" + usage)
	}
	flags := flag.NewFlagSet("release "+args[0], flag.ContinueOnError)
	root := flags.String("root", "../..", "drover's source tree, a checkout of git")
	version := flags.String("version", "", "v0.1.0; or dev or snapshot, with the changelog's section Unreleased")
	out := flags.String("out", "", "folder for the release (default: bin/release/VERSION in the source tree)")
	only := flags.String("targets", strings.Join(allTargets, ","), "what to build for, comma-separated")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	// Symbolic links too: the folder's name must not be found in a binary, under no spelling.
	tree, err := filepath.Abs(*root)
	if err == nil {
		tree, err = filepath.EvalSymlinks(tree)
	}
	if err != nil {
		return err
	}
	switch args[0] {
	case "build":
		targets, err := parseTargets(*only)
		if err != nil {
			return err
		}
		src, err := readSource(ctx, tree, *version)
		if err != nil {
			return err
		}
		if *out == "" {
			*out = filepath.Join(tree, "bin", "release", src.version)
		}
		return release(ctx, src, targets, *out)
	case "verify":
		if flags.NArg() != 1 {
			return errors.New("verify takes one folder:\n" + usage)
		}
		return verify(ctx, tree, flags.Arg(0))
	case "notes":
		text, err := readNotes(tree, *version)
		if err == nil {
			fmt.Print(text)
		}
		return err
	}
	return fmt.Errorf("%q is nothing that it does:\n%s", args[0], usage)
}
