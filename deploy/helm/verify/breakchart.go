package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// spoiltCharts are ways to spoil the chart itself: in a file of it, old becomes new, and the words must be said.
var spoiltCharts = []struct {
	name, file, old, new, says string
	by                         func(tools, keys) []string
}{
	{"a key that is missing in the values", "values.yaml", "    ack_timeout: 4s\n", "", "config.publish.ack_timeout is missing", mirror},
	{"a key that drover has not", "values.yaml", "    ack_timeout: 4s\n", "    ack_timeout: 4s\n    retries: 3\n", "config.publish.retries is no key", mirror},
	{"a default that is not drover's", "values.yaml", "window: 4096", "window: 1024", "drover's default is 4096", mirror},
	{"a secret among the values", "values.yaml", "  discord:\n    api_url", "  discord:\n    token: abc\n    api_url", "config.discord.token is a secret", mirror},
	{"a secret without a reference", "values.yaml", "    migrate_url: {name: \"\", key: migrate-url}", "    other: {}", "secrets.database.migrate_url is missing", mirror},
	{"a key that the schema does not know", "values.schema.json", `"checkpoint_interval": {`, `"checkpoint": {`, "session.checkpoint_interval: known there is false", mirror},
	{"a schema that allows more than drover", "values.schema.json", `"maximum": 1048576`, `"maximum": 1048577`, "1.048577e+06 is allowed, and drover refuses it", onlyLimits},
	{"a word that drover does not know", "values.schema.json", `"zlib-stream",`, `"gzip",`, "gzip is allowed, and drover refuses it", onlyLimits},
	{"an alert that was changed at the source", "files/alerts/drover.yaml", "for: 2m", "for: 3m", "run deploy/helm/check sync", onlyCopies},
	{"a dashboard that was changed at the source", "files/dashboards/fleet.json", "Now", "Then", "run deploy/helm/check sync", onlyCopies},
	{"a log level that restarts nodes", "templates/statefulset.yaml", `{{- $_ := unset $fixed.log "level" -}}`, "", "config.log.level=debug: nodes are restarted: true", onlyReloads},
	{"an empty list that lets everybody in", "templates/networkpolicy.yaml", "and $serves $np.ingressFrom", "$serves", "lets in more than named pods", onlyClosed},
	{"an empty list that leads everywhere", "templates/networkpolicy.yaml", "{{- if .to -}}", "{{- if true -}}", "lets out to every address", onlyClosed},
	{"an example whose worker has no prefix", "README.md", ", api_prefix: drover.API", "", `worker.api_prefix is ""`, example},
	{"an example whose server refuses it", "README.md", ", cert_file: {name: drover-nats-tls, key: tls.crt}", "", "DROVER_NATS_TLS_CERT_FILE is missing", example},
	{"an example without a consumer", "README.md", "\nconsumer:\n  enabled: true", "\nconsumer:\n  enabled: false", "has no nodes, workers and consumer", example},
	{"an example that nobody tries", "README.md", "replicas: 3\n", "replicas: 4\n", "is not deploy/helm/testdata/values/least-rights.yaml", example},
	{"notes that have the nodes' user ask", "templates/NOTES.txt", "or .Values.config.nats.user ", "or ", "ask what only an operator may", notes},
	{"notes that the page does not have", "templates/NOTES.txt", "See the nodes", "Look at the nodes", "Helm prints something else", notes},
	{"a consumer with the workers' prefix", "templates/_helpers.tpl", `{{- $_ := set $worker.worker "api_prefix" "" -}}`, "", "an operator has no prefix", onlyExample},
	{"a change that restarts nobody", "templates/statefulset.yaml", "{{ toYaml $fixed | sha256sum }}", "always", "config.pool.size=50: nodes are restarted: false", onlyReloads},
}

func onlyLimits(t tools, _ keys) []string {
	_, wrong := limits(t)
	return wrong
}
func onlyCopies(t tools, _ keys) []string { return copies(t) }
func onlyClosed(t tools, k keys) []string {
	return onlyValues(t, k, "deploy/helm/testdata/values/closed.yaml")
}
func onlyExample(t tools, k keys) []string { return onlyValues(t, k, exampleFile) }
func onlyReloads(t tools, _ keys) []string { return reloads(t) }

// onlyValues renders one file of values.
func onlyValues(t tools, k keys, file string) []string {
	m, err := render(t, k, filepath.Join(t.root, file))
	if err != nil {
		return []string{err.Error()}
	}
	return m.check()
}

// breakCharts spoils copies of the chart. It returns how many were noticed.
func breakCharts(t tools, k keys) (int, error) {
	for _, b := range spoiltCharts {
		dir, err := os.MkdirTemp("", "drover-chart-")
		if err != nil {
			return 0, err
		}
		defer os.RemoveAll(dir) // all of them at the end
		if err := os.CopyFS(dir, os.DirFS(t.chart())); err != nil {
			return 0, err
		}
		file := filepath.Join(dir, b.file)
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		spoilt := strings.Replace(string(text), b.old, b.new, 1)
		if spoilt == string(text) {
			return 0, fmt.Errorf("%s: there is no %q in %s any more", b.name, b.old, b.file)
		}
		if err := os.WriteFile(file, []byte(spoilt), 0o600); err != nil {
			return 0, err
		}
		other := t
		other.dir = dir
		if said := strings.Join(b.by(other, k), "\n"); !strings.Contains(said, b.says) {
			return 0, fmt.Errorf("%s is not refused with %q, but: %q", b.name, b.says, said)
		}
		fmt.Println("refused:", b.name)
	}
	return len(spoiltCharts), nil
}
