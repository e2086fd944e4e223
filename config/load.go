package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/viper"
)

// Source is where a configuration is read from. Everything is passed in, so a
// test needs no process environment. The zero value reads the defaults and a
// drover.yaml, if there is one.
type Source struct {
	// File is the path given with --config; it must exist. Empty: see Dirs.
	File string
	// Dirs are searched for drover.yaml when File is empty. nil: the working
	// directory, then /etc/drover. Empty but not nil: no file is read.
	Dirs []string
	// Env is the environment as os.Environ gives it.
	Env []string
	// Flags were given on the command line, in this order; they beat all.
	Flags []Flag
	// Checks are further rules by key, of packages that config does not know:
	// each returns what is wrong with its key, or nil.
	Checks map[string]func(Config) error
}

// Flag is one key set on the command line.
type Flag struct {
	Name  string // as it was written: --log-level, --set
	Key   string // log.level
	Value string // as text, like a variable's
}

// Report tells how a Config came about.
type Report struct {
	// File is the file that was read; empty: none.
	File string
	// Warnings are sentences about what was odd but usable, without secrets.
	Warnings []string
	// Origin says by key where a value comes from (drover.yaml:12, LOG_LEVEL,
	// --set). A key that is not in it has its default.
	Origin map[string]string

	// For Watch: what Load read and what it made of it.
	src     Source
	content []byte
	unread  string // why the file could not be read
	loaded  Config
}

// Load reads, merges and checks a configuration. On a problem it returns an
// *Error that lists all of them; the Report is useful even then.
func Load(src Source) (Config, Report, error) {
	var found problems
	report := Report{File: FindFile(src), Origin: map[string]string{}, src: src}

	fromFile := map[string]layered{}
	if report.File != "" {
		var err error
		if report.content, err = readFile(report.File); err != nil {
			report.unread = err.Error()
			found.add("", "", "%s: %v", report.File, err)
		} else {
			fromFile = readYAML(report.File, report.content, &found)
		}
	}
	fromEnv := readEnv(src.Env, &report, &found)
	fromFlags := readFlags(src.Flags, &report, &found)

	cfg, err := merge(report.Origin, fromFile, fromEnv, fromFlags)
	if err != nil {
		return Config{}, report, err
	}
	tidy(&cfg)
	followMaxAge(&cfg, report.Origin)
	if cfg.Cluster.Node == "" {
		cfg.Cluster.Node = hostName()
		report.Origin["cluster.node"] = "the host's name"
	}
	// What could not be read has its default by now, which breaks no rule: so
	// rules can be checked too, and everything is reported at once.
	var broken *Error
	if errors.As(cfg.Validate(), &broken) {
		for _, p := range broken.Problems {
			p.Source = report.Origin[p.Key]
			found = append(found, p)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(src.Checks)) {
		if err := src.Checks[key](cfg); err != nil {
			found.add(key, report.Origin[key], "%v", err)
		}
	}
	report.loaded = cfg
	return cfg, report, found.err()
}

// layered is one value and the place it was read from.
type layered struct {
	value  any
	source string
}

// merge lays the layers over the defaults, the last one on top.
func merge(origin map[string]string, layers ...map[string]layered) (Config, error) {
	v := viper.New()
	defaults := Default()
	for _, f := range allFields {
		v.SetDefault(f.key, f.value(defaults))
	}
	for _, layer := range layers {
		for key, l := range layer {
			v.Set(key, l.value)
			origin[key] = l.source
		}
	}
	var cfg Config
	if err := v.UnmarshalExact(&cfg); err != nil {
		return Config{}, fmt.Errorf("config: merge: %w", err)
	}
	return cfg, nil
}

// readEnv takes the values out of the environment. An empty variable counts as
// unset.
func readEnv(env []string, report *Report, found *problems) map[string]layered {
	vars := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.TrimSpace(value) != "" {
			vars[name] = value
		}
	}
	values, known := map[string]layered{}, map[string]bool{}
	for _, f := range allFields {
		known[envName(f.key)] = true
		for _, name := range f.env() {
			text, ok := vars[name]
			if ok && (name == "HTTP_PORT" || name == "METRICS_PORT") {
				text, ok = portText(name, text, report)
			}
			if !ok {
				continue
			}
			if l, ok := readText(f, name, text, found); ok {
				values[f.key] = l
			}
			break // weaker names do not count
		}
	}
	report.Warnings = append(report.Warnings, unknownVars(vars, known)...)
	return values
}

// readFlags takes the values out of the command line.
func readFlags(flags []Flag, report *Report, found *problems) map[string]layered {
	values := map[string]layered{}
	for _, flag := range flags {
		f, ok := byKey[flag.Key]
		if !ok {
			found.add(flag.Key, flag.Name, "is not a known key: %s", keyRemedy("", flag.Key))
			continue
		}
		l, ok := readText(f, flag.Name, flag.Value, found)
		if !ok {
			continue
		}
		values[f.key] = l
		// A secret, and a URL with a user, show masked and so differ.
		if f.hidden() && fmt.Sprint(l.value) != flag.Value {
			report.Warnings = append(report.Warnings, fmt.Sprintf(
				"%s holds a secret and stands on the command line, where every user of this host can read it: use %s", f.key, envName(f.key)))
		}
	}
	return values
}

