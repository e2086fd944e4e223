package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const nodes = 5 // of everything.yaml

// pods waits for those of both workloads. No pod of a StatefulSet is ready, so they are there only because none waits for another.
func (s *steps) pods(ctx context.Context) error {
	err := until(ctx, "5 nodes and 3 workers", func() (bool, error) {
		n, err := s.count(ctx, "node")
		w, err2 := s.count(ctx, "worker")
		return n == nodes && w == 3, errors.Join(fmt.Errorf("%d and %d", n, w), err, err2)
	})
	if err != nil {
		return err
	}
	for i := range nodes {
		name := fmt.Sprintf("drover-%d", i)
		pod, err := s.kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if pod.Spec.Hostname != name || pod.Spec.Subdomain != "drover" {
			return fmt.Errorf("%s has the name %s.%s", name, pod.Spec.Hostname, pod.Spec.Subdomain)
		}
		claim, err := s.kube.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, "data-"+name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if size := claim.Spec.Resources.Requests.Storage().String(); size != "4Gi" {
			return fmt.Errorf("the volume of %s has %s", name, size)
		}
	}
	return nil
}

func (s *steps) list(ctx context.Context, component string) ([]corev1.Pod, error) {
	list, err := s.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=" + component})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func (s *steps) count(ctx context.Context, component string) (int, error) {
	list, err := s.list(ctx, component)
	return len(list), err
}

// settled waits until the controller has seen the newest StatefulSet.
func (s *steps) settled(ctx context.Context) (*appsv1.StatefulSet, error) {
	var set *appsv1.StatefulSet
	err := until(ctx, "the StatefulSet's controller", func() (_ bool, err error) {
		set, err = s.kube.AppsV1().StatefulSets(namespace).Get(ctx, "drover", metav1.GetOptions{})
		return err == nil && set.Status.ObservedGeneration == set.Generation && set.Status.UpdateRevision != "", err
	})
	return set, err
}

// upgrade runs helm upgrade, and plays the migration's kubelet again.
func (s *steps) upgrade(ctx context.Context, chart string, more ...string) (*appsv1.StatefulSet, error) {
	out, err := s.helmRun(ctx, "upgrade", chart, s.args(append([]string{"--set", "migrate.enabled=false,consumer.enabled=false"}, more...)...)...)
	if err != nil {
		return nil, fmt.Errorf("helm upgrade: %w\n%s", err, out)
	}
	return s.settled(ctx)
}

// upgrades looks at revisions: another one means that pods are restarted.
func (s *steps) upgrades(ctx context.Context) error {
	first, err := s.settled(ctx)
	if err != nil {
		return err
	}
	newer, err := s.newerChart()
	if err != nil {
		return err
	}
	defer os.RemoveAll(newer)
	for _, u := range []struct {
		what, chart string
		set         string
	}{
		{"a new version of the chart", newer, "nameOverride="},
		{"a log level", s.chart, "config.log.level=debug"},
		{"what is published", s.chart, "config.events.allow={MESSAGE_CREATE}"},
	} {
		set, err := s.upgrade(ctx, u.chart, "--set", u.set)
		if err != nil {
			return err
		}
		if set.Status.UpdateRevision != first.Status.UpdateRevision {
			return fmt.Errorf("%s restarts the nodes", u.what)
		}
	}
	config, err := s.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "drover", metav1.GetOptions{})
	if err != nil || !strings.Contains(config.Data["drover.yaml"], "MESSAGE_CREATE") {
		return fmt.Errorf("the ConfigMap has not the new list of events: %w", err)
	}
	out, err := s.helmRun(ctx, "upgrade", s.chart, s.args("--set", "migrate.enabled=false,consumer.enabled=false,persistence.size=8Gi")...)
	if err == nil || !strings.Contains(out, "Forbidden: updates to statefulset spec") {
		return fmt.Errorf("another size of the volumes is not refused: %w\n%s", err, out)
	}
	s.refused++
	fmt.Println("refused: another size of the volumes")
	return nil
}

