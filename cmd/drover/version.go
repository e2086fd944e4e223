package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Set with -ldflags "-X main.version=… -X main.commit=… -X main.date=…"; empty
// ones are read from what the Go command stamped in.
var version, commit, date string

// Version is this build's version: the released one, else "dev", with the
// commit where it is known.
func Version() string {
	b := readBuild()
	if b.commit == "" || strings.Contains(b.version, b.commit[:min(12, len(b.commit))]) {
		return b.version
	}
	return b.version + "+" + b.commit[:min(12, len(b.commit))]
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show version, commit and Go version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := readBuild()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "drover %s\ncommit: %s\ndate:   %s\ngo:     %s %s/%s\n",
				b.version, orUnknown(b.commit), orUnknown(b.date), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// build is what is known about this binary.
type build struct{ version, commit, date string }

func readBuild() build {
	b := build{version: version, commit: commit, date: date}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = first(b.commit, s.Value)
		case "vcs.time": // of the commit: the same source gives the same binary
			b.date = first(b.date, s.Value)
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty && commit == "" && b.commit != "" {
		b.commit += "-dirty"
	}
	if b.version == "" && info.Main.Version != "(devel)" {
		b.version = info.Main.Version
	}
	b.version = first(b.version, "dev")
	return b
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orUnknown(s string) string { return first(s, "unknown") }
