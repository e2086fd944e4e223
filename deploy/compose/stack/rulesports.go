package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

var (
	listens   = regexp.MustCompile(`(?:\b0\.0\.0\.0:|(?m:^)listen_port = )(\d+)`)
	reference = regexp.MustCompile(`(?m)([a-z][a-z0-9-]*):(\d{4,5})\b|\bhost=([a-z0-9-]+) port=(\d+)`)
	asksSelf  = regexp.MustCompile(`127\.0\.0\.1(?::| -p )(\d+)`)
)

// ports: who asks for service:port finds a service that listens there, and nobody listens to other machines.
func ports(c *checking) {
	open := map[string][]string{}
	c.each(func(s types.ServiceConfig) {
		open[s.Name] = s.Expose
		listening := map[string]bool{}
		for _, text := range c.says(s) {
			for _, m := range listens.FindAllStringSubmatch(text, -1) {
				listening[m[1]] = true
			}
		}
		for _, p := range s.Expose {
			switch {
			case listening[p]:
			case strings.HasPrefix(s.Image, "postgres:") && p == "5432", strings.HasPrefix(s.Image, "grafana/") && p == "3000": // these images' own
			default:
				c.fault("%s exposes %s, where it does not listen", s.Name, p)
			}
		}
		for p := range listening {
			if !slices.Contains(s.Expose, p) {
				c.fault("%s listens at %s, which expose does not say", s.Name, p)
			}
		}
	})
	published := map[string]string{}
	c.each(func(s types.ServiceConfig) {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				c.fault("%s: port %s is open to other machines", s.Name, p.Published)
			}
			if !slices.Contains(s.Expose, jsonText(p.Target)) {
				c.fault("%s publishes %d, where it does not listen", s.Name, p.Target)
			}
			if other := published[p.Published]; other != "" {
				c.fault("%s and %s are both published at %s", s.Name, other, p.Published)
			}
			published[p.Published] = s.Name
		}
		for _, text := range c.says(s) {
			for _, m := range reference.FindAllStringSubmatch(text, -1) {
				host, port := m[1]+m[3], m[2]+m[4]
				if _, ok := c.p.Services[host]; ok && !slices.Contains(open[host], port) {
					c.fault("%s asks for %s:%s, where nobody listens", s.Name, host, port)
				} else if !ok && strings.ContainsAny(text, "@/") && strings.Contains(text, "//"+host+":") {
					c.fault("%s asks for %s, which is no service", s.Name, host)
				}
			}
		}
		if s.HealthCheck != nil {
			for _, m := range asksSelf.FindAllStringSubmatch(strings.Join(s.HealthCheck.Test, " "), -1) {
				if !slices.Contains(s.Expose, m[1]) {
					c.fault("%s: its health check asks at %s, where it does not listen", s.Name, m[1])
				}
			}
		}
	})
}

// says is everything of a service in which addresses can stand.
func (c *checking) says(s types.ServiceConfig) []string {
	texts := append(c.configs(s), strings.Join(s.Command, " "))
	return append(texts, environment(s)...)
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// health: who waits for a healthy service waits for one that can say so.
func health(c *checking) {
	c.each(func(s types.ServiceConfig) {
		has := s.HealthCheck != nil && !s.HealthCheck.Disable && len(s.HealthCheck.Test) > 0
		if has && s.HealthCheck.Test[0] != "CMD" {
			c.fault("%s: its health check needs a shell", s.Name)
		}
		if has && (s.HealthCheck.Interval == nil || s.HealthCheck.Timeout == nil || s.HealthCheck.StartPeriod == nil || s.HealthCheck.Retries == nil) {
			c.fault("%s: its health check is without interval, timeout, start_period or retries", s.Name)
		}
		if s.Build != nil && has && s.HealthCheck.Test[1] != "/usr/local/bin/drover" {
			c.fault("%s: its health check runs %s, which is not in drover's image", s.Name, s.HealthCheck.Test[1])
		}
		if s.Build != nil && (verb(s) == "run" || verb(s) == "worker") && (!has || !slices.Equal(s.HealthCheck.Test, []string{"CMD", "/usr/local/bin/drover", "healthcheck"})) {
			c.fault("%s is not asked by drover healthcheck", s.Name)
		}
		for name, d := range s.DependsOn {
			on := c.p.Services[name]
			healthy := on.HealthCheck != nil && !on.HealthCheck.Disable
			switch {
			case d.Condition == types.ServiceConditionHealthy && !healthy:
				c.fault("%s waits for the health of %s, which has no check", s.Name, name)
			case d.Condition == types.ServiceConditionCompletedSuccessfully && on.Restart != "no":
				c.fault("%s waits for the end of %s, which is started again", s.Name, name)
			case d.Condition == types.ServiceConditionStarted:
				c.fault("%s waits for the start of %s only", s.Name, name)
			}
		}
		needs := map[string][]string{"run": {"nats-1", "nats-2", "nats-3", "simulator"}, "worker": {"nats-1", "nats-2", "nats-3", "pgbouncer", "migrate"}, "migrate": {"postgres"}}
		if s.Build == nil {
			return
		}
		for _, name := range needs[verb(s)] {
			if _, ok := s.DependsOn[name]; !ok {
				c.fault("%s does not wait for %s", s.Name, name)
			}
		}
	})
}
