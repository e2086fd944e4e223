# PgBouncer between drover's workers and PostgreSQL: transaction mode on port 6432, TLS to both sides.

locals {
  shipped = "${path.module}/../../../pgbouncer"

  # pgbouncer.ini as it is shipped, but for what is another matter in a container: where PostgreSQL is, no files for logs, process id and
  # sockets (logs go to standard error), TLS switched on, and passwords from userlist.txt alone, since RDS lets nobody read them from PostgreSQL.
  configuration = replace(replace(replace(replace(file("${local.shipped}/pgbouncer.ini"),
    "/(?m)^drover = .*$/", "${var.database.name} = host=${var.database.host} port=${var.database.port} dbname=${var.database.name}"),
    "/(?m)^(logfile|pidfile|auth_user|auth_query) = .*\n/", ""),
    "/(?m)^unix_socket_dir = .*$/", "unix_socket_dir ="),
  ";%include", "%include")
}

module "task" {
  source = "../task"

  name        = var.name
  files_image = var.files_image
  files_path  = "/etc/pgbouncer"
  files = {
    "pgbouncer.ini"   = { content = local.configuration }
    "tls.ini"         = { content = file("${local.shipped}/tls.ini") }
    "postgres-ca.crt" = { content = var.database.ca_pem }
    "userlist.txt"    = { secret = var.users_secret_arn }
    "server.crt"      = { secret = "${var.certificate_secret_arn}:certificate::" }
    "server.key"      = { secret = "${var.certificate_secret_arn}:key::" }
  }
  image_repository_arns = var.image_repository_arns
  kms_key_arn           = var.kms_key_arn
  log_retention_days    = var.log_retention_days
  tags                  = var.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = module.task.execution_role_arn
  task_role_arn            = module.task.task_role_arn

  container_definitions = jsonencode([
    module.task.files_container,
    merge(module.task.container, {
      name         = "pgbouncer"
      image        = var.image
      entryPoint   = ["pgbouncer"]
      command      = ["/etc/pgbouncer/pgbouncer.ini"]
      memory       = 512
      environment  = []
      portMappings = [{ name = "postgres", containerPort = 6432, hostPort = 6432, protocol = "tcp" }]
      stopTimeout  = 60
      healthCheck = {
        command     = ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-p", "6432"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 15
      }
    }),
  ])

  dynamic "volume" {
    for_each = toset(module.task.volumes)
    content {
      name = volume.value
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  tags = var.tags
}

resource "aws_ecs_service" "this" {
  name             = var.name
  cluster          = var.cluster_arn
  task_definition  = aws_ecs_task_definition.this.arn
  desired_count    = var.desired_count
  launch_type      = "FARGATE"
  platform_version = "1.4.0"

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this.arn
  }

  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags
}

resource "aws_service_discovery_service" "this" {
  name = var.name

  dns_config {
    namespace_id   = var.namespace.id
    routing_policy = "MULTIVALUE"
    dns_records {
      type = "A"
      ttl  = 10
    }
  }

  health_check_custom_config {
    failure_threshold = 1
  }

  tags = var.tags
}
