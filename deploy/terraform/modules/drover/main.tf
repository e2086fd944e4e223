# drover on Fargate, in cluster mode: any number of tasks that are all alike share the bot's pools out among themselves (docs/nodes.md).
#
# The spool is on the task's own disk and goes with the task. It is there for outages of NATS, and only a task that ends during one takes
# events with it that Discord may no longer repeat; drover declares them then (shard.gap). A disk that outlives the task would be EFS, which
# all tasks of a service mount at one path, where the spool wants one process; it would need a service for each node, and then a deploy
# stops a node before its successor starts. As it is, the new tasks start first and take the pools over one by one, each in a tenth of a second.

locals {
  service        = contains(["run", "worker"], var.role)
  needs_nats     = contains(["run", "worker", "consumer"], var.role)
  needs_database = contains(["worker", "migrate", "retention"], var.role)

  commands = {
    run       = ["run"]
    worker    = ["worker"]
    consumer  = ["worker", "--make-consumer"]
    migrate   = ["migrate", "up"]
    retention = ["retention"]
  }

  nats_environment = var.nats == null ? {} : {
    DROVER_NATS_URL           = join(",", var.nats.urls)
    DROVER_NATS_USER          = var.nats.user
    DROVER_NATS_TLS_CA_FILE   = "/etc/drover/nats-ca.pem"
    DROVER_NATS_TLS_CERT_FILE = "/etc/drover/nats.pem"
    DROVER_NATS_TLS_KEY_FILE  = "/etc/drover/nats-key.pem"
  }

  # The password is no part of it: PGPASSWORD has it.
  database_url = var.database == null ? "" : format("postgres://%s@%s:%d/%s?sslmode=verify-full&sslrootcert=/etc/drover/database-ca.pem",
  var.database.user, var.database.host, var.database.port, var.database.name)

  # Workers have an account of their own at NATS (deploy/nats/accounts.conf), and an operator makes their consumer (role consumer).
  worker_environment = { DROVER_WORKER_DURABLE = "workers" }

  role_environment = {
    run = {
      DROVER_NATS_EMBEDDED_DATA_DIR    = "/var/lib/drover"
      DROVER_STREAMS_EVENTS_REPLICAS   = "3"
      DROVER_STREAMS_COMMANDS_REPLICAS = "3"
    }
    worker    = merge(local.worker_environment, { DROVER_WORKER_API_PREFIX = "drover.API", DROVER_DATABASE_URL = local.database_url })
    consumer  = local.worker_environment
    migrate   = { DROVER_DATABASE_MIGRATE_URL = local.database_url }
    retention = { DROVER_DATABASE_MIGRATE_URL = local.database_url }
  }

  environment = merge(
    local.nats_environment,
    local.role_environment[var.role],
    { DROVER_HTTP_ADDR = ":9090", DROVER_SHUTDOWN_TIMEOUT = "${var.shutdown_timeout_seconds}s" },
    var.environment,
  )
}

module "task" {
  source = "../task"

  name        = var.name
  files_image = var.files_image
  files = merge(
    var.nats == null ? {} : {
      "nats-ca.pem"  = { content = var.nats.ca_pem }
      "nats.pem"     = { secret = "${var.nats.certificate_secret_arn}:certificate::" }
      "nats-key.pem" = { secret = "${var.nats.certificate_secret_arn}:key::" }
    },
    var.database == null ? {} : { "database-ca.pem" = { content = var.database.ca_pem } },
  )
  folders = { state = "/var/lib/drover" }
  secrets = merge(
    var.discord_token_secret_arn == null ? {} : { DROVER_DISCORD_TOKEN = var.discord_token_secret_arn },
    var.nats == null ? {} : { DROVER_NATS_PASSWORD = var.nats.password_secret_arn },
    var.database == null ? {} : { PGPASSWORD = var.database.password_value_from },
  )
  image_repository_arns = var.image_repository_arns
  kms_key_arn           = var.kms_key_arn
  log_retention_days    = var.log_retention_days
  tags                  = var.tags
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = module.task.execution_role_arn
  task_role_arn            = module.task.task_role_arn

  container_definitions = jsonencode([
    module.task.files_container,
    merge(module.task.container, {
      name    = "drover"
      image   = var.image
      command = local.commands[var.role]
      # A limit of the container: drover gives Go three quarters of it.
      memory       = var.memory
      environment  = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
      portMappings = local.service ? [{ name = "http", containerPort = 9090, hostPort = 9090, protocol = "tcp" }] : []
      # SIGTERM drains within shutdown.timeout; what is left after it is written to disk.
      stopTimeout = var.shutdown_timeout_seconds + 10
      healthCheck = local.service ? {
        command     = ["CMD", "/usr/local/bin/drover", "healthcheck"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 30
      } : null
    }),
  ])

  dynamic "volume" {
    for_each = toset(module.task.volumes)
    content {
      name = volume.value
    }
  }

  ephemeral_storage {
    size_in_gib = var.ephemeral_storage_gib
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = (var.role == "run") == (var.discord_token_secret_arn != null)
      error_message = "discord_token_secret_arn: role run needs it, and no other may have it."
    }
    precondition {
      condition     = local.needs_nats == (var.nats != null)
      error_message = "nats: roles run, worker and consumer need it, migrate and retention have no use for it."
    }
    precondition {
      condition     = local.needs_database == (var.database != null)
      error_message = "database: roles worker, migrate and retention need it, the others have no use for it."
    }
  }
}

resource "aws_ecs_service" "this" {
  count = local.service ? 1 : 0

  name             = var.name
  cluster          = var.cluster_arn
  task_definition  = aws_ecs_task_definition.this.arn
  desired_count    = var.desired_count
  launch_type      = "FARGATE"
  platform_version = "1.4.0"

  # New tasks first: pools move to them while the old ones still serve.
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

  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags
}
