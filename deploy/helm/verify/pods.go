package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Where things are in a container of drover's.
const (
	dataDir    = "/var/lib/drover"
	secretsDir = "/etc/drover-secrets"
	uid        = 1001
	databaseCA = "PGSSLROOTCERT" // which pgx reads, as all clients of PostgreSQL do
)

// pod is what one workload makes pods of.
type pod struct {
	kind, name string // StatefulSet drover
	labels     map[string]string
	annotated  map[string]string
	spec       corev1.PodSpec
	drover     corev1.Container // the one container
	replicas   int32
	selector   map[string]string
	verb       string         // run, worker, migrate, retention; consumer for worker --make-consumer
	config     map[string]any // its drover.yaml by key; nil: it has none
	wrong      []string
}

func (p *pod) bad(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf("%s %s: %s", p.kind, p.name, fmt.Sprintf(format, args...)))
}

// pods are the pods of all workloads of a rendering.
func (m *manifests) pods() []*pod {
	var all []*pod
	add := func(kind, name string, replicas *int32, selector map[string]string, t corev1.PodTemplateSpec) {
		p := &pod{kind: kind, name: name, labels: t.Labels, annotated: t.Annotations, spec: t.Spec, selector: selector, replicas: 1}
		if replicas != nil {
			p.replicas = *replicas
		}
		if len(t.Spec.Containers) != 1 || len(t.Spec.InitContainers) > 0 {
			p.bad("one container is wanted")
		} else {
			p.drover = t.Spec.Containers[0]
		}
		if len(p.drover.Args) > 0 {
			p.verb = p.drover.Args[0]
		}
		if slices.Contains(p.drover.Args, "--make-consumer") {
			p.verb = "consumer"
		}
		m.readConfig(p)
		all = append(all, p)
	}
	for _, o := range m.sets {
		add("StatefulSet", o.Name, o.Spec.Replicas, o.Spec.Selector.MatchLabels, o.Spec.Template)
	}
	for _, o := range m.deployments {
		add("Deployment", o.Name, o.Spec.Replicas, o.Spec.Selector.MatchLabels, o.Spec.Template)
	}
	for _, o := range m.jobs {
		add("Job", o.Name, nil, nil, o.Spec.Template)
	}
	for _, o := range m.crons {
		add("CronJob", o.Name, nil, nil, o.Spec.JobTemplate.Spec.Template)
	}
	return all
}

// stays: it is not a job, which ends.
func (p *pod) stays() bool { return p.kind == "StatefulSet" || p.kind == "Deployment" }

// readConfig finds the file that --config names: in a folder that a ConfigMap of this rendering is mounted at.
func (m *manifests) readConfig(p *pod) {
	at := slices.Index(p.drover.Args, "--config")
	if at < 0 || at+1 >= len(p.drover.Args) {
		return
	}
	file := p.drover.Args[at+1]
	for _, mount := range p.drover.VolumeMounts {
		if mount.SubPath != "" {
			p.bad("%s is mounted by subPath, so a running pod never sees a change", mount.MountPath)
		}
		if mount.MountPath != path.Dir(file) {
			continue
		}
		for _, v := range p.spec.Volumes {
			if v.Name != mount.Name || v.ConfigMap == nil {
				continue
			}
			for _, c := range m.configMaps {
				if text, ok := c.Data[path.Base(file)]; ok && c.Name == v.ConfigMap.Name {
					var err error
					if p.config, err = flatten([]byte(text)); err != nil {
						p.bad("%s: %v", file, err)
					}
				}
			}
		}
	}
	if p.config == nil {
		p.bad("%s is in no ConfigMap that is mounted there", file)
	}
}

