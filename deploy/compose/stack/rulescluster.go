package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"drover/config"
)

// cluster: two nodes that can take each other's place, and streams that survive a server.
func cluster(c *checking) {
	var first *config.Config
	names := map[string]bool{}
	c.drovers(func(s types.ServiceConfig, verb string) {
		if verb != "run" {
			return
		}
		cfg, err := c.config(s)
		if err != nil {
			return // environments says it
		}
		names[cfg.Cluster.Node] = true
		if cfg.Cluster.Node != s.Name || s.Hostname != s.Name {
			c.fault("%s: cluster.node is %q and its host %q, want its own name in both", s.Name, cfg.Cluster.Node, s.Hostname)
		}
		if cfg.Pool.ID != nil {
			c.fault("%s is pinned to pool %d", s.Name, *cfg.Pool.ID)
		}
		if cfg.Streams.Events.Replicas != 3 || cfg.Streams.Commands.Replicas != 3 || cfg.Streams.Events.Storage != "file" || cfg.Streams.Commands.Storage != "file" {
			c.fault("%s: streams have not three copies in files", s.Name)
		}
		if n := len(strings.Split(cfg.NATS.URL.Reveal(), ",")); n != 3 {
			c.fault("%s knows %d NATS servers, want 3", s.Name, n)
		}
		own := cfg
		own.Cluster.Node = ""
		if first == nil {
			first = &own
		} else if a, b := marshal(own), marshal(*first); a != b {
			c.fault("%s is configured differently from the other node", s.Name)
		}
	})
	if len(names) != 2 {
		c.fault("%d nodes with names of their own, want 2", len(names))
	}
	routes := ""
	c.each(func(s types.ServiceConfig) {
		if !strings.HasPrefix(s.Image, "nats:") {
			return
		}
		i := slices.Index(s.Command, "--name")
		if i < 0 || s.Command[i+1] != s.Name {
			c.fault("%s has not its own name", s.Name)
		}
		if r := s.Environment["NATS_ROUTES"]; r != nil {
			routes = *r
		}
		if !strings.Contains(routes, "@"+s.Name+":6222") {
			c.fault("no route to %s", s.Name)
		}
	})
}

func marshal(cfg config.Config) string {
	b, err := yaml.Marshal(cfg)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// droverState is the one folder that drover writes to.
const droverState = "/var/lib/drover"

// state: each node has its spool in a volume of its own.
func state(c *checking) {
	owner := map[string]string{}
	c.drovers(func(s types.ServiceConfig, verb string) {
		if verb != "run" {
			if len(s.Volumes) > 0 || len(s.Tmpfs) != 1 || !strings.HasPrefix(s.Tmpfs[0], droverState+":") {
				c.fault("%s keeps nothing: want a tmpfs for %s and no volume", s.Name, droverState)
			}
			return
		}
		if len(s.Volumes) != 1 || s.Volumes[0].Type != "volume" || s.Volumes[0].Target != droverState || s.Volumes[0].ReadOnly || s.Volumes[0].Source == "" {
			c.fault("%s: want one volume, with a name, at %s", s.Name, droverState)
			return
		}
		if other := owner[s.Volumes[0].Source]; other != "" {
			c.fault("%s and %s have the same spool", s.Name, other)
		}
		owner[s.Volumes[0].Source] = s.Name
		if cfg, err := c.config(s); err == nil && (cfg.NATS.Embedded.DataDir != droverState || cfg.Spool.Dir != "" && cfg.Spool.Dir != droverState+"/spool") {
			c.fault("%s: the spool is not in %s", s.Name, droverState)
		}
	})
}

// mounts: what is mounted is there, and what is declared is used.
func mounts(c *checking) {
	used := map[string]bool{}
	c.each(func(s types.ServiceConfig) {
		targets := map[string]bool{}
		for _, v := range s.Volumes {
			if targets[v.Target] {
				c.fault("%s: two mounts at %s", s.Name, v.Target)
			}
			targets[v.Target] = true
			switch v.Type {
			case "bind":
				if _, err := os.Stat(v.Source); err != nil {
					c.fault("%s: %s is not there", s.Name, v.Source)
				}
				if !v.ReadOnly {
					c.fault("%s may write to %s", s.Name, v.Source)
				}
			case "volume":
				used[v.Source] = true
				if _, ok := c.p.Volumes[v.Source]; !ok {
					c.fault("%s: the volume %s is not declared", s.Name, v.Source)
				}
			}
		}
	})
	for name := range c.p.Volumes {
		if !used[name] {
			c.fault("the volume %s is used by nobody", name)
		}
	}
}

// at is the file on this machine that a service sees at a path; empty: none.
func at(s types.ServiceConfig, target string) string {
	for _, v := range s.Volumes {
		if v.Type != "bind" {
			continue
		}
		if v.Target == target {
			return v.Source
		}
		if rest, ok := strings.CutPrefix(target, v.Target+"/"); ok {
			return filepath.Join(v.Source, rest)
		}
	}
	return ""
}

// read is a file's text; a fault and empty where it cannot be read.
func (c *checking) read(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		c.fault("%v", err)
	}
	return string(b)
}

// configs are the files that a service reads, as text; folders aside.
func (c *checking) configs(s types.ServiceConfig) (texts []string) {
	for _, v := range s.Volumes {
		if info, err := os.Stat(v.Source); v.Type == "bind" && err == nil && !info.IsDir() {
			texts = append(texts, c.read(v.Source))
		}
	}
	return texts
}