func readText(f field, source, text string, found *problems) (layered, bool) {
	v, err := f.fromText(text)
	if err == nil {
		return layered{value: v, source: source}, true
	}
	if f.hidden() {
		found.add(f.key, source, "the value %v", err)
	} else {
		found.add(f.key, source, "%s %v", quote(text), err)
	}
	return layered{}, false
}

// portText turns the value of HTTP_PORT or METRICS_PORT into an address.
func portText(name, text string, report *Report) (string, bool) {
	text = strings.TrimSpace(text)
	if strings.Contains(text, "://") {
		// Kubernetes sets HTTP_PORT=tcp://… when a service is called http.
		report.Warnings = append(report.Warnings,
			name+" is a URL, probably set by Kubernetes for a service of that name, and is ignored: set DROVER_HTTP_ADDR")
		return "", false
	}
	if strings.Contains(text, ":") {
		return text, true
	}
	return ":" + text, true
}

// unknownVars warns of DROVER_… variables that set nothing. They are no error,
// since Kubernetes makes such names for a service called drover.
func unknownVars(vars map[string]string, known map[string]bool) []string {
	var names, warnings, rest []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for name := range vars {
		if !strings.HasPrefix(name, "DROVER_") || known[name] {
			continue
		}
		if meant := closest(name, names); meant != "" {
			warnings = append(warnings, fmt.Sprintf("%s is not a known variable: did you mean %s?", name, meant))
		} else {
			rest = append(rest, name)
		}
	}
	slices.Sort(warnings)
	slices.Sort(rest)
	switch len(rest) {
	case 0:
	case 1:
		warnings = append(warnings, rest[0]+" is not a known variable and is ignored")
	default:
		warnings = append(warnings, strings.Join(rest, ", ")+" are not known variables and are ignored")
	}
	return warnings
}

// tidy brings values that may be written in several ways into the one that the
// rest of the program reads.
func tidy(c *Config) {
	c.Discord.Token = tidyToken(c.Discord.Token)
	c.Discord.APIURL = URL(strings.TrimRight(string(c.Discord.APIURL), "/"))
	c.NATS.URL = URL(strings.Join(splitList(string(c.NATS.URL)), ","))
	if strings.EqualFold(string(c.NATS.URL), natsNone) {
		c.NATS.URL = natsNone
	}
	for _, word := range []*string{
		&c.Discord.Compress, &c.Streams.Events.Storage, &c.Streams.Commands.Storage,
		&c.Log.Level, &c.Log.Format, &c.Metrics.ShardLabels,
		&c.Telemetry.Traces, &c.Telemetry.Metrics, &c.Telemetry.Logs, &c.Telemetry.Protocol, &c.Telemetry.Sampler,
	} {
		*word = strings.ToLower(strings.TrimSpace(*word))
	}
	if c.Log.Level == "warning" {
		c.Log.Level = "warn"
	}
	// An event has no parent, since Discord sends none.
	c.Telemetry.Sampler = strings.TrimPrefix(c.Telemetry.Sampler, "parentbased_")
	switch c.Telemetry.Metrics { // /metrics is there in any case
	case "prometheus":
		c.Telemetry.Metrics = "none"
	case "otlp,prometheus", "prometheus,otlp":
		c.Telemetry.Metrics = "otlp"
	}
	// Not for events.allow: nobody would read "allow none" as "publish everything".
	if shed := c.Backpressure.Shed; len(shed) == 1 && strings.EqualFold(shed[0], shedNone) {
		c.Backpressure.Shed = nil
	}
	for _, names := range []*[]string{&c.Discord.Intents, &c.Events.Allow, &c.Events.Deny, &c.Backpressure.Shed} {
		upper := make([]string, 0, len(*names))
		for _, name := range *names {
			upper = append(upper, strings.ToUpper(name))
		}
		*names = slices.Clip(upper)
		if len(upper) == 0 {
			*names = nil
		}
	}
}

// followMaxAge lowers a window of duplicates that nobody chose to a max_age
// that somebody did: NATS refuses a window above it.
func followMaxAge(c *Config, origin map[string]string) {
	for key, s := range map[string]*Stream{"streams.events.": &c.Streams.Events, "streams.commands.": &c.Streams.Commands} {
		if _, chosen := origin[key+"duplicates"]; !chosen && s.MaxAge >= time.Second && s.Duplicates > s.MaxAge {
			s.Duplicates = s.MaxAge
		}
	}
}

// tidyToken takes off what people copy along with a token: blanks, quotes from
// an env file, and the "Bot " that belongs to the HTTP header.
func tidyToken(token Secret) Secret {
	t := strings.TrimSpace(string(token))
	if len(t) >= 2 && (t[0] == '"' || t[0] == '\'') && t[len(t)-1] == t[0] {
		t = strings.TrimSpace(t[1 : len(t)-1])
	}
	if len(t) > 4 && strings.EqualFold(t[:4], "Bot ") {
		t = strings.TrimSpace(t[4:])
	}
	return Secret(t)
}

// hostName is this host's name, or "drover" where the system does not tell.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "drover"
	}
	return name
}
