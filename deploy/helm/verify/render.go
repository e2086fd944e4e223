package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// manifests is one rendering of the chart.
type manifests struct {
	keys    keys
	objects []runtime.Object

	sets        []*appsv1.StatefulSet
	deployments []*appsv1.Deployment
	jobs        []*batchv1.Job
	crons       []*batchv1.CronJob
	services    []*corev1.Service
	configMaps  []*corev1.ConfigMap
	accounts    []*corev1.ServiceAccount
	budgets     []*policyv1.PodDisruptionBudget
	policies    []*networkv1.NetworkPolicy
	monitors    []*monitoring.ServiceMonitor
	alerts      []*monitoring.PrometheusRule
}

// helmTemplate renders the chart with a file of values.
func helmTemplate(t tools, chart string, args ...string) ([]byte, error) {
	cmd := exec.Command(t.helm, append([]string{"template", "drover", chart, "--kube-version", t.kube}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("helm template: %w\n%s", err, stderr.Bytes())
	}
	return out, nil
}

func render(t tools, k keys, file string) (*manifests, error) {
	text, err := helmTemplate(t, t.chart(), "-f", file)
	if err != nil {
		return nil, err
	}
	return decode(text, k)
}

// decoder refuses fields that do not exist, and values of another type.
var decoder = func() runtime.Decoder {
	s := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(s), monitoring.AddToScheme(s)); err != nil {
		panic(err)
	}
	return serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
}()

// header finds what Helm writes above a document.
var header = regexp.MustCompile(`# Source: (\S+)`)

func decode(text []byte, k keys) (*manifests, error) {
	m := &manifests{keys: k}
	docs := yamlstream.NewYAMLReader(bufioReader(text))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(doc), []byte("---")))) == 0 {
			continue
		}
		var kind *schema.GroupVersionKind
		object, kind, err := decoder.Decode(doc, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", header.Find(doc), err)
		}
		if err := m.add(object); err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
	}
}

// add sorts an object in. A kind that no rule looks at is an error: whoever adds one writes the rules.
func (m *manifests) add(object runtime.Object) error {
	m.objects = append(m.objects, object)
	switch o := object.(type) {
	case *appsv1.StatefulSet:
		m.sets = append(m.sets, o)
	case *appsv1.Deployment:
		m.deployments = append(m.deployments, o)
	case *batchv1.Job:
		m.jobs = append(m.jobs, o)
	case *batchv1.CronJob:
		m.crons = append(m.crons, o)
	case *corev1.Service:
		m.services = append(m.services, o)
	case *corev1.ConfigMap:
		m.configMaps = append(m.configMaps, o)
	case *corev1.ServiceAccount:
		m.accounts = append(m.accounts, o)
	case *policyv1.PodDisruptionBudget:
		m.budgets = append(m.budgets, o)
	case *networkv1.NetworkPolicy:
		m.policies = append(m.policies, o)
	case *monitoring.ServiceMonitor:
		m.monitors = append(m.monitors, o)
	case *monitoring.PrometheusRule:
		m.alerts = append(m.alerts, o)
	default:
		return fmt.Errorf("no rule knows %T", object)
	}
	return nil
}
