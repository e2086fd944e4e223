mock_provider "aws" {
  source = "../../mocks"
}

override_resource {
  target = aws_security_group.store
  values = { id = "sg-store" }
}

variables {
  name                         = "nats"
  vpc_id                       = "vpc-1"
  subnet_ids                   = ["subnet-a", "subnet-b", "subnet-c"]
  cluster_arn                  = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  namespace                    = { id = "ns-1", name = "drover.internal" }
  image                        = "nats:2-alpine"
  files_image                  = "busybox:1"
  kms_key_arn                  = "arn:aws:kms:eu-central-1:123456789012:key/k"
  ca_pem                       = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
  certificate_secret_arn       = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  route_ca_pem                 = "-----BEGIN CERTIFICATE-----\nroutes\n-----END CERTIFICATE-----\n"
  route_certificate_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:route-AbCdEf"
  # Whatever users deploy/nats/accounts.conf has.
  password_secret_arns      = { for v in toset(flatten(regexall("\\$(DROVER_[A-Z_]+_PASSWORD)", file("../../../nats/accounts.conf")))) : v => "arn:aws:secretsmanager:eu-central-1:123456789012:secret:${v}" }
  client_security_group_ids = { nodes = "sg-nodes", workers = "sg-workers" }
  https_egress              = { cidr_ipv4 = { internet = "0.0.0.0/0" }, prefix_list_ids = { s3 = "pl-s3" }, security_group_ids = { endpoints = "sg-endpoints" } }
}

