package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// prepare waits for the server and gives it what a cluster has before drover comes.
func (s *steps) prepare(ctx context.Context) error {
	err := until(ctx, "/readyz", func() (bool, error) {
		_, err := s.kube.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	version, err := s.kube.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	s.version = strings.TrimPrefix(version.GitVersion, "v")
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{
		"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
	}}}
	if _, err := s.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return err
	}
	class := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "bots"}, Value: 1000}
	if _, err := s.kube.SchedulingV1().PriorityClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
		return err
	}
	texts, err := crds()
	if err != nil {
		return err
	}
	for _, text := range texts {
		if err := s.apply(ctx, []byte(text), false); err != nil {
			return err
		}
	}
	err = until(ctx, "the kinds of Prometheus' operator", func() (bool, error) {
		s.mapper.Reset()
		list, err := s.kube.Discovery().ServerResourcesForGroupVersion("monitoring.coreos.com/v1")
		return err == nil && len(list.APIResources) >= 2, err
	})
	if err != nil {
		return err
	}
	return until(ctx, "the default ServiceAccount", func() (bool, error) {
		_, err := s.kube.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

// refusedPod: the namespace's Pod Security is in force, and would let no pod pass that is less than restricted.
func (s *steps) refusedPod(ctx context.Context) error {
	plain := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "drover:dev"}}}}
	_, err := s.kube.CoreV1().Pods(namespace).Create(ctx, plain, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "seccompProfile") || !strings.Contains(err.Error(), "runAsNonRoot") {
		return fmt.Errorf("a pod without a security context is not refused: %w", err)
	}
	s.refused++
	fmt.Println("refused: a pod without a security context:", err)
	return nil
}

// everything.yaml, but with a budget that the last step can count with.
func (s *steps) args(more ...string) []string {
	return append([]string{"-f", filepath.Join(s.values, "everything.yaml"), "--set", "podDisruptionBudget.maxUnavailable=1",
		"--set", "podDisruptionBudget.unhealthyPodEvictionPolicy=IfHealthyBudget", "--set", "minReadySeconds=0"}, more...)
}

// helmRun runs helm against the server.
func (s *steps) helmRun(ctx context.Context, verb, chart string, args ...string) (string, error) {
	all := append([]string{verb, "drover", chart, "-n", namespace, "--kubeconfig", s.cluster.kubeconfig, "--timeout", "2m"}, args...)
	out, err := exec.CommandContext(ctx, s.helm, all...).CombinedOutput()
	return string(out), err
}

// install installs with the migration's hook on. The job's pod ends when we say so; nothing else of the release may be there before.
func (s *steps) install(ctx context.Context) error {
	type end struct {
		out string
		err error
	}
	ended := make(chan end, 1)
	go func() { // ends with helm, which ends with ctx or its time-out; the receive below waits
		out, err := s.helmRun(ctx, "install", s.chart, s.args()...)
		ended <- end{out, err}
	}()
	err := s.migrate(ctx)
	if err == nil { // the other hook is the last
		err = s.finish(ctx, "consumer")
	}
	e := <-ended
	if err != nil || e.err != nil {
		return fmt.Errorf("%w: helm install: %w\n%s", err, e.err, e.out)
	}
	for _, name := range []string{"drover-migrate", "drover-consumer"} {
		if _, err := s.kube.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the job %s is still there: %w", name, err)
		}
	}
	return nil
}

// migrate lets the migration end, and looks at what is there until then.
func (s *steps) migrate(ctx context.Context) error {
	if _, err := s.jobPod(ctx, "migrate"); err != nil {
		return err
	}
	sets, err := s.kube.AppsV1().StatefulSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(sets.Items) > 0 {
		return fmt.Errorf("there are %d StatefulSets before the migration has ended: %w", len(sets.Items), err)
	}
	policies, err := s.kube.NetworkingV1().NetworkPolicies(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(policies.Items) != 1 {
		return fmt.Errorf("there are %d policies while the migration runs, its own is wanted: %w", len(policies.Items), err)
	}
	return s.finish(ctx, "migrate")
}

// jobPod waits for the pod of a job.
func (s *steps) jobPod(ctx context.Context, component string) (pod *corev1.Pod, err error) {
	err = until(ctx, "the pod of "+component, func() (bool, error) {
		list, err := s.list(ctx, component)
		if err != nil || len(list) == 0 {
			return false, err
		}
		pod = &list[0]
		return true, nil
	})
	return pod, err
}

// finish plays the kubelet of a job's pod: it has ended well.
func (s *steps) finish(ctx context.Context, component string) error {
	// Controllers write to the pod as well, so it is read anew for each try.
	return until(ctx, "the pod of "+component+" to be marked ended", func() (bool, error) {
		pod, err := s.jobPod(ctx, component)
		if err != nil {
			return false, err
		}
		now := metav1.NewTime(time.Now())
		pod.Status.Phase = corev1.PodSucceeded
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: component, State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{StartedAt: now, FinishedAt: now, Reason: "Completed"},
		}}}
		_, err = s.kube.CoreV1().Pods(namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err == nil, err
	})
}
