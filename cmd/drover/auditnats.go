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

// auditNATS is the verb under which an audit runs its NATS server.
const auditNATS = "audit-nats"

// newAuditNATSCommand is for drover audit alone: a NATS server that can be killed without killing anything else.
func newAuditNATSCommand() *cobra.Command {
	o := stream.EmbeddedOptions{Name: "drover-audit"}
	cmd := &cobra.Command{
		Use:    auditNATS,
		Hidden: true,
		Short:  "Be the NATS server of an audit",
		Long: `Audit-nats runs the NATS server that is inside this program, as a process of its own. drover audit starts it, so
that it can be killed. It ends with SIGTERM, or when its standard input does.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runAuditNATS(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "address to listen on")
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "folder of its store")
	return cmd
}

func runAuditNATS(ctx context.Context, o stream.EmbeddedOptions) error {
	o.Log, _ = telemetry.NewLogger(os.Stderr, "text", "info")
	server, err := stream.StartEmbedded(o)
	if err != nil {
		return fmt.Errorf("%s: %w", auditNATS, err)
	}
	defer server.Shutdown()
	orphaned := make(chan struct{})
	go func() { // ends with the process that started this one, or with this one
		defer close(orphaned)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-ctx.Done():
	case <-orphaned:
	}
	return nil
}
