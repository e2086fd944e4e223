mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "drover"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-a", "subnet-b"]
  cluster_arn              = "arn:aws:ecs:eu-central-1:123456789012:cluster/drover"
  image                    = "drover:1.0.0"
  files_image              = "busybox:1"
  kms_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/k"
  discord_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf"
  nats = {
    urls                   = ["tls://nats-0.drover.internal:4222", "tls://nats-1.drover.internal:4222"]
    security_group_id      = "sg-nats"
    ca_pem                 = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
    user                   = "node"
    password_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf"
    certificate_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf"
  }
  https_egress                      = { cidr_ipv4 = { discord = "0.0.0.0/0" } }
  metrics_client_security_group_ids = { prometheus = "sg-prometheus" }
}

run "made" {
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_ingress_rule.metrics : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ prometheus = ["sg-own", "sg-prometheus", null, null, null, "tcp", 9090, 9090] })
    error_message = "ingress: port 9090 from the named groups only"
  }
  assert {
    condition     = jsonencode([for r in aws_vpc_security_group_egress_rule.nats : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-own", "sg-nats", null, null, null, "tcp", 4222, 4222]])
    error_message = "egress: NATS by its group and port 4222 only"
  }
  assert {
    condition     = jsonencode({ for k, r in aws_vpc_security_group_egress_rule.https_address : k => [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port] }) == jsonencode({ discord = ["sg-own", null, "0.0.0.0/0", null, null, "tcp", 443, 443] })
    error_message = "egress: HTTPS to the named addresses only"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.database) == 0
    error_message = "egress: nodes have no business at the database"
  }
  assert {
    condition     = !aws_ecs_service.this[0].network_configuration[0].assign_public_ip && aws_ecs_service.this[0].network_configuration[0].security_groups == toset(["sg-own"])
    error_message = "tasks: no public address, and only our own group"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].healthCheck.command == ["CMD", "/usr/local/bin/drover", "healthcheck"]
    error_message = "health: drover healthcheck, without a shell"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].stopTimeout == 30 && contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "DROVER_SHUTDOWN_TIMEOUT", value = "20s" })
    error_message = "stop: ECS must wait for longer than drover drains"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].user == "1001:1001"
    error_message = "user: uid 1001"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this.container_definitions)[1].readonlyRootFilesystem
    error_message = "file system: read-only root"
  }
  assert {
    condition     = [for m in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].mountPoints : m.containerPath if !m.readOnly] == ["/var/lib/drover"]
    error_message = "file system: writable is /var/lib/drover only"
  }
  assert {
    condition     = aws_ecs_task_definition.this.ephemeral_storage[0].size_in_gib >= 21 && toset([for v in aws_ecs_task_definition.this.volume : v.name]) == toset(["files", "state"])
    error_message = "volume: room for the spool on the task's own disk"
  }
  assert {
    condition     = { for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].secrets : s.name => s.valueFrom } == { DROVER_DISCORD_TOKEN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf", DROVER_NATS_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf" }
    error_message = "secrets: token and password by valueFrom"
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "DROVER_NATS_URL", value = "tls://nats-0.drover.internal:4222,tls://nats-1.drover.internal:4222" }) && contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "DROVER_NATS_TLS_CA_FILE", value = "/etc/drover/nats-ca.pem" })
    error_message = "NATS: over TLS, with the CA"
  }
  assert {
    condition     = alltrue([for name in ["EVENTS", "COMMANDS"] : contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "DROVER_STREAMS_${name}_REPLICAS", value = "3" })])
    error_message = "NATS: three copies of everything"
  }
  assert {
    condition     = aws_ecs_service.this[0].desired_count == 3 && aws_ecs_service.this[0].launch_type == "FARGATE"
    error_message = "service: three tasks on Fargate"
  }
  assert {
    condition     = aws_ecs_service.this[0].deployment_minimum_healthy_percent == 100 && aws_ecs_service.this[0].deployment_maximum_percent == 200
    error_message = "service: new tasks before the old ones go"
  }
  assert {
    condition     = !aws_ecs_service.this[0].enable_execute_command
    error_message = "service: no shell into tasks"
  }
}

