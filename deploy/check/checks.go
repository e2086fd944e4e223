package main

import "strings"

// checks are all artefacts, in the table's order. Where two of them compile much, they stand apart: two run side by side.
var checks = []check{
	{
		artefact: "docker, Dockerfile", how: "BuildKit's parser and linter, and promises; broken copies",
		command: "deploy/docker/check --quick", quick: "deploy/docker/check --quick",
	},
	{
		artefact: "docker, image", how: "buildah, offline, on a stand-in for the Go image; runc as uid 1001 on a read-only root; SIGTERM",
		command: "deploy/docker/check",
	},
	{
		artefact: "compose", how: "the compose library, and rules; broken copies",
		command: "deploy/compose/check", quick: "deploy/compose/check",
	},
	{
		artefact: "stack", how: "compose.yaml's services as plain processes; nodes killed, everything compared",
		command: "deploy/compose/check stack", quick: "deploy/compose/check stack --quick",
	},
	{
		artefact: "helm, chart", how: "helm lint, and template over a matrix of values; values that must be refused",
		command: "deploy/helm/check lint", quick: "deploy/helm/check lint",
	},
	{
		artefact: "helm, manifests", how: "strict decoding with Kubernetes' types, rules, keys against drover's; broken copies",
		command: "deploy/helm/check manifests", quick: "deploy/helm/check manifests",
	},
	{
		artefact: "helm, API server", how: "a real kube-apiserver, controllers and etcd; dry run and roll-outs under Pod Security restricted",
		command: "deploy/helm/check apiserver",
	},
	{
		artefact: "terraform", how: "fmt, validate and test with a schema-only provider; broken copies; the rendered files by the real programs",
		command: "deploy/terraform/check", quick: "deploy/terraform/check --quick",
	},
	{
		artefact: "systemd", how: "systemd-analyze verify and security; broken units; drover under the unit's own filter",
		command: "deploy/systemd/check", quick: "deploy/systemd/check --quick",
	},
	{
		artefact: "release", how: "built twice, in two places, byte for byte the same; looked at from outside; broken ones",
		command: "deploy/release/check", quick: "deploy/release/check --quick",
	},
	{
		artefact: "ci.yml", how: "actionlint, shellcheck, and its checkout run; broken copies",
		command: "deploy/release/check workflow", quick: "deploy/release/check workflow --quick",
	},
	{
		artefact: "nats", how: "stock nats-server: users, TLS, three servers with the leader killed",
		command: packages("initdb:postgresql", "pgbouncer:pgbouncer") + goTests("./cmd/drover", "TestAccounts", "TestSecured", "TestRun_says_which_subject"),
	},
	{
		artefact: "postgres, pgbouncer", how: "Debian's servers: attacks, migrations, plans, a restored backup",
		command: packages("initdb:postgresql", "pgbouncer:pgbouncer") +
			goTests("./deploy/postgres", "Test", "TestAttacks", "TestTraps", "TestMigrate", "TestExplain", "TestBackup", "TestRetention"),
	},
	{
		artefact: "dashboards, alerts", how: "Debian's Prometheus scrapes drover while faults are injected; promtool",
		command: packages("prometheus:prometheus", "promtool:prometheus") + goTests("./deploy", "Test", "TestDashboards", "TestAlerts", "TestCollector", "TestWorkflow"),
	},
	{
		artefact: "otel", how: "a real collector, built from its manifest, is sent a metric and a span",
		command: `deploy/otel/check "$TOOLS"`,
	},
}

// packages has the commands installed that tests would be skipped without.
func packages(pairs ...string) string { return "./.ci/packages " + strings.Join(pairs, " ") + " && " }

// goTests has gotest run the tests of a package whose names begin so ("Test" is all of them). It wants at least one of each.
func goTests(pkg string, names ...string) string {
	return `"$CHECK" gotest ` + pkg + " " + strings.Join(names, " ")
}
