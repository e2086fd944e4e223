package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// pairs are where alerts and dashboards are, and where the chart has its copies of them.
var pairs = map[string]string{"deploy/alerts/drover.yaml": "files/alerts", "deploy/dashboards/*.json": "files/dashboards"}

// copies says where the chart's copies of alerts and dashboards are not what the originals are.
func copies(t tools) (wrong []string) {
	for source, folder := range pairs {
		originals, _ := filepath.Glob(filepath.Join(t.root, source))
		there, _ := filepath.Glob(filepath.Join(t.chart(), folder, "*"))
		if len(originals) == 0 || len(originals) != len(there) {
			wrong = append(wrong, fmt.Sprintf("%s has %d files, %s %d: run deploy/helm/check sync", source, len(originals), folder, len(there)))
		}
		for _, original := range originals {
			want, err := os.ReadFile(original)
			got, err2 := os.ReadFile(filepath.Join(t.chart(), folder, filepath.Base(original)))
			if err != nil || err2 != nil || !bytes.Equal(want, got) {
				wrong = append(wrong, fmt.Sprintf("%s/%s is not the original: run deploy/helm/check sync", folder, filepath.Base(original)))
			}
		}
	}
	return wrong
}

// original reads a file of the repository.
func (m *manifests) original(name string) []byte {
	text, err := os.ReadFile(filepath.Join(m.keys.root, name))
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// checkMonitoring: what Prometheus' operator and Grafana are given is what lies in deploy/alerts and deploy/dashboards, and leads to drover.
func (m *manifests) checkMonitoring(bad func(string, ...any)) {
	for _, s := range m.monitors {
		n := 0
		for _, service := range m.services {
			if selects(s.Spec.Selector.MatchLabels, service.Labels) {
				n++
			}
		}
		if n != 1 {
			bad("ServiceMonitor %s: selects %d services", s.Name, n)
		}
		if len(s.Spec.Endpoints) != 1 || s.Spec.Endpoints[0].Path != "/metrics" || s.Spec.Endpoints[0].Port != "http" {
			bad("ServiceMonitor %s: does not ask for /metrics at port http", s.Name)
		}
	}
	for _, r := range m.alerts {
		var want monitoring.PrometheusRuleSpec
		if err := yaml.UnmarshalStrict(m.original("deploy/alerts/drover.yaml"), &want); err != nil {
			bad("deploy/alerts/drover.yaml: %v", err)
		}
		if !reflect.DeepEqual(r.Spec, want) || len(want.Groups) == 0 {
			bad("PrometheusRule %s: is not deploy/alerts/drover.yaml", r.Name)
		}
	}
	for _, c := range m.configMaps {
		if c.Labels["grafana_dashboard"] == "" {
			continue
		}
		want := map[string]string{}
		files, _ := filepath.Glob(filepath.Join(m.keys.root, "deploy/dashboards/*.json"))
		for _, file := range files {
			name := filepath.Base(file)
			want["drover-"+name] = string(m.original("deploy/dashboards/" + name))
		}
		if !maps.EqualFunc(c.Data, want, func(a, b string) bool { return trimmed(a) == trimmed(b) }) {
			bad("ConfigMap %s: has not the dashboards of deploy/dashboards: %v", c.Name, slices.Sorted(maps.Keys(c.Data)))
		}
	}
}

func trimmed(s string) string { return string(bytes.TrimSpace([]byte(s))) }
