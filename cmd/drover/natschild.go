package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"drover/system/stream"
	"drover/system/telemetry"
)

// natsChild is the verb under which an audit or a benchmark runs its NATS server.
const natsChild = "nats-child"

// newNATSChildCommand is for drover audit and drover bench alone: a NATS server that can be killed without killing
// anything else, and whose processor time is its own.
func newNATSChildCommand() *cobra.Command {
	o := stream.EmbeddedOptions{}
	var member stream.EmbeddedCluster
	cmd := &cobra.Command{
		Use:    natsChild,
		Hidden: true,
		Short:  "Be the NATS server of an audit or a benchmark",
		Long: `Nats-child runs the NATS server that is inside this program, as a process of its own. drover audit and drover
bench start it. It ends with SIGTERM, or when its standard input does.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if member.Name != "" {
				o.Cluster = &member
			}
			return runNATSChild(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "address to listen on")
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder of its store")
	cmd.Flags().StringVar(&o.Name, "name", "drover-"+natsChild, "its name, its own among the members of a cluster")
	cmd.Flags().StringVar(&member.Name, "cluster", "", "name of a cluster to be a member of; empty: it is alone")
	cmd.Flags().StringVar(&member.Listen, "cluster-listen", "127.0.0.1:0", "address for the other members")
	cmd.Flags().StringSliceVar(&member.Routes, "routes", nil, "addresses of the members, comma-separated")
	return cmd
}

func runNATSChild(ctx context.Context, o stream.EmbeddedOptions) error {
	o.Log, _ = telemetry.NewLogger(os.Stderr, "text", "info")
	server, err := stream.StartEmbedded(o)
	if err != nil {
		return fmt.Errorf("%s: %w", natsChild, err)
	}
	defer server.Shutdown()
	select {
	case <-ctx.Done():
	case <-orphaned():
	}
	return nil
}

// orphaned is closed when the process that started this one has ended: it holds the other end of standard input.
func orphaned() <-chan struct{} {
	gone := make(chan struct{})
	go func() { // ends with the process that started this one, or with this one
		defer close(gone)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return gone
}
