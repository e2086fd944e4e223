package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// exampleFile is the README's example among the files of values, which Helm, the rules and the API server are given.
const exampleFile = "deploy/helm/testdata/values/least-rights.yaml"

// user finds the users of deploy/nats/accounts.conf.
var user = regexp.MustCompile(`(?m)^\s*user: (\w+)$`)

// example says where the README's example of users with least rights would not work: it has to be the file among the values, and each kind of
// pod has to be the user that accounts.conf has for it, with what that asks for.
func example(t tools, k keys) (wrong []string) {
	text, err := os.ReadFile(filepath.Join(t.chart(), "README.md"))
	if err != nil {
		return []string{err.Error()}
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	block, _, _ := strings.Cut(rest, "```")
	if file, err := os.ReadFile(filepath.Join(t.root, exampleFile)); err != nil || block != string(file) {
		wrong = append(wrong, fmt.Sprintf("README.md: its example is not %s (%v)", exampleFile, err))
	}
	dir, err := os.MkdirTemp("", "drover-example-")
	if err != nil {
		return append(wrong, err.Error())
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "values.yaml")
	if err := os.WriteFile(name, []byte(block), 0o600); err != nil {
		return append(wrong, err.Error())
	}
	m, err := render(t, k, name)
	if err != nil {
		return append(wrong, "README.md: "+err.Error())
	}
	accounts, err := os.ReadFile(filepath.Join(t.root, "deploy/nats/accounts.conf"))
	if err != nil {
		return append(wrong, err.Error())
	}
	known := map[string]bool{}
	for _, found := range user.FindAllStringSubmatch(string(accounts), -1) {
		known[found[1]] = true
	}
	seen := map[string]bool{}
	for _, p := range m.pods() {
		want, asks := map[string]string{"run": "node", "worker": "worker", "consumer": "operator"}[p.verb]
		if !asks {
			continue
		}
		seen[p.verb] = true
		bad := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("README.md: its example: %s %s: %s", p.kind, p.name, fmt.Sprintf(format, args...)))
		}
		if got := p.text("nats.user"); got != want || !known[want] {
			bad("it is %s at NATS, and accounts.conf has %s for it", got, want)
		}
		for _, name := range []string{"DROVER_NATS_PASSWORD", "DROVER_NATS_TLS_CA_FILE", "DROVER_NATS_TLS_CERT_FILE", "DROVER_NATS_TLS_KEY_FILE"} {
			if p.env(name) == nil {
				bad("%s is missing, and the server asks for it", name)
			}
		}
		if p.verb != "run" && p.text("worker.durable") != "workers" {
			bad("worker.durable is %s, and accounts.conf has workers", p.text("worker.durable"))
		}
		if p.verb == "worker" && p.text("worker.api_prefix") != "drover.API" {
			bad("worker.api_prefix is %q, and accounts.conf has drover.API", p.text("worker.api_prefix"))
		}
	}
	if len(seen) != 3 {
		wrong = append(wrong, fmt.Sprintf("README.md: its example has no nodes, workers and consumer, only %v", seen))
	}
	return wrong
}

// printed is what Helm prints after an installation. helm template leaves NOTES.txt out and helm install wants a cluster, so it is rendered as a
// text in a ConfigMap of a copy of the chart.
func printed(t tools, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "drover-notes-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(t.chart())); err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(dir, "templates/NOTES.txt"))
	if err != nil {
		return "", err
	}
	wrapped := `{{- define "notes" -}}` + string(text) + `{{- end -}}
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ include "notes" . | quote }}}
`
	if err := os.WriteFile(filepath.Join(dir, "templates/notes.yaml"), []byte(wrapped), 0o600); err != nil {
		return "", err
	}
	out, err := helmTemplate(t, dir, append([]string{"-n", "drover"}, args...)...)
	if err != nil {
		return "", err
	}
	m, err := decode(out, keys{})
	if err != nil {
		return "", err
	}
	for _, c := range m.configMaps {
		if c.Name == "notes" {
			return strings.TrimSpace(c.Data["text"]), nil
		}
	}
	return "", errors.New("the notes are not among what was rendered")
}

// notes says where what Helm prints at the end is not what the pages tell.
func notes(t tools, _ keys) (wrong []string) {
	install := func(args ...string) string {
		text, err := printed(t, args...)
		if err != nil {
			wrong = append(wrong, "NOTES.txt: "+err.Error())
		}
		return text
	}
	page, err := os.ReadFile(filepath.Join(t.root, "docs/deploy.md"))
	_, block, _ := strings.Cut(string(page), "<!-- notes: held against the chart by deploy/helm/check manifests -->\n```\n")
	block, _, _ = strings.Cut(block, "\n```")
	if text := install("--set", "image.tag=1.0.0"); err != nil || text != block {
		wrong = append(wrong, fmt.Sprintf("docs/deploy.md: Helm prints something else (%v):\n%s", err, text))
	}
	text := install("-f", filepath.Join(t.root, exampleFile))
	if !strings.Contains(text, "NATS' operator (in deploy/nats/accounts.conf the user operator)") || strings.Contains(text, "exec drover-0") {
		wrong = append(wrong, "NOTES.txt: with users of least rights it has the nodes' user ask what only an operator may:\n"+text)
	}
	for _, secret := range []string{"drover-nats-users, key worker", "drover-nats-users, key operator", "drover-database-ca, key ca.crt"} {
		if !strings.Contains(text, secret) {
			wrong = append(wrong, "NOTES.txt: it does not name the Secret "+secret)
		}
	}
	return wrong
}
