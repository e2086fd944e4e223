package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestDocs_say_what_the_files_do(t *testing.T) {
	for _, fault := range docFaults(pages(t)) {
		t.Error(fault)
	}
}

// Each of these has stood in a page once, or could.
func TestDocs_faults_are_noticed(t *testing.T) {
	tests := []struct{ name, file, old, new, want string }{
		{"a service that there is not", "docs/upgrade.md", "--build drover-1", "--build drover-a", "drover-a is no service"},
		{"a command without its file", "docs/upgrade.md", "compose -f deploy/compose/compose.yaml up", "compose up", "name its file"},
		{"an older image", "docs/upgrade.md", "--no-deps --build drover-1", "--no-deps drover-1", "without --build"},
		{"another number of pods", "deploy/helm/drover/values.yaml", "\nreplicas: 2", "\nreplicas: 3", "docs/deploy.md: two pods"},
		{"another share of the memory", "cmd/drover/memory.go", "limitShare = 0.75", "limitShare = 0.9", "docs/operations.md: 75 %"},
		{"another answer", "cmd/drover/healthcheck.go", `"ok")`, `"well")`, "docs/deploy.md: drover healthcheck"},
		{"no certificate for a server that asks for one", "docs/security.md", "DROVER_NATS_TLS_CERT_FILE=drover.pem", "", "docs/security.md: DROVER_NATS_TLS_CERT_FILE"},
		{"no key in a configuration's own example", "deploy/nats/cluster.conf", "DROVER_NATS_TLS_KEY_FILE=drover-key.pem", "", "deploy/nats/cluster.conf: DROVER_NATS_TLS_KEY_FILE"},
		{"a server without passwords", "docs/deploy.md", "DROVER_WORKER_PASSWORD=… DROVER_OPERATOR_PASSWORD=… nats-server", "DROVER_OPERATOR_PASSWORD=… nats-server", "docs/deploy.md: DROVER_WORKER_PASSWORD"},
		{"a token on a command line", "docs/deploy.md", "--from-file=token=/dev/stdin", `--from-literal=token="$DISCORD_TOKEN"`, "--from-literal"},
		{"a password on a command line", "deploy/terraform/README.md", "--secret-string file:///dev/stdin", `--secret-string "$2"`, "--secret-string"},
		{"a certificate that Terraform asks for", "docs/deploy.md", "TF_VAR_route_ca_pem", "TF_VAR_root_ca_pem", "docs/deploy.md: TF_VAR_route_ca_pem"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := pages(t)
			if !strings.Contains(files[tt.file], tt.old) {
				t.Fatalf("%s has no %q to break", tt.file, tt.old)
			}
			files[tt.file] = strings.Replace(files[tt.file], tt.old, tt.new, 1)
			if got := strings.Join(docFaults(files), "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want a fault with %q", got, tt.want)
			}
		})
	}
}

// pages are the texts that people follow, and the files that they are about, by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{
		"README.md", "docs/*.md", "deploy/*.md", "deploy/*/*.md", "deploy/*/*/*.md", "deploy/nats/*.conf", "deploy/compose/*.yaml",
		"deploy/helm/drover/values.yaml", "deploy/terraform/examples/complete/variables.tf", "cmd/drover/memory.go", "cmd/drover/healthcheck.go",
	} {
		found, err := filepath.Glob("../" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: got %v, %v, want files", pattern, found, err)
		}
		for _, name := range found {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[strings.TrimPrefix(name, "../")] = string(text)
		}
	}
	return files
}

var (
	composeCommand = regexp.MustCompile("docker compose ([^`\n#|]*)")
	composeFile    = "-f deploy/compose/compose.yaml"
	secretWord     = regexp.MustCompile(`--from-literal|--secret-string ["'$]|--set[^\n]*(?:token|password)=`)
	natsCommand    = regexp.MustCompile(`(?m)^.*nats-server -c (?:secure|cluster)\.conf`)
	paragraph      = regexp.MustCompile("\n#?[ \t]*\n|```")
	shareOfLimit   = regexp.MustCompile(`limitShare = (0\.\d+)`)
	shareInWords   = regexp.MustCompile("`GOMEMLIMIT` set to (\\d+) % of it")
	podsInWords    = regexp.MustCompile("What to expect: (\\w+) pods \\(`replicas`\\)")
	pemVariable    = regexp.MustCompile(`variable "(\w+_pem)"`)
)

