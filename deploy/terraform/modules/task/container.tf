# Certificates and configuration have to be files, and images without a shell cannot write them. So a first container does, into a volume that
# lives and dies with the task, and ends before the program starts.
#
# Fargate gives such a volume to root, so root writes it: without any capability, on a read-only file system, in no network but the task's.
# Files get 0444, folders that the program shall write to 1777: nobody but this task sees them.

locals {
  log_configuration = {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = aws_cloudwatch_log_group.this.name
      "awslogs-region"        = data.aws_region.this.region
      "awslogs-stream-prefix" = "task"
      # A program never waits for CloudWatch.
      "mode"            = "non-blocking"
      "max-buffer-size" = "4m"
    }
  }

  script = concat(
    ["umask 0222"],
    [for name, variable in local.files : "printf '%s\\n' \"$${${variable}}\" > /files/${name}"],
    [for volume in sort(keys(var.folders)) : "chmod 1777 /folders/${volume}"],
  )

  files_container = {
    name                   = "files"
    image                  = var.files_image
    essential              = false
    user                   = "0:0"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    entryPoint             = ["/bin/sh", "-ceu"]
    command                = [join("\n", local.script)]
    environment            = [for name, variable in local.files : { name = variable, value = var.files[name].content } if var.files[name].content != null]
    secrets                = [for name, variable in local.files : { name = variable, valueFrom = var.files[name].secret } if var.files[name].secret != null]
    mountPoints = concat(
      [{ sourceVolume = "files", containerPath = "/files", readOnly = false }],
      [for volume in sort(keys(var.folders)) : { sourceVolume = volume, containerPath = "/folders/${volume}", readOnly = false }],
    )
    logConfiguration = local.log_configuration
  }

  # What a container of ours has in common with all others.
  container = {
    essential              = true
    user                   = "1001:1001"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    dependsOn              = [{ containerName = "files", condition = "SUCCESS" }]
    secrets                = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]
    mountPoints = concat(
      [{ sourceVolume = "files", containerPath = var.files_path, readOnly = true }],
      [for volume in sort(keys(var.folders)) : { sourceVolume = volume, containerPath = var.folders[volume], readOnly = false }],
    )
    # What the program does with it is its own; Fargate's usual limit is higher than most need and stands here so that nobody has to look it up.
    ulimits          = [{ name = "nofile", softLimit = 65535, hardLimit = 65535 }]
    logConfiguration = local.log_configuration
  }
}
