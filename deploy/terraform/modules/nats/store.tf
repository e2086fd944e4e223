resource "aws_efs_file_system" "this" {
  for_each = local.nodes

  encrypted        = true
  kms_key_id       = var.kms_key_arn
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"
  tags             = merge(var.tags, { Name = each.value })
}

resource "aws_efs_mount_target" "this" {
  for_each = local.nodes

  file_system_id  = aws_efs_file_system.this[each.key].id
  subnet_id       = local.subnets[each.key]
  security_groups = [aws_security_group.store.id]
}

# Everything below its folder belongs to the server's user, whoever mounts it.
resource "aws_efs_access_point" "this" {
  for_each = local.nodes

  file_system_id = aws_efs_file_system.this[each.key].id
  posix_user {
    uid = 1001
    gid = 1001
  }
  root_directory {
    path = "/nats"
    creation_info {
      owner_uid   = 1001
      owner_gid   = 1001
      permissions = "0700"
    }
  }
  tags = var.tags
}

# Over TLS only, and only as who may by IAM: a file system without a policy lets in everybody who reaches it.
resource "aws_efs_file_system_policy" "this" {
  for_each = local.nodes

  file_system_id = aws_efs_file_system.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Server"
        Effect    = "Allow"
        Principal = { AWS = module.task[each.key].task_role_arn }
        Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
        Resource  = aws_efs_file_system.this[each.key].arn
        Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.this[each.key].arn } }
      },
      {
        Sid       = "NeverInClear"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "*"
        Resource  = aws_efs_file_system.this[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# All that a server may do at AWS: mount its own folder.
resource "aws_iam_role_policy" "store" {
  for_each = local.nodes

  name = "store"
  role = module.task[each.key].task_role_name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
      Resource  = aws_efs_file_system.this[each.key].arn
      Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = aws_efs_access_point.this[each.key].arn } }
    }]
  })
}
