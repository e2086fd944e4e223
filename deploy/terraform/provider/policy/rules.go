package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tableFile has every rule of every security group of the example, or with VPC endpoints and applications of one's own.
func (s state) tableFile() string {
	for _, r := range s.of("aws_kms_alias") {
		if r.text("name") == "alias/variant" {
			return "examples/complete/security-groups-endpoints.txt"
		}
	}
	return "examples/complete/security-groups.txt"
}

// rule is a sentence that holds for everything that is planned, whatever it is called.
type rule struct {
	name     string
	findings func(state) []string
}

var rules = []rule{
	{"ingress names security groups, never addresses", publicIngress},
	{"egress to addresses is HTTPS", openEgress},
	{"each rule is for one port of TCP", onePort},
	{"security groups have no rules inside them", inlineRules},
	{"nothing has a public address", publicAddress},
	{"no secret is in clear", plaintext},
	{"programs run as uid 1001", user},
	{"root runs only what writes files, before anything else, without a capability", rootWritesFiles},
	{"root file systems are read-only", readOnly},
	{"what can be written to is a volume for state", writable},
	{"no container has a capability", capabilities},
	{"logs are kept for 30 days, encrypted", logGroups},
	{"every container logs to CloudWatch", logging},
	{"what is at rest is encrypted with the key", encrypted},
	{"file systems are mounted over TLS, by IAM", mounts},
	{"PostgreSQL forces TLS", forcedTLS},
	{"drover speaks TLS to NATS and PostgreSQL", clientTLS},
	{"roles have the least rights", leastRights},
	{"roles are for ECS of this account", trust},
	{"nobody gets a shell in a task", noShell},
	{"services run on Fargate 1.4", fargate},
	{"programs of services have a health check", health},
	{"ECS waits longer than drover drains", drain},
	{"names are found for 10 seconds", discovery},
	{"the key rotates", rotation},
}

// tableRule is the rule that compares with the file; it holds for the example.
const tableRule = "security groups are those of the example's table"

// check lists what breaks a rule, as "rule: what".
func (t tool) check(s state, unit string) []string {
	var out []string
	for _, r := range rules {
		for _, f := range r.findings(s) {
			out = append(out, r.name+": "+f)
		}
	}
	if unit == "examples/complete" {
		want, err := os.ReadFile(filepath.Join(t.root, "terraform", s.tableFile()))
		if got := s.table(); err != nil || !strings.HasPrefix(got, "sg-") || got != string(want) {
			out = append(out, fmt.Sprintf("%s: they are now\n%s", tableRule, got))
		}
	}
	return out
}

func each(list []resource, bad func(resource) bool) []string {
	var out []string
	for _, r := range list {
		if bad(r) {
			out = append(out, r.Address)
		}
	}
	return out
}

func eachContainer(list []container, bad func(container) bool) []string {
	var out []string
	for _, c := range list {
		if bad(c) {
			out = append(out, c.String())
		}
	}
	return out
}

func publicIngress(s state) []string {
	return each(s.of("aws_vpc_security_group_ingress_rule"), func(r resource) bool {
		return !strings.HasPrefix(r.text("referenced_security_group_id"), "sg-") || r.text("cidr_ipv4")+r.text("cidr_ipv6")+r.text("prefix_list_id") != ""
	})
}

func openEgress(s state) []string {
	return each(s.of("aws_vpc_security_group_egress_rule"), func(r resource) bool {
		return r.text("cidr_ipv4")+r.text("cidr_ipv6")+r.text("prefix_list_id") != "" && (r.text("from_port") != "443" || r.text("to_port") != "443")
	})
}

func onePort(s state) []string {
	return each(s.of("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"), func(r resource) bool {
		return r.text("ip_protocol") != "tcp" || r.text("from_port") == "" || r.text("from_port") != r.text("to_port")
	})
}

func inlineRules(s state) []string {
	out := each(s.of("aws_security_group"), func(r resource) bool { return len(r.block("ingress"))+len(r.block("egress")) > 0 })
	return append(out, each(s.of("aws_security_group_rule", "aws_default_security_group"), func(resource) bool { return true })...)
}

func publicAddress(s state) []string {
	out := each(s.of("aws_db_instance"), func(r resource) bool { return r.Values["publicly_accessible"] != false })
	public := func(r resource) bool {
		networks := r.block("network_configuration")
		return len(networks) != 1 || networks[0].Values["assign_public_ip"] != false
	}
	out = append(out, each(s.of("aws_ecs_service"), public)...)
	return append(out, each(s.of("aws_scheduler_schedule"), func(r resource) bool {
		for _, target := range r.block("target") {
			for _, task := range target.block("ecs_parameters") {
				return public(task)
			}
		}
		return true
	})...)
}

