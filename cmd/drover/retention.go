package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"drover/system/store"
)

func newRetentionCommand() *cobra.Command {
	keep := store.Retention{AuditMonths: 13, EventDays: 7}
	cmd := migrateVerb(&cobra.Command{
		Use:   "retention",
		Short: "Drop old audit rows, and prepare the next months",
		Long: `Retention drops months of the audit log that are older than --audit-months, forgets the ids of events that
were applied more than --event-days ago, and makes the audit log's partitions for the next three months. It connects as
"drover migrate" does, since nobody else may delete audit rows. Run it once a day, by cron for example; twice does no
harm, and a day without it loses nothing.`,
		Example: `  drover retention
  drover retention --audit-months 25 --event-days 30`,
	}, func(ctx context.Context, cmd *cobra.Command, m store.Migrator) error {
		done, err := m.Retain(ctx, keep)
		for _, month := range done.Months { // also before an error
			_, _ = fmt.Fprintln(cmd.OutOrStdout(), "dropped", month)
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d months of audit rows dropped, %d applied events forgotten\n", len(done.Months), done.Events)
		return nil
	})
	f := cmd.Flags()
	f.IntVar(&keep.AuditMonths, "audit-months", keep.AuditMonths, "months that audit rows are kept, 1 to 1200")
	f.IntVar(&keep.EventDays, "event-days", keep.EventDays, "days that ids of applied events are kept, 1 to 3650")
	return cmd
}
