# Three NATS servers with JetStream, each a service of one task: a server has a name, a folder and an address of its own, whatever task it is.
#
# Each has a file system of its own in its own subnet, so that no two share anything. What drover keeps there is small: checkpoints,
# leases and, with streams.events.storage: file, some minutes of events.

locals {
  nodes    = { for i in range(3) : tostring(i) => "${var.name}-${i}" }
  subnets  = { for i in range(3) : tostring(i) => var.subnet_ids[i] }
  shipped  = "${path.module}/../../../nats"
  accounts = file("${local.shipped}/accounts.conf")

  # Every $DROVER_…_PASSWORD of the users.
  password_variables = toset(flatten(regexall("\\$(DROVER_[A-Z_]+_PASSWORD)", local.accounts)))

  hosts = { for i, name in local.nodes : i => "${name}.${var.namespace.name}" }

  # The files of deploy/nats as they are; only cluster.conf gets the names by which servers and clients find a server here, and which
  # certificates have. Without them they would tell each other addresses.
  configuration = {
    for i, host in local.hosts : i => join("\n", ["client_advertise: \"${host}:4222\"", replace(replace(file("${local.shipped}/cluster.conf"),
      "/nats-route://nats-([0-2]):6222/", "nats-route://${var.name}-$1.${var.namespace.name}:6222"),
    "listen: 0.0.0.0:6222", "listen: 0.0.0.0:6222\n  cluster_advertise: \"${host}:6222\"")])
  }
}

module "task" {
  source   = "../task"
  for_each = local.nodes

  name        = each.value
  files_image = var.files_image
  files_path  = "/etc/nats"
  files = {
    "cluster.conf"     = { content = local.configuration[each.key] }
    "secure.conf"      = { content = file("${local.shipped}/secure.conf") }
    "nats-server.conf" = { content = file("${local.shipped}/nats-server.conf") }
    "accounts.conf"    = { content = local.accounts }
    "tls.conf"         = { content = file("${local.shipped}/tls.conf") }
    "ca.pem"           = { content = var.ca_pem }
    "server.pem"       = { secret = "${var.certificate_secret_arn}:certificate::" }
    "server-key.pem"   = { secret = "${var.certificate_secret_arn}:key::" }
    "route-ca.pem"     = { content = var.route_ca_pem }
    "route.pem"        = { secret = "${var.route_certificate_secret_arn}:certificate::" }
    "route-key.pem"    = { secret = "${var.route_certificate_secret_arn}:key::" }
  }
  secrets               = var.password_secret_arns
  image_repository_arns = var.image_repository_arns
  kms_key_arn           = var.kms_key_arn
  log_retention_days    = var.log_retention_days
  tags                  = var.tags
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.nodes

  family                   = each.value
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = module.task[each.key].execution_role_arn
  task_role_arn            = module.task[each.key].task_role_arn

  container_definitions = jsonencode([
    module.task[each.key].files_container,
    merge(module.task[each.key].container, {
      name       = "nats"
      image      = var.image
      entryPoint = ["nats-server"]
      command    = ["-c", "/etc/nats/cluster.conf"]
      memory     = var.memory
      # Go does not see the container's limit by itself.
      environment = [{ name = "GOMEMLIMIT", value = "${floor(var.memory * 0.8)}MiB" }, { name = "NATS_NAME", value = each.value }]
      portMappings = [
        { name = "clients", containerPort = 4222, hostPort = 4222, protocol = "tcp" },
        { name = "routes", containerPort = 6222, hostPort = 6222, protocol = "tcp" },
      ]
      mountPoints = concat(module.task[each.key].container.mountPoints, [{ sourceVolume = "store", containerPath = "/var/lib/nats", readOnly = false }])
      stopTimeout = 60
      # On loopback, where monitoring stays. Not whether the cluster is whole: a server that waits for the others must not be killed for it.
      healthCheck = {
        command     = ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8222/healthz?js-enabled-only=true"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
    }),
  ])

  dynamic "volume" {
    for_each = toset(module.task[each.key].volumes)
    content {
      name = volume.value
    }
  }

  volume {
    name = "store"
    efs_volume_configuration {
      file_system_id     = aws_efs_file_system.this[each.key].id
      transit_encryption = "ENABLED"
      authorization_config {
        access_point_id = aws_efs_access_point.this[each.key].id
        iam             = "ENABLED"
      }
    }
  }

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  tags = var.tags

  lifecycle {
    precondition {
      condition     = toset(keys(var.password_secret_arns)) == local.password_variables
      error_message = "password_secret_arns: deploy/nats/accounts.conf wants exactly ${join(", ", local.password_variables)}, got ${join(", ", keys(var.password_secret_arns))}."
    }
  }
}

# One after the other, and each only when the one before is healthy again: a change never takes two servers at once. Two tasks of one server
# never run together, since a store belongs to one process.

locals {
  count = var.running ? 1 : 0
}

resource "aws_ecs_service" "node_0" {
  name             = local.nodes["0"]
  cluster          = var.cluster_arn
  task_definition  = aws_ecs_task_definition.this["0"].arn
  desired_count    = local.count
  launch_type      = "FARGATE"
  platform_version = "1.4.0"

  availability_zone_rebalancing      = "DISABLED" # its file system is in this zone
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  wait_for_steady_state              = true

  network_configuration {
    subnets          = [local.subnets["0"]]
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["0"].arn
  }

  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags

  depends_on = [aws_efs_mount_target.this, aws_iam_role_policy.store]
}

resource "aws_ecs_service" "node_1" {
  name             = local.nodes["1"]
  cluster          = var.cluster_arn
  task_definition  = aws_ecs_task_definition.this["1"].arn
  desired_count    = local.count
  launch_type      = "FARGATE"
  platform_version = "1.4.0"

  availability_zone_rebalancing      = "DISABLED" # its file system is in this zone
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  wait_for_steady_state              = true

  network_configuration {
    subnets          = [local.subnets["1"]]
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["1"].arn
  }

  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags

  depends_on = [aws_ecs_service.node_0]
}

resource "aws_ecs_service" "node_2" {
  name             = local.nodes["2"]
  cluster          = var.cluster_arn
  task_definition  = aws_ecs_task_definition.this["2"].arn
  desired_count    = local.count
  launch_type      = "FARGATE"
  platform_version = "1.4.0"

  availability_zone_rebalancing      = "DISABLED" # its file system is in this zone
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100
  wait_for_steady_state              = true

  network_configuration {
    subnets          = [local.subnets["2"]]
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.this["2"].arn
  }

  enable_execute_command = false
  propagate_tags         = "SERVICE"
  tags                   = var.tags

  depends_on = [aws_ecs_service.node_1]
}

resource "aws_service_discovery_service" "this" {
  for_each = local.nodes

  name = each.value

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
