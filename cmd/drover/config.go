package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"drover/config"
)

func newConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
		Args:  onlySubcommands,
		RunE:  showHelp,
	}
	cmd.AddCommand(newConfigCheckCommand(), newConfigPrintCommand())
	return cmd
}

func newConfigCheckCommand() *cobra.Command {
	var sources sourceFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the configuration is usable",
		Long: `Check reads the configuration as "drover run" would, and reports everything that is wrong with it at
once. It connects to nothing. Exit code 0: usable; 2: not.`,
		Example: `  drover config check
  drover config check --config drover.yaml --set pool.size=50`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, report, err := sources.load()
			warn(cmd, report)
			if err != nil {
				return err
			}
			from := "defaults, environment and flags; there is no file"
			if report.File != "" {
				from = report.File
			}
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is usable (%s).\n", from)
			if cfg.RequireToken() != nil {
				_, _ = fmt.Fprintln(cmd.OutOrStdout(), "There is no discord.token yet, which `drover run` needs: set DISCORD_TOKEN.")
			}
			return nil
		},
	}
	sources.add(cmd)
	return cmd
}

func newConfigPrintCommand() *cobra.Command {
	var sources sourceFlags
	var example bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show the configuration in force, secrets masked",
		Long: `Print shows every key with the value that is in force, after defaults, file, environment and flags. A
comment says where a value comes from when it is not a default. Secrets are masked.

With --default it writes the commented example file instead, with every key at its default.`,
		Example: `  drover config print
  drover config print --default > drover.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if example {
				_, err := cmd.OutOrStdout().Write(config.Example())
				return err
			}
			cfg, report, err := sources.load()
			warn(cmd, report)
			if err != nil {
				return err
			}
			return config.Write(cmd.OutOrStdout(), cfg, report.Origin)
		},
	}
	sources.add(cmd)
	cmd.Flags().BoolVar(&example, "default", false, "write the commented example file")
	return cmd
}

// warn prints a report's warnings to standard error.
func warn(cmd *cobra.Command, report config.Report) {
	for _, w := range report.Warnings {
		// Nothing is left to report that standard error failed.
		_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "drover: warning: "+w)
	}
}
