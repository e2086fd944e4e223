package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// breakage is one way to spoil the rendering of everything.yaml: in the document of a kind, old becomes new, and the words must be said.
type breakage struct {
	name, kind, old, new, says string
}

const set = "StatefulSet"

var breakages = []breakage{
	{"a number as text", set, "replicas: 5", `replicas: "5"`, "cannot unmarshal string"},
	{"a field that does not exist", set, "podManagementPolicy:", "podManagmentPolicy:", "unknown field"},
	{"a key twice", set, "replicas: 5", "replicas: 5\n  replicas: 5", "already set"},
	{"liveness that asks for readiness", set, "livenessProbe:\n          httpGet: {path: /health", "livenessProbe:\n          httpGet: {path: /ready", "liveness does not ask for /health"},
	{"readiness at a path of others", set, "path: /ready", "path: /healthz", "readiness does not ask for /ready"},
	{"no startup probe", set, "startupProbe:\n          httpGet: {path: /health, port: http}", "startupProbe:\n          tcpSocket: {port: http}", "startup does not ask"},
	{"a grace period as long as the drain", set, "terminationGracePeriodSeconds: 103", "terminationGracePeriodSeconds: 93", "grace period is not 5s longer"},
	{"a shell before the stop", set, "sleep:\n              seconds: 3", "exec: {command: [sleep, '3']}", "an image that has nothing to run"},
	{"root", set, "runAsUser: 1001", "runAsUser: 0", "does not run as user"},
	{"a root file system to write to", set, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can be written"},
	{"more privileges", set, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "more privileges"},
	{"a capability", set, "drop: [ALL]", "drop: [NET_RAW]", "keeps capabilities"},
	{"no seccomp", set, "type: RuntimeDefault", "type: Unconfined", "seccomp is not RuntimeDefault"},
	{"the machine's network", set, "enableServiceLinks: false", "enableServiceLinks: false\n      hostNetwork: true", "shares namespaces"},
	{"a token of Kubernetes", set, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "a token of Kubernetes is mounted"},
	{"variables of services", set, "enableServiceLinks: false", "enableServiceLinks: true", "look like drover's own"},
	{"a variable that drover does not know", set, "name: DROVER_NATS_PASSWORD", "name: DROVER_NATS_PASWORD", "DROVER_NATS_PASWORD is no variable"},
	{"a token in plain text", set, "name: DROVER_DISCORD_TOKEN\n            valueFrom:\n              secretKeyRef:\n                name: drover-discord\n                key: token",
		"name: DROVER_DISCORD_TOKEN\n            value: abc", "DROVER_DISCORD_TOKEN is a secret"},
	{"a token in the configuration", "ConfigMap", "discord:\n", "discord:\n      token: abc\n", "discord.token stands there in plain text"},
	{"a password in an address", "ConfigMap", "url: tls://", "url: tls://me:secret@", "a user with a password"},
	{"a key that drover does not know", "ConfigMap", "window: 4096", "windows: 4096", "publish.windows"},
	{"a value that drover refuses", "ConfigMap", "window: 4096", "window: 0", "publish.window"},
	{"a file that is not mounted", set, "path: nats.tls.ca_file", "path: ca_file", "which no Secret is mounted at"},
	{"the configuration by subPath", set, "mountPath: /etc/drover\n", "mountPath: /etc/drover\n          subPath: x\n", "mounted by subPath"},
	{"a volume without room", set, "storage: 4Gi", "storage: 2Gi", "and half as much again"},
	{"the volume at another place", set, "mountPath: /var/lib/drover", "mountPath: /data", "can be written as well"},
	{"volumes that go with the set", set, "whenDeleted: Retain", "whenDeleted: Delete", "are deleted with it"},
	{"a label in volumes that changes", set, "name: data\n      labels:", "name: data\n      labels:\n        helm.sh/chart: drover-0.1.0", "the next upgrade fail"},
	{"a label of pods that changes", set, "template:\n    metadata:\n      labels:", "template:\n    metadata:\n      labels:\n        helm.sh/chart: drover-0.1.0", "with each new chart"},
	{"one node after the other", set, "podManagementPolicy: Parallel", "podManagementPolicy: OrderedReady", "do not start at once"},
	{"one name for all", "ConfigMap", `node: ""`, "node: a", "cannot share pools"},
	{"more for Go than there is", set, `value: "805306368"`, `value: "1073741824"`, "GOMEMLIMIT is"},
	{"no limit for memory", set, "limits:\n            memory: 1Gi", "limits: {}", "no limit for memory"},
	{"another port", set, "containerPort: 9090", "containerPort: 9091", "not that of http.addr"},
	{"a selector of nothing", "Service", "component: node\n  ports", "component: nodes\n  ports", "selects the pods of 0 workloads"},
	{"an address that is balanced", "Service", "clusterIP: None", "clusterIP: 10.0.0.9", "is not headless"},
	{"a Service without those that are not ready", "Service", "publishNotReadyAddresses: true", "publishNotReadyAddresses: false", "is not headless"},
	{"a budget for other pods", "PodDisruptionBudget", "matchLabels:\n      app.kubernetes.io/name: drover", "matchLabels:\n      app.kubernetes.io/name: other", "0 budgets select it"},
	{"a policy over other pods", "NetworkPolicy", "component: node\n  policyTypes", "component: other\n  policyTypes", "0 policies are over it"},
	{"a door for everybody", "NetworkPolicy", "from:", "xfrom:", "unknown field"},
	{"a door for all addresses", "NetworkPolicy", "    from:\n      - namespaceSelector:\n          matchLabels:\n            kubernetes.io/metadata.name: monitoring\n", "", "lets in more than named pods"},
	{"a way out at one more port", "NetworkPolicy", "- {port: 443, protocol: TCP}", "- {port: 443, protocol: TCP}\n    - {port: 22, protocol: TCP}", "lets out to the ports"},
	{"a way to private addresses", "NetworkPolicy", "          - 10.0.0.0/8\n", "", "leads to 10.0.0.0/8 too"},
	{"a policy about one direction", "NetworkPolicy", "policyTypes: [Ingress, Egress]", "policyTypes: [Egress]", "not about both directions"},
	{"tokens by the ServiceAccount", "ServiceAccount", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "tokens are mounted"},
	{"a worker with the bot's token", "Deployment", "name: DROVER_DATABASE_URL", "name: DROVER_DISCORD_TOKEN", "which it does not need"},
	{"a migration after the release", "Job", "helm.sh/hook: pre-install,pre-upgrade", "helm.sh/hook: post-install", "does not run before the release"},
	{"a migration with no end", "Job", "  backoffLimit: 3\n", "", "it has no end"},
	{"metrics at another path", "ServiceMonitor", "path: /metrics", "path: /metric", "does not ask for /metrics"},
	{"a field that a ServiceMonitor has not", "ServiceMonitor", "path: /metrics", "paths: /metrics", "unknown field"},
	{"an alert that is another", "PrometheusRule", "for: 2m", "for: 20m", "is not deploy/alerts/drover.yaml"},
	{"a way out without a destination", "NetworkPolicy", "    to:\n      - ipBlock:\n          cidr: 10.1.2.0/24\n", "", "lets out to every address"},
	{"a destination that names nothing", "NetworkPolicy", "- ipBlock:\n          cidr: 10.1.2.0/24\n", "- {}\n", "lets out to every address"},
	{"a source that names nothing", "NetworkPolicy", "- namespaceSelector:\n          matchLabels:\n            kubernetes.io/metadata.name: monitoring\n", "- {}\n", "lets in more than named pods"},
	{"a database on the internet", "NetworkPolicy", "cidr: 10.1.2.0/24", "cidr: 0.0.0.0/0", "leads to public addresses"},
	{"somebody who reaches a job", "NetworkPolicy", "component: retention\n  policyTypes: [Ingress, Egress]\n  ingress: [] # nobody; a rule without sources would be everybody", "component: retention\n  policyTypes: [Ingress, Egress]\n  ingress: [{}]", "nobody has to reach a job"},
	{"a CA that is not mounted", "Job", "path: database.ca", "path: ca", "PGSSLROOTCERT names"},
	{"the database's CA for nodes", set, "name: GOMEMLIMIT\n            value: \"805306368\"", "name: PGSSLROOTCERT\n            value: /etc/drover-secrets/nats.tls.ca_file", "it gets PGSSLROOTCERT"},
	{"retention as root", "CronJob", "runAsUser: 1001", "runAsUser: 0", "does not run as user"},
	{"two retentions at once", "CronJob", "concurrencyPolicy: Forbid", "concurrencyPolicy: Allow", "two may run at once"},
	{"a retention without an end", "CronJob", "activeDeadlineSeconds: 3600", "parallelism: 1", "it has no end"},
	{"a flag that drover has not", "CronJob", "--event-days", "--events-days", "does not take its arguments"},
	{"a retention with the bot's token", "CronJob", "name: DROVER_DATABASE_MIGRATE_URL", "name: DROVER_DISCORD_TOKEN", "which it does not need"},
	{"a consumer before the nodes", "Job", "helm.sh/hook: post-install,post-upgrade", "helm.sh/hook: pre-install", "does not run after the nodes"},
	{"a consumer that is not the workers'", "ConfigMap", "batch: 512", "batch: 256", "at the workers"},
	{"a Secret in the chart", "ServiceAccount", "apiVersion: v1", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---\napiVersion: v1", "no rule knows *v1.Secret"},
}

// breakAll spoils the rendering in each way, and wants that said. It returns how many were refused.
func breakAll(t tools, k keys) (int, error) {
	text, err := helmTemplate(t, t.chart(), "-f", filepath.Join(t.root, "deploy/helm/testdata/values/everything.yaml"))
	if err != nil {
		return 0, err
	}
	var wrong []string
	for _, b := range breakages {
		spoilt, ok := spoil(string(text), b)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: there is no %q in a %s any more", b.name, b.old, b.kind))
			continue
		}
		said := judge(t, k, spoilt)
		if !strings.Contains(said, b.says) {
			wrong = append(wrong, fmt.Sprintf("%s is not refused with %q, but: %q", b.name, b.says, said))
			continue
		}
		fmt.Println("refused:", b.name)
	}
	if len(wrong) > 0 {
		return 0, fmt.Errorf("  - %s", strings.Join(wrong, "\n  - "))
	}
	return len(breakages), nil
}

// spoil changes the first document of the kind that has what is to be changed.
func spoil(text string, b breakage) (string, bool) {
	docs := strings.Split(text, "\n---\n")
	for i, doc := range docs {
		if strings.Contains("\n"+doc, "\nkind: "+b.kind+"\n") && strings.Contains(doc, b.old) {
			docs[i] = strings.Replace(doc, b.old, b.new, 1)
			return strings.Join(docs, "\n---\n"), true
		}
	}
	return "", false
}

// judge is all that is said about a rendering.
func judge(t tools, k keys, text string) string {
	m, err := decode([]byte(text), k)
	if err != nil {
		return err.Error()
	}
	wrong := m.check()
	if len(wrong) == 0 { // drover is asked where nothing else has anything to say
		wrong = readByDrover(t, m)
	}
	return strings.Join(wrong, "\n")
}