run "made" {
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_ingress_rule.clients : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ nodes = ["sg-own", "sg-nodes", null, null, null, "tcp", 4222, 4222], workers = ["sg-own", "sg-workers", null, null, null, "tcp", 4222, 4222] })
    error_message = "ingress: port 4222 from the named groups only"
  }
  assert {
    condition     = jsonencode([for r in [aws_vpc_security_group_ingress_rule.routes] : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-own", "sg-own", null, null, null, "tcp", 6222, 6222]])
    error_message = "ingress: routes from the servers only"
  }
  assert {
    condition     = jsonencode([for r in [aws_vpc_security_group_egress_rule.routes] : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-own", "sg-own", null, null, null, "tcp", 6222, 6222]])
    error_message = "egress: routes to the servers only"
  }
  assert {
    condition     = jsonencode([for r in [aws_vpc_security_group_egress_rule.store] : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-own", "sg-store", null, null, null, "tcp", 2049, 2049]])
    error_message = "egress: NFS to the file systems only"
  }
  assert {
    condition     = jsonencode([for r in [aws_vpc_security_group_ingress_rule.store] : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-store", "sg-own", null, null, null, "tcp", 2049, 2049]])
    error_message = "file systems: NFS from the servers only"
  }
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_egress_rule.https_address : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ internet = ["sg-own", null, "0.0.0.0/0", null, null, "tcp", 443, 443] })
    error_message = "egress: HTTPS to the named addresses only"
  }
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_egress_rule.https_group : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ endpoints = ["sg-own", "sg-endpoints", null, null, null, "tcp", 443, 443] })
    error_message = "egress: HTTPS to the named groups only"
  }
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_egress_rule.https_prefix_list : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ s3 = ["sg-own", null, null, null, "pl-s3", "tcp", 443, 443] })
    error_message = "egress: HTTPS to the named prefix lists only"
  }
  assert {
    condition     = alltrue([for s in [aws_ecs_service.node_0, aws_ecs_service.node_1, aws_ecs_service.node_2] : !s.network_configuration[0].assign_public_ip && s.network_configuration[0].security_groups == toset(["sg-own"])])
    error_message = "tasks: no public address, and only our own group"
  }
  assert {
    condition     = length(aws_efs_file_system.this) == 3 && alltrue([for f in aws_efs_file_system.this : f.encrypted && f.kms_key_id == var.kms_key_arn])
    error_message = "file systems: three, encrypted with the key"
  }
  assert {
    condition     = { for i, m in aws_efs_mount_target.this : i => [m.subnet_id, m.security_groups] } == { "0" = ["subnet-a", toset(["sg-store"])], "1" = ["subnet-b", toset(["sg-store"])], "2" = ["subnet-c", toset(["sg-store"])] }
    error_message = "file systems: each in its server's subnet, with their own group"
  }
  assert {
    condition     = alltrue([for a in aws_efs_access_point.this : a.posix_user[0].uid == 1001 && a.posix_user[0].gid == 1001 && a.root_directory[0].creation_info[0].permissions == "0700"])
    error_message = "file systems: as uid 1001 only"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : [for v in t.volume : [v.efs_volume_configuration[0].transit_encryption, v.efs_volume_configuration[0].authorization_config[0].iam] if v.name == "store"] == [["ENABLED", "ENABLED"]]])
    error_message = "file systems: TLS and IAM"
  }
  assert {
    condition     = alltrue([for i, p in aws_efs_file_system_policy.this : jsondecode(p.policy).Statement[1].Effect == "Deny" && jsondecode(p.policy).Statement[1].Condition == { Bool = { "aws:SecureTransport" = "false" } } && jsondecode(p.policy).Statement[0].Condition == { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.this[i].arn } }])
    error_message = "file systems: a policy that lets in the server alone, over TLS"
  }
  assert {
    condition     = alltrue([for i, p in aws_iam_role_policy.store : jsondecode(p.policy).Statement == [{ Effect = "Allow", Action = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"], Resource = aws_efs_file_system.this[i].arn, Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.this[i].arn } } }]])
    error_message = "a server may mount its own folder, and nothing else"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : jsondecode(t.container_definitions)[1].user == "1001:1001" && jsondecode(t.container_definitions)[1].readonlyRootFilesystem])
    error_message = "task: uid 1001 on a read-only root"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : [for m in jsondecode(t.container_definitions)[1].mountPoints : m.containerPath if !m.readOnly] == ["/var/lib/nats"]])
    error_message = "task: writable is the store only"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : jsonencode({ for s in jsondecode(t.container_definitions)[1].secrets : s.name => s.valueFrom }) == jsonencode(var.password_secret_arns)])
    error_message = "secrets: the users' passwords by valueFrom"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : [for p in jsondecode(t.container_definitions)[1].portMappings : p.containerPort] == [4222, 6222] && jsondecode(t.container_definitions)[1].command == ["-c", "/etc/nats/cluster.conf"]])
    error_message = "task: ports 4222 and 6222, by cluster.conf; monitoring stays on loopback"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : can(regex("js-enabled-only", jsondecode(t.container_definitions)[1].healthCheck.command[5]))])
    error_message = "task: a health check that does not wait for the others"
  }
  assert {
    condition     = alltrue([for s in [aws_ecs_service.node_0, aws_ecs_service.node_1, aws_ecs_service.node_2] : s.deployment_maximum_percent == 100 && s.deployment_minimum_healthy_percent == 0 && s.wait_for_steady_state && s.desired_count == 1 && !s.enable_execute_command])
    error_message = "service: never two tasks of a server, and one server after the other"
  }
  assert {
    condition     = alltrue([for i, d in aws_service_discovery_service.this : d.dns_config[0].dns_records[0].ttl == 10 && d.name == "nats-${i}"])
    error_message = "discovery: a private name for each, with a TTL of 10 s"
  }
  assert {
    condition     = alltrue([for i, c in output.configuration : strcontains(c, "\ninclude \"secure.conf\"") && contains(jsondecode(aws_ecs_task_definition.this[i].container_definitions)[1].environment, { name = "NATS_NAME", value = "nats-${i}" })])
    error_message = "cluster.conf: accounts and TLS of deploy/nats, and a name for each server"
  }
  assert {
    condition     = alltrue([for i, c in output.configuration : jsonencode(regexall("nats-route://(.*):6222", c)) == jsonencode([["nats-0.drover.internal"], ["nats-1.drover.internal"], ["nats-2.drover.internal"]]) && strcontains(c, "cluster_advertise: \"nats-${i}.drover.internal:6222\"") && strcontains(c, "client_advertise: \"nats-${i}.drover.internal:4222\"")])
    error_message = "cluster.conf: all go by names, which certificates have"
  }
  assert {
    condition     = alltrue([for c in output.configuration : can(regex("(?s)cluster \\{.*tls \\{.*route-ca.pem.*verify: true", c))])
    error_message = "cluster.conf: routes ask for certificates of their own CA"
  }
  assert {
    condition     = alltrue([for t in aws_ecs_task_definition.this : toset([for s in jsondecode(t.container_definitions)[0].secrets : s.valueFrom]) == toset(flatten([for n in ["certificate", "route"] : [for k in ["certificate", "key"] : "arn:aws:secretsmanager:eu-central-1:123456789012:secret:${n}-AbCdEf:${k}::"]]))])
    error_message = "secrets: certificates and keys by valueFrom"
  }
  assert {
    condition     = alltrue([for name in ["accounts.conf", "nats-server.conf", "secure.conf", "tls.conf"] : alltrue([for t in aws_ecs_task_definition.this : contains([for e in jsondecode(t.container_definitions)[0].environment : e.value], file("../../../nats/${name}"))])])
    error_message = "the tasks have the files of deploy/nats as they are"
  }
  assert {
    condition     = output.urls == ["tls://nats-0.drover.internal:4222", "tls://nats-1.drover.internal:4222", "tls://nats-2.drover.internal:4222"]
    error_message = "addresses: TLS, all three"
  }
}
