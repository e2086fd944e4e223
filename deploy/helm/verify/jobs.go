package main

import (
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// checkHook: what runs before the release can use nothing of it, and what needs the nodes runs after.
func (m *manifests) checkHook(p *pod) {
	job := m.jobs[slices.IndexFunc(m.jobs, func(j *batchv1.Job) bool { return j.Name == p.name })]
	p.checkEnd(job.Spec)
	hook := job.Annotations["helm.sh/hook"]
	if p.verb == "consumer" {
		if hook != "post-install,post-upgrade" {
			p.bad("it does not run after the nodes, which make the streams: %s", hook)
		}
		return
	}
	if !strings.Contains(hook, "pre-upgrade") || !strings.Contains(hook, "pre-install") {
		p.bad("it does not run before the release")
	}
	for _, v := range p.spec.Volumes {
		if v.Projected == nil || slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.Secret == nil }) { // users make Secrets
			p.bad("volume %s may not be there yet", v.Name)
		}
	}
	if len(m.accounts) > 0 && p.spec.ServiceAccountName == m.accounts[0].Name {
		p.bad("its ServiceAccount is not there yet")
	}
}

// checkCron: once a day, never two at once, and each has an end.
func (m *manifests) checkCron(p *pod) {
	c := m.crons[slices.IndexFunc(m.crons, func(c *batchv1.CronJob) bool { return c.Name == p.name })]
	p.checkEnd(c.Spec.JobTemplate.Spec)
	if c.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		p.bad("two may run at once")
	}
	if len(c.Name) > 52 {
		p.bad("its name has %d letters, and Kubernetes allows 52", len(c.Name))
	}
	if c.Spec.StartingDeadlineSeconds == nil {
		p.bad("after a hundred days without a start it would never start again")
	}
}

func (p *pod) checkEnd(j batchv1.JobSpec) {
	if p.spec.RestartPolicy != corev1.RestartPolicyNever && p.spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		p.bad("it is started again for ever")
	}
	if j.ActiveDeadlineSeconds == nil || j.BackoffLimit == nil {
		p.bad("it has no end")
	}
}

// checkConsumer: what makes the consumer makes the one that the workers read with, and asks where the stream is.
func checkConsumer(pods []*pod, bad func(string, ...any)) {
	of := func(verb string) *pod {
		if i := slices.IndexFunc(pods, func(p *pod) bool { return p.verb == verb && p.config != nil }); i >= 0 {
			return pods[i]
		}
		return nil
	}
	maker, worker, node := of("consumer"), of("worker"), of("run")
	if maker == nil {
		return
	}
	if prefix := maker.text("worker.api_prefix"); prefix != "" {
		bad("Job %s: worker.api_prefix is %s, and an operator has no prefix", maker.name, prefix)
	}
	if user := maker.text("nats.user"); node != nil && user != "" && user == node.text("nats.user") {
		bad("Job %s: it asks as the nodes' user %s", maker.name, user)
	}
	if worker == nil {
		return
	}
	for _, key := range []string{"worker.durable", "worker.batch", "worker.ack_wait", "streams.prefix", "streams.events.name", "nats.url"} {
		if a, b := maker.text(key), worker.text(key); a != b {
			bad("Job %s: %s is %s, and %s at the workers", maker.name, key, a, b)
		}
	}
}
