package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// larger gives the nodes other volumes, the way that README.md tells it: no pod is touched.
func (s *steps) larger(ctx context.Context) error {
	before, err := s.uids(ctx)
	if err != nil {
		return err
	}
	orphan := metav1.DeletePropagationOrphan
	if err := s.kube.AppsV1().StatefulSets(namespace).Delete(ctx, "drover", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		return err
	}
	err = until(ctx, "the StatefulSet to be gone", func() (bool, error) {
		_, err := s.kube.AppsV1().StatefulSets(namespace).Get(ctx, "drover", metav1.GetOptions{})
		return apierrors.IsNotFound(err), err
	})
	if err != nil {
		return err
	}
	set, err := s.upgrade(ctx, s.chart, "--set", "config.publish.window=8192,persistence.size=8Gi")
	if err != nil {
		return err
	}
	if size := set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(); size != "8Gi" {
		return fmt.Errorf("the size is %s", size)
	}
	err = until(ctx, "the StatefulSet to have its pods again", func() (bool, error) {
		set, err := s.settled(ctx)
		return err == nil && set.Status.Replicas == nodes, err
	})
	if err != nil {
		return err
	}
	after, err := s.uids(ctx)
	if err != nil || before != after {
		return fmt.Errorf("pods were made anew: %s, then %s: %w", before, after, err)
	}
	return nil
}

func (s *steps) uids(ctx context.Context) (string, error) {
	list, err := s.list(ctx, "node")
	var all []string
	for _, pod := range list {
		all = append(all, pod.Name+"="+string(pod.UID))
	}
	if len(all) != nodes {
		err = errors.Join(err, fmt.Errorf("there are %d nodes", len(all)))
	}
	return strings.Join(all, " "), err
}
