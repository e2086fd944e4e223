# drover on ECS in a VPC that is there already: three NATS servers, PostgreSQL, PgBouncer before it, nodes and workers.
#
# README.md says in which order to do what.

provider "aws" {
  region = var.region
  default_tags {
    tags = { Application = var.name }
  }
}

locals {
  # Images, secrets and logs: by the VPC's endpoints where it has them, else over its NAT gateway.
  aws_egress = var.endpoints == null ? {
    cidr_ipv4          = { internet = "0.0.0.0/0" }
    prefix_list_ids    = {}
    security_group_ids = {}
    } : {
    cidr_ipv4          = {}
    prefix_list_ids    = { s3 = var.endpoints.s3_prefix_list_id }
    security_group_ids = { endpoints = var.endpoints.security_group_id }
  }

  # Discord is somewhere behind Cloudflare.
  discord_egress = { cidr_ipv4 = { discord = "0.0.0.0/0" } }
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  # What people write is in the spool, and keys are on the volume of files.
  configuration {
    managed_storage_configuration {
      fargate_ephemeral_storage_kms_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = var.namespace
  description = "Services of ${var.name}"
  vpc         = var.vpc_id
}

module "nats" {
  source = "../../modules/nats"

  name                         = "nats"
  vpc_id                       = var.vpc_id
  subnet_ids                   = var.private_subnet_ids
  cluster_arn                  = aws_ecs_cluster.this.arn
  namespace                    = { id = aws_service_discovery_private_dns_namespace.this.id, name = aws_service_discovery_private_dns_namespace.this.name }
  image                        = var.images.nats
  files_image                  = var.images.files
  image_repository_arns        = var.image_repository_arns
  running                      = var.running
  ca_pem                       = var.ca_pem
  certificate_secret_arn       = aws_secretsmanager_secret.this["nats-certificate"].arn
  route_ca_pem                 = var.route_ca_pem
  route_certificate_secret_arn = aws_secretsmanager_secret.this["nats-route-certificate"].arn
  password_secret_arns         = { for v in module.nats.password_variables : v => aws_secretsmanager_secret.nats_password[v].arn }
  client_security_group_ids = merge(
    {
      nodes    = module.drover.security_group_id
      workers  = module.worker.security_group_id
      consumer = module.consumer.security_group_id
    },
    var.operator_security_group_ids,
  )
  https_egress       = local.aws_egress
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

module "drover" {
  source = "../../modules/drover"

  name                     = "drover"
  role                     = "run"
  vpc_id                   = var.vpc_id
  subnet_ids               = var.private_subnet_ids
  cluster_arn              = aws_ecs_cluster.this.arn
  image                    = var.images.drover
  files_image              = var.images.files
  image_repository_arns    = var.image_repository_arns
  desired_count            = var.running ? var.nodes : 0
  discord_token_secret_arn = aws_secretsmanager_secret.this["discord-token"].arn
  nats = {
    urls                   = module.nats.urls
    security_group_id      = module.nats.security_group_id
    ca_pem                 = var.ca_pem
    user                   = "node"
    password_secret_arn    = aws_secretsmanager_secret.nats_password["DROVER_NODE_PASSWORD"].arn
    certificate_secret_arn = aws_secretsmanager_secret.this["drover-certificate"].arn
  }
  environment                       = var.environment
  metrics_client_security_group_ids = var.metrics_client_security_group_ids
  https_egress                      = local.discord_egress
  kms_key_arn                       = aws_kms_key.this.arn
  log_retention_days                = var.log_retention_days
}

module "worker" {
  source = "../../modules/drover"

  name                  = "drover-worker"
  role                  = "worker"
  vpc_id                = var.vpc_id
  subnet_ids            = var.private_subnet_ids
  cluster_arn           = aws_ecs_cluster.this.arn
  image                 = var.images.drover
  files_image           = var.images.files
  image_repository_arns = var.image_repository_arns
  cpu                   = 256
  memory                = 512
  desired_count         = var.running ? var.workers : 0
  nats = {
    urls                   = module.nats.urls
    security_group_id      = module.nats.security_group_id
    ca_pem                 = var.ca_pem
    user                   = "worker"
    password_secret_arn    = aws_secretsmanager_secret.nats_password["DROVER_WORKER_PASSWORD"].arn
    certificate_secret_arn = aws_secretsmanager_secret.this["drover-certificate"].arn
  }
  database = {
    host                = module.pgbouncer.host
    port                = module.pgbouncer.port
    name                = module.database.database_name
    user                = "app_worker"
    password_value_from = aws_secretsmanager_secret.this["app-worker-password"].arn
    ca_pem              = var.ca_pem
    security_group_id   = module.pgbouncer.security_group_id
  }
  metrics_client_security_group_ids = var.metrics_client_security_group_ids
  https_egress                      = local.aws_egress
  kms_key_arn                       = aws_kms_key.this.arn
  log_retention_days                = var.log_retention_days
}

# aws ecs run-task: the workers' consumer, once, as NATS' operator.
module "consumer" {
  source = "../../modules/drover"

  name                  = "drover-consumer"
  role                  = "consumer"
  vpc_id                = var.vpc_id
  subnet_ids            = var.private_subnet_ids
  cluster_arn           = aws_ecs_cluster.this.arn
  image                 = var.images.drover
  files_image           = var.images.files
  image_repository_arns = var.image_repository_arns
  cpu                   = 256
  memory                = 512
  nats = {
    urls                   = module.nats.urls
    security_group_id      = module.nats.security_group_id
    ca_pem                 = var.ca_pem
    user                   = "operator"
    password_secret_arn    = aws_secretsmanager_secret.nats_password["DROVER_OPERATOR_PASSWORD"].arn
    certificate_secret_arn = aws_secretsmanager_secret.this["drover-certificate"].arn
  }
  https_egress       = local.aws_egress
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

# The tables, by aws ecs run-task, once and after each upgrade; and what is old, once a day by itself.
module "maintenance" {
  source   = "../../modules/drover"
  for_each = toset(["migrate", "retention"])

  name                  = "drover-${each.key}"
  role                  = each.key
  schedule              = each.key == "retention" && var.running ? "cron(17 3 * * ? *)" : null
  vpc_id                = var.vpc_id
  subnet_ids            = var.private_subnet_ids
  cluster_arn           = aws_ecs_cluster.this.arn
  image                 = var.images.drover
  files_image           = var.images.files
  image_repository_arns = var.image_repository_arns
  cpu                   = 256
  memory                = 512
  database = {
    host                = module.database.host
    port                = module.database.port
    name                = module.database.database_name
    user                = module.database.master_username
    password_value_from = module.database.master_password_value_from
    ca_pem              = var.database_ca_pem
    security_group_id   = module.database.security_group_id
  }
  https_egress       = local.aws_egress
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

module "pgbouncer" {
  source = "../../modules/pgbouncer"

  name                  = "pgbouncer"
  vpc_id                = var.vpc_id
  subnet_ids            = var.private_subnet_ids
  cluster_arn           = aws_ecs_cluster.this.arn
  namespace             = { id = aws_service_discovery_private_dns_namespace.this.id, name = aws_service_discovery_private_dns_namespace.this.name }
  image                 = var.images.pgbouncer
  files_image           = var.images.files
  image_repository_arns = var.image_repository_arns
  desired_count         = var.running ? 2 : 0
  database = {
    host              = module.database.host
    port              = module.database.port
    name              = module.database.database_name
    ca_pem            = var.database_ca_pem
    security_group_id = module.database.security_group_id
  }
  users_secret_arn       = aws_secretsmanager_secret.this["pgbouncer-users"].arn
  certificate_secret_arn = aws_secretsmanager_secret.this["pgbouncer-certificate"].arn
  client_security_group_ids = merge(
    { workers = module.worker.security_group_id },
    var.application_security_group_ids,
  )
  https_egress       = local.aws_egress
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

module "database" {
  source = "../../modules/database"

  name       = var.name
  vpc_id     = var.vpc_id
  subnet_ids = var.private_subnet_ids
  client_security_group_ids = merge(
    {
      pgbouncer = module.pgbouncer.security_group_id
      migrate   = module.maintenance["migrate"].security_group_id
      retention = module.maintenance["retention"].security_group_id
    },
    var.operator_security_group_ids,
  )
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}
