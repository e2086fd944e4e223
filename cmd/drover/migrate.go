package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drover/system"
	"drover/system/store"
)

func newMigrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make and change the tables of the database",
		Long: `Migrate changes the schema of the PostgreSQL database that "drover worker" writes to. It connects straight
to PostgreSQL, not through PgBouncer, as the owner of the database: database.migrate_url, else database.url. It never
sets a password: the roles that it makes cannot log in until you let them (docs/database.md).`,
		Example: `  DROVER_DATABASE_MIGRATE_URL=postgres://postgres:…@db:5432/drover drover migrate up
  drover migrate status
  drover migrate down --to 5`,
		Args: onlySubcommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newMigrateUpCommand(), newMigrateDownCommand(), newMigrateStatusCommand())
	return cmd
}

// migrator is the connection that the configuration describes.
func migrator(cmd *cobra.Command, sources *sourceFlags) (store.Migrator, error) {
	cfg, report, err := sources.load()
	warn(cmd, report)
	if err == nil {
		err = cfg.RequireMigration()
	}
	return store.Migrator{
		URL: cfg.Database.MigrationURL().Reveal(),
		Notice: func(line string) {
			// Nothing is left to report that standard error failed.
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "drover: "+line)
		},
	}, err
}

// migrateVerb is a verb of migrate that does f.
func migrateVerb(cmd *cobra.Command, f func(context.Context, *cobra.Command, store.Migrator) error) *cobra.Command {
	var sources sourceFlags
	sources.add(cmd)
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		m, err := migrator(cmd, &sources)
		if err != nil {
			return err
		}
		return f(cmd.Context(), cmd, m)
	}
	return cmd
}

func newMigrateUpCommand() *cobra.Command {
	return migrateVerb(&cobra.Command{
		Use:   "up",
		Short: "Apply what is missing",
		Long: `Up applies every migration that the database lacks, each in a transaction of its own. It may run twice, and
twice at once: the second one waits and then finds nothing to do. Tables of an earlier installation that have the same
names are moved into the schema "foundation", and their rows are copied.`,
		Example: "  drover migrate up",
	}, func(ctx context.Context, cmd *cobra.Command, m store.Migrator) error {
		done, err := m.Up(ctx)
		show(cmd, "applied", done, err)
		return err
	})
}

func newMigrateDownCommand() *cobra.Command {
	to := int64(-1)
	cmd := migrateVerb(&cobra.Command{
		Use:   "down",
		Short: "Undo migrations: rows are lost",
		Long: `Down undoes the newest migrations until version --to is the last one; 0 undoes all. Tables go together with
their rows, the audit log too: make a backup first (docs/database.md). Roles stay, since other databases may use them.`,
		Example: `  drover migrate down --to 5
  drover migrate down --to 0              nothing of drover is left but its roles`,
	}, func(ctx context.Context, cmd *cobra.Command, m store.Migrator) error {
		if to < 0 {
			return &system.Error{Code: exitUsage, Text: "--to is missing: write the version to go back to, 0 for none (`drover migrate status` lists them)"}
		}
		done, err := m.Down(ctx, to)
		show(cmd, "undone", done, err)
		return err
	})
	cmd.Flags().Int64Var(&to, "to", -1, "version that is the last one afterwards; 0: none")
	return cmd
}

func newMigrateStatusCommand() *cobra.Command {
	return migrateVerb(&cobra.Command{
		Use:     "status",
		Short:   "List the migrations and which are applied",
		Long:    "Status lists all migrations with the time at which the database got them.",
		Example: "  drover migrate status",
	}, func(ctx context.Context, cmd *cobra.Command, m store.Migrator) error {
		list, err := m.Status(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "VERSION\tNAME\tAPPLIED")
		for _, one := range list {
			at := "no"
			if !one.At.IsZero() {
				at = one.At.UTC().Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(w, "%d\t%s\t%s\n", one.Version, one.Name, at)
		}
		return w.Flush()
	})
}

// show lists what was done, also before an error.
func show(cmd *cobra.Command, verb string, done []store.Migration, err error) {
	for _, one := range done {
		_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", verb, one.Name)
	}
	if len(done) == 0 && err == nil {
		_, _ = fmt.Fprintln(cmd.OutOrStdout(), "nothing to do")
	}
}
