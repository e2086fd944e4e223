package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readByDrover gives drover itself the configuration that each pod would have, file and environment, and wants no problem and no warning.
func readByDrover(t tools, m *manifests) (wrong []string) {
	for _, p := range m.pods() {
		if out, err := run(t, "/", nil, append(slices.Clone(p.drover.Args), "--help")...); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s %s: drover does not take its arguments: %v\n%s", p.kind, p.name, err, out))
		}
		if p.config == nil {
			continue
		}
		if out, err := readOne(t, m, p); err != nil || strings.Contains(out, "warning") {
			wrong = append(wrong, fmt.Sprintf("%s %s: drover does not take its configuration: %v\n%s", p.kind, p.name, err, out))
		} else if p.verb == "run" && strings.Contains(out, "no discord.token") {
			wrong = append(wrong, fmt.Sprintf("%s %s: drover has no token", p.kind, p.name))
		}
	}
	return wrong
}

// readOne runs drover config check. What Secrets hold is made up, and files of Secrets are empty ones.
func readOne(t tools, m *manifests, p *pod) (string, error) {
	dir, err := os.MkdirTemp("", "drover-config-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "drover.yaml")
	if err := os.WriteFile(file, []byte(m.configText(p)), 0o600); err != nil {
		return "", err
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		return "", err
	}
	var env []string
	for _, e := range p.drover.Env {
		switch {
		case strings.HasSuffix(e.Name, "_FILE"):
			env = append(env, e.Name+"="+secret)
		case strings.HasSuffix(e.Name, "_URL") && e.ValueFrom != nil:
			env = append(env, e.Name+"=postgres://user:password@host:5432/drover")
		case e.ValueFrom != nil:
			env = append(env, e.Name+"=made-up")
		default:
			env = append(env, e.Name+"="+e.Value)
		}
	}
	for key, value := range p.config { // files that something else brings into the pod
		if strings.HasSuffix(key, "_file") && value != "" {
			env = append(env, envName(key)+"="+secret)
		}
	}
	return run(t, dir, env, "config", "check", "--config", file)
}

// configText is a pod's drover.yaml as it stands in the ConfigMap.
func (m *manifests) configText(p *pod) string {
	for _, v := range p.spec.Volumes {
		if v.ConfigMap == nil {
			continue
		}
		for _, c := range m.configMaps {
			if c.Name == v.ConfigMap.Name {
				return c.Data["drover.yaml"]
			}
		}
	}
	return ""
}

// reloads: a change that running nodes take over by themselves restarts none of them, any other change does; workers are always restarted.
func reloads(t tools) (wrong []string) {
	sums := func(args ...string) (node, worker string) {
		text, err := helmTemplate(t, t.chart(), append([]string{"--set", "worker.enabled=true,secrets.database.url.name=db"}, args...)...)
		if err != nil {
			wrong = append(wrong, err.Error())
			return "", ""
		}
		m, err := decode(text, keys{})
		if err != nil || len(m.sets) != 1 || len(m.deployments) != 1 {
			wrong = append(wrong, fmt.Sprintf("reloads: %v", err))
			return "", ""
		}
		return m.sets[0].Spec.Template.Annotations["checksum/config"], m.deployments[0].Spec.Template.Annotations["checksum/config"]
	}
	node, worker := sums()
	for set, restarts := range map[string]bool{
		"config.log.level=debug": false, "config.events.deny={TYPING_START}": false, "config.events.allow={MESSAGE_CREATE}": false,
		"config.publish.window=100": true, "config.pool.size=50": true, "config.log.format=text": true,
	} {
		n, w := sums("--set", set)
		if (n != node) != restarts {
			wrong = append(wrong, fmt.Sprintf("%s: nodes are restarted: %v, wanted %v", set, n != node, restarts))
		}
		if w == worker {
			wrong = append(wrong, set+": workers do not hear of it")
		}
	}
	return wrong
}
