package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is what `go list -json` says about one package.
type listed struct {
	ImportPath string
	Imports    []string // without those of tests
	Deps       []string
}

// rule is one sentence about imports. .golangci.yml holds the same sentences
// for the editor; this test holds them even where no linter is installed.
type rule struct {
	sentence string
	of       func(pkg string) bool // which packages it binds
	allowed  func(imported string) bool
}

var rules = []rule{
	{
		"messages imports the standard library only",
		is("drover/messages"), standard,
	},
	{
		"config imports nothing of ours",
		is("drover/config"), not(ours),
	},
	{
		"config is imported by cmd/drover and system only",
		not(is("drover/system", "drover/cmd/drover")), not(is("drover/config")),
	},
	{
		"actors imports only messages, system/gateway and system/telemetry of ours",
		is("drover/actors"), either(not(ours), is("drover/messages", "drover/system/gateway", "drover/system/telemetry")),
	},
	{
		"gatewaysim imports only messages and system/gateway of ours",
		is("drover/system/gatewaysim"), either(not(ours), is("drover/messages", "drover/system/gateway")),
	},
	{
		"leaf packages (system/…) import of ours only messages, never system, actors, config or one another",
		func(pkg string) bool {
			return strings.HasPrefix(pkg, "drover/system/") &&
				!is("drover/system/gatewaysim", "drover/system/audit", "drover/system/bench", "drover/system/store", "drover/system/localdb", "drover/system/worker")(pkg)
		},
		either(not(ours), is("drover/messages")),
	},
	{
		"worker imports only messages and system/store of ours",
		is("drover/system/worker"), either(not(ours), is("drover/messages", "drover/system/store")),
	},
	{
		"store and localdb import only messages and deploy of ours",
		is("drover/system/store", "drover/system/localdb"), either(not(ours), either(is("drover/messages"), within("drover/deploy"))),
	},
	{
		"system/localdb is imported by cmd/drover, the load test and tests only",
		not(is("drover/cmd/drover", "drover/deploy/k6")), not(is("drover/system/localdb")),
	},
	{
		"system/simtime is imported by tests only",
		func(string) bool { return true }, not(is("drover/system/simtime")),
	},
	{
		"go-systemd is for cmd/drover",
		not(is("drover/cmd/drover")), not(within("github.com/coreos/go-systemd")),
	},
	{
		"pgx is for system/store and system/localdb",
		not(is("drover/system/store", "drover/system/localdb")), not(within("github.com/jackc/pgx")),
	},
	{
		"goose is for system/store",
		not(is("drover/system/store")), not(within("github.com/pressly/goose")),
	},
	{
		"audit imports only messages, system/gatewaysim, system/process and system/stream of ours",
		is("drover/system/audit"), either(not(ours), is("drover/messages", "drover/system/gatewaysim", "drover/system/process", "drover/system/stream")),
	},
	{
		"audit is imported by cmd/drover only",
		not(is("drover/cmd/drover")), not(is("drover/system/audit")),
	},
	{
		"bench imports only messages and system/process of ours",
		is("drover/system/bench"), either(not(ours), is("drover/messages", "drover/system/process")),
	},
	{
		"bench is imported by cmd/drover only",
		not(is("drover/cmd/drover")), not(is("drover/system/bench")),
	},
	{
		"process is imported by audit and bench only",
		not(is("drover/system/audit", "drover/system/bench")), not(is("drover/system/process")),
	},
	{
		"system/gatewaysim is imported by cmd/drover, system/audit and tests only",
		not(is("drover/cmd/drover", "drover/system/audit")), not(is("drover/system/gatewaysim")),
	},
	{
		"actors is imported by system only",
		not(is("drover/system")), not(is("drover/actors")),
	},
	{
		"nobody imports cmd/drover", all, not(is("drover/cmd/drover")),
	},
	{
		"protoactor-go is for actors and system",
		not(is("drover/actors", "drover/system")), not(within("github.com/asynkron/protoactor-go")),
	},
	{
		"the WebSocket library is for system/gateway and system/gatewaysim",
		not(is("drover/system/gateway", "drover/system/gatewaysim")),
		not(within("github.com/gobwas/ws", "github.com/coder/websocket", "github.com/gorilla/websocket")),
	},
	{
		"discordgo is for system/gateway, and for the bot of system/bench",
		not(is("drover/system/gateway", "drover/system/bench")), not(within("github.com/bwmarrin/discordgo")),
	},
	{
		"NATS is for system/stream, system/cluster, system/worker and system/bench",
		not(either(example, is("drover/system/stream", "drover/system/cluster", "drover/system/worker", "drover/system/bench"))), not(within("github.com/nats-io")),
	},
	{
		"bbolt is for system/stream",
		not(is("drover/system/stream")), not(within("go.etcd.io/bbolt")),
	},
	{
		"OpenTelemetry and Prometheus are for system/telemetry",
		not(either(example, is("drover/system/telemetry"))), not(within("go.opentelemetry.io", "github.com/prometheus")),
	},
	{
		"examples import nothing of ours",
		example, not(ours),
	},
	{
		"viper is for config",
		not(is("drover/config")), not(within("github.com/spf13/viper")),
	},
	{
		"cobra is for cmd/drover",
		not(is("drover/cmd/drover")), not(within("github.com/spf13/cobra")),
	},
}

