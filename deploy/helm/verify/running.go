package main

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// checkRunning is for pods that stay: probes, port, and time to drain.
func (p *pod) checkRunning() {
	c := p.drover
	for name, probe := range map[string]struct {
		probe *corev1.Probe
		path  string
	}{
		"startup": {c.StartupProbe, "/health"}, "liveness": {c.LivenessProbe, "/health"}, "readiness": {c.ReadinessProbe, "/ready"},
	} {
		if probe.probe == nil || probe.probe.HTTPGet == nil || probe.probe.HTTPGet.Path != probe.path ||
			probe.probe.HTTPGet.Port != intstr.FromString("http") || probe.probe.HTTPGet.Host != "" {
			p.bad("%s does not ask for %s at port http", name, probe.path)
		}
	}
	if p.config == nil {
		p.bad("it has no configuration")
		return
	}
	addr := p.text("http.addr")
	if len(c.Ports) != 1 || c.Ports[0].Name != "http" || addr[strings.LastIndexByte(addr, ':')+1:] != fmt.Sprint(c.Ports[0].ContainerPort) {
		p.bad("its port is not that of http.addr, %s", addr)
	}
	drain, err := time.ParseDuration(p.text("shutdown.timeout"))
	if err != nil {
		p.bad("shutdown.timeout: %v", err)
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil {
		if c.Lifecycle.PreStop.Sleep == nil {
			p.bad("preStop runs something in an image that has nothing to run")
		} else {
			drain += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		}
	}
	if g := p.spec.TerminationGracePeriodSeconds; g == nil || time.Duration(*g)*time.Second < drain+5*time.Second {
		p.bad("its grace period is not 5s longer than preStop and shutdown.timeout, %s", drain)
	}
	if c.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		p.bad("nobody sees its last line")
	}
	if p.spec.RestartPolicy != "" && p.spec.RestartPolicy != corev1.RestartPolicyAlways {
		p.bad("it is not started again")
	}
	if p.annotated["checksum/config"] == "" {
		p.bad("a change of its configuration does not restart it")
	}
	for _, s := range p.spec.TopologySpreadConstraints {
		if s.LabelSelector == nil || !selects(s.LabelSelector.MatchLabels, p.labels) {
			p.bad("it is spread with other pods than its own")
		}
	}
	if !selects(p.selector, p.labels) {
		p.bad("its selector does not select its pods")
	}
	for _, label := range []string{"helm.sh/chart", "app.kubernetes.io/version"} {
		if p.labels[label] != "" {
			p.bad("the pods' label %s restarts them with each new chart", label)
		}
	}
	for key := range p.config {
		if strings.HasPrefix(key, "nats.") && strings.Contains(fmt.Sprint(p.config[key]), "@") {
			p.bad("%s holds a user", key)
		}
	}
}

// text is a value of its configuration.
func (p *pod) text(key string) string { return fmt.Sprint(p.config[key]) }

// env finds a variable.
func (p *pod) env(name string) *corev1.EnvVar {
	for i := range p.drover.Env {
		if p.drover.Env[i].Name == name {
			return &p.drover.Env[i]
		}
	}
	return nil
}

// checkVerb: each of the three has the arguments and secrets that it needs, and none that it does not.
func (p *pod) checkVerb() {
	needs := map[string]struct{ must, mustNot []string }{
		"run":       {[]string{"DROVER_DISCORD_TOKEN"}, []string{"DROVER_DATABASE_URL", "DROVER_DATABASE_MIGRATE_URL", databaseCA}},
		"worker":    {[]string{"DROVER_DATABASE_URL"}, []string{"DROVER_DISCORD_TOKEN", "DROVER_DATABASE_MIGRATE_URL"}},
		"consumer":  {nil, []string{"DROVER_DISCORD_TOKEN", "DROVER_DATABASE_URL", "DROVER_DATABASE_MIGRATE_URL", databaseCA}},
		"migrate":   {nil, []string{"DROVER_DISCORD_TOKEN", "DROVER_NATS_PASSWORD", "DROVER_NATS_CREDS_FILE"}},
		"retention": {nil, []string{"DROVER_DISCORD_TOKEN", "DROVER_NATS_PASSWORD", "DROVER_NATS_CREDS_FILE"}},
	}
	need, ok := needs[p.verb]
	if !ok {
		p.bad("drover has no verb %q for it", p.verb)
	}
	for _, name := range need.must {
		if p.env(name) == nil {
			p.bad("%s is missing", name)
		}
	}
	for _, name := range need.mustNot {
		if p.env(name) != nil {
			p.bad("it gets %s, which it does not need", name)
		}
	}
	if (p.verb == "migrate" || p.verb == "retention") && p.env("DROVER_DATABASE_MIGRATE_URL") == nil && p.env("DROVER_DATABASE_URL") == nil {
		p.bad("it has no database")
	}
}

func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}
