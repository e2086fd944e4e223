package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"drover/config"
	"drover/system"
	"drover/system/gateway"
)

// sourceFlags are the flags that say where a configuration comes from. The zero
// value is ready for add.
type sourceFlags struct {
	file  string
	flags []config.Flag // in the order of the command line
}

// add puts the flags on cmd.
func (s *sourceFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.file, "config", "", "configuration file (default: drover.yaml here or in /etc/drover)")
	f.Var(&setFlag{s: s}, "set", "set a configuration key, like --set pool.size=50; may be repeated")
	f.Var(&keyFlag{s: s, name: "--log-level", key: "log.level"}, "log-level", "debug, info, warn or error (log.level)")
	f.Var(&keyFlag{s: s, name: "--http-addr", key: "http.addr"}, "http-addr", "where health, metrics and the status page are (http.addr)")
	f.Var(&keyFlag{s: s, name: "--nats-url", key: "nats.url"}, "nats-url", "NATS servers, comma-separated (nats.url)")
	f.Var(&keyFlag{s: s, name: "--api-url", key: "discord.api_url"}, "api-url", "base of Discord's REST API (discord.api_url)")
	// A registration fails only for a flag that does not exist.
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	_ = cmd.RegisterFlagCompletionFunc("set", completeKeys)
}

// source is where the configuration comes from, with the process's environment and credentials.
func (s *sourceFlags) source() (config.Source, error) {
	env, err := withCredentials(os.Environ())
	if err != nil {
		return config.Source{}, &system.Error{Code: exitUsage, Text: "configuration", Err: err}
	}
	return config.Source{File: s.file, Env: env, Flags: s.flags, Checks: checks}, nil
}

// checks are the rules that config cannot know: the names of Discord's intents.
var checks = map[string]func(config.Config) error{
	"discord.intents": func(c config.Config) error {
		_, err := gateway.ParseIntents(c.Discord.Intents)
		return err
	},
}

// load reads the configuration that the flags describe.
func (s *sourceFlags) load() (config.Config, config.Report, error) {
	source, err := s.source()
	if err != nil {
		return config.Config{}, config.Report{}, err
	}
	return config.Load(source)
}

// keyFlag is a flag for one key.
type keyFlag struct {
	s         *sourceFlags
	name, key string
}

// Set keeps the value for config.Load, which checks it.
func (f *keyFlag) Set(text string) error {
	f.s.flags = append(f.s.flags, config.Flag{Name: f.name, Key: f.key, Value: text})
	return nil
}

// String is empty: the default is shown by `drover config print`.
func (f *keyFlag) String() string { return "" }

// Type is the word that the help shows for the value.
func (f *keyFlag) Type() string { return "text" }

// setFlag is --set key=value.
type setFlag struct{ s *sourceFlags }

// Set splits key=value; config.Load checks both.
func (f *setFlag) Set(text string) error {
	key, value, ok := strings.Cut(text, "=")
	if key = strings.TrimSpace(key); !ok || key == "" {
		return errors.New("write it as key=value, like pool.size=50")
	}
	f.s.flags = append(f.s.flags, config.Flag{Name: "--set", Key: key, Value: value})
	return nil
}

// String is empty: nothing is set by default.
func (f *setFlag) String() string { return "" }

// Type is the word that the help shows for the value.
func (f *setFlag) Type() string { return "key=value" }

// completeKeys offers the configuration keys to the shell.
func completeKeys(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, k := range config.Keys() {
		out = append(out, k.Name+"=")
	}
	return out, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