// newerChart is a copy of the chart with another version.
func (s *steps) newerChart() (string, error) {
	dir, err := os.MkdirTemp("", "drover-chart-")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("cp", "-r", s.chart+"/.", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cp: %w\n%s", err, out)
	}
	file := filepath.Join(dir, "Chart.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(file, []byte(strings.Replace(string(text), "\nversion: ", "\nversion: 1", 1)), 0o600)
}

// ready plays the kubelet: the pod runs and is ready.
func (s *steps) ready(ctx context.Context, name string) error {
	return until(ctx, name+" to be marked ready", func() (bool, error) {
		pod, err := s.kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		_, err = s.kube.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err == nil, err
	})
}

// at is which nodes are of a revision.
func (s *steps) at(ctx context.Context, revision string) (names []string, err error) {
	list, err := s.list(ctx, "node")
	for _, pod := range list {
		if pod.Labels[appsv1.ControllerRevisionHashLabelKey] == revision && pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	return names, err
}

// waitAt waits until exactly these nodes are of the revision, and stay the only ones.
func (s *steps) waitAt(ctx context.Context, revision string, want ...string) error {
	same := func() (bool, error) {
		names, err := s.at(ctx, revision)
		return strings.Join(names, " ") == strings.Join(want, " "), errors.Join(fmt.Errorf("they are %v", names), err)
	}
	if err := until(ctx, fmt.Sprintf("%v to be the new ones", want), same); err != nil {
		return err
	}
	// The controller acts within milliseconds; that it does not act has no event to wait for.
	for range 20 {
		if ok, err := same(); !ok {
			return fmt.Errorf("%v were the new ones, now %w", want, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// rollout: with all nodes ready, an upgrade replaces the last one and waits. It is never ready, so the next upgrade replaces it, and goes
// on with the others as each is ready.
func (s *steps) rollout(ctx context.Context) error {
	for i := range nodes {
		if err := s.ready(ctx, fmt.Sprintf("drover-%d", i)); err != nil {
			return err
		}
	}
	broken, err := s.upgrade(ctx, s.chart, "--set", "config.publish.window=1")
	if err != nil {
		return err
	}
	if err := s.waitAt(ctx, broken.Status.UpdateRevision, "drover-4"); err != nil {
		return err
	}
	fixed, err := s.upgrade(ctx, s.chart, "--set", "config.publish.window=8192")
	if err != nil {
		return err
	}
	if fixed.Status.UpdateRevision == broken.Status.UpdateRevision {
		return errors.New("another configuration is the same revision")
	}
	if err := s.waitAt(ctx, fixed.Status.UpdateRevision, "drover-4"); err != nil {
		return fmt.Errorf("a broken rollout is not replaced: %w", err)
	}
	if err := s.ready(ctx, "drover-4"); err != nil {
		return err
	}
	return s.waitAt(ctx, fixed.Status.UpdateRevision, "drover-3", "drover-4")
}

// evictions: drover-3 is not ready, so no other may go; when it is, one may.
func (s *steps) evictions(ctx context.Context) error {
	evict := func(name string) error {
		return s.kube.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}})
	}
	allowed := func(want int32) error {
		return until(ctx, fmt.Sprintf("a budget of %d", want), func() (bool, error) {
			b, err := s.kube.PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, "drover", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			return b.Status.ExpectedPods == nodes && b.Status.DisruptionsAllowed == want, fmt.Errorf("%+v", b.Status)
		})
	}
	if err := allowed(0); err != nil {
		return err
	}
	if err := evict("drover-0"); !apierrors.IsTooManyRequests(err) {
		return fmt.Errorf("a node goes while another is not ready: %w", err)
	}
	s.refused++
	fmt.Println("refused: to evict a node while another is not ready")
	for i := range nodes { // the rollout goes on, from the last to the first
		name := fmt.Sprintf("drover-%d", nodes-1-i)
		set, err := s.settled(ctx)
		if err != nil {
			return err
		}
		err = until(ctx, name+" to be of the new revision", func() (bool, error) {
			names, err := s.at(ctx, set.Status.UpdateRevision)
			return strings.Contains(strings.Join(names, " "), name), err
		})
		if err != nil {
			return err
		}
		if err := s.ready(ctx, name); err != nil {
			return err
		}
	}
	if err := allowed(1); err != nil {
		return err
	}
	if err := evict("drover-0"); err != nil {
		return err
	}
	return until(ctx, "drover-0 to be made anew", func() (bool, error) {
		n, err := s.count(ctx, "node")
		return n == nodes, err
	})
}