func TestImports_follow_the_rules(t *testing.T) {
	packages := goList(t, "./...")
	if len(packages) < 3 {
		t.Fatalf("got %d packages, want the whole module", len(packages))
	}
	for _, p := range packages {
		for _, r := range rules {
			if !r.of(p.ImportPath) {
				continue
			}
			for _, imported := range p.Imports {
				if !r.allowed(imported) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.sentence)
				}
			}
		}
	}
}

// What reaches a leaf by a detour counts too.
func TestImports_of_messages_are_the_standard_library_to_the_ground(t *testing.T) {
	for _, p := range goList(t, "./messages") {
		for _, dep := range p.Deps {
			if !standard(dep) && dep != "drover/messages" {
				t.Errorf("messages depends on %s", dep)
			}
		}
	}
}

func TestLayout_has_no_package_without_a_subject(t *testing.T) {
	for _, p := range goList(t, "./...") {
		name := p.ImportPath[strings.LastIndexByte(p.ImportPath, '/')+1:]
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types"}, name) || p.ImportPath == "drover" {
			t.Errorf("package %s: there are no packages util, common, helpers or types, and none at the root", p.ImportPath)
		}
	}
}

// Two names are bound more tightly than their package.
func TestLayout_actor_names_stay_in_their_packages(t *testing.T) {
	tests := []struct{ name, home string }{
		{"actor.Context", "actors"},
		{"actor.NewActorSystem", "system"},
	}
	for _, tt := range tests {
		uses := 0
		for _, dir := range []string{"actors", "system", "cmd/drover"} {
			files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(file, "_test.go") || !strings.Contains(string(text), tt.name) {
					continue
				}
				uses++
				if dir != tt.home {
					t.Errorf("%s: %s stands in %s only", file, tt.name, tt.home)
				}
			}
		}
		if uses == 0 {
			t.Errorf("%s is used nowhere: is this test still about something?", tt.name)
		}
	}
}

// A rule that can never fail is no rule: each one must refuse something.
func TestImports_rules_have_teeth(t *testing.T) {
	tests := []struct{ pkg, imported string }{
		{"drover/messages", "github.com/x/y"},
		{"drover/config", "drover/messages"},
		{"drover/system/web", "drover/config"},
		{"drover/actors", "drover/system/stream"},
		{"drover/system/gatewaysim", "drover/system/stream"},
		{"drover/system/web", "drover/system/stream"},
		{"drover/system/worker", "drover/system/stream"},
		{"drover/system/store", "drover/system/worker"},
		{"drover/system", "drover/system/localdb"},
		{"drover/system", "drover/system/simtime"},
		{"drover/system", "github.com/coreos/go-systemd/v22/daemon"},
		{"drover/system/worker", "github.com/jackc/pgx/v5"},
		{"drover/system/localdb", "github.com/pressly/goose/v3"},
		{"drover/system/audit", "drover/system"},
		{"drover/system", "drover/system/audit"},
		{"drover/system/bench", "drover/system/stream"},
		{"drover/system", "drover/system/bench"},
		{"drover/system/stream", "drover/system/process"},
		{"drover/system", "drover/system/gatewaysim"},
		{"drover/cmd/drover", "drover/actors"},
		{"drover/system", "drover/cmd/drover"},
		{"drover/system/web", "github.com/asynkron/protoactor-go/actor"},
		{"drover/actors", "github.com/gobwas/ws/wsutil"},
		{"drover/actors", "github.com/bwmarrin/discordgo"},
		{"drover/actors", "github.com/nats-io/nats.go/jetstream"},
		{"drover/system/cluster", "go.etcd.io/bbolt"},
		{"drover/system/web", "github.com/prometheus/client_golang/prometheus/promhttp"},
		{"drover/docs/examples/worker", "drover/messages"},
		{"drover/cmd/drover", "github.com/spf13/viper"},
		{"drover/system", "github.com/spf13/cobra"},
	}
	if len(tests) != len(rules) {
		t.Fatalf("got %d examples for %d rules", len(tests), len(rules))
	}
	for i, tt := range tests {
		if r := rules[i]; !r.of(tt.pkg) || r.allowed(tt.imported) {
			t.Errorf("%s may import %s, against: %s", tt.pkg, tt.imported, r.sentence)
		}
	}
}

// goList asks the Go command; packages that do not compile yet are listed too.
func goList(t *testing.T, pattern string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,Deps", pattern)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func all(string) bool { return true }

func is(names ...string) func(string) bool {
	return func(pkg string) bool { return slices.Contains(names, pkg) }
}

// within is true for modules and everything below them.
func within(modules ...string) func(string) bool {
	return func(pkg string) bool {
		return slices.ContainsFunc(modules, func(m string) bool { return pkg == m || strings.HasPrefix(pkg, m+"/") || strings.HasPrefix(pkg, m+".") })
	}
}

func not(f func(string) bool) func(string) bool { return func(pkg string) bool { return !f(pkg) } }

func either(f, g func(string) bool) func(string) bool {
	return func(pkg string) bool { return f(pkg) || g(pkg) }
}

// example packages are for users to copy.
func example(pkg string) bool { return strings.HasPrefix(pkg, "drover/docs/examples/") }

func ours(pkg string) bool { return pkg == "drover" || strings.HasPrefix(pkg, "drover/") }

// standard packages have no dot in their first element.
func standard(pkg string) bool {
	head, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(head, ".") && !ours(pkg)
}
