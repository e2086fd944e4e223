package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alert is a rule as Prometheus reads it.
type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// alerts reads the rules that users load.
func alerts(t testing.TB) (out []alert) {
	t.Helper()
	files, err := filepath.Glob("alerts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got the files %v, %v, want some", files, err)
	}
	for _, file := range files {
		var f struct{ Groups []struct{ Rules []alert } }
		read(t, file, &f)
		for _, g := range f.Groups {
			out = append(out, g.Rules...)
		}
	}
	return out
}

func read(t testing.TB, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

const runbook = "https://github.com/drover-gateway/drover/blob/main/docs/runbook.md#"

func TestAlerts_say_what_is_wrong_and_where_to_read_on(t *testing.T) {
	headings := map[string]string{} // text below each, by anchor
	name := ""
	for line := range strings.Lines(text(t, "../docs/runbook.md")) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			name = strings.TrimSpace(heading)
			continue
		}
		headings[name] += line
	}
	overview := text(t, "../docs/monitoring.md")
	var names []string
	for _, a := range alerts(t) {
		if slices.Contains(names, a.Alert) {
			t.Errorf("%s stands there twice", a.Alert)
		}
		names = append(names, a.Alert)
		if a.Labels["severity"] != "critical" && a.Labels["severity"] != "warning" {
			t.Errorf("%s: got severity %q, want critical or warning", a.Alert, a.Labels["severity"])
		}
		if a.Annotations["summary"] == "" || !strings.HasSuffix(a.Annotations["description"], ".") {
			t.Errorf("%s: got summary %q and description %q, want both", a.Alert, a.Annotations["summary"], a.Annotations["description"])
		}
		if got, want := a.Annotations["runbook_url"], runbook+strings.ToLower(a.Alert); got != want {
			t.Errorf("%s: got the runbook %q, want %q", a.Alert, got, want)
		}
		for _, part := range []string{"**Means.**", "**Look at.**", "**Do.**"} {
			if !strings.Contains(headings[a.Alert], part) {
				t.Errorf("docs/runbook.md: %s has no %s", a.Alert, part)
			}
		}
		delete(headings, a.Alert)
		row := fmt.Sprintf("| [%s](runbook.md#%s) | %s | %s |", a.Alert, strings.ToLower(a.Alert), a.Labels["severity"], after(a.For))
		if !strings.Contains(overview, row) {
			t.Errorf("docs/monitoring.md has no row %q", row)
		}
		if got := strangers(a.Expr); len(got) > 0 {
			t.Errorf("%s: docs/metrics.md has no %v", a.Alert, got)
		}
	}
	for heading := range headings {
		if strings.HasPrefix(heading, "Drover") {
			t.Errorf("docs/runbook.md: there is no alert %s", heading)
		}
	}
}

// after is how the docs write an alert's for.
func after(duration string) string {
	if duration == "" {
		return "at once"
	}
	return strings.TrimSuffix(duration, "m") + " min"
}

func text(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Each alert has a case that fires it and one that does not, and promtool finds that they hold.
func TestAlerts_fire_and_do_not_fire_as_promtool_says(t *testing.T) {
	out, err := exec.Command(tool(t, "promtool"), "check", "rules", "alerts/drover.yaml").CombinedOutput()
	if err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	var cases struct {
		Tests []struct {
			Rules []struct {
				Alertname string
				Expected  []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, "alerts/tests/drover.yaml", &cases)
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, r := range c.Rules {
			fires[r.Alertname] = fires[r.Alertname] || len(r.Expected) > 0
			rests[r.Alertname] = rests[r.Alertname] || len(r.Expected) == 0
		}
	}
	for _, a := range alerts(t) {
		if !fires[a.Alert] || !rests[a.Alert] {
			t.Errorf("%s: a case that fires %t, one that does not %t, want both", a.Alert, fires[a.Alert], rests[a.Alert])
		}
	}
	if out, err := exec.Command(tool(t, "promtool"), "test", "rules", "alerts/tests/drover.yaml").CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
	t.Run("and_promtool_would_notice", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "tests"), 0o700); err != nil {
			t.Fatal(err)
		}
		wrong := strings.Replace(text(t, "alerts/drover.yaml"), "expr: gateway_spool_full ==", "expr: gateway_spool_fool ==", 1)
		for name, content := range map[string]string{"drover.yaml": wrong, "tests/drover.yaml": text(t, "alerts/tests/drover.yaml")} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command(tool(t, "promtool"), "test", "rules", filepath.Join(dir, "tests/drover.yaml")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "DroverSpoolFull") {
			t.Errorf("got %v\n%s\nwant that DroverSpoolFull does not fire", err, out)
		}
	})
}

// hurry divides every duration of the rules: their minutes become 2 s each, and a Prometheus that scrapes each 15 s becomes one
// that scrapes each half second. Thresholds stay.
const hurry = 30

