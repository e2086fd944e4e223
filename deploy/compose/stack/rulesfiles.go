package main

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"
)

// simulatorFlags: the world is one that drover simulate makes, and takes the nodes' token.
func simulatorFlags(c *checking) {
	sim := c.p.Services["simulator"]
	w, err := parseSimulator(sim.Command)
	if err != nil {
		c.fault("%v", err)
		return
	}
	c.drovers(func(s types.ServiceConfig, verb string) {
		if verb != "run" {
			return
		}
		cfg, err := c.config(s)
		if err != nil {
			return
		}
		if cfg.Discord.Token.Reveal() != w.options.Token {
			c.fault("%s has another token than the simulator takes", s.Name)
		}
		if pools := w.options.Shards / cfg.Pool.Size; pools < 2 {
			c.fault("%d pools are nothing to share", pools)
		}
	})
}

// prometheusFiles: it scrapes every node as one job, and has the alerts.
func prometheusFiles(c *checking) {
	p := c.p.Services["prometheus"]
	var file struct {
		RuleFiles []string `yaml:"rule_files"`
		Scrape    []struct {
			Job    string `yaml:"job_name"`
			Static []struct {
				Targets []string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	path := at(p, flagValue(p.Command, "--config.file"))
	if path == "" {
		c.fault("--config.file is not mounted")
		return
	}
	if err := yaml.Unmarshal([]byte(c.read(path)), &file); err != nil {
		c.fault("%v", err)
		return
	}
	job := map[string]string{}
	for _, s := range file.Scrape {
		for _, g := range s.Static {
			for _, t := range g.Targets {
				job[t] = s.Job
			}
		}
	}
	c.drovers(func(s types.ServiceConfig, verb string) {
		want := map[string]string{"run": "drover", "worker": "worker"}[verb]
		if want != "" && job[s.Name+":9090"] != want {
			c.fault("%s:9090 is scraped as job %q, want %s", s.Name, job[s.Name+":9090"], want)
		}
	})
	for target := range job {
		host, port, _ := strings.Cut(target, ":")
		if s, ok := c.p.Services[host]; !ok || !slices.Contains(s.Expose, port) {
			c.fault("%s is scraped, where nobody listens", target)
		}
	}
	if !slices.ContainsFunc(p.Volumes, func(v types.ServiceVolumeConfig) bool {
		same := v.Source == filepath.Join(c.o.root, "deploy/alerts/drover.yaml")
		return same && slices.ContainsFunc(file.RuleFiles, func(glob string) bool { ok, _ := pathMatch(glob, v.Target); return ok })
	}) {
		c.fault("deploy/alerts/drover.yaml is not among its rules")
	}
}

func flagValue(args []string, name string) string {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v
		}
	}
	return ""
}

func pathMatch(glob, name string) (bool, error) { return path.Match(glob, name) }

// grafanaFiles: its data source is our Prometheus, and it finds every dashboard.
func grafanaFiles(c *checking) {
	g := c.p.Services["grafana"]
	var sources struct{ Datasources []struct{ Type, URL string } }
	if err := yaml.Unmarshal([]byte(c.read(at(g, "/etc/grafana/provisioning/datasources/drover.yaml"))), &sources); err != nil {
		c.fault("%v", err)
	}
	if len(sources.Datasources) != 1 || sources.Datasources[0].Type != "prometheus" || sources.Datasources[0].URL != "http://prometheus:9090" {
		c.fault("the data source is %+v", sources.Datasources)
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	if err := yaml.Unmarshal([]byte(c.read(at(g, "/etc/grafana/provisioning/dashboards/drover.yaml"))), &providers); err != nil {
		c.fault("%v", err)
	}
	shipped, _ := filepath.Glob(filepath.Join(c.o.root, "deploy/dashboards/*.json"))
	if len(shipped) < 3 || len(providers.Providers) != 1 {
		c.fault("%d dashboards and %d providers, want 3 and 1", len(shipped), len(providers.Providers))
		return
	}
	for _, d := range shipped {
		if seen := at(g, providers.Providers[0].Options.Path+"/"+filepath.Base(d)); seen != d {
			c.fault("%s is not in the folder of the provider", filepath.Base(d))
		}
	}
}
