package deploy

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a collector says to this configuration is seen by `make collector-check`, which builds one.
func TestCollector_takes_OTLP_both_ways_and_serves_names_as_they_are(t *testing.T) {
	type pipeline struct{ Receivers, Processors, Exporters []string }
	var c struct {
		Receivers struct {
			OTLP struct {
				Protocols map[string]struct{ Endpoint string }
			} `yaml:"otlp"`
		}
		Processors map[string]any
		Exporters  map[string]map[string]any
		Service    struct{ Pipelines map[string]pipeline }
	}
	read(t, "otel/collector.yaml", &c)
	port := func(endpoint string) string {
		t.Helper()
		m := regexp.MustCompile(`^\$\{env:[A-Z_]+:-(.+)\}$`).FindStringSubmatch(endpoint)
		if m == nil {
			t.Fatalf("got the endpoint %q, want one that the environment can change", endpoint)
		}
		_, port, err := net.SplitHostPort(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	for protocol, want := range map[string]string{"grpc": "4317", "http": "4318"} {
		if got := port(c.Receivers.OTLP.Protocols[protocol].Endpoint); got != want {
			t.Errorf("%s: got port %s, want OTLP's own, %s", protocol, got, want)
		}
	}
	prometheus := c.Exporters["prometheus"]
	endpoint, _ := prometheus["endpoint"].(string)
	if got := port(endpoint); got != "9464" || !strings.Contains(text(t, "../docs/monitoring.md"), "port "+got) {
		t.Errorf("got port %s for Prometheus, want 9464 as docs/monitoring.md says", got)
	}
	if got := prometheus["translation_strategy"]; got != "UnderscoreEscapingWithoutSuffixes" {
		t.Errorf("got translation %v: the names in docs/metrics.md would change", got)
	}
	for signal, exporter := range map[string]string{"metrics": "prometheus", "traces": "debug", "logs": "debug"} {
		p := c.Service.Pipelines[signal]
		if !slices.Equal(p.Receivers, []string{"otlp"}) || !slices.Contains(p.Exporters, exporter) {
			t.Errorf("%s: got %+v, want from otlp to %s", signal, p, exporter)
		}
		manifest := text(t, "otel/manifest.yaml")
		for _, name := range slices.Concat(p.Processors, p.Exporters, p.Receivers) {
			part := regexp.MustCompile(`/` + name + `(receiver|processor|exporter) v`)
			if !part.MatchString(manifest) {
				t.Errorf("%s: the manifest has no %s", signal, name)
			}
		}
		for _, name := range p.Processors {
			if _, ok := c.Processors[name]; !ok {
				t.Errorf("%s: the processor %s is not configured", signal, name)
			}
		}
	}
}
