# What every task of ours has, whatever runs in it: a log group, a role that starts it, a role that it runs under, and a first container that
# writes its files.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account = data.aws_caller_identity.this.account_id

  # valueFrom is the secret's ARN, perhaps with ":key::" behind it. IAM wants the ARN alone, which has seven parts.
  value_froms = concat(values(var.secrets), [for f in values(var.files) : f.secret if f.secret != null])
  secret_arns = sort(distinct([for v in local.value_froms : join(":", slice(split(":", v), 0, 7))]))

  files      = { for i, name in sort(keys(var.files)) : name => "FILE_${i}" }
  log_prefix = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.region}:${local.account}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# Who may take on the roles: ECS, for tasks of this account in this region.
locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:ecs:${data.aws_region.this.region}:${local.account}:*" }
      }
    }]
  })
}

# What ECS itself does before the program runs: fetch the image, read the secrets, open a stream of logs.
resource "aws_iam_role" "execution" {
  name_prefix        = "${substr(var.name, 0, 27)}-execution-"
  assume_role_policy = local.trust
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${local.log_prefix}:log-group:${aws_cloudwatch_log_group.this.name}:log-stream:*"
      }],
      [for s in [
        {
          Sid      = "Secrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = local.secret_arns
        },
        {
          Sid       = "Key"
          Effect    = "Allow"
          Action    = ["kms:Decrypt"]
          Resource  = [var.kms_key_arn]
          Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${data.aws_region.this.region}.amazonaws.com" } }
        },
      ] : s if length(local.value_froms) > 0],
      [for s in [
        {
          Sid      = "Images"
          Effect   = "Allow"
          Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = var.image_repository_arns
        },
        {
          # The one action that ECR knows for all repositories only.
          Sid      = "Registry"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = "*"
        },
      ] : s if length(var.image_repository_arns) > 0],
    )
  })
}

# What the program may do at AWS: nothing, unless its module says more.
resource "aws_iam_role" "task" {
  name_prefix        = "${substr(var.name, 0, 32)}-task-"
  assume_role_policy = local.trust
  tags               = var.tags
}
