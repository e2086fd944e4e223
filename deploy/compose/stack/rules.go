package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"drover/config"
)

// rule is something that compose.yaml has to keep.
type rule struct {
	name  string
	check func(*checking)
}

var rules = []rule{
	{"services", wanted},
	{"images", images},
	{"hardening", hardening},
	{"limits", limits},
	{"environment", environments},
	{"secrets", secrets},
	{"cluster", cluster},
	{"state", state},
	{"mounts", mounts},
	{"files", inlineFiles},
	{"ports", ports},
	{"health", health},
	{"simulator", simulatorFlags},
	{"prometheus", prometheusFiles},
	{"grafana", grafanaFiles},
	{"bot", ownBot},
}

// wanted: the topology that the file is for.
func wanted(c *checking) {
	count := map[string]int{}
	c.drovers(func(_ types.ServiceConfig, verb string) { count[verb]++ })
	if want := map[string]int{"run": 2, "worker": 1, "simulate": 1, "migrate": 1}; !maps.Equal(count, want) {
		c.fault("drover does %v, want %v", count, want)
	}
	for repository, n := range map[string]int{"nats": 3, "postgres": 1, "edoburu/pgbouncer": 1, "prom/prometheus": 1, "grafana/grafana": 1, "otel/opentelemetry-collector-contrib": 1} {
		got := 0
		c.each(func(s types.ServiceConfig) {
			if r, _, _ := strings.Cut(s.Image, ":"); r == repository {
				got++
			}
		})
		if got != n {
			c.fault("%d services of %s, want %d", got, repository, n)
		}
	}
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?[a-z0-9.-]*$`)

// images are pinned, and where our own files say a version too, it is the same.
func images(c *checking) {
	goMod := c.read(filepath.Join(c.o.root, "go.mod"))
	manifest := c.read(filepath.Join(c.o.root, "deploy/otel/manifest.yaml"))
	c.each(func(s types.ServiceConfig) {
		repository, tag, _ := strings.Cut(s.Image, ":")
		if s.Build != nil {
			dockerfile := s.Build.Dockerfile
			if !filepath.IsAbs(dockerfile) {
				dockerfile = filepath.Join(s.Build.Context, dockerfile)
			}
			if _, err := os.Stat(dockerfile); err != nil || s.Build.Context != c.o.root {
				c.fault("%s is not built from the root by deploy/docker/Dockerfile: %s in %s", s.Name, s.Build.Dockerfile, s.Build.Context)
			}
			return
		}
		if !pinned.MatchString(s.Image) {
			c.fault("%s: %s is not pinned by version", s.Name, s.Image)
		}
		switch repository {
		case "nats":
			if version, _, _ := strings.Cut(tag, "-"); !strings.Contains(goMod, "nats-server/v2 v"+version+"\n") {
				c.fault("%s: %s is not the version that drover is tested with (go.mod)", s.Name, s.Image)
			}
		case "otel/opentelemetry-collector-contrib":
			if !strings.Contains(manifest, "version: "+tag+"\n") {
				c.fault("%s: %s is not the version of deploy/otel/manifest.yaml", s.Name, s.Image)
			}
		}
	})
}

func hardening(c *checking) {
	c.each(func(s types.ServiceConfig) {
		switch {
		case !s.ReadOnly:
			c.fault("%s: the root is not read-only", s.Name)
		case !slices.Contains(s.CapDrop, "ALL"):
			c.fault("%s keeps capabilities", s.Name)
		case !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
			c.fault("%s may get new privileges", s.Name)
		case s.Privileged || s.NetworkMode == "host" || s.Pid != "" || len(s.Devices) > 0:
			c.fault("%s has rights on this machine", s.Name)
		case s.Build != nil && (s.User != "" || len(s.CapAdd) > 0):
			c.fault("%s: drover's image has its user, 1001, and needs no capability", s.Name)
		}
	})
}

// limits on memory and processors, and time to drain.
func limits(c *checking) {
	c.each(func(s types.ServiceConfig) {
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes < 32<<20 || s.Deploy.Resources.Limits.NanoCPUs <= 0 {
			c.fault("%s has no limits of memory and processors", s.Name)
		}
	})
	c.drovers(func(s types.ServiceConfig, _ string) {
		if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= config.Default().Shutdown.Timeout {
			c.fault("%s: stop_grace_period is not above shutdown.timeout, %v", s.Name, config.Default().Shutdown.Timeout)
		}
	})
}

// environments: drover reads exactly what stands there, and it makes a configuration.
func environments(c *checking) {
	known := map[string]bool{}
	for _, k := range config.Keys() {
		for _, name := range k.Env {
			known[name] = true
		}
	}
	c.drovers(func(s types.ServiceConfig, verb string) {
		for name, value := range s.Environment {
			if !known[name] {
				c.fault("%s: %s is no variable of drover's", s.Name, name)
			}
			if value == nil {
				c.fault("%s: %s comes from whoever's environment", s.Name, name)
			}
		}
		cfg, err := c.config(s)
		if err == nil {
			switch verb {
			case "run":
				err = cfg.RequireToken()
			case "worker":
				err = cfg.RequireDatabase()
			case "migrate":
				err = cfg.RequireMigration()
			}
		}
		if err != nil {
			c.fault("%s: %v", s.Name, err)
		}
	})
}

// config is what drover makes of a service's environment.
func (c *checking) config(s types.ServiceConfig) (config.Config, error) {
	cfg, report, err := config.Load(config.Source{Dirs: []string{}, Env: environment(s)})
	if err == nil && len(report.Warnings) > 0 {
		err = errors.New(strings.Join(report.Warnings, "; "))
	}
	return cfg, err
}

var (
	literal  = regexp.MustCompile(`(?im)^\s*[a-z_]*(?:password|token|secret)[a-z_]*:\s*(\S+)|\bpool_[a-z]+ (\S+)`)
	userinfo = regexp.MustCompile(`://[^:@\s/]+:([^@\s]+)@`)
	demo     = regexp.MustCompile(`^['"]*\$\{DEMO_[A-Z_]+:-demo-[a-z-]+\}['"]*$|^"\$\$[A-Z_]+_PASSWORD"$`)
)

// secrets: only a demonstration's, each of which a variable replaces.
func secrets(c *checking) {
	for _, pattern := range []*regexp.Regexp{literal, userinfo} {
		for _, m := range pattern.FindAllStringSubmatch(c.text, -1) {
			if value := strings.Join(m[1:], ""); !demo.MatchString(value) {
				c.fault("%q is no ${DEMO_…:-demo-…}", m[0])
			}
		}
	}
}