// docFaults says in words where a page tells what the files do not.
func docFaults(files map[string]string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for name, text := range files {
		for _, m := range composeCommand.FindAllStringSubmatch(text, -1) {
			composeFaults(files, name, strings.TrimSpace(m[1]), fault)
		}
		for _, word := range secretWord.FindAllString(text, -1) {
			fault("%s: %s shows a secret to everybody who lists processes: read it from standard input", name, word)
		}
		for _, line := range natsCommand.FindAllString(text, -1) {
			for _, variable := range []string{"DROVER_NODE_PASSWORD", "DROVER_WORKER_PASSWORD", "DROVER_OPERATOR_PASSWORD"} {
				if !strings.Contains(line, variable+"=") {
					fault("%s: %s is missing before nats-server, whose file needs it", name, variable)
				}
			}
		}
		for _, part := range paragraph.Split(text, -1) { // deploy/nats/tls.conf has the server ask for a certificate
			if !strings.Contains(part, "NATS_URL=tls://nats") || !strings.Contains(part, "drover run") && !strings.Contains(part, "drover worker") && !strings.Contains(part, "[Service]") {
				continue
			}
			for _, variable := range []string{"DROVER_NATS_TLS_CA_FILE", "DROVER_NATS_TLS_CERT_FILE", "DROVER_NATS_TLS_KEY_FILE"} {
				if !strings.Contains(part, variable+"=") {
					fault("%s: %s is missing in: %s", name, variable, strings.TrimSpace(part))
				}
			}
		}
	}
	pods, words := podsInWords.FindStringSubmatch(files["docs/deploy.md"]), map[string]int{"one": 1, "two": 2, "three": 3}
	var values struct{ Replicas int }
	if err := yaml.Unmarshal([]byte(files["deploy/helm/drover/values.yaml"]), &values); err != nil || pods == nil || words[pods[1]] != values.Replicas {
		fault("docs/deploy.md: %s pods, and the chart's replicas are %d (%v)", at(pods, 1), values.Replicas, err)
	}
	said, share := shareInWords.FindStringSubmatch(files["docs/operations.md"]), shareOfLimit.FindStringSubmatch(files["cmd/drover/memory.go"])
	is, _ := strconv.ParseFloat(at(share, 1), 64) // which is 0 where there is none
	if at(said, 1) != fmt.Sprintf("%.0f", is*100) {
		fault("docs/operations.md: %s %% of the memory, and cmd/drover/memory.go has %v", at(said, 1), is)
	}
	if !strings.Contains(files["docs/deploy.md"], "exit code 1\nok\n") || !strings.Contains(files["cmd/drover/healthcheck.go"], `"ok")`) {
		fault("docs/deploy.md: drover healthcheck prints something else")
	}
	for _, m := range pemVariable.FindAllStringSubmatch(files["deploy/terraform/examples/complete/variables.tf"], -1) {
		for _, page := range []string{"docs/deploy.md", "deploy/terraform/README.md"} {
			if !strings.Contains(files[page], "TF_VAR_"+m[1]+`="$(cat `) {
				fault("%s: TF_VAR_%s is not set, and Terraform's prompt takes no certificate", page, m[1])
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// composeFaults looks at the words behind docker compose.
func composeFaults(files map[string]string, name, command string, fault func(string, ...any)) {
	rest, ok := strings.CutPrefix(command, composeFile)
	if !ok {
		fault("%s: docker compose %s: name its file, %s", name, command, composeFile)
		return
	}
	var compose struct{ Services map[string]any }
	if err := yaml.Unmarshal([]byte(files["deploy/compose/compose.yaml"]), &compose); err != nil {
		fault("compose.yaml: %v", err)
	}
	words := strings.Fields(strings.Replace(rest, "-f deploy/compose/bot.yaml", "", 1))
	for i, word := range words {
		if i == 0 || strings.HasPrefix(word, "-") || word == "KILL" { // the verb, flags, and the value of one
			continue
		}
		if _, ok := compose.Services[word]; !ok {
			fault("%s: %s is no service of compose.yaml", name, word)
		}
	}
	if slices.Contains(words, "up") && !slices.Contains(words, "--build") {
		fault("%s: docker compose %s: without --build it is the image of before", name, command)
	}
}

// at is an element of what a pattern has found.
func at(found []string, i int) string {
	if i < len(found) {
		return found[i]
	}
	return "nothing"
}
