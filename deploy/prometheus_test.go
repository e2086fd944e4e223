package deploy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scrapeInterval is how often the tests' Prometheus scrapes and evaluates: 15 s of an ordinary one, divided by hurry.
const scrapeInterval = 500 * time.Millisecond

// prometheus is a real one, as Debian packages it.
type prometheus struct{ *running }

// tool is the path of a program of Debian's package prometheus. Without it the test fails: nothing else would tell that dashboards
// and alerts ask for what does not exist.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s: apt-get install prometheus (make test does it)", name)
	}
	return path
}

// startPrometheus scrapes each job's nodes, and evaluates the rules where there are any.
func startPrometheus(t testing.TB, jobs map[string][]*running, rules string) prometheus {
	t.Helper()
	dir := t.TempDir()
	var c strings.Builder
	fmt.Fprintf(&c, "global: {scrape_interval: %v, scrape_timeout: %v, evaluation_interval: %v}\n", scrapeInterval, scrapeInterval, scrapeInterval)
	if rules != "" {
		fmt.Fprintf(&c, "rule_files: [%q]\n", rules)
	}
	c.WriteString("scrape_configs:\n")
	for job, targets := range jobs {
		var addrs []string
		for _, r := range targets {
			addrs = append(addrs, r.addr)
		}
		list, err := json.Marshal(addrs)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&c, "  - {job_name: %s, static_configs: [{targets: %s}]}\n", job, list)
	}
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := free(t)
	p := prometheus{start(t, "prometheus", addr, nil, tool(t, "prometheus"),
		"--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=warn")}
	await(t, "prometheus", func() (bool, string) {
		code, body := p.get("/-/ready")
		return code == http.StatusOK, body
	})
	return p
}

// series is one series of an answer.
type series struct {
	labels map[string]string
	value  float64
}

// ask evaluates an expression now. An error is what Prometheus has against the expression.
func (p prometheus) ask(expr string) ([]series, error) {
	code, body := p.get("/api/v1/query?query=" + url.QueryEscape(expr))
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, fmt.Errorf("got %d %.300s", code, body)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	var out []series
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, series{r.Metric, value})
	}
	return out, nil
}

// without are those of the expressions for which there is no data: no series, or only ones that are no number.
func (p prometheus) without(exprs []string) (missing []string) {
	for _, expr := range exprs {
		found, err := p.ask(expr)
		if err != nil {
			missing = append(missing, err.Error())
		} else if !slices.ContainsFunc(found, func(s series) bool { return !math.IsNaN(s.value) }) {
			missing = append(missing, expr)
		}
	}
	return missing
}