var (
	secretName  = regexp.MustCompile(`(?i)(TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|CREDS|NKEY|PRIVATE|API_?KEY|ACCESS_?KEY)`)
	secretValue = regexp.MustCompile(`PRIVATE KEY-----|://[^/\s:@]+:[^/\s@]+@|[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}|AKIA[0-9A-Z]{16}`)
)

func plaintext(s state) []string {
	out := eachContainer(s.containers(), func(c container) bool {
		for _, e := range c.Environment {
			if secretName.MatchString(e.Name) || secretValue.MatchString(e.Value) {
				return true
			}
		}
		for _, v := range c.Secrets {
			if !strings.HasPrefix(v.ValueFrom, "arn:aws:secretsmanager:") {
				return true
			}
		}
		return secretValue.MatchString(strings.Join(c.Command, " "))
	})
	out = append(out, each(s.of("aws_db_instance"), func(r resource) bool { return r.text("password") != "" || !r.is("manage_master_user_password") })...)
	// A value that Terraform sets stands in its state.
	return append(out, each(s.of("aws_secretsmanager_secret_version", "aws_ssm_parameter"), func(resource) bool { return true })...)
}

func user(s state) []string {
	return eachContainer(s.containers(), func(c container) bool { return !c.files() && c.User != "1001:1001" })
}

func rootWritesFiles(s state) []string {
	all := s.containers()
	return eachContainer(all, func(c container) bool {
		if !c.files() {
			return !slices.ContainsFunc(c.DependsOn, func(d struct{ ContainerName, Condition string }) bool {
				return d.ContainerName == "files" && d.Condition == "SUCCESS"
			})
		}
		return !slices.Equal(c.LinuxParameters.Capabilities.Drop, []string{"ALL"}) || len(c.PortMappings) > 0
	})
}

func readOnly(s state) []string {
	return eachContainer(s.containers(), func(c container) bool { return !c.ReadonlyRootFilesystem })
}

func writable(s state) []string {
	return eachContainer(s.containers(), func(c container) bool {
		for _, m := range c.MountPoints {
			if !c.files() && !m.ReadOnly && !slices.Contains([]string{"/var/lib/drover", "/var/lib/nats"}, m.ContainerPath) {
				return true
			}
		}
		return false
	})
}

func capabilities(s state) []string {
	return eachContainer(s.containers(), func(c container) bool {
		return c.Privileged || !slices.Equal(c.LinuxParameters.Capabilities.Drop, []string{"ALL"}) || len(c.LinuxParameters.Capabilities.Add) > 0
	})
}

func logGroups(s state) []string {
	return each(s.of("aws_cloudwatch_log_group"), func(r resource) bool {
		return r.text("retention_in_days") != "30" || !strings.HasPrefix(r.text("kms_key_id"), "arn:aws:kms:")
	})
}

func logging(s state) []string {
	groups := map[string]bool{}
	for _, r := range s.of("aws_cloudwatch_log_group") {
		groups[r.text("name")] = true
	}
	return eachContainer(s.containers(), func(c container) bool {
		return c.LogConfiguration.LogDriver != "awslogs" || !groups[c.LogConfiguration.Options["awslogs-group"]]
	})
}

func encrypted(s state) []string {
	key := func(r resource, name string) bool { return strings.HasPrefix(r.text(name), "arn:aws:kms:") }
	out := each(s.of("aws_efs_file_system"), func(r resource) bool { return !r.is("encrypted") || !key(r, "kms_key_id") })
	out = append(out, each(s.of("aws_db_instance"), func(r resource) bool {
		return !r.is("storage_encrypted") || !key(r, "kms_key_id") || !key(r, "master_user_secret_kms_key_id") || !key(r, "performance_insights_kms_key_id")
	})...)
	out = append(out, each(s.of("aws_secretsmanager_secret"), func(r resource) bool { return !key(r, "kms_key_id") })...)
	return append(out, each(s.of("aws_ecs_cluster"), func(r resource) bool {
		for _, c := range r.block("configuration") {
			for _, m := range c.block("managed_storage_configuration") {
				return !key(m, "fargate_ephemeral_storage_kms_key_id")
			}
		}
		return true
	})...)
}

