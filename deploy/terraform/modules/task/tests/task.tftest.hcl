mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "thing"
  files_image = "busybox:1"
  kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/k"
  files = {
    "a.conf" = { content = "a text with $HOME and 'quotes'" }
    "b.pem"  = { secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf:key::" }
  }
  folders               = { state = "/var/lib/thing" }
  secrets               = { THING_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password-AbCdEf" }
  image_repository_arns = ["arn:aws:ecr:eu-central-1:123456789012:repository/thing"]
}

run "made" {
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "logs must be kept for 30 days"
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.kms_key_arn
    error_message = "logs must be encrypted with the key"
  }
  assert {
    condition     = output.container.logConfiguration.logDriver == "awslogs" && output.container.logConfiguration.options["awslogs-group"] == "/ecs/thing" && output.files_container.logConfiguration == output.container.logConfiguration
    error_message = "every container must log to the group"
  }
  assert {
    condition     = jsondecode(aws_iam_role.execution.assume_role_policy) == jsondecode(aws_iam_role.task.assume_role_policy) && jsondecode(aws_iam_role.task.assume_role_policy).Statement == [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" }, Condition = { StringEquals = { "aws:SourceAccount" = "123456789012" }, ArnLike = { "aws:SourceArn" = "arn:aws:ecs:eu-central-1:123456789012:*" } } }]
    error_message = "only ECS of this account may take on the roles"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[0] == { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/thing:log-stream:*" }
    error_message = "the execution role may write to its own log group only"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[1] == { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password-AbCdEf"] }
    error_message = "the execution role may read this task's secrets only"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.execution.policy).Statement[2] == { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [var.kms_key_arn], Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.eu-central-1.amazonaws.com" } } }
    error_message = "the execution role may use the key for secrets only"
  }
  assert {
    condition     = jsonencode(jsondecode(aws_iam_role_policy.execution.policy).Statement[3].Resource) == jsonencode(var.image_repository_arns) && jsondecode(aws_iam_role_policy.execution.policy).Statement[4].Action == ["ecr:GetAuthorizationToken"] && length(jsondecode(aws_iam_role_policy.execution.policy).Statement) == 5
    error_message = "the execution role may fetch the named images, and nothing more"
  }
  assert {
    condition     = output.container.user == "1001:1001"
    error_message = "the program must run as uid 1001"
  }
  assert {
    condition     = output.container.readonlyRootFilesystem && output.files_container.readonlyRootFilesystem
    error_message = "root file systems must be read-only"
  }
  assert {
    condition     = output.container.linuxParameters.capabilities.drop == ["ALL"] && output.files_container.linuxParameters.capabilities.drop == ["ALL"]
    error_message = "no container may have a capability"
  }
  assert {
    condition     = jsonencode(output.container.secrets) == jsonencode([{ name = "THING_PASSWORD", valueFrom = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password-AbCdEf" }])
    error_message = "secrets must come by valueFrom"
  }
  assert {
    condition = jsonencode(output.container.mountPoints) == jsonencode([
      { containerPath = "/etc/drover", readOnly = true, sourceVolume = "files" },
      { containerPath = "/var/lib/thing", readOnly = false, sourceVolume = "state" },
    ])
    error_message = "the program may write to its folders only"
  }
  assert {
    condition     = output.container.ulimits[0] == { name = "nofile", softLimit = 65535, hardLimit = 65535 }
    error_message = "the limit of open files must be raised"
  }
  assert {
    condition     = !output.files_container.essential && jsonencode(output.container.dependsOn) == jsonencode([{ condition = "SUCCESS", containerName = "files" }])
    error_message = "the program must wait until the files are written"
  }
  assert {
    condition     = output.files_container.command == ["umask 0222\nprintf '%s\\n' \"$${FILE_0}\" > /files/a.conf\nprintf '%s\\n' \"$${FILE_1}\" > /files/b.pem\nchmod 1777 /folders/state"]
    error_message = "the files must be written as they are"
  }
  assert {
    condition     = jsonencode(output.files_container.environment) == jsonencode([{ name = "FILE_0", value = "a text with $HOME and 'quotes'" }]) && jsonencode(output.files_container.secrets) == jsonencode([{ name = "FILE_1", valueFrom = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:certificate-AbCdEf:key::" }])
    error_message = "a secret file must come by valueFrom"
  }
}
