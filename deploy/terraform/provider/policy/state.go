package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// state is everything that a run has planned, as if AWS had made it.
type state struct {
	resources []resource
	outputs   map[string]any
}

type resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Values  map[string]any `json:"values"`
}

type module struct {
	Resources []resource `json:"resources"`
	Children  []module   `json:"child_modules"`
}

func readState(text []byte) (state, error) {
	var in struct {
		Root    module                         `json:"root_module"`
		Outputs map[string]struct{ Value any } `json:"outputs"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return state{}, err
	}
	s := state{outputs: map[string]any{}}
	for name, o := range in.Outputs {
		s.outputs[name] = o.Value
	}
	var add func(module)
	add = func(m module) {
		for _, r := range m.Resources {
			if r.Mode == "managed" {
				s.resources = append(s.resources, r)
			}
		}
		for _, c := range m.Children {
			add(c)
		}
	}
	add(in.Root)
	return s, nil
}

// of lists the resources of the types.
func (s state) of(types ...string) []resource {
	var out []resource
	for _, r := range s.resources {
		if slices.Contains(types, r.Type) {
			out = append(out, r)
		}
	}
	return out
}

// text is an argument; "" where it is missing.
func (r resource) text(name string) string {
	v := r.Values[name]
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (r resource) is(name string) bool { return r.Values[name] == true }

// block lists the blocks of a name.
func (r resource) block(name string) []resource {
	list, _ := r.Values[name].([]any)
	var out []resource
	for _, v := range list {
		if values, ok := v.(map[string]any); ok {
			out = append(out, resource{Address: r.Address, Values: values})
		}
	}
	return out
}

// container is one of a task definition.
type container struct {
	task                   resource
	Name                   string
	User                   string
	Image                  string
	Essential              bool
	ReadonlyRootFilesystem bool
	Privileged             bool
	StopTimeout            int
	Command                []string
	EntryPoint             []string
	Environment            []struct{ Name, Value string }
	Secrets                []struct{ Name, ValueFrom string }
	MountPoints            []struct {
		SourceVolume, ContainerPath string
		ReadOnly                    bool
	}
	DependsOn        []struct{ ContainerName, Condition string }
	PortMappings     []struct{ ContainerPort, HostPort int }
	LinuxParameters  struct{ Capabilities struct{ Add, Drop []string } }
	LogConfiguration struct {
		LogDriver string
		Options   map[string]string
	}
	HealthCheck *struct {
		Command []string
	}
}

func (c container) String() string { return c.task.Address + " " + c.Name }

// files tells the container that writes the others' files.
func (c container) files() bool { return c.Name == "files" && !c.Essential }

func (s state) containers() []container {
	var out []container
	for _, task := range s.of("aws_ecs_task_definition") {
		var list []container
		if err := json.Unmarshal([]byte(task.text("container_definitions")), &list); err != nil {
			list = []container{{Name: "unreadable: " + err.Error()}}
		}
		for _, c := range list {
			c.task = task
			out = append(out, c)
		}
	}
	return out
}

// table lists every rule of every security group, a line each.
func (s state) table() string {
	lines := []string{}
	for _, r := range s.of("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule") {
		direction, other := "in   from", ""
		if strings.Contains(r.Type, "egress") {
			direction = "out  to  "
		}
		for _, name := range []string{"referenced_security_group_id", "prefix_list_id", "cidr_ipv4", "cidr_ipv6"} {
			other += r.text(name)
		}
		ports := r.text("from_port")
		if r.text("to_port") != ports {
			ports += "-" + r.text("to_port")
		}
		lines = append(lines, fmt.Sprintf("%-20s %s %-20s %s %s", r.text("security_group_id"), direction, other, r.text("ip_protocol"), ports))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
