package main

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkv1 "k8s.io/api/networking/v1"
)

// checkServices: each has pods of one workload behind it, and the StatefulSet's is headless.
func (m *manifests) checkServices(pods []*pod, bad func(string, ...any)) {
	for _, s := range m.services {
		var behind []*pod
		for _, p := range pods {
			if selects(s.Spec.Selector, p.labels) {
				behind = append(behind, p)
			}
		}
		if len(behind) != 1 {
			bad("Service %s: selects the pods of %d workloads", s.Name, len(behind))
			continue
		}
		if s.Spec.ClusterIP != corev1.ClusterIPNone || !s.Spec.PublishNotReadyAddresses {
			bad("Service %s: is not headless with pods that are not ready in it", s.Name)
		}
		ports := behind[0].drover.Ports
		if len(s.Spec.Ports) != 1 || s.Spec.Ports[0].TargetPort.StrVal != "http" || len(ports) != 1 || s.Spec.Ports[0].Port != ports[0].ContainerPort {
			bad("Service %s: does not lead to the port of drover", s.Name)
		}
	}
	for _, p := range pods {
		if p.kind == "StatefulSet" && !slices.ContainsFunc(m.services, func(s *corev1.Service) bool {
			return s.Name == m.sets[0].Spec.ServiceName && selects(s.Spec.Selector, p.labels)
		}) {
			bad("StatefulSet %s: its Service is not there, or selects other pods", p.name)
		}
	}
}

// checkBudgets: where there are any, each workload that stays has one.
func (m *manifests) checkBudgets(pods []*pod, bad func(string, ...any)) {
	for _, b := range m.budgets {
		if b.Spec.MaxUnavailable == nil || b.Spec.MinAvailable != nil {
			bad("PodDisruptionBudget %s: maxUnavailable is wanted, which also lets a single pod go", b.Name)
		}
	}
	for _, p := range pods {
		n := 0
		for _, b := range m.budgets {
			if b.Spec.Selector != nil && selects(b.Spec.Selector.MatchLabels, p.labels) {
				n++
			}
		}
		if want := map[bool]int{true: 1}[p.stays() && len(m.budgets) > 0]; n != want {
			bad("%s %s: %d budgets select it, %d are wanted", p.kind, p.name, n, want)
		}
	}
}

// private are addresses that nothing of Discord's is at.
var private = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}

// checkPolicies: where there are any, each pod is under one that lets in what asks for its page, and out what it needs.
func (m *manifests) checkPolicies(pods []*pod, bad func(string, ...any)) {
	if len(m.policies) == 0 {
		return
	}
	for _, p := range pods {
		var over []*networkv1.NetworkPolicy
		for _, n := range m.policies {
			if selects(n.Spec.PodSelector.MatchLabels, p.labels) {
				over = append(over, n)
			}
		}
		if len(over) != 1 {
			bad("%s %s: %d policies are over it", p.kind, p.name, len(over))
			continue
		}
		checkPolicy(p, over[0], bad)
	}
}

func checkPolicy(p *pod, n *networkv1.NetworkPolicy, bad func(string, ...any)) {
	if !slices.Equal(n.Spec.PolicyTypes, []networkv1.PolicyType{networkv1.PolicyTypeIngress, networkv1.PolicyTypeEgress}) {
		bad("NetworkPolicy %s: it is not about both directions", n.Name)
	}
	if !p.stays() && len(n.Spec.Ingress) > 0 {
		bad("NetworkPolicy %s: nobody has to reach a job", n.Name)
	}
	for _, in := range n.Spec.Ingress {
		if len(in.From) == 0 || slices.ContainsFunc(in.From, everybody) || len(in.Ports) != 1 || in.Ports[0].Port == nil || in.Ports[0].Port.StrVal != "http" {
			bad("NetworkPolicy %s: lets in more than named pods at port http", n.Name)
		}
	}
	open := map[string]bool{}
	for _, out := range n.Spec.Egress {
		if len(out.Ports) == 0 {
			bad("NetworkPolicy %s: lets out to every port", n.Name)
		}
		for _, port := range out.Ports {
			if port.Port == nil || port.EndPort != nil {
				bad("NetworkPolicy %s: lets out to a range of ports", n.Name)
				continue
			}
			open[port.Port.String()] = true
		}
		if len(out.To) == 0 || slices.ContainsFunc(out.To, everybody) {
			bad("NetworkPolicy %s: lets out to every address", n.Name)
		}
		for _, to := range out.To {
			if to.IPBlock != nil && p.verb != "run" && !isPrivate(to.IPBlock.CIDR) {
				bad("NetworkPolicy %s: %s leads to public addresses, and nothing that it needs is there", n.Name, to.IPBlock.CIDR)
			}
			if to.IPBlock == nil || to.IPBlock.CIDR != "0.0.0.0/0" {
				continue
			}
			for _, net := range private {
				if !slices.Contains(to.IPBlock.Except, net) {
					bad("NetworkPolicy %s: the way to the internet leads to %s too", n.Name, net)
				}
			}
		}
	}
	want := map[string]bool{"53": true}
	for _, port := range wantedPorts(p) {
		want[port] = true
	}
	for _, port := range extraPorts {
		if p.stays() && open[port] {
			want[port] = true
		}
	}
	if !maps.Equal(open, want) {
		bad("NetworkPolicy %s: lets out to the ports %v, wanted are %v", n.Name, slices.Sorted(maps.Keys(open)), slices.Sorted(maps.Keys(want)))
	}
}

// everybody is a source or destination that names nothing.
func everybody(p networkv1.NetworkPolicyPeer) bool {
	return p.PodSelector == nil && p.NamespaceSelector == nil && p.IPBlock == nil
}

// isPrivate reports whether nothing of the internet is in a range of addresses.
func isPrivate(cidr string) bool {
	net, err := netip.ParsePrefix(cidr)
	return err == nil && slices.ContainsFunc([]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}, func(text string) bool {
		whole := netip.MustParsePrefix(text)
		return whole.Bits() <= net.Bits() && whole.Contains(net.Addr())
	})
}

// extraPorts are those of networkPolicy.extraEgress in testdata.
var extraPorts = []string{"8080"}

// wantedPorts are the ports that drover has to reach, beside DNS.
func wantedPorts(p *pod) []string {
	ports := map[string][]string{"worker": {"5432", "6432"}, "migrate": {"5432", "6432"}, "retention": {"5432", "6432"}}[p.verb]
	if p.config == nil {
		return ports
	}
	ports = append(ports, natsPorts(p.text("nats.url"))...)
	if p.verb == "run" {
		if api := p.text("discord.api_url"); api == "https://discord.com/api/v10" {
			ports = append(ports, "443")
		}
	}
	return ports
}
