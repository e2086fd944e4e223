mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "pgbouncer"
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-a", "subnet-b"]
  cluster_arn = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  namespace   = { id = "ns-1", name = "drover.internal" }
  image       = "pgbouncer:1"
  files_image = "busybox:1"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  database = {
    host              = "drover.rds.amazonaws.com"
    port              = 5432
    name              = "drover"
    ca_pem            = "-----BEGIN CERTIFICATE-----\nrds\n-----END CERTIFICATE-----\n"
    security_group_id = "sg-database"
  }
  users_secret_arn          = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:users-AbCdEf"
  certificate_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  client_security_group_ids = { tasks = "sg-tasks", workers = "sg-workers" }
  https_egress              = { cidr_ipv4 = { internet = "0.0.0.0/0" }, prefix_list_ids = { s3 = "pl-s3" }, security_group_ids = { endpoints = "sg-endpoints" } }
}

run "made" {
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_ingress_rule.clients : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ tasks = ["sg-own", "sg-tasks", null, null, null, "tcp", 6432, 6432], workers = ["sg-own", "sg-workers", null, null, null, "tcp", 6432, 6432] })
    error_message = "ingress: port 6432 from the tasks' and the workers' groups only"
  }
  assert {
    condition     = jsonencode([aws_vpc_security_group_egress_rule.database.security_group_id, aws_vpc_security_group_egress_rule.database.referenced_security_group_id, aws_vpc_security_group_egress_rule.database.cidr_ipv4, aws_vpc_security_group_egress_rule.database.cidr_ipv6, aws_vpc_security_group_egress_rule.database.prefix_list_id, aws_vpc_security_group_egress_rule.database.ip_protocol, aws_vpc_security_group_egress_rule.database.from_port, aws_vpc_security_group_egress_rule.database.to_port]) == jsonencode(["sg-own", "sg-database", null, null, null, "tcp", 5432, 5432])
    error_message = "egress: PostgreSQL by its group and port 5432 only"
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
    condition     = !aws_ecs_service.this.network_configuration[0].assign_public_ip && aws_ecs_service.this.network_configuration[0].security_groups == toset(["sg-own"])
    error_message = "tasks: no public address, and only our own group"
  }
  assert {
    condition     = aws_ecs_task_definition.this.cpu == "256" && aws_ecs_task_definition.this.memory == "512"
    error_message = "task: 256 CPU units and 512 MB"
  }
  assert {
    condition     = [for p in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].portMappings : p.containerPort] == [6432]
    error_message = "task: port 6432"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].ulimits == [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
    error_message = "task: open files for a thousand clients"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].healthCheck.command == ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-p", "6432"]
    error_message = "task: a health check"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].user == "1001:1001" && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].readonlyRootFilesystem
    error_message = "task: uid 1001 on a read-only root"
  }
  assert {
    condition     = length([for m in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].mountPoints : m if !m.readOnly]) == 0
    error_message = "task: nothing to write to"
  }
  assert {
    condition     = length(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment) == 0 && toset([for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets : s.valueFrom]) == toset(["arn:aws:secretsmanager:eu-central-1:123456789012:secret:users-AbCdEf", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf:certificate::", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf:key::"])
    error_message = "secrets: users, certificate and key by valueFrom"
  }
  assert {
    condition     = aws_service_discovery_service.this.dns_config[0].namespace_id == "ns-1" && aws_service_discovery_service.this.dns_config[0].dns_records[0].ttl == 10 && aws_service_discovery_service.this.dns_config[0].dns_records[0].type == "A"
    error_message = "discovery: a private name with a TTL of 10 s"
  }
  assert {
    condition     = aws_ecs_service.this.service_registries[0].registry_arn == aws_service_discovery_service.this.arn && output.host == "pgbouncer.drover.internal"
    error_message = "discovery: the service is registered under its name"
  }
  assert {
    condition     = aws_ecs_service.this.desired_count == 2
    error_message = "service: two tasks, so that one may go"
  }
  assert {
    condition     = strcontains(output.configuration, "\ndrover = host=drover.rds.amazonaws.com port=5432 dbname=drover\n")
    error_message = "pgbouncer.ini: the database is RDS"
  }
  assert {
    condition     = strcontains(output.configuration, "\n%include /etc/pgbouncer/tls.ini")
    error_message = "pgbouncer.ini: TLS to both sides"
  }
  assert {
    condition     = !can(regex("(?m)^(logfile|pidfile|auth_user|auth_query) ", output.configuration)) && strcontains(output.configuration, "\nunix_socket_dir =\n")
    error_message = "pgbouncer.ini: no files, and no look-up of passwords"
  }
  assert {
    condition     = contains([for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.value], file("../../../pgbouncer/tls.ini")) && contains([for e in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : e.value], output.configuration)
    error_message = "the task has pgbouncer.ini and tls.ini"
  }
}