// checkSecurity holds a pod to Pod Security "restricted", and to more: the user, and a root file system that cannot be written.
func (p *pod) checkSecurity() {
	s := p.spec.SecurityContext
	if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != uid || s.FSGroup == nil || *s.FSGroup != uid {
		p.bad("the pod does not run as user and file group %d, not root", uid)
	}
	if s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		p.bad("seccomp is not RuntimeDefault")
	}
	if p.spec.HostNetwork || p.spec.HostPID || p.spec.HostIPC {
		p.bad("it shares namespaces with its machine")
	}
	if p.spec.AutomountServiceAccountToken == nil || *p.spec.AutomountServiceAccountToken {
		p.bad("a token of Kubernetes is mounted, which drover does not need")
	}
	if p.spec.EnableServiceLinks == nil || *p.spec.EnableServiceLinks {
		p.bad("variables of services look like drover's own")
	}
	for _, v := range p.spec.Volumes {
		if v.HostPath != nil {
			p.bad("volume %s is a folder of the machine", v.Name)
		}
	}
	c := p.drover.SecurityContext
	switch {
	case c == nil:
		p.bad("the container has no security context")
		return
	case c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation:
		p.bad("it may get more privileges")
	case c.Privileged != nil && *c.Privileged:
		p.bad("it is privileged")
	case c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem:
		p.bad("its root file system can be written")
	case c.RunAsUser == nil || *c.RunAsUser != uid:
		p.bad("the container does not run as user %d", uid)
	case c.Capabilities == nil || len(c.Capabilities.Add) > 0 || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}):
		p.bad("it keeps capabilities")
	case c.SeccompProfile != nil && c.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault:
		p.bad("the container's seccomp is not RuntimeDefault")
	}
}

// checkEnv: each variable is one that drover reads, and each secret comes from a Secret.
func (p *pod) checkEnv(k keys) {
	byEnv := map[string]string{}
	for key := range k.all {
		byEnv[envName(key)] = key
	}
	for _, e := range p.drover.Env {
		key, known := byEnv[e.Name]
		switch {
		case !known && strings.HasPrefix(e.Name, "DROVER_"):
			p.bad("%s is no variable of drover", e.Name)
		case known && k.secrets[key] && (e.Value != "" || e.ValueFrom == nil || e.ValueFrom.SecretKeyRef == nil):
			p.bad("%s is a secret and is not taken from a Secret", e.Name)
		case (known && strings.HasSuffix(key, "_file") || e.Name == databaseCA) && !p.hasFile(e.Value):
			p.bad("%s names %q, which no Secret is mounted at", e.Name, e.Value)
		case !known && !slices.Contains([]string{"GOMEMLIMIT", "HTTPS_PROXY", databaseCA}, e.Name):
			p.bad("%s is unknown: name it here if it is meant", e.Name)
		}
	}
}

// hasFile: the path is in a projected volume of Secrets that is mounted where it says.
func (p *pod) hasFile(file string) bool {
	for _, mount := range p.drover.VolumeMounts {
		if mount.MountPath != path.Dir(file) || mount.MountPath != secretsDir || !mount.ReadOnly {
			continue
		}
		for _, v := range p.spec.Volumes {
			if v.Name != mount.Name || v.Projected == nil {
				continue
			}
			for _, source := range v.Projected.Sources {
				if source.Secret != nil && slices.ContainsFunc(source.Secret.Items, func(i corev1.KeyToPath) bool { return i.Path == path.Base(file) }) {
					return true
				}
			}
		}
	}
	return false
}

// checkMemory: there is a limit, and Go's own is below it.
func (p *pod) checkMemory() {
	limit, ok := p.drover.Resources.Limits[corev1.ResourceMemory]
	if !ok {
		p.bad("there is no limit for memory, from which drover takes its own")
		return
	}
	if request := p.drover.Resources.Requests[corev1.ResourceMemory]; request.IsZero() || request.Cmp(limit) > 0 {
		p.bad("its request for memory is %s, its limit %s", request.String(), limit.String())
	}
	for _, e := range p.drover.Env {
		if e.Name != "GOMEMLIMIT" {
			continue
		}
		soft, err := resource.ParseQuantity(strings.TrimSuffix(e.Value, "B"))
		if err != nil || soft.Value() < limit.Value()/2 || soft.Value() > limit.Value()/100*90 {
			p.bad("GOMEMLIMIT is %s, and the limit %s: 50 to 90 %% of it are wanted", e.Value, limit.String())
		}
	}
}