var minutes = regexp.MustCompile(`(for: |\[|offset )(\d+)m`)

// hurried is a copy of the rules with the durations divided.
func hurried(t testing.TB) (file string) {
	t.Helper()
	rules := minutes.ReplaceAllStringFunc(text(t, "alerts/drover.yaml"), func(s string) string {
		m := minutes.FindStringSubmatch(s)
		var n int
		if _, err := fmt.Sscan(m[2], &n); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s%ds", m[1], n*60/hurry)
	})
	file = filepath.Join(t.TempDir(), "drover.yaml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAlerts_fire_when_it_happens(t *testing.T) {
	t.Parallel()
	shared, own := startNATS(t), startNATS(t)
	sim := func(args ...string) simulator {
		return startSimulator(t, append([]string{"--max-concurrency", "4"}, args...)...)
	}
	refusing, forgetful := sim("--shards", "2", "--rate", "5"), sim("--shards", "4", "--rate", "5", "--daily-total", "6")
	jobs := map[string][]*running{
		"calm":   {startNode(t, "calm", sim("--shards", "2"), shared, "DROVER_STREAMS_PREFIX=calm")},
		"refuse": {startNode(t, "refuse", refusing, nil)},
		"forget": {startNode(t, "forget", forgetful, nil, "DROVER_IDENTIFY_RESERVE=0")},
		"broker": {startNode(t, "broker", sim("--shards", "2"), own, "DROVER_PUBLISH_WINDOW=32", "DROVER_SPOOL_MAX_BYTES=1MiB")},
		"crash":  {startNode(t, "crash", sim("--shards", "1", "--rate", "5"), nil)},
	}
	pinned := sim("--shards", "2", "--rate", "5")
	for pool := range 2 {
		jobs["pinned"] = append(jobs["pinned"], startNode(t, fmt.Sprintf("pinned-%d", pool), pinned, shared,
			"DROVER_STREAMS_PREFIX=pinned", "DROVER_POOL_SIZE=1", fmt.Sprintf("DROVER_POOL_ID=%d", pool)))
	}
	for _, nodes := range jobs {
		for _, n := range nodes {
			n.awaitReady()
		}
	}
	p := startPrometheus(t, jobs, hurried(t))
	// firing are the alerts of a job that fire.
	firing := func(job string) (names []string) {
		t.Helper()
		found, err := p.ask(fmt.Sprintf(`ALERTS{alertstate="firing", job=%q}`, job))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			names = append(names, s.labels["alertname"])
		}
		return names
	}
	for job, nodes := range jobs {
		await(t, "a scrape of "+job, func() (bool, string) {
			found, err := p.ask(fmt.Sprintf(`gateway_shard_state{job=%q, state="ready"} > 0`, job))
			return err == nil && len(found) == len(nodes), fmt.Sprint(found, err)
		})
		if got := firing(job); len(got) > 0 {
			t.Errorf("got %v of %s before anything happened", got, job)
		}
	}

	refusing.fault("refuse-dials", `{"host":"both","mode":"503","count":-1}`)
	refusing.fault("drop", `{}`)
	forgetful.fault("invalidate", `{"shard":0,"resumable":false}`)
	own.Kill()
	jobs["pinned"][1].Kill()
	for range 3 {
		was, err := p.ask(`process_start_time_seconds{job="crash"}`)
		if err != nil || len(was) != 1 {
			t.Fatalf("got %v, %v, want one process", was, err)
		}
		jobs["crash"][0].Kill()
		jobs["crash"][0].again()
		await(t, "the next process is scraped", func() (bool, string) {
			is, err := p.ask(`process_start_time_seconds{job="crash"}`)
			return err == nil && len(is) == 1 && is[0].value != was[0].value, fmt.Sprint(is, err)
		})
	}
	for _, want := range []struct{ job, alert string }{
		{"refuse", "DroverShardDown"},
		{"forget", "DroverGapDeclared"},
		{"forget", "DroverIdentifyBudgetLow"},
		{"broker", "DroverNATSDisconnected"},
		{"broker", "DroverSpoolFilling"},
		{"pinned", "DroverPoolWithoutHolder"},
		{"crash", "DroverCrashLoop"},
	} {
		await(t, want.alert+" of "+want.job, func() (bool, string) {
			got := firing(want.job)
			return slices.Contains(got, want.alert), fmt.Sprintf("there fires %v", got)
		})
	}
	refusing.fault("clear", `{}`)
	await(t, "the end of DroverShardDown", func() (bool, string) {
		got := firing("refuse")
		return !slices.Contains(got, "DroverShardDown"), fmt.Sprintf("there fires %v", got)
	})
	found, err := p.ask(`count by (alertname) (count_over_time(ALERTS{alertstate="firing", job="calm"}[1h]))`)
	if err != nil || len(found) > 0 {
		t.Errorf("got %v, %v where nothing happened, want no alert", found, err)
	}
}