func mounts(s state) []string {
	out := each(s.of("aws_ecs_task_definition"), func(r resource) bool {
		for _, v := range r.block("volume") {
			for _, e := range v.block("efs_volume_configuration") {
				authorization := e.block("authorization_config")
				if e.text("transit_encryption") != "ENABLED" || len(authorization) != 1 || authorization[0].text("iam") != "ENABLED" || authorization[0].text("access_point_id") == "" {
					return true
				}
			}
		}
		return false
	})
	if len(s.of("aws_efs_file_system")) != len(s.of("aws_efs_file_system_policy")) {
		out = append(out, "a file system without a policy")
	}
	return append(out, each(s.of("aws_efs_file_system_policy"), func(r resource) bool {
		return !strings.Contains(r.text("policy"), `"Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny"`)
	})...)
}

func forcedTLS(s state) []string {
	return each(s.of("aws_db_parameter_group"), func(r resource) bool {
		return !slices.ContainsFunc(r.block("parameter"), func(p resource) bool { return p.text("name") == "rds.force_ssl" && p.text("value") == "1" })
	})
}

func clientTLS(s state) []string {
	return eachContainer(s.containers(), func(c container) bool {
		for _, e := range c.Environment {
			if e.Name == "DROVER_NATS_URL" && strings.Count(e.Value, "tls://") != strings.Count(e.Value, "://") {
				return true
			}
			if strings.HasPrefix(e.Name, "DROVER_DATABASE_") && strings.Contains(e.Value, "postgres:") && !strings.Contains(e.Value, "sslmode=verify-full") {
				return true
			}
		}
		return false
	})
}

// statements of a policy.
func statements(text string) []map[string]any {
	var p struct{ Statement []map[string]any }
	if json.Unmarshal([]byte(text), &p) != nil {
		return []map[string]any{{"Effect": "Allow", "Action": "*", "Resource": "*"}}
	}
	return p.Statement
}

func listOf(v any) []string {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	var out []string
	list, _ := v.([]any)
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

func leastRights(s state) []string {
	out := each(s.of("aws_iam_role_policy"), func(r resource) bool {
		for _, st := range statements(r.text("policy")) {
			if slices.ContainsFunc(listOf(st["Action"]), func(a string) bool { return strings.Contains(a, "*") }) || st["NotAction"] != nil || st["NotResource"] != nil {
				return true
			}
			if slices.Contains(listOf(st["Resource"]), "*") && !slices.Equal(listOf(st["Action"]), []string{"ecr:GetAuthorizationToken"}) {
				return true
			}
		}
		return false
	})
	// Others' policies, which change without us.
	return append(out, each(s.of("aws_iam_role_policy_attachment", "aws_iam_policy_attachment", "aws_iam_user", "aws_iam_access_key"), func(resource) bool { return true })...)
}

func trust(s state) []string {
	return each(s.of("aws_iam_role"), func(r resource) bool {
		for _, st := range statements(r.text("assume_role_policy")) {
			principal, _ := st["Principal"].(map[string]any)
			condition, _ := json.Marshal(st["Condition"])
			if len(principal) != 1 || !slices.Contains([]any{"ecs-tasks.amazonaws.com", "scheduler.amazonaws.com"}, principal["Service"]) || !strings.Contains(string(condition), "aws:SourceAccount") {
				return true
			}
		}
		return false
	})
}

func noShell(s state) []string {
	return each(s.of("aws_ecs_service"), func(r resource) bool { return r.Values["enable_execute_command"] != false })
}

func fargate(s state) []string {
	return each(s.of("aws_ecs_service"), func(r resource) bool {
		return r.text("launch_type") != "FARGATE" || r.text("platform_version") != "1.4.0"
	})
}

func health(s state) []string {
	serving := map[string]bool{}
	for _, r := range s.of("aws_ecs_service") {
		serving[r.text("task_definition")] = true
	}
	return eachContainer(s.containers(), func(c container) bool {
		return !c.files() && serving[c.task.text("arn")] && (c.HealthCheck == nil || len(c.HealthCheck.Command) < 2 || c.HealthCheck.Command[0] != "CMD")
	})
}

func drain(s state) []string {
	return eachContainer(s.containers(), func(c container) bool {
		if c.files() {
			return false
		}
		for _, e := range c.Environment {
			if e.Name == "DROVER_SHUTDOWN_TIMEOUT" {
				seconds, err := strconv.Atoi(strings.TrimSuffix(e.Value, "s"))
				return err != nil || c.StopTimeout < seconds+5 || c.StopTimeout > 120
			}
		}
		return c.StopTimeout < 30 || c.StopTimeout > 120
	})
}

func discovery(s state) []string {
	return each(s.of("aws_service_discovery_service"), func(r resource) bool {
		for _, d := range r.block("dns_config") {
			for _, record := range d.block("dns_records") {
				return record.text("ttl") != "10"
			}
		}
		return true
	})
}

func rotation(s state) []string {
	return each(s.of("aws_kms_key"), func(r resource) bool { return !r.is("enable_key_rotation") })
}
