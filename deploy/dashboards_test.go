package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"drover/system/process"
	"drover/system/telemetry"
)

// panel is one query of a dashboard.
type panel struct{ dashboard, title, expr string }

// panels reads the queries out of the files that users import.
func panels(t testing.TB) (out []panel) {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("got the dashboards %v, %v, want at least three", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				out = append(out, panel{filepath.Base(file), p.Title, q.Expr})
			}
		}
	}
	return out
}

// asked is the query with the dashboard's variables as Grafana would fill them in.
func (p panel) asked() string {
	return strings.NewReplacer("$job", "bot", "$node", ".*", "$__rate_interval", "10s").Replace(p.expr)
}

func TestDashboards_show_data_in_every_panel(t *testing.T) {
	t.Parallel()
	var exprs []string
	for _, p := range panels(t) {
		exprs = append(exprs, p.asked())
	}
	nats := startNATS(t)
	sim := startSimulator(t, "--shards", "6", "--rate", "400", "--max-concurrency", "6")
	nodes := map[string]*running{}
	var targets []*running
	for _, name := range []string{"stays", "leaves", "dies"} {
		nodes[name] = startNode(t, name, sim, nats, "DROVER_POOL_SIZE=1", "DROVER_PUBLISH_WINDOW=32", "DROVER_PUBLISH_ACK_TIMEOUT=300ms",
			"DROVER_SPOOL_MAX_BYTES=1MiB", "DROVER_BACKPRESSURE_SHED=GUILD_MEMBER_ADD")
		targets = append(targets, nodes[name])
	}
	for _, n := range targets {
		n.awaitReady()
	}
	p := startPrometheus(t, map[string][]*running{"bot": targets}, "")
	holds := func(n *running, what, pattern string) {
		t.Helper()
		await(t, what, func() (bool, string) {
			_, body := n.get("/metrics")
			return regexp.MustCompile(pattern).MatchString(body), "/metrics of " + n.command.Name + " has no " + pattern
		})
	}
	each := func(what, pattern string) {
		for _, n := range targets {
			holds(n, what, pattern)
		}
	}
	each("pools at every node", `(?m)^gateway_lease_held [1-9]`)

	// Everything that a panel counts has to happen once, where it is seen: "stays" lives to the end.
	sim.fault("close", `{"code":4000}`)
	each("connections closed", `gateway_errors_total\{error_type="close_4000"`)
	sim.fault("refuse-dials", `{"host":"both","mode":"503","count":-1}`)
	sim.fault("drop", `{}`)
	each("dials that fail, one after another", `gateway_errors_total\{error_type="dial".*\} ([3-9]|[1-9][0-9])`)
	sim.fault("clear", `{}`)
	each("all shards connected", `(?m)^gateway_shard_state\{state="ready"\} 2`)
	sim.fault("jump", `{"n":3}`)
	each("jumps", `(?m)^gateway_sequence_gaps_total\{.*\} [1-9]`)
	sim.fault("giant-guild", `{"n":9}`)
	each("oversize", `gateway_oversize_events_total\{`)
	sim.fault("invalidate", `{"resumable":false}`)
	each("gaps", `(?m)^gateway_session_gaps_total\{.*\} [1-9]`)
	each("connected again", `(?m)^gateway_shard_state\{state="ready"\} [1-9]`)
	sim.fault("rate", `{"rate":0}`) // a shard whose next event may not be shed would wait, and shed nothing
	nats.Signal(process.Freeze)
	large := fmt.Sprintf(`{"t":"GUILD_MEMBER_ADD","d":{"guild_id":"1","wool":%q}}`, strings.Repeat("b", 50_000))
	shed := regexp.MustCompile(`gateway_shed_events_total\{`)
	await(t, "events shed", func() (bool, string) {
		sim.fault("dispatch", large)
		for _, n := range targets {
			if _, body := n.get("/metrics"); !shed.MatchString(body) {
				return false, "none at " + n.command.Name
			}
		}
		return true, ""
	})
	each("leases run out", `(?m)^gateway_lease_ran_out_total [1-9]`)
	nats.Signal(process.Thaw)
	sim.fault("rate", `{"rate":400}`)
	each("attempts to publish that had failed", `(?m)^gateway_route_failures_total [1-9]`)
	for _, n := range targets {
		n.awaitReady()
	}
	nodes["leaves"].stopped()
	nodes["dies"].Kill()
	holds(nodes["stays"], "all pools at the node that stays", `(?m)^gateway_lease_held 6`)

	await(t, "data in every panel", func() (bool, string) {
		missing := p.without(exprs)
		return len(missing) == 0, "there is none for\n" + strings.Join(missing, "\n")
	})
	t.Run("and_a_wrong_name_is_found", func(t *testing.T) {
		wrong := strings.Replace(exprs[0], "gateway_", "gatewy_", 1)
		if got := p.without(append([]string{wrong}, exprs[1:]...)); !slices.Contains(got, wrong) {
			t.Errorf("got %q, want %q: no such metric exists", got, wrong)
		}
		if got := p.without([]string{"sum("}); len(got) != 1 {
			t.Errorf("got %q, want the query that is none", got)
		}
	})
}

// metric is a name in an expression. What stands before a brace, a bracket or an operator and is no function.
var metric = regexp.MustCompile(`\b(?:gateway|go|process)_[a-zA-Z0-9_]+`)

// strangers are names of drover's own metrics that no instrument has.
func strangers(expr string) (out []string) {
	known := map[string]bool{}
	for _, i := range telemetry.Instruments {
		known[i.Name] = i.Kind != telemetry.Histogram
		if i.Kind == telemetry.Histogram {
			known[i.Name+"_bucket"], known[i.Name+"_count"], known[i.Name+"_sum"] = true, true, true
		}
	}
	for _, name := range metric.FindAllString(expr, -1) {
		if strings.HasPrefix(name, "gateway_") && !known[name] {
			out = append(out, name)
		}
	}
	return out
}

func TestDashboards_name_only_metrics_that_exist(t *testing.T) {
	for _, p := range panels(t) {
		if got := strangers(p.expr); len(got) > 0 {
			t.Errorf("%s, %q: docs/metrics.md has no %v", p.dashboard, p.title, got)
		}
		if len(metric.FindAllString(p.expr, -1)) == 0 {
			t.Errorf("%s, %q: %s names no metric of drover", p.dashboard, p.title, p.expr)
		}
		// What invents data would hide a name that does not exist.
		if strings.Contains(p.expr, "vector(") || strings.Contains(p.expr, "absent") {
			t.Errorf("%s, %q: %s always has data", p.dashboard, p.title, p.expr)
		}
	}
	if got := strangers(`rate(gateway_events_got_total[5m]) / gateway_event_route_duration_seconds`); len(got) != 2 {
		t.Errorf("got %v, want the name that does not exist and the histogram without _bucket", got)
	}
}
