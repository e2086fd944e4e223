package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// steps are what is done to the API server, one after the other.
type steps struct {
	options
	cluster *cluster
	kube    *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
	mapper  meta.ResettableRESTMapper
	warned  *warnings
	version string

	sent, tried, renderings, refused int // objects sent at all, and those of dryRuns
}

// warnings gathers what the server says beside its answers: Pod Security speaks there of workloads.
type warnings struct{ texts []string }

// HandleWarningHeader keeps one warning.
func (w *warnings) HandleWarningHeader(_ int, _ string, text string) { w.texts = append(w.texts, text) }

func newSteps(c *cluster, o options) (*steps, error) {
	s := &steps{options: o, cluster: c, warned: &warnings{}}
	config := rest.CopyConfig(c.config)
	config.WarningHandler = s.warned
	var err error
	if s.kube, err = kubernetes.NewForConfig(c.config); err != nil {
		return nil, err
	}
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.kube.Discovery()))
	return s, nil
}

// template renders the chart.
func (s *steps) template(args ...string) ([]byte, error) {
	cmd := exec.Command(s.helm, append([]string{"template", "drover", s.chart, "-n", namespace, "--kube-version", s.version}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("helm template: %w\n%s", err, stderr.Bytes())
	}
	return out, nil
}

// apply sends every document by server-side apply. It returns what was refused or warned of.
func (s *steps) apply(ctx context.Context, text []byte, dryRun bool) error {
	var errs []error
	docs := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(doc, &object.Object); err != nil || len(object.Object) == 0 {
			if err != nil {
				return err
			}
			continue
		}
		s.warned.texts = nil
		if err := s.applyOne(ctx, &object, dryRun); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err))
		}
		for _, text := range s.warned.texts {
			errs = append(errs, fmt.Errorf("%s %s: warning: %s", object.GetKind(), object.GetName(), text))
		}
		s.sent++
	}
}

func (s *steps) applyOne(ctx context.Context, object *unstructured.Unstructured, dryRun bool) error {
	kind := object.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = s.dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		target = s.dynamic.Resource(mapping.Resource).Namespace(namespace)
	}
	body, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	force := true
	o := metav1.PatchOptions{FieldManager: "check", FieldValidation: metav1.FieldValidationStrict, Force: &force}
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
	}
	_, err = target.Patch(ctx, object.GetName(), types.ApplyPatchType, body, o)
	return err
}

// dryRuns gives the server each rendering of the chart.
func (s *steps) dryRuns(ctx context.Context) error {
	files, err := filepath.Glob(filepath.Join(s.values, "*.yaml"))
	if err != nil || len(files) < 8 {
		return fmt.Errorf("there are %d files of values: %w", len(files), err)
	}
	s.sent = 0
	for _, file := range files {
		text, err := s.template("-f", file)
		if err == nil {
			err = s.apply(ctx, text, true)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		s.renderings++
	}
	s.tried = s.sent
	return nil
}

// refusals gives the server what it must not take.
func (s *steps) refusals(ctx context.Context) error {
	text, err := s.template("-f", filepath.Join(s.values, "everything.yaml"))
	if err != nil {
		return err
	}
	for _, b := range []struct{ name, old, new, says string }{
		{"a field that does not exist", "podManagementPolicy:", "podManagmentPolicy:", "podManagmentPolicy"},
		{"a number as text", "replicas: 5", `replicas: "many"`, "replicas"},
		{"a selector of other pods", "component: node\n  template:", "component: other\n  template:", "selector"},
		{"no seccomp profile", "type: RuntimeDefault", "type: Unconfined", "PodSecurity"},
		{"root", "runAsUser: 1001", "runAsUser: 0", "PodSecurity"},
		{"capabilities", "drop: [ALL]", "drop: [NET_RAW]", "PodSecurity"},
		{"more privileges", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "PodSecurity"},
		{"an interval that is none", "interval: 15s", "interval: soon", "interval"},
		{"an alert without an expression", "expr: absent(gateway_build_info)", "expression: x", "expr"},
		{"a port without bounds", "{port: 443, protocol: TCP}", "{port: 443443, protocol: TCP}", "443443"},
		{"a budget of two kinds", "maxUnavailable: 25%", "maxUnavailable: 25%\n  minAvailable: 1", "minAvailable"},
	} {
		spoilt := strings.ReplaceAll(string(text), b.old, b.new)
		if spoilt == string(text) {
			return fmt.Errorf("%s: there is no %q any more", b.name, b.old)
		}
		if err := s.apply(ctx, []byte(spoilt), true); err == nil || !strings.Contains(err.Error(), b.says) {
			return fmt.Errorf("%s: refused with %q is wanted: %w", b.name, b.says, err)
		}
		s.refused++
		fmt.Println("refused:", b.name)
	}
	return s.refusedPod(ctx)
}

// crds are the definitions of Prometheus' operator, from the module that has them.
func crds() ([]string, error) {
	out, err := exec.Command(cmp.Or(os.Getenv("GO"), "go"), "mod", "download", "-json", "github.com/prometheus-operator/prometheus-operator@v0.85.0").Output()
	if err != nil {
		return nil, fmt.Errorf("definitions of Prometheus' operator: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, err
	}
	var texts []string
	for _, name := range []string{"servicemonitors", "prometheusrules"} {
		text, err := os.ReadFile(filepath.Join(module.Dir, "example/prometheus-operator-crd", "monitoring.coreos.com_"+name+".yaml"))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}