run "worker" {
  variables {
    name                     = "drover-worker"
    role                     = "worker"
    discord_token_secret_arn = null
    database = {
      host                = "pgbouncer.drover.internal"
      port                = 6432
      name                = "drover"
      user                = "app_worker"
      password_value_from = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:worker-AbCdEf"
      ca_pem              = "-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----\n"
      security_group_id   = "sg-pgbouncer"
    }
    https_egress = { prefix_list_ids = { s3 = "pl-s3" }, security_group_ids = { endpoints = "sg-endpoints" } }
  }
  assert {
    condition     = jsonencode([for r in aws_vpc_security_group_egress_rule.database : [r.security_group_id, r.referenced_security_group_id, r.cidr_ipv4, r.cidr_ipv6, r.prefix_list_id, r.ip_protocol, r.from_port, r.to_port]]) == jsonencode([["sg-own", "sg-pgbouncer", null, null, null, "tcp", 6432, 6432]])
    error_message = "egress of workers: PgBouncer by its group and port only"
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
    condition     = contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, { name = "DROVER_DATABASE_URL", value = "postgres://app_worker@pgbouncer.drover.internal:6432/drover?sslmode=verify-full&sslrootcert=/etc/drover/database-ca.pem" })
    error_message = "database: verified TLS, and no password in the address"
  }
  assert {
    condition     = alltrue([for e in [{ name = "DROVER_WORKER_API_PREFIX", value = "drover.API" }, { name = "DROVER_WORKER_DURABLE", value = "workers" }] : contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].environment, e)])
    error_message = "workers: the account of deploy/nats/accounts.conf"
  }
  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this.container_definitions)[1].secrets, { name = "PGPASSWORD", valueFrom = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:worker-AbCdEf" }) && !contains([for s in jsondecode(aws_ecs_task_definition.this.container_definitions)[1].secrets : s.name], "DROVER_DISCORD_TOKEN")
    error_message = "secrets of workers: the database's password, and no token"
  }
}


run "migrate" {
  variables {
    name                     = "drover-migrate"
    role                     = "migrate"
    discord_token_secret_arn = null
    nats                     = null
    database = {
      host                = "drover.rds.amazonaws.com"
      port                = 5432
      name                = "drover"
      user                = "drover_owner"
      password_value_from = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-owner-AbCdEf:password::"
      ca_pem              = "-----BEGIN CERTIFICATE-----\nrds\n-----END CERTIFICATE-----\n"
      security_group_id   = "sg-database"
    }
  }
  assert {
    condition     = length(aws_ecs_service.this) == 0 && jsondecode(aws_ecs_task_definition.this.container_definitions)[1].command == ["migrate", "up"]
    error_message = "migrate: a task definition and no service"
  }
  assert {
    condition     = length(aws_vpc_security_group_egress_rule.nats) == 0
    error_message = "migrate: no way to NATS"
  }
}


run "retention" {
  variables {
    name                     = "drover-retention"
    role                     = "retention"
    schedule                 = "cron(17 3 * * ? *)"
    discord_token_secret_arn = null
    nats                     = null
    database = {
      host                = "drover.rds.amazonaws.com"
      port                = 5432
      name                = "drover"
      user                = "drover_owner"
      password_value_from = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-owner-AbCdEf:password::"
      ca_pem              = "-----BEGIN CERTIFICATE-----\nrds\n-----END CERTIFICATE-----\n"
      security_group_id   = "sg-database"
    }
  }
  assert {
    condition     = aws_scheduler_schedule.this[0].schedule_expression == "cron(17 3 * * ? *)" && aws_scheduler_schedule.this[0].target[0].ecs_parameters[0].task_definition_arn == aws_ecs_task_definition.this.arn
    error_message = "retention: it runs by itself"
  }
  assert {
    condition     = !aws_scheduler_schedule.this[0].target[0].ecs_parameters[0].network_configuration[0].assign_public_ip && aws_scheduler_schedule.this[0].target[0].ecs_parameters[0].network_configuration[0].security_groups == toset(["sg-own"])
    error_message = "retention: no public address, and only our own group"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[0].Resource == [aws_ecs_task_definition.this.arn] && length(jsondecode(aws_iam_role_policy.schedule[0].policy).Statement[1].Resource) == 2
    error_message = "retention: who starts it may start this task only, with its two roles"
  }
}
