package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// check holds a rendering to every rule.
func (m *manifests) check() []string {
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	pods := m.pods()
	if len(m.sets) != 1 {
		bad("there are %d StatefulSets", len(m.sets))
		return wrong
	}
	for _, p := range pods {
		p.checkSecurity()
		p.checkEnv(m.keys)
		p.checkMemory()
		p.checkVerb()
		switch p.kind {
		case "Job":
			m.checkHook(p)
		case "CronJob":
			m.checkCron(p)
		default:
			p.checkRunning()
		}
		if a := p.spec.ServiceAccountName; len(m.accounts) > 0 && a != "" && a != m.accounts[0].Name {
			p.bad("its ServiceAccount %q is not there", a)
		}
		wrong = append(wrong, p.wrong...)
	}
	for _, p := range pods {
		if p.kind == "StatefulSet" {
			m.checkSet(p, bad)
		}
	}
	m.checkServices(pods, bad)
	m.checkBudgets(pods, bad)
	m.checkPolicies(pods, bad)
	checkConsumer(pods, bad)
	m.checkMonitoring(bad)
	m.checkPlain(bad)
	for _, a := range m.accounts {
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			bad("ServiceAccount %s: tokens are mounted", a.Name)
		}
	}
	return wrong
}

// checkSet is about what a StatefulSet has beside its pods: names, volumes, the way that pods come and go.
func (m *manifests) checkSet(p *pod, bad func(string, ...any)) {
	s := m.sets[0].Spec
	if s.PodManagementPolicy != appsv1.ParallelPodManagement {
		bad("StatefulSet %s: nodes do not start at once", p.name)
	}
	if s.UpdateStrategy.Type != appsv1.RollingUpdateStatefulSetStrategyType {
		bad("StatefulSet %s: updates do not go one by one", p.name)
	}
	if p.config == nil {
		return
	}
	if p.replicas > 1 && (p.text("cluster.node") != "" || p.text("nats.url") == "" || p.config["pool.id"] != nil) {
		bad("StatefulSet %s: %d nodes cannot share pools with this configuration", p.name, p.replicas)
	}
	for _, key := range []string{"nats.embedded.data_dir", "spool.dir"} {
		if dir := p.text(key); !strings.HasPrefix(dir+"/", dataDir+"/") && dir != "" {
			bad("StatefulSet %s: %s is %s, which cannot be written", p.name, key, dir)
		}
	}
	name := ""
	for _, mount := range p.drover.VolumeMounts {
		if mount.MountPath == dataDir && !mount.ReadOnly {
			name = mount.Name
		} else if !mount.ReadOnly {
			bad("StatefulSet %s: %s can be written as well", p.name, mount.MountPath)
		}
	}
	spool, err := sizeOf(p.config["spool.max_bytes"])
	if err != nil {
		bad("StatefulSet %s: spool.max_bytes: %v", p.name, err)
	}
	room := int64(-1)
	for _, claim := range s.VolumeClaimTemplates {
		if claim.Name == name {
			room = claim.Spec.Resources.Requests.Storage().Value()
		}
		for label := range claim.Labels { // what is in a claim can never change
			if _, fixed := s.Selector.MatchLabels[label]; !fixed {
				bad("StatefulSet %s: the volumes' label %s would make the next upgrade fail", p.name, label)
			}
		}
		if r := s.PersistentVolumeClaimRetentionPolicy; r == nil || r.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
			bad("StatefulSet %s: volumes are deleted with it", p.name)
		}
	}
	for _, v := range p.spec.Volumes {
		if v.Name == name && v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
			room = v.EmptyDir.SizeLimit.Value()
		}
	}
	if room < spool/2*3 {
		bad("StatefulSet %s: the volume at %s has %d bytes, and the spool may take %d and half as much again", p.name, dataDir, room, spool)
	}
}

// sizeOf reads a size as drover's configuration has it.
func sizeOf(v any) (int64, error) {
	if n, ok := v.(float64); ok {
		return int64(n), nil
	}
	text, found := strings.CutSuffix(strings.TrimSpace(fmt.Sprint(v)), "B")
	if !found {
		return 0, fmt.Errorf("%v is no size", v)
	}
	q, err := resource.ParseQuantity(text)
	return q.Value(), err
}

// credentials is a user with a password in an address.
var credentials = regexp.MustCompile(`://[^/@\s"]*:[^/@\s"]*@`)

// checkPlain looks for secrets that everybody can read who may read objects.
func (m *manifests) checkPlain(bad func(string, ...any)) {
	for _, c := range m.configMaps {
		text, ok := c.Data["drover.yaml"]
		if !ok {
			continue
		}
		config, err := flatten([]byte(text))
		if err != nil {
			bad("ConfigMap %s: %v", c.Name, err)
		}
		for key := range config {
			if m.keys.secrets[key] {
				bad("ConfigMap %s: %s stands there in plain text", c.Name, key)
			}
		}
	}
	for _, o := range m.objects {
		text, err := json.Marshal(o)
		if found := credentials.Find(text); err != nil || found != nil {
			bad("%T: there is a user with a password in it", o)
		}
	}
}
