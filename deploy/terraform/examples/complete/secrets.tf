# One key for all that is at rest, and the secrets without their values: those never pass through Terraform, whose state everybody with
# access to it can read. README.md says how they get there.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  logs = "arn:${data.aws_partition.this.partition}:logs:${var.region}:${data.aws_caller_identity.this.account_id}:log-group:*"

  secrets = {
    discord-token          = "The bot's token"
    nats-certificate       = "Certificate of the NATS servers: JSON with certificate and key"
    nats-route-certificate = "Certificate of the NATS servers for routes: JSON with certificate and key"
    drover-certificate     = "Certificate of drover as a client of NATS: JSON with certificate and key"
    pgbouncer-certificate  = "Certificate of PgBouncer: JSON with certificate and key"
    pgbouncer-users        = "userlist.txt of PgBouncer"
    app-worker-password    = "Password of role app_worker"
  }
}

resource "aws_kms_key" "this" {
  description             = "All that ${var.name} keeps"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = local.logs } }
      },
      {
        Sid       = "TaskDisks"
        Effect    = "Allow"
        Principal = { Service = "fargate.amazonaws.com" }
        Action    = ["kms:GenerateDataKeyWithoutPlaintext"]
        Resource  = "*"
        Condition = { StringEquals = {
          "kms:EncryptionContext:aws:ecs:clusterAccount" = data.aws_caller_identity.this.account_id
          "kms:EncryptionContext:aws:ecs:clusterName"    = var.name
        } }
      },
      {
        Sid       = "TaskDiskGrants"
        Effect    = "Allow"
        Principal = { Service = "fargate.amazonaws.com" }
        Action    = ["kms:CreateGrant"]
        Resource  = "*"
        Condition = {
          StringEquals = {
            "kms:EncryptionContext:aws:ecs:clusterAccount" = data.aws_caller_identity.this.account_id
            "kms:EncryptionContext:aws:ecs:clusterName"    = var.name
          }
          "ForAllValues:StringEquals" = { "kms:GrantOperations" = ["Decrypt"] }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name        = "${var.name}/${each.key}"
  description = each.value
  kms_key_id  = aws_kms_key.this.arn
}

resource "aws_secretsmanager_secret" "nats_password" {
  for_each = module.nats.password_variables

  name        = "${var.name}/nats/${each.key}"
  description = "A user's password at NATS (deploy/nats/accounts.conf)"
  kms_key_id  = aws_kms_key.this.arn
}
